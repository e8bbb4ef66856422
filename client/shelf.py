# SPDX-License-Identifier: Apache-2.0
"""The public files of a device: catalogue, shared model, public comments.

Anybody may read them; whoever changes one is noticed, because its hash is pinned in the sealed
store. Each is loaded at first use and then kept.
"""

import hashlib
from collections import Counter
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from client.books import Books
from client.comments import PublicComment, read_public
from client.transfer import CATALOGUE, COMMENTS, MODEL
from shared.atomic import replace_file
from shared.catalogue import Catalogue, FeatureBasis, load_catalogue
from shared.errors import DataError, UsageError, VerificationError
from shared.model.file import load_model
from shared.model.released import SharedModel

CANDIDATES = 8
"""Titles that an ambiguous beginning is answered with."""


class Shelf:
    """Public things, checked against what the store pins."""

    def __init__(self, folder: Path, books: Books) -> None:
        self._folder, self._books = folder, books

    @cached_property
    def listed(self) -> tuple[Catalogue, FeatureBasis]:
        """The public catalogue and its basis."""
        catalogue, basis, version = load_catalogue(self._folder / CATALOGUE)
        _hold(self._folder / CATALOGUE, version, self._books.settings.catalogue)
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
        waiting = self._folder / f"{MODEL}.next"
        if waiting.exists() and sha256(read_file(waiting)) == pinned:  # stopped while taking it
            waiting.replace(self._folder / MODEL)
        data = read_file(self._folder / MODEL)
        _hold(self._folder / MODEL, sha256(data), pinned)
        return load_model(data, self.catalogue)

    def take_model(self, data: bytes) -> None:
        """Take a newer shared model: check it, pin its hash, keep the bytes.

        Raises:
            DataError: the bytes are no model for this catalogue.
        """
        model = load_model(data, self.catalogue)
        replace_file(self._folder / f"{MODEL}.next", data)  # a kill leaves the old pair, or the new
        self._books.commit(settings=replace(self._books.settings, model=sha256(data)))
        (self._folder / f"{MODEL}.next").replace(self._folder / MODEL)
        self.__dict__["model"] = model

    @cached_property
    def public_comments(self) -> tuple[PublicComment, ...]:
        """Public comments on items of the catalogue."""
        pinned = self._books.settings.comments
        if not pinned:
            return ()
        _hold(self._folder / COMMENTS, sha256(read_file(self._folder / COMMENTS)), pinned)
        return read_public(self._folder / COMMENTS, self.rows)

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
