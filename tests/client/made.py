# SPDX-License-Identifier: Apache-2.0
"""A device in memory, on a small village: what the page and the commands are tested with."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np

from client.device import Act, Entry, OwnComments, PublicComment, Status
from client.receipts import Receipt
from shared.catalogue import Catalogue, FeatureBasis
from shared.errors import DataError
from shared.features import build_catalogue, item_text
from shared.model.history import History
from shared.model.released import SharedModel
from shared.model.statistics import ItemStatistics
from shared.schema import Ints, Scale
from shared.text.encoder import CharacterEncoder
from simulation.dataset import Dataset
from simulation.village import village

DAY = 86_400
START = 1_790_000_000


@cache
def hamlet() -> Dataset:
    """A village of 120 people and 90 films."""
    return village(users=120, items=90, seed=3)


@cache
def public() -> tuple[Catalogue, FeatureBasis]:
    """Its catalogue, read by characters: instant, and the same everywhere."""
    encoder = CharacterEncoder(512)
    items = hamlet().items
    return build_catalogue(items, encoder.encode(item_text(items)), encoder=encoder.name)


@cache
def released() -> SharedModel:
    """A model as if item sums had been released without noise."""
    catalogue, events = public()[0], hamlet().interactions
    count = np.bincount(events.items, minlength=len(catalogue)).astype(float)
    total = np.bincount(events.items, hamlet().scale.to_unit(events.ratings), len(catalogue))
    popularity = np.log(count + 0.5)
    popularity = (popularity - popularity.mean()) / popularity.std()
    mean = total / (count + 5.0)
    return SharedModel.of_items(catalogue, ItemStatistics(mean, count + 0.05, popularity))


class MemoryDevice:
    """`client.owner.Owner` in memory; nothing is sealed, nothing is written."""

    def __init__(self, *, joined: bool = True, model: SharedModel | None = None) -> None:
        self.folder = Path("nowhere")
        self.catalogue, self.basis = public()
        self.model = model or SharedModel.before_any_release(self.catalogue)
        self.scale: Scale = hamlet().scale
        self.public_comments: tuple[PublicComment, ...] = _public_comments()
        self.kept: dict[int, Entry] = {}
        self.unwanted: list[int] = []
        self.acts: list[tuple[int, str]] = []
        self.joined, self.paused, self.erased = joined, False, False
        self.has_model = model is not None

    @property
    def history(self) -> History:
        rows = np.array(list(self.kept), dtype=np.int64)
        stars = np.array([entry.stars for entry in self.kept.values()], dtype=np.float64)
        return History(rows, self.scale.to_unit(stars))

    @property
    def entries(self) -> tuple[Entry, ...]:
        return tuple(self.kept.values())

    @property
    def hidden(self) -> Ints:
        return np.array(self.unwanted, dtype=np.int64)

    def own_comments(self) -> OwnComments:
        rows = [row for row, entry in self.kept.items() if entry.comment]
        vectors = CharacterEncoder(512).encode([self.kept[row].comment for row in rows])
        return OwnComments(np.array(rows, dtype=np.int64), vectors, 0)

    def find(self, words: str) -> int:
        return self.catalogue.item_ids.index(words)

    def rate(self, row: int, stars: float, comment: str | None = None) -> Entry:
        if not self.scale.low <= stars <= self.scale.high:
            raise DataError("stars must be on the scale 1 to 5, got another.", hint="try 4.")
        before = self.kept.pop(row, None)
        words = (before.comment if before else "") if comment is None else comment
        at = START + DAY * len(self.kept)
        entry = Entry(
            row, self.catalogue.item_ids[row], self.catalogue.titles[row], stars, at, words, False
        )
        self.kept[row] = entry
        return entry

    def forget(self, row: int) -> Entry:
        if row not in self.kept:
            raise DataError("the item must have a rating, got one without.", hint="see My data.")
        return self.kept.pop(row)

    def publish(self, row: int) -> Entry:
        self.kept[row] = replace(self.kept[row], published=True)
        return self.kept[row]

    def withdraw(self, row: int) -> Entry:
        self.kept[row] = replace(self.kept[row], published=False)
        return self.kept[row]

    def hide(self, row: int, *, undo: bool = False) -> None:
        if undo:
            self.unwanted.remove(row)
        elif row not in self.unwanted:
            self.unwanted.append(row)

    def note(self, row: int, act: Act) -> None:
        self.acts.append((row, act))

    def status(self) -> Status:
        joined = self.joined
        return Status(
            operator="Hamlet Library" if joined else "",
            run="autumn" if joined else "",
            policy_hash="3f9c" * 16 if joined else "",
            joined_at=START if joined else 0,
            paused=self.paused,
            moved=False,
            demo=False,
            ratings=len(self.kept),
            comments=sum(bool(entry.comment) for entry in self.kept.values()),
            published=0,
            custody="file",
            model="ab" * 32 if self.has_model else "",
            updates=3 if joined else 0,
            unused=1 if joined else 0,
            refused=1 if joined else 0,
            upload_bytes=3 * 1440 if joined else 0,
            last_upload_at=START + 9 * DAY if joined else 0,
            smallest_sum=200 if joined else 0,
            spent=0.09 if joined else 0.0,
            epsilon=2.0 if joined else 0.0,
            delta=1e-6 if joined else 0.0,
            guess=0.589 if joined else 0.5,
            guess_lying=0.9991 if joined else 0.5,
        )

    def receipts(self) -> Sequence[Receipt]:
        return _receipts() if self.joined else ()

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def leave(self) -> None:
        self.joined = False

    def erase(self) -> None:
        self.kept.clear()
        self.erased = True


def resident(*, joined: bool = True, model: bool = True, ratings: int = 24) -> MemoryDevice:
    """A device of one villager, with their first ratings and comments."""
    device = MemoryDevice(joined=joined, model=released() if model else None)
    events = hamlet().interactions
    user = int(np.bincount(events.users).argmax())
    for row in np.flatnonzero(events.users == user)[:ratings]:
        device.rate(int(events.items[row]), float(events.ratings[row]), str(events.comments[row]))
    return device


@cache
def _public_comments() -> tuple[PublicComment, ...]:
    spoken = hamlet().public_comments
    assert spoken is not None
    return tuple(
        PublicComment(int(row), text, "", float(votes))
        for row, text, votes in zip(spoken.items, spoken.texts, spoken.helpful, strict=True)
    )


@cache
def _receipts() -> tuple[Receipt, ...]:
    """What such a device has sent, made up."""
    base = Receipt(
        seq=1,
        prev="00" * 32,
        act=1,
        created_at=START,
        status="sent",
        kind="update-upload",
        run="autumn",
        round=1,
        query="item_sums",
        purpose="Learn how well each item is liked, and how often it is rated.",
        to="hamlet.example",
        upload_bytes=720,
        payload="5e" * 32,
        contains=("180 noisy integers",),
        excludes=("ratings", "comments", "titles", "user vector", "profile", "attributes"),
        protection="Clipped, hidden in a sum of at least 200 devices, noised.",
        devices=200,
        shares=180,
        rho=Fraction(1, 40),
    )
    better = "Improve each item's place in the shared model."
    return (
        base,
        replace(base, seq=3, act=3, created_at=START + 2 * DAY, round=2, query="trunk_items",
                purpose=better, upload_bytes=1800, rho=Fraction(1, 60)),
        replace(base, seq=5, act=5, created_at=START + 4 * DAY, round=3, status="refused",
                purpose=better, upload_bytes=0, payload="", rho=Fraction(0),
                reason="fewer than 200 devices in the sum"),
        replace(base, seq=6, act=6, created_at=START + 6 * DAY, round=4, status="charged-unused",
                purpose=better, upload_bytes=0, rho=Fraction(1, 60)),
        replace(base, seq=8, act=8, created_at=START + 9 * DAY, round=5, query="trunk_items",
                purpose=better, upload_bytes=1800, rho=Fraction(1, 60)),
    )  # fmt: skip
