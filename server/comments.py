# SPDX-License-Identifier: Apache-2.0
"""The file of public comments: the operator's own, and what owners published and did not withdraw.

It is made anew at every release, with vectors of the catalogue's encoder where that is installed
here, and put among the public files. The file before it is deleted: a withdrawn text then lies
nowhere on this server but in backups. The ledger counts what was published and names nobody.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt

from server.book import Book
from server.folder import OperatorFolder
from server.publications import Publications
from shared.atomic import replace_file
from shared.comments_file import CommentsFile, load_comments, read_table, save_comments
from shared.errors import EnvironmentFault
from shared.text.encoder import CHARACTERS, load_encoder

log = logging.getLogger("privet.server")
POINTER = "comments.json"


def publish_comments(
    folder: OperatorFolder, directory: Mapping[bytes, bytes], book: Book | None = None
) -> str:
    """Make the file anew and put it in the place of the one before.

    Args:
        folder: The operator's.
        directory: The devices whose comments count: those that are not revoked.
        book: The open ledger; it gets the number of comments that are new.

    Returns:
        SHA-256 of the file; "" where there is no comment at all.
    """
    told = _pointer(folder)
    before = _before(folder, told["sha256"])
    file = compiled(folder, directory, before)
    name, data = "", b""
    if file.texts:
        data = save_comments(file)
        name = sha256(data).hexdigest()
        folder.publish(data)
    seen = set(before.ids) if before else set()
    new = sum(bool(one) and one not in seen for one in file.ids)
    gone = [old for old in dict.fromkeys([*told["gone"], told["sha256"]]) if old and old != name]
    if name != told["sha256"]:
        told = {"sha256": name, "published": told["published"] + new, "gone": gone}
        replace_file(folder.path / POINTER, json.dumps(told).encode())
    for old in gone:
        (folder.files / old).unlink(missing_ok=True)
    if book is not None:
        book.publications(told["published"])
    return name


def compiled(
    folder: OperatorFolder, directory: Mapping[bytes, bytes], before: CommentsFile | None
) -> CommentsFile:
    """Gather all public comments on items of the newest catalogue: the operator's, then devices'.

    Those of devices are in the order of their ids, which tells neither author nor time.
    """
    catalogue, basis = folder.newest_catalogue
    known = frozenset(catalogue.item_ids)
    rows: list[tuple[str, str, str]] = []
    if folder.comments_file.exists():
        rows += [(item, one.text, "") for item, one in read_table(folder.comments_file)]
    shelf = Publications(folder.publications)
    theirs = [one for name in directory for one in shelf.of(name.hex())]
    rows += [(one.item, one.text, one.comment) for one in sorted(theirs, key=lambda o: o.comment)]
    rows = [row for row in rows if row[0] in known and row[1]]
    items, texts, ids = zip(*rows, strict=True) if rows else ((), (), ())
    encoder, vectors = _vectors(folder.config.encoder, basis.encoder, texts, before)
    return CommentsFile(encoder, items, texts, ids, vectors)


def _vectors(
    choice: str, wanted: str, texts: Sequence[str], before: CommentsFile | None
) -> tuple[str, npt.NDArray[np.float32]]:
    """Encode texts as the catalogue's were; what was encoded before is taken from there.

    Returns:
        The encoder's name and vectors, (M, D); "" and (M, 0) where devices read by characters.
    """
    nothing = np.zeros((len(texts), 0), dtype=np.float32)
    if not texts or not wanted or wanted.startswith(CHARACTERS):
        return "", nothing
    known = {}
    if before is not None and before.encoder == wanted:
        known = dict(zip(before.texts, before.vectors, strict=True))
    new = [text for text in dict.fromkeys(texts) if text not in known]
    try:
        if new:
            encoder = load_encoder(choice)
            if encoder.name != wanted:
                raise EnvironmentFault(f"the encoder must be {wanted}, got {encoder.name}.")
            known |= dict(zip(new, encoder.encode(new), strict=True))
    except EnvironmentFault as wrong:
        log.warning("public comments go without vectors: %s", wrong.message)
        return "", nothing
    return wanted, np.stack([known[text] for text in texts])


def _pointer(folder: OperatorFolder) -> dict[str, Any]:
    """Return which file is the current one, what was published in all, and what to delete."""
    path = folder.path / POINTER
    empty: dict[str, Any] = {"sha256": "", "published": 0, "gone": []}
    return dict(json.loads(path.read_bytes())) if path.exists() else empty


def _before(folder: OperatorFolder, name: str) -> CommentsFile | None:
    """Return the current file, None where there is none."""
    path = folder.files / name
    return load_comments(path.read_bytes()) if name and path.is_file() else None
