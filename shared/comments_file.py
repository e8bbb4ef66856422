# SPDX-License-Identifier: Apache-2.0
"""Public comments as files: the operator's own table, and what every device fetches whole.

The published file is safetensors: vectors of the catalogue's encoder, where the server has it, and
in the metadata, as JSON, items, texts and ids. Equal content gives equal bytes, so that the file
has one hash. A comment carries no author: an id tells a device which ones are its own.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load as from_safetensors
from safetensors.numpy import save as to_safetensors

from shared.errors import DataError
from shared.schema import MAX_COMMENT, MAX_NAME, clean_text

FORMAT = "privet-comments/1"
MAX_COMMENTS = 200_000
"""Comments of one file; a device fetches all of them."""


@dataclass(frozen=True)
class PublicComment:
    """A comment that its author, or the operator, published; public."""

    row: int
    """Row of the catalogue."""
    text: str
    author: str
    """Pseudonym, "" where none is given."""
    helpful: float
    """Helpful votes, NaN where unknown."""
    id: str = ""
    """Of a comment that a device published; "" for the operator's own."""


@dataclass(frozen=True)
class CommentsFile:
    """What a comments file says; public."""

    encoder: str
    """Name of the encoder behind the vectors, "" where there are none."""
    items: tuple[str, ...]
    """Id of each comment's item, (M,)."""
    texts: tuple[str, ...]
    ids: tuple[str, ...]
    """See `PublicComment.id`."""
    vectors: npt.NDArray[np.float32]
    """(M, D), norm 1 or 0; (M, 0) where there are none."""

    def comments(self, rows: Mapping[str, int]) -> tuple[PublicComment, ...]:
        """Return the comments on known items."""
        return tuple(
            PublicComment(rows[item], text, "", float("nan"), name)
            for item, text, name in zip(self.items, self.texts, self.ids, strict=True)
            if item in rows
        )


def save_comments(file: CommentsFile) -> bytes:
    """Write a comments file."""
    words = {
        "encoder": file.encoder,
        "format": FORMAT,
        "ids": file.ids,
        "items": file.items,
        "texts": file.texts,
    }
    text = json.dumps(words, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    vectors = np.ascontiguousarray(file.vectors, dtype=np.float32)
    return bytes(to_safetensors({"vectors": vectors}, metadata={"comments": text}))


def load_comments(data: bytes) -> CommentsFile:
    """Read a comments file.

    Raises:
        DataError: It is another file, or its parts do not fit together.
    """
    try:
        length = int.from_bytes(data[:8], "little")
        words = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["comments"])
        vectors = from_safetensors(data)["vectors"]
        items, texts, ids = columns = [tuple(words[name]) for name in ("items", "texts", "ids")]
        found = CommentsFile(str(words["encoder"]), items, texts, ids, vectors)
        count = len(found.items)
        fits = {len(found.texts), len(found.ids), len(vectors)} == {count} and vectors.ndim == 2
        strings = [value for column in columns for value in column]
        if words["format"] != FORMAT or not fits or count > MAX_COMMENTS:
            raise ValueError("parts that do not fit together")
        if not all(isinstance(value, str) and len(value) <= MAX_COMMENT for value in strings):
            raise ValueError("other types")
        if not np.isfinite(vectors).all():
            raise ValueError("numbers that are not finite")
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError):
        raise DataError(
            f"public comments must be an intact file of format {FORMAT}, got another.",
            hint="fetch it again from where it was published.",
        ) from None
    return found


def read_table(path: Path) -> tuple[tuple[str, PublicComment], ...]:
    """Read a table of public comments: item_id, text [, user_id, helpful].

    Returns:
        Item and comment, in the order of the file; `row` is -1.

    Raises:
        DataError: the file is no such table.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, strict=True)
            if not {"item_id", "text"} <= set(table.fieldnames or ()):
                raise DataError(
                    f"{path} must have the columns item_id and text.",
                    hint="the header is item_id,text[,user_id,helpful].",
                )
            return tuple((row["item_id"] or "", _comment(row)) for row in table)
    except (OSError, UnicodeDecodeError, csv.Error) as wrong:
        raise DataError(
            f"{path} must be a readable CSV file, got {type(wrong).__name__}.",
            hint="fetch it again from where it was published.",
        ) from None


def mean_by_item(
    comments: Sequence[int], vectors: npt.NDArray[np.float32], items: int
) -> npt.NDArray[np.float64]:
    """Average vectors of comments by item; zero rows where nobody wrote.

    Args:
        comments: Row of each comment's item, (M,).
        vectors: (M, D).
        items: Number I of items.

    Returns:
        (I, D).
    """
    rows = np.asarray(comments, dtype=np.int64)
    mean = np.zeros((items, vectors.shape[1]))
    np.add.at(mean, rows, vectors)
    count = np.bincount(rows, minlength=items)[:, None]
    return np.asarray(mean / np.maximum(count, 1))


def _comment(row: Mapping[str, str | None]) -> PublicComment:
    """Clean one row of a table."""
    return PublicComment(
        -1,
        clean_text(row["text"] or "", MAX_COMMENT)[0],
        clean_text(row.get("user_id") or "", MAX_NAME)[0],
        _votes(row.get("helpful")),
    )


def _votes(text: str | None) -> float:
    try:
        return float(text) if text else float("nan")
    except ValueError:
        return float("nan")
