# SPDX-License-Identifier: Apache-2.0
"""Comments worth reading: chosen on the device, by vectors that cost no torch."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from client.comments import OwnComments
from client.device import Device
from client.reading import (
    CHARACTER_SIZE,
    comment_interest,
    encode_public,
    public_cache,
    read_by_encoder,
    read_comments,
    readable,
    worth_reading,
)
from shared.catalogue import save_catalogue
from shared.comments_file import PublicComment
from shared.errors import UsageError
from shared.features import build_catalogue, item_text
from shared.text.encoder import CharacterEncoder, load_encoder
from shared.text.vector_cache import VectorCache
from tests.client.made import hamlet, released, resident

NONE = OwnComments(np.zeros(0, np.int64), np.zeros((0, 0), np.float32), 0)
PUBLIC = (
    PublicComment(1, "The wind in the sails and the sea.", "", float("nan")),
    PublicComment(1, "It is too long, I fell asleep.", "", 3.0),
    PublicComment(2, "A harbour, a storm, the sea at night.", "", 0.0),
    PublicComment(5, "Dull.", "", 1.0),
)


def test_comments_that_say_what_the_owner_says_come_first():
    model, own = released(), resident().history
    written = [(7, "All about the sea and the wind."), (8, "The sea, the sails, a storm at sea.")]
    vectors = read_comments(PUBLIC, written, NONE, None)
    found = worth_reading(model, own, PUBLIC, vectors, 4, diversity=0.0)
    by_text = {one.comment.text: one for one in found}
    assert "comment-voice" in by_text[PUBLIC[0].text].reasons
    assert by_text[PUBLIC[0].text].score > by_text[PUBLIC[1].text].score


def test_nothing_written_goes_by_the_items_alone():
    model, own = released(), resident().history
    vectors = read_comments(PUBLIC, [], NONE, None)
    found = worth_reading(model, own, PUBLIC, vectors, 4, diversity=0.0)
    assert len(found) == 4
    assert all("comment-voice" not in one.reasons for one in found)


def test_no_public_comments_give_an_empty_list():
    vectors = read_comments((), [(1, "A word.")], NONE, None)
    assert worth_reading(released(), resident().history, (), vectors) == []


def test_other_diversities_are_refused():
    vectors = read_comments(PUBLIC, [], NONE, None)
    with pytest.raises(UsageError):
        worth_reading(released(), resident().history, PUBLIC, vectors, diversity=2.0)


def test_interest_is_the_models_where_it_knows_comments():
    own = replace(resident().history, comment_lengths=np.full(24, 5))
    model = replace(released(), comment_mean=np.linspace(-1.5, 1.5, 90))
    rows = np.array([0, 50, 89])
    np.testing.assert_array_equal(
        comment_interest(model, own, rows), model.comment_interest(own, rows)
    )
    stand_in = comment_interest(released(), own, rows)
    assert sorted(stand_in.tolist()) == [0.0, 0.5, 1.0]


def test_vectors_of_the_encoder_are_used_where_all_are_known(tmp_path):
    cache = VectorCache(tmp_path, "made@1")
    encoder = CharacterEncoder(64)
    texts = [comment.text for comment in PUBLIC]
    cache.put(texts[:3], encoder.encode(texts[:3]))
    known = OwnComments(np.array([7]), encoder.encode(["The sea."]), 0)
    written = [(7, "The sea.")]
    assert read_comments(PUBLIC, written, known, cache).public.shape == (4, CHARACTER_SIZE)
    cache.put(texts[3:], encoder.encode(texts[3:]))
    both = read_comments(PUBLIC, written, known, cache)
    assert both.public.shape == (4, 64)
    assert both.own.shape == (1, 64)
    missing = replace(known, missing=1)
    assert read_comments(PUBLIC, written, missing, cache).own.shape == (1, CHARACTER_SIZE)
    nothing = replace(NONE, missing=0)
    assert read_comments(PUBLIC, [], nothing, cache).own.shape == (0, 64)


def test_characters_need_no_encoding_and_no_cache(tmp_path):
    cache = VectorCache(tmp_path, "characters-512")
    assert encode_public(PUBLIC, "characters-512", cache) == 0
    assert public_cache(tmp_path, "") is None
    assert not list(tmp_path.iterdir())


def test_another_encoder_than_the_installed_one_encodes_nothing(tmp_path):
    assert encode_public(PUBLIC, "other@0", VectorCache(tmp_path, "other@0")) == 0


def test_readable_leaves_torch_alone():
    code = (
        "import sys; from tests.client.made import resident; from client.reading import readable;"
        "assert len(readable(resident(), 5)) == 5; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_readable_shows_no_comment_twice():
    device = resident()
    found = readable(device, 1000)
    assert len(found) == len(device.public_comments)
    assert len({id(one.comment) for one in found}) <= len(found)


def test_recommend_reads_comments_with_the_encoder_of_the_catalogue(tmp_path):
    encoder, people = load_encoder(), hamlet()
    vectors = np.asarray(encoder.encode(item_text(people.items)))
    catalogue, basis = build_catalogue(people.items, vectors, encoder=encoder.name)
    save_catalogue(tmp_path / "catalogue.safetensors", catalogue, basis)
    rows = "".join(f"{people.items.ids[c.row]},{c.text}\n" for c in PUBLIC[:1])
    (tmp_path / "comments.csv").write_text("item_id,text\n" + rows)
    home = tmp_path / "home"
    made = Device.create(
        home, tmp_path / "catalogue.safetensors", comments=tmp_path / "comments.csv"
    )
    with made as device:
        device.rate(3, 5, "A storm at sea.")
        written = [(3, "A storm at sea.")]

        def reads():
            cache = public_cache(home, encoder.name)
            return read_comments(device.public_comments, written, device.own_comments(), cache)

        before = reads()
        assert before.own.shape == (1, CHARACTER_SIZE)
        assert read_by_encoder(device) == 2
        assert read_by_encoder(device) == 0
        after = reads()
        np.testing.assert_allclose(after.own, encoder.encode(["A storm at sea."]), atol=1e-5)
        assert len(readable(device, 5)) == 1
