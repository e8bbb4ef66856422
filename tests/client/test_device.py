# SPDX-License-Identifier: Apache-2.0
import math
from pathlib import Path

import numpy as np
import pytest

from client.device import Device
from client.profile import read_profile
from shared.errors import DataError, PrivetError, UsageError, VerificationError
from shared.schema import Scale


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def ids(device: Device, *rows: int) -> list[str]:
    return [device.catalogue.item_ids[row] for row in rows]


def test_history_is_what_was_rated_oldest_first(device: Device) -> None:
    device.rate(5, 4, now=100)
    device.rate(2, 1, "words", now=200)
    device.rate(5, 2, now=300)
    own = device.history
    assert own.items.tolist() == [2, 5]
    assert own.ratings.tolist() == [-2.5, -1.5]
    assert own.comment_lengths.tolist() == [5, 0]
    assert own.comment_acts is None
    device.note(2, "opened")
    device.note(2, "seen")
    assert device.history.comment_acts[0] == 1
    assert math.isnan(device.history.comment_acts[1])


def test_clock_put_back_makes_no_rating_older(device: Device) -> None:
    device.rate(5, 4, now=100)
    device.rate(2, 1, now=50)
    assert device.history.items.tolist() == [5, 2]


def test_comment_stays_until_it_is_replaced_or_removed(device: Device) -> None:
    device.rate(1, 4, "first")
    assert device.rate(1, 3).comment == "first"
    assert device.rate(1, 3, "second <b>bold</b>").comment == "second bold"
    assert device.rate(1, 3, "").comment == ""


@pytest.mark.parametrize("stars", [0, 5.5, 2.5, math.nan, math.inf, -1])
def test_rating_off_the_scale_is_refused_without_its_value(device: Device, stars: float) -> None:
    with pytest.raises(DataError, match="1 to 5") as caught:
        device.rate(1, stars)
    assert str(stars) not in caught.value.message.replace("1 to 5", "")
    assert device.entries == ()


def test_find_takes_ids_titles_and_beginnings(device: Device) -> None:
    titles = device.catalogue.titles
    assert device.find(device.catalogue.item_ids[7]) == 7
    unique = next(
        t for t in titles if sum(o.casefold().startswith(t.casefold()) for o in titles) == 1
    )
    assert device.find(unique.upper()) == titles.index(unique)
    with pytest.raises(UsageError) as caught:
        device.find(titles[0][:1])
    assert "(" in caught.value.hint
    for nothing in ("no such title at all", "", "   "):
        with pytest.raises(UsageError):
            device.find(nothing)


def test_add_takes_all_rows(device: Device, tmp_path: Path) -> None:
    a, b = ids(device, 0, 1)
    title = device.catalogue.titles[2]
    text = f'title,Rating,timestamp,comment\n{a},4,10,fine\n{b},3,20,\n{title},5,,"two\nlines"\n'
    taken = device.add(table(tmp_path, text))
    assert (taken.added, taken.changed, taken.comments) == (3, 0, 2)
    assert {entry.row: entry.at for entry in device.entries} == {0: 10, 1: 20, 2: 0}
    taken = device.add(table(tmp_path, f"item_id,rating\n{a},1\n{a},2\n"))
    assert (taken.added, taken.changed) == (0, 1)
    assert {entry.row: (entry.stars, entry.comment) for entry in device.entries}[0] == (2, "fine")


def test_older_row_of_a_table_does_not_replace_a_newer_rating(
    device: Device, tmp_path: Path
) -> None:
    (a,) = ids(device, 0)
    device.rate(0, 5, now=1000)
    device.add(table(tmp_path, f"item_id,rating,timestamp\n{a},1,999\n"))
    assert device.entries[0].stars == 5
    device.add(table(tmp_path, f"item_id,rating,timestamp\n{a},1,1001\n"))
    assert device.entries[0].stars == 1


BAD = {
    "no such item": ("item_id,rating\n{a},4\nplumberry,4\n", "line 3, column item_id"),
    "no item": ("item_id,rating\n,4\n", "line 2, column item_id"),
    "above": ("item_id,rating\n{a},77\n", "line 2, column rating"),
    "text": ("item_id,rating\n{a},plumberry\n", "line 2, column rating"),
    "between": ("item_id,rating\n{a},3.25\n", "line 2, column rating"),
    "nan": ("item_id,rating\n{a},nan\n", "line 2, column rating"),
    "time": ("item_id,rating,timestamp\n{a},3,plumberry\n", "line 2, column timestamp"),
    "negative time": ("item_id,rating,timestamp\n{a},3,-3.25\n", "line 2, column timestamp"),
    "short row": ("item_id,rating\n{a}\n", "line 2, column all"),
    "long row": ("item_id,rating\n{a},3,plumberry\n", "line 2, column all"),
    "no rating": ("item_id,plumberry\n{a},3\n", "line 1"),
    "empty": ("", "line 1"),
    "quotation": ('item_id,rating\n"{a},3\n', "quotation"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "place"), BAD.values(), ids=BAD)
def test_bad_row_names_its_place_never_its_value(
    device: Device, tmp_path: Path, text: str, place: str
) -> None:
    (a,) = ids(device, 0)
    with pytest.raises(DataError) as caught:
        device.add(table(tmp_path, text.replace("{a}", a)))
    said = (caught.value.message + caught.value.hint).replace(str(tmp_path), "")
    assert place in said
    assert not any(value in said for value in ("plumberry", "77", "3.25", "nan", a))
    assert device.entries == ()


