# SPDX-License-Identifier: Apache-2.0
"""The public files of a device: catalogue, shared model, public comments.

Anybody may read them; whoever changes one is noticed, because its hash is pinned in the sealed
store. Each is loaded at first use and then kept.
"""

import hashlib
import tempfile
from collections import Counter
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from client.books import Books
from client.comments import read_public
from client.transfer import CATALOGUE, COMMENTS, MODEL, PUBLISHED
from shared.atomic import replace_file
from shared.catalogue import Catalogue, FeatureBasis, load_catalogue
from shared.comments_file import CommentsFile, PublicComment, load_comments
from shared.errors import DataError, UsageError, VerificationError
from shared.model.file import load_model
from shared.model.released import SharedModel
from shared.text.vector_cache import VectorCache

CANDIDATES = 8
"""Titles that an ambiguous beginning is answered with."""


class Shelf:
    """Public things, checked against what the store pins."""

    def __init__(self, folder: Path, books: Books) -> None:
        self._folder, self._books = folder, books

    @cached_property
    def listed(self) -> tuple[Catalogue, FeatureBasis]:
        """The public catalogue and its basis."""
        pinned, waiting = self._books.settings.catalogue, self._folder / f"{CATALOGUE}.next"
        if waiting.exists() and load_catalogue(waiting)[2] == pinned:  # stopped while taking it
            waiting.replace(self._folder / CATALOGUE)
        catalogue, basis, version = load_catalogue(self._folder / CATALOGUE)
        _hold(self._folder / CATALOGUE, version, pinned)
        return catalogue, basis

    @property
    def catalogue(self) -> Catalogue:
        """The public catalogue, checked against the version that was pinned."""
        return self.listed[0]

    @property
    def basis(self) -> FeatureBasis:
        """The catalogue's basis; `basis.encoder` names the encoder behind its text vectors."""
        return self.listed[1]

    @cached_property
    def model(self) -> SharedModel:
        """The shared model; before the first one arrived, what text and categories alone give."""
        pinned = self._books.settings.model
        if not pinned:
            return SharedModel.before_any_release(self.catalogue)
        self._finish_taking(MODEL, pinned)
        data = read_file(self._folder / MODEL)
        _hold(self._folder / MODEL, sha256(data), pinned)
        return load_model(data, self.catalogue)

    @property
    def held(self) -> tuple[str, str]:
        """SHA-256 of the files of catalogue and public comments; "" where there are none."""
        _ = self.listed  # what was being taken when the device stopped is in place now
        return sha256(read_file(self._folder / CATALOGUE)), self._books.settings.comments

    def take_release(self, model: bytes, catalogue: bytes | None, comments: bytes | None) -> None:
        """Take what was released: check all of it, pin it at once, keep the bytes.

        A kill leaves all that was there before, or all that came.

        Raises:
            DataError: a file is not what it must be, or the catalogue does not continue this one.
        """
        new = {MODEL: model}
        listed, version = self.catalogue, self._books.settings.catalogue
        if catalogue is not None:
            new[CATALOGUE] = catalogue
            listed, version = self._continued(catalogue)
        load_model(model, listed)
        spoken = self._books.settings.comments
        if comments is not None:
            spoken = sha256(comments) if comments else ""
        if comments:
            self._keep_vectors(load_comments(comments))
            new[PUBLISHED] = comments
        for name, data in new.items():
            replace_file(self._folder / f"{name}.next", data)
        self._books.commit(
            settings=replace(
                self._books.settings, model=sha256(model), catalogue=version, comments=spoken
            )
        )
        for name in new:
            (self._folder / f"{name}.next").replace(self._folder / name)
        if comments is not None:
            gone = (COMMENTS,) if comments else (COMMENTS, PUBLISHED)
            for name in gone:
                (self._folder / name).unlink(missing_ok=True)
        for name in ("listed", "model", "public_comments", "rows", "titled"):
            self.__dict__.pop(name, None)

    def _continued(self, data: bytes) -> tuple[Catalogue, str]:
        """Read a newer version of the catalogue: the known items first, on the same basis.

        Raises:
            DataError: it is no catalogue, or of other items, or was fitted anew.
        """
        with tempfile.TemporaryDirectory() as place:
            file = Path(place) / CATALOGUE
            file.write_bytes(data)
            found, basis, version = load_catalogue(file)
        known = self.catalogue.item_ids
        if found.item_ids[: len(known)] != known or basis.version != self.basis.version:
            raise DataError(
                "a newer catalogue must begin with the known items and keep their basis, this "
                "one does not.",
                hint="nothing was taken; tell the operator.",
            )
        return found, version

    def _keep_vectors(self, spoken: CommentsFile) -> None:
        """Keep the vectors that came with public comments, and no others any more.

        Comments on the same texts by characters alone stand in where this stops halfway.
        """
        if not spoken.encoder or not len(spoken.texts):
            return
        cache = VectorCache(self._folder, spoken.encoder)
        cache.path.unlink(missing_ok=True)
        cache.put(spoken.texts, spoken.vectors)

    def _finish_taking(self, name: str, pinned: str) -> None:
        """Put a file in place that was pinned when the device stopped."""
        waiting = self._folder / f"{name}.next"
        if waiting.exists() and sha256(read_file(waiting)) == pinned:
            waiting.replace(self._folder / name)

    @cached_property
    def public_comments(self) -> tuple[PublicComment, ...]:
        """Public comments on items of the catalogue."""
        pinned = self._books.settings.comments
        if not pinned:
            return ()
        self._finish_taking(PUBLISHED, pinned)
        name = PUBLISHED if (self._folder / PUBLISHED).exists() else COMMENTS
        data = read_file(self._folder / name)
        _hold(self._folder / name, sha256(data), pinned)
        if name == PUBLISHED:
            return load_comments(data).comments(self.rows)
        return read_public(self._folder / name, self.rows)

    @cached_property
    def rows(self) -> dict[str, int]:
        """Rows of the catalogue by id."""
        return {item: row for row, item in enumerate(self.catalogue.item_ids)}

    def find(self, words: str) -> int:
        """Return the row of an item by id, title, or the beginning of a title (case ignored).

        Raises:
            UsageError: nothing begins so, or several titles do; the hint lists candidates.
        """
        words = words.strip()
        if words in self.rows:
            return self.rows[words]
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
    def titled(self) -> dict[str, str]:
        """Ids by title, titles of several items left out."""
        count = Counter(self.catalogue.titles)
        pairs = zip(self.catalogue.titles, self.catalogue.item_ids, strict=True)
        return {title: item for title, item in pairs if count[title] == 1}

    def id_of(self, words: str) -> str | None:
        """Return the id that a table means by an id or a whole title."""
        return words if words in self.rows else self.titled.get(words)

    def _spelled(self, row: int) -> str:
        return f"{self.catalogue.titles[row]} ({self.catalogue.item_ids[row]})"


def read_file(path: Path) -> bytes:
    """Read a file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as wrong:
        raise DataError(
            f"{path} must be a readable file, got: {wrong.strerror}.", hint="check its name."
        ) from None


def sha256(data: bytes | None) -> str:
    """Return the hash of a file, "" where there is none."""
    return hashlib.sha256(data).hexdigest() if data is not None else ""


def _hold(path: Path, found: str, pinned: str) -> None:
    """Refuse a public file that is not the one that was pinned."""
    if found != pinned:
        raise VerificationError(
            f"{path} must have the hash {pinned[:16]}…, got {found[:16]}….",
            hint="put the right file back, or import an export.",
        )
