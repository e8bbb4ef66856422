# SPDX-License-Identifier: Apache-2.0
"""One device: its owner's ratings and comments, the shared model, and the door to the outside.

Everything here works without any server. A `Device` is a folder: a sealed store (`store.py`), the
key that opens it (`custody.py`) and public files (catalogue, model, public comments). One process
at a time holds it. Neither torch nor flwr is imported, unless comments must be encoded.
"""

import hashlib
import time
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np

from client import door, transfer
from client.books import Books
from client.comments import (
    OwnComments,
    PublicComment,
    encode_new,
    own_comments,
    pruned,
    read_public,
)
from client.custody import load_key, read_custody
from client.events import Event, checked_stars, merged, read_events, without
from client.joining import DEVICE_FLOOR, accept
from client.preview import Preview, preview, preview_last
from client.receipts import Receipt
from client.settings import Settings
from client.standing import Status, status
from client.store import Store
from client.transfer import CATALOGUE, COMMENTS, MODEL
from client.verify import Verdict, verify
from shared.atomic import replace_file
from shared.catalogue import Catalogue, FeatureBasis, load_catalogue
from shared.errors import DataError, Refusal, UsageError, VerificationError
from shared.model.file import load_model
from shared.model.history import History
from shared.model.released import SharedModel
from shared.model.view import View
from shared.privacy.canonical import Signed
from shared.privacy.door import Contribution
from shared.privacy.policy import Floor, Policy
from shared.schema import MAX_COMMENT, Ints, Scale, clean_text

__all__ = [
    "Act", "Added", "Device", "Entry", "OwnComments", "Preview", "PublicComment", "Receipt",
    "Status", "Verdict",
]  # fmt: skip

Act = Literal["seen", "opened", "upvoted", "replied"]
"""What an owner did with the comments of an item: saw its page alone, or one of the others."""
STARS = Scale(1.0, 5.0)
"""The scale where none is declared."""
CANDIDATES = 8
"""Titles that an ambiguous beginning is answered with."""


@dataclass(frozen=True)
class Entry:
    """One rating of the owner, with its comment; private."""

    row: int
    """Row of the catalogue; -1 where the catalogue no longer lists the item."""
    item: str
    """Id of the item."""
    title: str
    """Title, or the id where the catalogue no longer lists it."""
    stars: float
    at: int
    """Seconds since 1970; 0 where unknown."""
    comment: str
    """"" where there is none."""
    published: bool
    """Whether the owner published the comment."""


@dataclass(frozen=True)
class Added:
    """What `Device.add` took in."""

    added: int
    """Ratings of items that had none."""
    changed: int
    """Ratings that replaced an older one of the same item."""
    comments: int
    """Of all these, how many carry a comment."""


