# SPDX-License-Identifier: Apache-2.0
"""Comments on a device: public ones from a file, the owner's own as sealed vectors.

Vectors of own comments lie in the sealed store, never in the cache of public texts. They are made
where the catalogue's encoder is installed, when something needs them, and not when a comment is
written: that would load torch into every command.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from client.books import Books, pack, unpack
from client.events import Event
from client.store import Record
from shared.comments_file import PublicComment, read_table
from shared.errors import EnvironmentFault
from shared.schema import Ints


@dataclass(frozen=True)
class OwnComments:
    """Vectors of the owner's comments, as far as they were encoded; private, sealed on disk."""

    rows: Ints
    """Rows of the catalogue, (n,), oldest first."""
    vectors: npt.NDArray[np.float32]
    """(n, D), unit norm."""
    missing: int
    """Comments without a vector: `Device.encode_comments` makes them."""


def read_public(path: Path, rows: Mapping[str, int]) -> tuple[PublicComment, ...]:
    """Read public comments: item_id, text [, user_id, helpful]; other items are left out.

    Raises:
        DataError: the file is no such table.
    """
    return tuple(
        replace(comment, row=rows[item]) for item, comment in read_table(path) if item in rows
    )


def own_comments(books: Books, encoder: str, rows: Mapping[str, int]) -> OwnComments:
    """Return the vectors that are known, without encoding anything."""
    known = _known(books, encoder)
    written = [event for event in books.events if event.comment and event.item in rows]
    have = [event for event in written if _key(event) in known]
    vectors = [unpack(known[_key(event)], "<f4") for event in have]
    size = len(vectors[0]) if vectors else 0
    return OwnComments(
        np.array([rows[event.item] for event in have], dtype=np.int64),
        np.array(vectors, dtype=np.float32).reshape(len(have), size),
        len(written) - len(have),
    )


def encode_new(books: Books, encoder: str) -> int:
    """Encode the comments that have no vector and seal what comes out; may import torch.

    Returns:
        How many were encoded; 0 where that encoder is not installed.
    """
    known = _known(books, encoder)
    new = [e for e in books.events if e.comment and _key(e) not in known]
    vectors = _encode([event.comment for event in new], encoder) if new else None
    if vectors is None:
        return 0
    fresh = {_key(e): pack(v.astype("<f4")) for e, v in zip(new, vectors, strict=True)}
    books.commit(tables={"vectors": vector_records({**known, **fresh}, encoder, books.events)})
    return len(new)


def vector_records(known: Mapping[str, str], encoder: str, events: Sequence[Event]) -> list[Record]:
    """Return the vectors of the comments that there are, as records."""
    alive = dict.fromkeys(_key(event) for event in events if event.comment)
    return [{"key": k, "encoder": encoder, "vector": known[k]} for k in alive if k in known]


def pruned(books: Books, events: Sequence[Event]) -> list[Record]:
    """Return the vector records that still belong to a comment."""
    alive = {_key(event) for event in events if event.comment}
    return [record for record in books.store.table("vectors") if record["key"] in alive]


def _known(books: Books, encoder: str) -> dict[str, str]:
    records = books.store.table("vectors")
    return {r["key"]: r["vector"] for r in records if r["encoder"] == encoder}


def _encode(texts: list[str], encoder: str) -> npt.NDArray[np.float32] | None:
    """Encode private texts without any cache; None where the encoder is missing or another."""
    from shared.text.encoder import CHARACTERS, load_encoder

    try:
        found = load_encoder(CHARACTERS if encoder.startswith(CHARACTERS) else "default")
        return found.encode(texts) if found.name == encoder else None
    except EnvironmentFault:
        return None


def _key(event: Event) -> str:
    """Name a comment's text; stands in the sealed store alone."""
    return hashlib.sha256(event.comment.encode("utf-8", "surrogatepass")).hexdigest()
