# SPDX-License-Identifier: Apache-2.0
"""How well public comments are recommended, where something is known to compare with.

Two questions, each with its own held-out truth:

- *Openings* (an app that records them; the village does): which public comment did a reader open
  on an item that is in nobody's training data for them? Scored against all public comments of
  others: `comment_opened_auc` inside each reader, `comment_ndcg@10` of the list.
- *Retrieval* (real reviews with `--public-comments`): among the comments on an item, is the one
  that a person wrote the one that fits them? Their held-out comment stands among at least five
  published ones of others, as if it had been posted: mean reciprocal rank `comment_mrr`, beside a
  list in random order and one by helpful votes. Text alone is used, nothing that identifies
  an author, such as spelling or length.

`--public-comments F` publishes a seeded share F of the *training* comments; a comment on a test
row is never among them. Figures are the researcher's full view: private.

Source: the residual cosine of docs/log.md, "Comments worth reading"; Voorhees (1999) for the mean
reciprocal rank.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from shared import metrics
from shared.content_words import DIMENSION, content_words
from shared.model.profile import WRITTEN_ALPHA
from shared.public_comments import (
    USUAL_SHRINK,
    PublicVectors,
    public_vectors,
    reader_profile,
    score_comments,
)
from shared.schema import Floats, Ints
from simulation.dataset import CommentEvents, Dataset, PublicComments
from simulation.published import published
from simulation.splits import Split

Encode = Callable[[Sequence[str]], Floats]
Interest = Callable[[int], Floats]
"""ĉ of one user for all items, (I,)."""

FEWEST_OTHERS = 5
"""Published comments of others that make a list worth ordering."""
K = 10
NAMES = (
    "comment_mrr",
    "comment_mrr_random",
    "comment_mrr_helpful",
    "comment_opened_auc",
    "comment_ndcg@10",
    "comment_cases",
    "comments_public",
)
"""Every name in the result of `evaluate_comments`, but for `protocol`."""


@dataclass(frozen=True)
class Readers:
    """Everybody's own training comments, read; private."""

    space: PublicVectors
    read: Encode
    """Turns texts into sentence vectors and content words, (n, D)."""
    public: Floats
    """Those of the public comments, (M, D)."""
    users: Ints
    """Author of each training comment, (n,), sorted."""
    items: Ints
    vectors: Floats
    alpha: float
    """Public α of the profile."""

    def profile(self, user: int) -> Floats:
        """Return p_u, (D,); zero for somebody who wrote nothing."""
        a, b = np.searchsorted(self.users, [user, user + 1])
        return reader_profile(self.space, self.vectors[a:b], self.items[a:b], self.alpha)


def evaluate_comments(
    dataset: Dataset,
    split: Split,
    encode: Encode,
    *,
    interest: Interest | None = None,
    share: float | None = None,
    alpha: float = WRITTEN_ALPHA,
    seed: int = 0,
) -> dict[str, float | str | None]:
    """Measure how well public comments are recommended.

    Args:
        dataset: The data set; its comments and events are private.
        split: What was learned from.
        encode: Turns texts into vectors of norm 1, (n, D).
        interest: ĉ of each user for all items, or None: then the text alone decides.
        share: `--public-comments`; None where it was not given: no retrieval.
        alpha: Public α of the profile of what was written.
        seed: Seed of the choice of published comments.

    Returns:
        Figures by name, None where one does not apply, and `protocol`, "" where none does.
    """
    figures: dict[str, float | str | None] = dict.fromkeys(NAMES)
    public = published(dataset, split, share or 0.0, seed)
    if len(public) == 0:
        return figures | {"protocol": ""}
    readers = _readers(public, split, encode, len(dataset.items), alpha)
    figures["comments_public"] = len(public)
    words = []
    if dataset.comment_events is not None:
        found = _openings(dataset.comment_events, split, public, readers, interest)
        figures |= found
        words += ["comment_opened_auc, comment_ndcg@10: comments opened on pairs outside training "
                  "against all that can be opened"] * bool(found)  # fmt: skip
    if share is not None:
        retrieved = _retrieval(split, public, readers)
        figures |= retrieved
        words += [f"comment_mrr: own held-out comment among at least {FEWEST_OTHERS} published "
                  f"ones of others on the item, {share:.0%} of training comments published, "
                  f"seed {seed}"] * bool(retrieved)  # fmt: skip
    return figures | {"protocol": "; ".join(words)}


