# SPDX-License-Identifier: Apache-2.0
"""Public comments worth reading for one owner: chosen on the device, from all that are public.

The vectors behind it are those of the catalogue's encoder where they were made before
(`encode_public`, `Device.encode_comments`), and character vectors elsewhere: these need no
weights, take milliseconds, and public and own comments are always read by the same of the two.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from client.comments import OwnComments
from client.device import Device
from client.owner import Owner
from client.scoring import Scorer
from shared.comments_file import PublicComment
from shared.errors import DataError, EnvironmentFault
from shared.model.history import History
from shared.model.released import SharedModel
from shared.public_comments import public_vectors, reader_profile, score_comments, top_comments
from shared.schema import Floats, Ints
from shared.text.characters import character_vectors
from shared.text.vector_cache import VectorCache

CHARACTER_SIZE = 256
"""Dimensions of character vectors of comments."""
LARGEST = 512
"""Most dimensions of an encoder that a device can whiten in a moment."""


def readable(device: Owner, k: int = 10, *, diversity: float = 0.3) -> list["Readable"]:
    """List public comments worth reading for the owner of a device; see `worth_reading`."""
    written = [(e.row, e.comment) for e in device.entries if e.row >= 0 and e.comment]
    cache = public_cache(device.folder, device.basis.encoder)
    vectors = read_comments(device.public_comments, written, device.own_comments(), cache)
    return worth_reading(
        device.model, device.history, device.public_comments, vectors, k, diversity=diversity
    )


@dataclass(frozen=True)
class Vectors:
    """Public and own comments, read by one encoder."""

    public: Floats
    """(M, D). Public."""
    own_rows: Ints
    """Rows of the catalogue, oldest first, (n,). Private."""
    own: Floats
    """(n, D). Private."""


@dataclass(frozen=True)
class Readable:
    """One comment for the owner; private."""

    comment: PublicComment
    score: float
    """Comparable within one list only."""
    reasons: tuple[str, ...]
    """"comment-item": comments on its item interest the owner; "comment-voice": it says what the
    owner says."""


def read_comments(
    public: Sequence[PublicComment],
    written: Sequence[tuple[int, str]],
    known: OwnComments,
    cache: VectorCache | None,
) -> Vectors:
    """Return the vectors of public and own comments; imports no torch.

    Args:
        public: Public comments.
        written: The owner's comments, row and text, oldest first. Private.
        known: Those of their vectors that are known. Private.
        cache: Vectors of public texts by the catalogue's encoder, where there may be some.
    """
    texts = [comment.text for comment in public]
    found = cache.get(texts) if cache else [None] * len(texts)
    ready = [vector for vector in found if vector is not None]
    complete = bool(ready) and len(ready) == len(texts) and known.missing == 0
    if complete and ready[0].shape[0] <= LARGEST:
        own = known.vectors.reshape(len(known.rows), ready[0].shape[0])
        return Vectors(np.array(ready, np.float64), known.rows, own.astype(np.float64))
    rows = np.array([row for row, _ in written], dtype=np.int64)
    own = character_vectors([text for _, text in written], CHARACTER_SIZE)
    return Vectors(_by_characters(tuple(texts)), rows, own.astype(np.float64))


def worth_reading(
    model: SharedModel,
    history: History,
    public: Sequence[PublicComment],
    vectors: Vectors,
    k: int = 10,
    *,
    diversity: float = 0.3,
) -> list[Readable]:
    """List public comments worth reading.

    Args:
        model: The released model, or what stands in before the first one.
        history: The owner's ratings, oldest first. Private.
        public: Public comments, none of the owner's own.
        vectors: See `read_comments`. Private.
        k: Most comments wanted.
        diversity: In [0, 1], see `shared.diversity`.

    Returns:
        At most k comments, the best first. Private.

    Raises:
        UsageError: diversity lies outside [0, 1].
    """
    if not public:
        return []
    items = np.array([comment.row for comment in public], dtype=np.int64)
    # Only items that somebody wrote about: what is usually said of the others is nothing.
    named = np.flatnonzero(np.bincount(np.concatenate([items, vectors.own_rows])))
    space = public_vectors(vectors.public, np.searchsorted(named, items), len(named))
    interest = comment_interest(model, history, named)
    profile = reader_profile(space, vectors.own, np.searchsorted(named, vectors.own_rows))
    scores = score_comments(space, interest, profile)
    best = top_comments(space, scores, np.zeros(0, dtype=np.int64), k, diversity)
    voice = space.residual @ profile
    return [
        Readable(public[m], float(scores[m]), _reasons(interest, space.items[m], voice[m]))
        for m in best.tolist()
    ]


def comment_interest(model: SharedModel, history: History, rows: Ints) -> Floats:
    """Return how much comments on some items interest the owner, in [0, 1], (r,). Private.

    Where the model knows nothing of comments, the items' own interest stands in, by its rank.
    """
    if model.comment_mean is not None:
        return model.comment_interest(history, rows)
    score = np.asarray(sum(Scorer(model, history).terms(rows).values()))
    rank = np.empty(len(rows))
    rank[np.argsort(score, kind="stable")] = np.arange(len(rows))
    return rank / max(len(rows) - 1, 1)


def encode_public(
    public: Sequence[PublicComment],
    encoder: str,
    cache: VectorCache,
    tell: Callable[[int], None] = lambda count: None,
) -> int:
    """Encode public comments with the catalogue's encoder and keep the vectors; may import torch.

    Args:
        public: Public comments.
        encoder: `FeatureBasis.encoder`.
        cache: Where vectors of public texts are kept.
        tell: Called with their number before any are encoded; some hundred take a second.

    Returns:
        How many were encoded; 0 where that encoder is not installed, or all are known.
    """
    from shared.text.encoder import CHARACTERS, load_encoder

    texts = [comment.text for comment in public]
    known = cache.get(texts)
    new = [text for text, vector in zip(texts, known, strict=True) if vector is None]
    if not new or encoder.startswith(CHARACTERS):
        return 0
    try:
        found = load_encoder("default")
        if found.name != encoder:
            return 0
        tell(len(new))
        cache.put(new, found.encode(new))
    except EnvironmentFault:
        return 0
    return len(new)


def read_by_encoder(device: Device, tell: Callable[[int], None] = lambda count: None) -> int:
    """Read what nobody has read yet with the catalogue's encoder; may import torch.

    Vectors of the owner's comments are sealed in the store, those of public ones cached beside it.

    Args:
        device: Whose comments.
        tell: Called with the number of public ones before they are encoded.

    Returns:
        How many texts were encoded; 0 where that encoder is not installed, or all are known.
    """
    encoder = device.basis.encoder
    cache = public_cache(device.folder, encoder)
    if cache is None or not device.public_comments:
        return 0
    try:
        own = device.encode_comments()
    except DataError:  # a device that was moved changes no more
        own = 0
    return own + encode_public(device.public_comments, encoder, cache, tell)


def public_cache(folder: Path, encoder: str) -> VectorCache | None:
    """Return the cache of public vectors of a device; None where the catalogue has no encoder."""
    return VectorCache(folder, encoder) if encoder else None


@lru_cache(maxsize=1)
def _by_characters(texts: tuple[str, ...]) -> Floats:
    """Read public texts by their characters; the page asks again and again."""
    return character_vectors(texts, CHARACTER_SIZE).astype(np.float64)


def _reasons(interest: Floats, item: int, voice: float) -> tuple[str, ...]:
    """Name what speaks for a comment, the stronger first."""
    about = float(interest[item] - interest.mean())
    parts = (("comment-item", about), ("comment-voice", voice))
    return tuple(name for name, part in sorted(parts, key=lambda p: -p[1]) if part > 0)