class Device:
    """The owner's side of Privet. Open it with `Device.open`, use it as a context manager.

    Example:
        with Device.open(Path("home")) as device:
            device.rate(device.find("The Hedge"), 4.5, comment="Green.")
            scores = device.model.rate(device.history, np.arange(len(device.catalogue)))
    """

    def __init__(self, folder: Path, store: Store) -> None:
        """Use `create`, `open` or `restore`."""
        self.folder = folder
        self._store = store
        self._books = Books(store)
        door.recover(self._books, _now())

    @classmethod
    def create(
        cls,
        folder: Path,
        catalogue: Path,
        model: Path | None = None,
        *,
        comments: Path | None = None,
        scale: Scale = STARS,
        custody: str = "auto",
        passphrase: str | None = None,
    ) -> Self:
        """Make a new device in an empty or new folder.

        Args:
            folder: Where it lives; made with mode 0700.
            catalogue: A catalogue.safetensors; copied, and its version pinned.
            model: A model.safetensors for that catalogue; copied, and its hash pinned.
            comments: Public comments, CSV item_id,text[,user_id,helpful]; copied, hash pinned.
            scale: Rating scale.
            custody: "auto", "credential", "passphrase" or "file", see `client.custody`.
            passphrase: For custody by passphrase.

        Raises:
            DataError: a file is not what it must be, or the folder is not empty.
            EnvironmentFault: the folder cannot be written.
            StoreLocked: the key that was asked for is missing.
        """
        listed, _, version = load_catalogue(catalogue)
        files = {CATALOGUE: catalogue.read_bytes()}
        if model is not None:
            files[MODEL] = _read(model)
            load_model(files[MODEL], listed)
        if comments is not None:
            read_public(comments, {})
            files[COMMENTS] = _read(comments)
        settings = Settings(
            identity=_new_identity(),
            scale=(scale.low, scale.high, scale.step),
            catalogue=version,
            model=_sha256(files.get(MODEL)),
            comments=_sha256(files.get(COMMENTS)),
        )
        tables = {"settings": [settings.record()]}
        return cls(folder, transfer.settle(folder, tables, files, custody, passphrase))

    @classmethod
    def open(cls, folder: Path, *, passphrase: str | None = None) -> Self:
        """Open a device; finish what a crash interrupted.

        Raises:
            DataError: the folder holds no device, or one of a newer Privet.
            StoreLocked: another process holds it, or its key is missing or wrong.
            VerificationError: it was damaged, or put back to an older state.
        """
        return cls(folder, Store.open(folder, lambda: load_key(folder, passphrase)))

    def close(self) -> None:
        """Let go of the lock; nothing is pending, every act was on disk when it returned."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ---- public things: loaded at first use, then kept -----------------------------------------

    @property
    def scale(self) -> Scale:
        """Declared rating scale; `scale.from_unit` gives stars."""
        return self._books.settings.rating_scale

    @cached_property
    def _listed(self) -> tuple[Catalogue, FeatureBasis]:
        catalogue, basis, version = load_catalogue(self.folder / CATALOGUE)
        _pinned(self.folder / CATALOGUE, version, self._books.settings.catalogue)
        return catalogue, basis

    @property
    def catalogue(self) -> Catalogue:
        """The public catalogue, checked against the version that was pinned."""
        return self._listed[0]

    @property
    def basis(self) -> FeatureBasis:
        """The catalogue's basis; `basis.encoder` names the encoder behind its text vectors."""
        return self._listed[1]

    @cached_property
    def model(self) -> SharedModel:
        """The shared model; before the first one arrived, what text and categories alone give."""
        pinned = self._books.settings.model
        if not pinned:
            return SharedModel.before_any_release(self.catalogue)
        waiting = self.folder / f"{MODEL}.next"
        if waiting.exists() and _sha256(_read(waiting)) == pinned:  # stopped while taking it
            waiting.replace(self.folder / MODEL)
        data = _read(self.folder / MODEL)
        _pinned(self.folder / MODEL, _sha256(data), pinned)
        return load_model(data, self.catalogue)

    def take_model(self, data: bytes) -> None:
        """Take a newer shared model: check it, pin its hash, keep the bytes.

        Raises:
            DataError: the bytes are no model for this catalogue.
        """
        model = load_model(data, self.catalogue)
        replace_file(self.folder / f"{MODEL}.next", data)  # a kill leaves the old pair, or the new
        self._change(replace(self._books.settings, model=_sha256(data)))
        (self.folder / f"{MODEL}.next").replace(self.folder / MODEL)
        self.__dict__["model"] = model

    @cached_property
    def public_comments(self) -> tuple[PublicComment, ...]:
        """Public comments on items of the catalogue, the owner's own texts left out."""
        pinned = self._books.settings.comments
        if not pinned:
            return ()
        _pinned(self.folder / COMMENTS, _sha256(_read(self.folder / COMMENTS)), pinned)
        own = {event.comment for event in self._books.events if event.comment}
        found = read_public(self.folder / COMMENTS, self._rows)
        return tuple(comment for comment in found if comment.text not in own)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {item: row for row, item in enumerate(self.catalogue.item_ids)}

    def find(self, words: str) -> int:
        """Return the row of an item by id, title, or the beginning of a title (case ignored).

        Raises:
            UsageError: nothing begins so, or several titles do; the hint lists candidates.
        """
        words = words.strip()
        if words in self._rows:
            return self._rows[words]
        wanted, titles = words.casefold(), [title.casefold() for title in self.catalogue.titles]
        for found in (
            [row for row, title in enumerate(titles) if title == wanted],
            [row for row, title in enumerate(titles) if wanted and title.startswith(wanted)],
        ):
            if len(found) == 1:
                return found[0]
            if found:
                shown = [self._spelled(row) for row in found[:CANDIDATES]]
                more = "" if len(found) <= CANDIDATES else f" and {len(found) - CANDIDATES} more"
                raise UsageError(
                    f"an item must be named by one title, {len(found)} titles begin so.",
                    hint=f"say which, or give its id: {'; '.join(shown)}{more}.",
                )
        raise UsageError(
            "an item must be an id or the beginning of a title of the catalogue, got neither.",
            hint="`privet client recommend DIR` lists titles.",
        )

    @cached_property
    def _titled(self) -> dict[str, str]:
        """Ids by title, titles of several items left out."""
        count = Counter(self.catalogue.titles)
        pairs = zip(self.catalogue.titles, self.catalogue.item_ids, strict=True)
        return {title: item for title, item in pairs if count[title] == 1}

    def _id_of(self, words: str) -> str | None:
        """Return the id that a table means by an id or a whole title."""
        return words if words in self._rows else self._titled.get(words)

    def _spelled(self, row: int) -> str:
        return f"{self.catalogue.titles[row]} ({self.catalogue.item_ids[row]})"

    # ---- the owner's own things ------------------------------------------------------------------

    @property
    def history(self) -> History:
        """What the model computes with: rated rows, r', comment lengths, acts; oldest first."""
        known = [event for event in self._books.events if event.item in self._rows]
        acts = {record["item"]: record["act"] for record in self._store.table("acts")}
        lengths = np.array([len(event.comment) for event in known], dtype=np.int64)
        return History(
            np.array([self._rows[event.item] for event in known], dtype=np.int64),
            self.scale.to_unit([event.stars for event in known]),
            lengths if lengths.any() else None,
            np.array([acts.get(event.item, np.nan) for event in known]) if acts else None,
        )

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All ratings, oldest first."""
        return tuple(self._entry(event) for event in self._books.events)

    @property
    def hidden(self) -> Ints:
        """Rows that the owner wants to see less of, oldest first, (h,)."""
        rows = [self._rows[item] for item in self._books.settings.hidden if item in self._rows]
        return np.array(rows, dtype=np.int64)

    @property
    def attributes(self) -> dict[str, float]:
        """Private attributes of the owner (age, …), see `client.profile`; they never leave."""
        return dict(self._books.settings.attributes)

    def set_attributes(self, attributes: dict[str, float]) -> None:
        """Replace the private attributes."""
        self._change(replace(self._books.settings, attributes=dict(attributes)))

    def own_comments(self) -> OwnComments:
        """Vectors of the owner's comments that are known already; imports no torch."""
        return own_comments(self._books, self.basis.encoder, self._rows)

    def encode_comments(self) -> int:
        """Encode what is new among the comments, and seal it; may import torch.

        Returns:
            How many were encoded; 0 where the catalogue's encoder is not installed.
        """
        return encode_new(self._books, self.basis.encoder)

    def add(self, file: Path) -> Added:
        """Take in a CSV of ratings: item_id (or title), rating [, timestamp, comment].

        All rows or none. A bad row names file, line, column and the value's kind, never the value.

        Raises:
            DataError: the file cannot be read, or a row is bad.
        """
        new = read_events(file, self.scale, self._id_of)
        old = {event.item for event in self._books.events}
        self._replace(merged(self._books.events, new))
        last = {event.item: event for event in new}
        return Added(
            added=len(last.keys() - old),
            changed=len(last.keys() & old),
            comments=sum(bool(event.comment) for event in last.values()),
        )

    def rate(
        self, row: int, stars: float, comment: str | None = None, *, now: int | None = None
    ) -> Entry:
        """Rate an item, again if need be; None keeps the comment there was, "" removes it.

        Raises:
            DataError: the stars are not on the scale, or there is no such row.
        """
        item, old = self._item(row), self._event(row)
        stars = checked_stars(stars, self.scale)
        kept = old.comment if old else ""
        text = kept if comment is None else clean_text(comment, MAX_COMMENT)[0]
        same = bool(old and old.published and text == kept)
        newest = max((event.at for event in self._books.events), default=0)
        at = max(_now() if now is None else now, newest)  # a clock put back makes nothing older
        event = Event(item, stars, at, text, same)
        self._replace(merged(self._books.events, [event]))
        return self._entry(event)

    def forget(self, row: int) -> Entry:
        """Delete a rating, its comment and all that was noted of the item, as if never there.

        Raises:
            DataError: the item was not rated.
        """
        item, event = self._item(row), self._rated(row)
        acts = [record for record in self._store.table("acts") if record["item"] != item]
        events = without(self._books.events, item)
        hidden = tuple(other for other in self._books.settings.hidden if other != item)
        self._free_to_change()
        self._books.commit(
            settings=replace(self._books.settings, hidden=hidden),
            events=events,
            tables={"acts": acts, "vectors": pruned(self._books, events)},
            scrub=True,
        )
        return self._entry(event)

    def publish(self, row: int, *, now: int | None = None) -> Entry:
        """Mark the comment on an item as published, and write its receipt; outside ε, for good.

        Raises:
            DataError: there is no comment on the item, or it is published already.
        """
        event = self._rated(row)
        if not event.comment or event.published:
            raise DataError(
                "an item must have a comment that is not published yet, got none.",
                hint="write one: `privet client rate DIR ITEM STARS --comment TEXT`.",
            )
        self._free_to_change()
        chain, text = self._books.chain, event.comment.encode()
        chain.add(
            Receipt(
                seq=0, prev="", act=0, created_at=_now() if now is None else now,
                status="prepared", kind="publication", upload_bytes=len(text),
                payload=hashlib.sha256(text).hexdigest(), contains=("the comment's text",),
                purpose="The owner publishes a comment.",
                protection="None: whoever reads it can tell who writes like that.",
            ),
            self._books.settings.key,
        )  # fmt: skip
        published = replace(event, published=True)
        events = [published if e.item == event.item else e for e in self._books.events]
        self._books.commit(events=events, chain=chain)
        return self._entry(published)

    def hide(self, row: int, *, undo: bool = False) -> None:
        """Remember "less like this" of an item, or take it back; stays on the device."""
        item = self._item(row)
        hidden = tuple(other for other in self._books.settings.hidden if other != item)
        self._change(
            replace(self._books.settings, hidden=hidden if undo else (*hidden, item)), scrub=undo
        )

    def note(self, row: int, act: Act) -> None:
        """Remember what the owner did with the comments of an item; stays on the device."""
        item, records = self._item(row), self._store.table("acts")
        old = next((record["act"] for record in records if record["item"] == item), 0.0)
        new = 0.0 if act == "seen" else 1.0
        others = [record for record in records if record["item"] != item]
        self._free_to_change()
        self._books.commit(tables={"acts": [*others, {"item": item, "act": max(old, new)}]})

    # ---- what leaves -----------------------------------------------------------------------------

    def status(self) -> Status:
        """Say where the device stands; reads no catalogue and no model."""
        return status(self._books, read_custody(self.folder)["level"])

    def receipts(self) -> tuple[Receipt, ...]:
        """What left, was refused or was charged unused: the newest receipt of every act."""
        return tuple(self._books.chain.acts())

    def chain(self) -> tuple[Receipt, ...]:
        """Every receipt that was ever written, oldest first."""
        return tuple(self._books.chain.receipts)

    def preview(self, *, last: bool = False) -> Preview:
        """Show what would leave for the last question, or (last) what did leave."""
        if last:
            return preview_last(self._books, self.catalogue)
        return preview(self._books, self.catalogue, self.history)

    def verify(self, ledger: Path | None = None) -> Verdict:
        """Check every sealed byte, public files, the receipts, and a ledger if one is given.

        Raises:
            VerificationError: something does not verify; it says what.
        """
        _ = self.catalogue, self.model, self.public_comments
        return verify(self._books, ledger)

    def accept(
        self,
        policy: Signed,
        officer_key: str,
        *,
        demo: bool = False,
        floor: Floor = DEVICE_FLOOR,
        now: int | None = None,
    ) -> Policy:
        """Take part under a signed policy, by the owner's own decision; what was spent stays spent.

        Raises:
            PolicyError: it is not signed by that officer.
            Refusal: it lets a sum be opened with less protection than the owner's floor.
        """
        self._free_to_change()
        return accept(
            self._books, policy, officer_key, floor, demo=demo, now=_now() if now is None else now
        )

    def answer(
        self, config: Signed, view: View, session: str = "", *, now: int | None = None
    ) -> Contribution | Refusal:
        """Answer one question through the door: authorise, charge, fsync, release, fsync.

        A retry of the same question in the same session returns the same bytes. A refusal is
        recorded and returned.

        Args:
            config: The round, signed by the policy's server key.
            view: What the server sent with it; public.
            session: Name of the session the answer is for.
            now: Seconds since 1970, the device's own clock where None.
        """
        at = _now() if now is None else now
        return door.answer(self._books, self.history, config, view, session, at)

    def sent(
        self, session: str, upload_bytes: int, to: str = "", *, now: int | None = None
    ) -> None:
        """Complete the receipt of an answer once it was uploaded."""
        door.sent(self._books, session, upload_bytes, to, _now() if now is None else now)

    def abort(self, session: str, *, now: int | None = None) -> None:
        """Complete the receipt of an answer that was not used: charged, never refunded."""
        door.give_up(self._books, session, _now() if now is None else now)

    def pause(self) -> None:
        """Refuse every question from now on; instant and local."""
        self._change(replace(self._books.settings, paused=True))

    def resume(self) -> None:
        """Answer questions again."""
        self._change(replace(self._books.settings, paused=False))

    def leave(self) -> None:
        """Take part no longer; what was spent stays spent, the ratings stay here.

        Raises:
            DataError: the device takes part in nothing.
        """
        joined = self._books.settings.membership
        if joined is None or joined.left:
            raise DataError("a device must take part to leave, it does not.", hint="")
        self._change(replace(self._books.settings, membership=replace(joined, left=True)))

    # ---- moving and ending -----------------------------------------------------------------------

    def export(self, file: Path, passphrase: str) -> None:
        """Move the device into one sealed file; this folder is marked moved and answers nothing."""
        if self._books.settings.moved == "moved":
            self._free_to_change()
        transfer.export(self._books, file, passphrase)

    @classmethod
    def restore(
        cls,
        file: Path,
        folder: Path,
        passphrase: str,
        *,
        custody: str = "auto",
        store_passphrase: str | None = None,
    ) -> Self:
        """Make a device of an exported file: with its receipts, chain head and spent budget."""
        tables, files = transfer.unpacked(file, passphrase)
        return cls(folder, transfer.settle(folder, tables, files, custody, store_passphrase))

    def erase(self) -> None:
        """Destroy the key first, then every file; cannot be undone. The device is closed."""
        self._store.close(keep_lock=True)
        try:
            transfer.erase(self.folder, locked=True)
        finally:
            self._store.close()

    # ---- inside ----------------------------------------------------------------------------------

    def _item(self, row: int) -> str:
        """Return the id of a row of the catalogue."""
        if not 0 <= row < len(self.catalogue):
            raise DataError(f"a row must be in [0, {len(self.catalogue)}).", hint="use `find`.")
        return self.catalogue.item_ids[row]

    def _event(self, row: int) -> Event | None:
        item = self._item(row)
        return next((event for event in self._books.events if event.item == item), None)

    def _rated(self, row: int) -> Event:
        event = self._event(row)
        if event is None:
            raise DataError("an item must be rated, it is not.", hint="see what is: `… status`.")
        return event

    def _entry(self, event: Event) -> Entry:
        row = self._rows.get(event.item, -1)
        title = self.catalogue.titles[row] if row >= 0 else event.item
        return Entry(row, event.item, title, event.stars, event.at, event.comment, event.published)

    def _replace(self, events: list[Event]) -> None:
        """Write the events; a text that is gone is overwritten too, with its vector."""
        self._free_to_change()
        texts = {event.comment for event in events}
        gone = any(event.comment and event.comment not in texts for event in self._books.events)
        tables = {"vectors": pruned(self._books, events)} if gone else None
        self._books.commit(events=events, tables=tables, scrub=gone)
        self.__dict__.pop("public_comments", None)

    def _change(self, settings: Settings, *, scrub: bool = False) -> None:
        self._free_to_change()
        self._books.commit(settings=settings, scrub=scrub)

    def _free_to_change(self) -> None:
        """Refuse to change what was moved to another device."""
        if self._books.settings.moved != "no":
            raise DataError(
                "a device that was moved must not change here.",
                hint="use the imported one; `privet client erase DIR --yes` removes this one; "
                "if no export was written, export again.",
            )


def _now() -> int:
    return int(time.time())


def _new_identity() -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.generate().private_bytes_raw().hex()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as wrong:
        raise DataError(
            f"{path} must be a readable file, got: {wrong.strerror}.", hint="check its name."
        ) from None


def _sha256(data: bytes | None) -> str:
    return hashlib.sha256(data).hexdigest() if data is not None else ""


def _pinned(path: Path, found: str, pinned: str) -> None:
    """Refuse a public file that is not the one that was pinned."""
    if found != pinned:
        raise VerificationError(
            f"{path} must have the hash {pinned[:16]}…, got {found[:16]}….",
            hint="put the right file back, or import an export.",
        )
