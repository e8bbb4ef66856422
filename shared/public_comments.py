# SPDX-License-Identifier: Apache-2.0
"""Which public comments are worth reading for one owner: scored and listed on their device.

A comment m on item j is scored by how much the owner cares about comments on j, plus how much it
says what the owner would say:

    ĉ_uj + γ ⟨p_u, r_m⟩,   r = whitened (t − t̄_item), at norm 1

t is the sentence vector, joined by the content words (`shared.content_words`) as a second part
that is brought to norm 1 by itself. t̄_item is what is usually said of the item, so that the
residual r tells how a comment differs from its neighbours and not which item it is on; p_u is the
moving average of the residuals of what the owner wrote (`shared.model.profile`). Whitening the
sentence part with the covariance of all public residuals counts a rare way of differing as much as
a common one. Helpful votes and the agreement of stars add
nothing (docs/log.md) and are left out.

A device fetches all public comments, never one item's, and shows none of its owner's own. p_u is
private: with a handful of comments it tells who somebody is.

Source: docs/log.md, "Comments worth reading"; whitening as in Hariharan et al. (2012),
"Discriminative decorrelation for clustering and classification".
"""

from dataclasses import dataclass, replace

import numpy as np

from shared.diversity import diverse_top
from shared.errors import DataError
from shared.model.profile import WRITTEN_ALPHA, profile_of
from shared.schema import Floats, Ints

RESIDUAL_WEIGHT = 0.5
"""γ: weight of the residual beside the comment interest of the item."""
USUAL_SHRINK = 2.0
"""Pseudo-comments at the mean of all in what is usually said of an item."""
RIDGE = 1.0
"""Share of the mean variance added to every direction before whitening."""

WHITENED = 512
"""Dimensions up to which residuals are whitened; longer ones are hashed and nearly white."""


@dataclass(frozen=True)
class PublicVectors:
    """The public comments as every device computes with them; public."""

    items: Ints
    """Row of each comment's item, (M,)."""
    residual: Floats
    """r_m, (M, D): each part has norm 1, or 0 where a comment says just the usual."""
    usual: Floats
    """What is usually said of each item, (I, D); the mean of all where nothing is."""
    whitening: Floats | None
    """Whitening of the sentence part, (S, S); None where S is too large for it."""
    sentence: int
    """S, columns of the sentence vector; the other D − S are content words."""

    def __len__(self) -> int:
        return len(self.items)

    def place(self, vectors: Floats, items: Ints) -> Floats:
        """Return residuals of comments on some items, public or the owner's own.

        Args:
            vectors: Sentence vectors and content words, (n, D). As private as their texts.
            items: Rows of their items, (n,).

        Returns:
            Residuals, (n, D), each part of norm 1, or 0 where a comment says just the usual.
        """
        beyond = vectors - self.usual[items]
        gist, words = beyond[:, : self.sentence], beyond[:, self.sentence :]
        if self.whitening is not None:
            gist = gist @ self.whitening
        said = vectors[:, self.sentence :].any(axis=1, keepdims=True)  # else nothing differs
        return np.hstack([_unit(gist), _unit(np.where(said, words, 0.0))])


def public_vectors(
    vectors: Floats, items: Ints, catalogue_size: int, *, words: Floats | None = None
) -> PublicVectors:
    """Learn what is usually said, and how comments differ; from public comments alone.

    Args:
        vectors: Sentence vectors of the public comments, (M, S), norm 1 or 0. Public.
        items: Rows of their items, (M,).
        catalogue_size: Number I of items.
        words: Their content words, (M, W), or None: then D = S.

    Returns:
        What devices need to score comments. Public.

    Raises:
        DataError: Rows and vectors do not fit together.
    """
    if vectors.ndim != 2 or len(vectors) != len(items) or (len(items) and items.min() < 0):
        raise DataError(
            f"public comments must have one vector and one item each, got {vectors.shape} "
            f"and {items.shape}.",
            hint="comments on unknown items are left out when a folder is read.",
        )
    sentence = vectors.shape[1]
    vectors = vectors if words is None else np.hstack([vectors, words])
    size = vectors.shape[1]
    usual = np.zeros((catalogue_size, size))
    np.add.at(usual, items, vectors)
    centre = vectors.mean(axis=0) if len(vectors) else np.zeros(size)
    counts = np.bincount(items, minlength=catalogue_size)[:, None]
    usual = (usual + USUAL_SHRINK * centre) / (counts + USUAL_SHRINK)
    gist = (vectors - usual[items])[:, :sentence]
    whitening = _whitening(gist) if sentence <= WHITENED else None
    bare = PublicVectors(items, vectors, usual, whitening, sentence)
    return replace(bare, residual=bare.place(vectors, items))


def reader_profile(
    space: PublicVectors, vectors: Floats, items: Ints, alpha: float = WRITTEN_ALPHA
) -> Floats:
    """Return p_u, what the owner says that others do not, shape (D,); zero before they write.

    Args:
        space: The public comments.
        vectors: Sentence vectors and content words of what the owner wrote, oldest first, (n, D).
            Private.
        items: Rows of the items, (n,). Private.
        alpha: Public α of the profile.
    """
    return profile_of(space.place(vectors, items), alpha).vector


def score_comments(
    space: PublicVectors, interest: Floats, profile: Floats, weight: float = RESIDUAL_WEIGHT
) -> Floats:
    """Score every public comment for one owner.

    Args:
        space: The public comments.
        interest: ĉ_uj of the owner for every item, (I,). Private.
        profile: Their `reader_profile`, (D,). Private.
        weight: γ.

    Returns:
        Scores, (M,), comparable within one owner only. Private.
    """
    return np.asarray(interest[space.items] + weight * (space.residual @ profile))


def top_comments(
    space: PublicVectors, scores: Floats, own: Ints, k: int, diversity: float = 0.0
) -> Ints:
    """List the comments worth reading.

    Args:
        space: The public comments.
        scores: Their scores for one owner, (M,). Private.
        own: Rows of those the owner wrote: never listed. Private.
        k: Length of the list, > 0.
        diversity: λ of `shared.diversity`; two comments are alike as their residuals are.

    Returns:
        Rows of public comments, first place first, at most k. Private.
    """
    allowed = scores.astype(np.float64, copy=True)
    allowed[own] = -np.inf
    return diverse_top(allowed, space.residual, k, diversity)


def _whitening(residuals: Floats) -> Floats:
    """Return the symmetric whitening of residuals (M, D), regularised; the identity for zeros."""
    size = residuals.shape[1]
    covariance = residuals.T @ residuals / max(len(residuals), 1)
    mean = float(np.trace(covariance)) / max(size, 1)
    if mean <= 0:
        return np.eye(size)
    values, axes = np.linalg.eigh(covariance / mean)
    return np.asarray(axes / np.sqrt(np.maximum(values, 0.0) + RIDGE) @ axes.T)


def _unit(rows: Floats) -> Floats:
    """Divide rows by their norm; a row of zeros stays."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.where(norms > 1e-9, rows / np.maximum(norms, 1e-9), 0.0))