def _readers(
    public: PublicComments, split: Split, encode: Encode, items: int, alpha: float
) -> Readers:
    """Read public comments and everybody's own training comments."""
    words = content_words(public.texts)

    def read(texts: Sequence[str]) -> Floats:
        gist = np.asarray(encode(texts), dtype=np.float64)
        return np.hstack([gist, words.encode(texts)])

    known = split.known
    own = known.take(np.flatnonzero([bool(text) for text in known.comments]))
    told = read([*public.texts, *own.comments.tolist()])
    said, size = told[: len(public)], told.shape[1] - DIMENSION
    space = public_vectors(said[:, :size], public.items, items, words=said[:, size:])
    return Readers(space, read, said, own.users, own.items, told[len(public) :], alpha)


def _openings(
    events: CommentEvents,
    split: Split,
    public: PublicComments,
    readers: Readers,
    interest: Interest | None,
) -> dict[str, float]:
    """Rank all public comments for everybody who opened one outside training."""
    width, given = len(readers.space.usual), int(events.opened.max(initial=-1)) + 1
    trained = np.isin(
        events.users * width + events.items, split.known.users * width + split.known.items
    )
    opened = events.opened >= 0
    aucs, ndcgs = [], []
    for user in np.unique(events.users[opened & ~trained]).tolist():
        mine = (events.users == user) & opened
        relevant = events.opened[mine & ~trained]
        liked = interest(user) if interest else np.zeros(width)
        scores = score_comments(readers.space, liked, readers.profile(user))
        scores[given:] = -np.inf  # events speak of the comments that were there
        scores[public.authors == user] = -np.inf
        scores[events.opened[mine & trained]] = -np.inf  # read already
        kept = np.isfinite(scores)
        positive = np.isin(np.arange(len(public)), relevant)
        if not (positive & kept).any():
            continue
        aucs.append(metrics.auc(scores[kept], positive[kept]))
        hits = positive[metrics.top_k(scores[None], K)]
        ndcgs.append(metrics.ndcg(hits, np.array([(positive & kept).sum()]), offset=1)[0])
    if not aucs:
        return {}
    return {"comment_opened_auc": float(np.nanmean(aucs)), "comment_ndcg@10": float(np.mean(ndcgs))}


def _retrieval(split: Split, public: PublicComments, readers: Readers) -> dict[str, float | None]:
    """Find the comment that somebody would write among those on an item."""
    test = split.test.take(np.flatnonzero([bool(text) for text in split.test.comments]))
    vectors = readers.read(test.comments.tolist())
    by_text, by_chance, by_votes = [], [], []
    for row, (user, item) in enumerate(zip(test.users.tolist(), test.items.tolist(), strict=True)):
        on_item = np.flatnonzero(public.items == item)
        others = on_item[public.authors[on_item] != user]
        profile = readers.profile(user)
        if len(others) < FEWEST_OTHERS or not profile.any():
            continue
        scores = posted(readers, vectors[row], on_item, others) @ profile
        by_text.append(reciprocal_rank(scores))
        by_chance.append(reciprocal_rank(np.zeros(len(scores))))
        votes = np.nan_to_num(np.append(test.helpful[row], public.helpful[others]))
        by_votes.append(reciprocal_rank(votes))
    if not by_text:
        return {}
    known = bool(np.isfinite(public.helpful).any())
    return {
        "comment_mrr": float(np.mean(by_text)),
        "comment_mrr_random": float(np.mean(by_chance)),
        "comment_mrr_helpful": float(np.mean(by_votes)) if known else None,
        "comment_cases": len(by_text),
    }


def posted(readers: Readers, vector: Floats, on_item: Ints, shown: Ints) -> Floats:
    """Return the residuals of a list of comments on one item to which one more is posted.

    The new one joins what is usually said, as the others did; else it alone would stand out.

    Args:
        readers: Everybody's comments, read.
        vector: Text vector of the new comment, (D,).
        on_item: Rows of all public comments on the item, (m,), m > 0.
        shown: Rows of those in the list, (n,).

    Returns:
        Residuals of norm 1, the new comment first, (1 + n, D).
    """
    space, weight = readers.space, len(on_item) + USUAL_SHRINK
    usual = (weight * space.usual[space.items[on_item[0]]] + vector) / (weight + 1.0)
    together = replace(space, usual=usual[None])
    rows = np.vstack([vector, readers.public[shown]])
    return together.place(rows, np.zeros(len(rows), dtype=np.int64))


def reciprocal_rank(scores: Floats) -> float:
    """Return one over the rank of the first score among all, ties at random in expectation.

    Example:
        >>> reciprocal_rank(np.array([1.0, 1.0, 0.0]))
        0.75
    """
    above = int((scores[1:] > scores[0]).sum())
    equal = int((scores[1:] == scores[0]).sum())
    return float(np.mean(1.0 / np.arange(above + 1, above + equal + 2)))