@pytest.mark.parametrize("data", [b"\xff\xfe\0", b"item_id,rating\n\x00,3\n", b"a" * 300_000])
def test_bad_bytes_are_a_typed_error(device: Device, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bytes.csv"
    path.write_bytes(data)
    with pytest.raises(DataError):
        device.add(path)
    with pytest.raises(DataError):
        device.add(tmp_path / "none.csv")


def test_thousands_of_ratings_are_quick_and_whole(device: Device, tmp_path: Path) -> None:
    rows = "".join(f"{item},{1 + n % 5},{n}\n" for n, item in enumerate(device.catalogue.item_ids))
    device.add(table(tmp_path, "item_id,rating,timestamp\n" + rows))
    assert len(device.history) == len(device.catalogue)


def test_publish_needs_a_comment_and_leaves_a_receipt(device: Device) -> None:
    device.rate(1, 4)
    with pytest.raises(DataError):
        device.publish(1)
    with pytest.raises(DataError):
        device.publish(2)
    device.rate(1, 4, "for all to read")
    assert device.publish(1, now=50).published
    with pytest.raises(DataError):
        device.publish(1)
    (receipt,) = device.receipts()
    assert (receipt.kind, receipt.status, receipt.rho) == ("publication", "prepared", 0)
    assert device.status().published == 1
    assert device.status().updates == 0
    assert not device.rate(1, 4, "another text").published


def test_hidden_items_are_remembered_in_order(device: Device) -> None:
    device.hide(4)
    device.hide(2)
    device.hide(4)
    assert device.hidden.tolist() == [2, 4]
    device.hide(2, undo=True)
    assert device.hidden.tolist() == [4]


def test_everything_is_there_after_a_restart(device: Device, home: Path) -> None:
    device.rate(3, 4, "words", now=10)
    device.hide(1)
    device.note(3, "replied")
    device.set_attributes({"age": 41.0})
    before = device.status(), device.entries, device.hidden.tolist(), device.attributes
    device.close()
    with Device.open(home) as again:
        after = again.status(), again.entries, again.hidden.tolist(), again.attributes
        assert after == before


def test_public_file_that_was_replaced_is_refused(public: Path, home: Path) -> None:
    model = public / "model.safetensors"
    with Device.create(home, public / "catalogue.safetensors", model) as device:
        data = device._shelf.model and model.read_bytes()
    from shared.model.file import load_model, save_model

    with Device.open(home) as device:
        other = load_model(data, device.catalogue)
        other.tower.offset[:] += 1
        (home / "model.safetensors").write_bytes(save_model(other))
        with pytest.raises(VerificationError):
            _ = device.model
        with pytest.raises(VerificationError):
            device.verify()


def test_newer_model_is_taken_whole_or_not_at_all(
    public: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.model.file import load_model, save_model

    with Device.create(home, public / "catalogue.safetensors") as device:
        fresh = load_model((public / "model.safetensors").read_bytes(), device.catalogue)
        fresh.tower.offset[:] += 0.5
        data = save_model(fresh)
        with pytest.raises(DataError):
            device.take_model(data[:100])
        assert device.status().model == ""
        with monkeypatch.context() as patch:  # stopped between the pin and the file
            patch.setattr(Path, "replace", _stop)
            with pytest.raises(KeyboardInterrupt):
                device.take_model(data)
    with Device.open(home) as device:
        assert device.status().model
        assert np.array_equal(device.model.tower.offset, fresh.tower.offset)
        device.verify()


def _stop(*words: object) -> None:
    raise KeyboardInterrupt


def test_half_star_scale_is_kept(public: Path, home: Path) -> None:
    scale = Scale(0.5, 5.0, 0.5)
    with Device.create(home, public / "catalogue.safetensors", scale=scale) as device:
        device.rate(1, 0.5)
        with pytest.raises(DataError):
            device.rate(1, 0.75)
    with Device.open(home) as device:
        assert device.scale == scale


def test_public_comments_leave_the_owners_own_out(public: Path, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "comments.csv"
    item = "no-such-item"
    with Device.create(tmp_path / "probe", public / "catalogue.safetensors") as probe:
        a, b = ids(probe, 0, 1)
    path.write_text(f"item_id,text,user_id,helpful\n{a},one,ann,3\n{b},mine,,\n{item},x,,\n")
    with Device.create(home, public / "catalogue.safetensors", comments=path) as device:
        device.rate(1, 3, "mine")
        (comment,) = device.public_comments
        assert (comment.row, comment.text, comment.author, comment.helpful) == (0, "one", "ann", 3)
        (home / "comments.csv").write_text("item_id,text\n")
    with Device.open(home) as device, pytest.raises(VerificationError):
        _ = device.public_comments


def test_create_leaves_nothing_where_it_fails(public: Path, home: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        Device.create(home, public / "model.safetensors")
    with pytest.raises(DataError):
        Device.create(home, public / "catalogue.safetensors", public / "catalogue.safetensors")
    with pytest.raises(DataError):
        Device.create(home, public / "catalogue.safetensors", comments=public / "model.safetensors")
    assert not home.exists()
    with Device.create(home, public / "catalogue.safetensors"):
        pass
    with pytest.raises(DataError):
        Device.create(home, public / "catalogue.safetensors")


def test_profile_reads_numbers_alone(tmp_path: Path) -> None:
    path = tmp_path / "profile.toml"
    path.write_text("[attributes]\nage = 41\nheight = 1.75\n")
    assert read_profile(path) == {"age": 41.0, "height": 1.75}
    for bad in (
        "age = 41",
        "[attributes]\nname = 'plumberry'",
        "[attributes]\nx = nan",
        "[",
        "\xff",
    ):
        path.write_text(bad, encoding="latin-1")
        with pytest.raises(PrivetError) as caught:
            read_profile(path)
        assert "plumberry" not in caught.value.message
    with pytest.raises(DataError):
        read_profile(tmp_path / "none.toml")
