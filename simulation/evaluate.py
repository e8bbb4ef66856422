# SPDX-License-Identifier: Apache-2.0
"""How good a predictor is on held-out rows: ratings, ranked lists, newcomers.

The definitions are `shared.metrics`; here stand the choices that papers leave unsaid and that move
figures more than models do: who is ranked against what, how ties fall, which discount. Each result
carries them as one sentence, `protocol`; figures of different protocols must never be compared.

- Lists are made for users with a held-out row. What a device knows (training rows and history) is
  never a candidate. Splits leave-one-out and one-random: `hr@10` and `ndcg@10` rank the held-out
  item among 99 uniform negatives from outside the known items; `recall@10` and the figures
  `_full`, as all figures of other splits, rank every item that the device does not know.
- Negatives never come from test rows of the same user, and never exclude rows by looking at other
  users: samplers that draw them before the split leak which items are held out.
- Ties fall at random: items are shuffled for each user before they are ranked.
- The NDCG discount is 1/log2(p + 1); `ndcg@10_lenskit` has LensKit's, 1/log2(max(p, 2)).

Chance comes from the seed and the user's row, so that all predictors meet the same candidates and
no figure depends on the order or size of blocks. Axes: B users of a block, I items. All figures
are the researcher's full view: computed from raw rows, private.

Theory: Krichene and Rendle (2020), "On sampled metrics for item recommendation".
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from shared import metrics
from shared.diversity import POOL
from shared.schema import Floats, Interactions, Ints
from simulation.splits import ONE_OUT, Split

K = 10
"""Length of every list."""
NEGATIVES = 99
"""Sampled negatives of a leave-one-out list; fewer where the catalogue has fewer left."""
RATED_USERS = 200
"""Users whose whole catalogue is rated for `hr@10_rating_only`: predicting I ratings is slow."""

Figures = dict[str, float | str | None]
Rerank = Callable[[Ints, Floats], Ints]
"""From candidates, best first, and their scores to a list of at most K."""


class Predictor(Protocol):
    """What is evaluated: a model as each user's device would run it."""

    def rate(self, user: int, items: Ints) -> Floats:
        """Predict stars of items, (n,), within the scale."""
        ...

    def score(self, user: int) -> Floats:
        """Score all items for ranking, (I,), higher is better; comparable within one user."""
        ...


def evaluate(
    predictor: Predictor,
    split: Split,
    *,
    items_count: int,
    categories: Sequence[Sequence[str]],
    seed: int,
    ranking: bool = True,
    per_user: dict[str, Floats] | None = None,
    rerank: Rerank | None = None,
) -> Figures:
    """Measure one predictor on one split.

    Args:
        predictor: The predictor; it has learned from `split.train` and, on each device, from
            `split.known`, from nothing else.
        split: The split. Private.
        items_count: Number of items in the catalogue, I.
        categories: Names of the categories of each item, I entries; for the diversity of lists.
        seed: Seed of negatives, of ties and of the sample of users; never of a model.
        ranking: False leaves the figures of lists out (None).
        per_user: Where given, filled with columns by name, one row a user with a held-out row:
            user, ratings held out, mean squared and absolute error in stars, hit and NDCG. Private.
        rerank: Chooses the list from the best candidates, where it is not simply the best.

    Returns:
        Figures by the names of the command line, in stars where they are errors; None where one
        does not apply. `rmse_se` is the standard error of `rmse` over users. `protocol` says how
        they were made. All private.

    Source:
        Koren (2008), "Factorization meets the neighborhood" for rankings among sampled negatives;
        He et al. (2017), "Neural collaborative filtering", 4.1 for leave-one-out with 99 of them.
    """
    figures: Figures = dict.fromkeys(NAMES)
    figures |= _ratings(predictor, split, per_user)
    words = [split.protocol]
    if ranking and len(split.test):
        cases = _cases(split, seed)
        rated = _rated(cases, split, seed)
        figures |= _lists(predictor, split, cases, items_count, categories, per_user, rerank)
        figures |= _rating_only(predictor, split, rated, items_count)
        words += _ranking_words(split, len(rated), seed)
    figures = {name: _known(value) for name, value in figures.items()}
    return figures | {"protocol": "; ".join(words)}


NAMES = (
    "rmse",
    "rmse_se",
    "mae",
    "recall@10",
    "ndcg@10",
    "ndcg@10_lenskit",
    "hr@10",
    "hr@10_rating_only",
    "ndcg@10_full",
    "hr@10_full",
    "coverage@10",
    "intra_list_diversity@10",
    "novelty@10",
    "rmse_cold_item",
    "rmse_cold_user",
    "comment_auc",
    "comment_auc_item_mean",
    "comment_rule",
    "protocol",
)
"""Every name in the result of `evaluate`."""


def clustered_se(errors: Floats, users: Ints) -> float:
    """Standard error of the RMSE where rows of one user move together.

    Args:
        errors: Predicted less actual ratings, (N,).
        users: User of each row, (N,), in any order.

    Returns:
        The standard error in the unit of the errors; NaN with fewer than two users.

    Source:
        Liang and Zeger (1986): clustered variance of the mean squared error, a ratio of sums over
        users, carried to its root by the delta method.

    Example:
        >>> round(clustered_se(np.array([1.0, 1.0, 2.0]), np.array([0, 0, 1])), 4)
        0.4714
    """
    _, user = np.unique(users, return_inverse=True)
    count, squares = np.bincount(user), np.bincount(user, errors**2)
    if len(count) < 2:
        return float("nan")
    mean = squares.sum() / count.sum()
    if mean == 0:
        return 0.0
    spread = np.sum((squares - mean * count) ** 2) * len(count) / (len(count) - 1)
    return float(np.sqrt(spread) / count.sum() / (2 * np.sqrt(mean)))


def _ratings(
    predictor: Predictor, split: Split, per_user: dict[str, Floats] | None
) -> dict[str, float]:
    """Return the errors of predicted stars, over all rows and over newcomers."""
    test = _by_user(split.test)
    predicted = np.empty(len(test))
    for user, rows in _slices(test.users):
        predicted[rows] = predictor.rate(user, test.items[rows])
    if per_user is not None:
        error = predicted - test.ratings
        users, owner = np.unique(test.users, return_inverse=True)
        count = np.bincount(owner)
        per_user |= {"user": users.astype(np.float64), "held_out": count.astype(np.float64)}
        per_user |= {"squared_error": np.bincount(owner, error**2) / count}
        per_user |= {"absolute_error": np.bincount(owner, np.abs(error)) / count}
    new_item = ~np.isin(test.items, split.train.items)
    new_user = ~np.isin(test.users, split.train.users)
    return {
        "rmse": metrics.rmse(predicted, test.ratings),
        "rmse_se": clustered_se(predicted - test.ratings, test.users),
        "mae": metrics.mae(predicted, test.ratings),
        "rmse_cold_item": metrics.rmse(predicted[new_item], test.ratings[new_item]),
        "rmse_cold_user": metrics.rmse(predicted[new_user], test.ratings[new_user]),
    }


@dataclass(frozen=True)
class _Case:
    """One user's list to be made. Private."""

    user: int
    relevant: Ints
    """Held-out items, at least one."""
    known: Ints
    """Items that the device knows: never candidates."""
    seed: int

    def rng(self, purpose: int) -> np.random.Generator:
        """Return fresh chance: the same for every predictor and every list of one purpose."""
        return np.random.default_rng([self.seed, self.user, purpose])

    def unknown(self, items: int) -> npt.NDArray[np.bool_]:
        """Say which items are candidates, (I,)."""
        mask = np.ones(items, dtype=np.bool_)
        mask[self.known] = False
        return mask

    def sampled(self, items: int) -> Ints:
        """Return the held-out item of leave-one-out, then its negatives."""
        free = self.unknown(items)
        free[self.relevant] = False
        pool = np.flatnonzero(free)
        drawn = self.rng(0).choice(pool, min(NEGATIVES, len(pool)), replace=False)
        return np.concatenate([self.relevant, drawn])


def _cases(split: Split, seed: int) -> list[_Case]:
    """Return one case a user with a held-out row, by user."""
    test, known = _by_user(split.test), split.known
    cases = []
    for user, rows in _slices(test.users):
        a, b = np.searchsorted(known.users, [user, user + 1])
        cases.append(_Case(user, test.items[rows], known.items[a:b], seed))
    return cases


def _lists(
    predictor: Predictor,
    split: Split,
    cases: Sequence[_Case],
    items: int,
    categories: Sequence[Sequence[str]],
    per_user: dict[str, Floats] | None,
    rerank: Rerank | None,
) -> dict[str, float]:
    """Return the figures of ranked lists."""
    kinds = indicators(categories)
    raters, people = np.bincount(split.train.items, minlength=items), np.unique(split.train.users)
    popularity: Floats = np.asarray((raters + 1) / (len(people) + 1), dtype=np.float64)
    sampled = split.name in ONE_OUT
    by_user: dict[str, list[Floats]] = {}
    tops = []
    for block in _blocks(cases, max(items, K * kinds.shape[1])):
        scores = np.stack([predictor.score(case.user) for case in block])  # (B, I)
        candidates = np.stack([case.unknown(items) for case in block])
        top = _top(np.where(candidates, scores, -np.inf), block, rerank)
        tops.append(top)
        found = _quality(top, block)
        short = found
        if sampled:
            short = _quality(_top(_among(scores, block), block, rerank), block)
        for name, values in {
            "recall@10": found["recall"],
            "hr@10_full": found["hit"],
            "ndcg@10_full": found["ndcg"],
            "hr@10": short["hit"],
            "ndcg@10": short["ndcg"],
            "ndcg@10_lenskit": short["ndcg_lenskit"],
            "intra_list_diversity@10": metrics.intra_list_diversity(top, kinds),
            "novelty@10": metrics.novelty(top, popularity),
        }.items():
            by_user.setdefault(name, []).append(values)
    if per_user is not None:
        per_user |= {"hit": np.concatenate(by_user["hr@10"])}
        per_user |= {"ndcg": np.concatenate(by_user["ndcg@10"])}
    means = {name: _mean(np.concatenate(values)) for name, values in by_user.items()}
    return means | {"coverage@10": metrics.coverage(np.concatenate(tops), items)}


def _rating_only(
    predictor: Predictor, split: Split, cases: Sequence[_Case], items: int
) -> dict[str, float]:
    """Return the hit rate of lists ranked by predicted stars."""
    hits = []
    for block in _blocks(cases, items):
        rows = np.full((len(block), items), -np.inf)
        for row, case in zip(rows, block, strict=True):
            alone = split.name in ONE_OUT
            asked = case.sampled(items) if alone else np.flatnonzero(case.unknown(items))
            row[asked] = predictor.rate(case.user, asked)
        hits.append(_quality(_top(rows, block), block)["hit"])
    return {"hr@10_rating_only": _mean(np.concatenate(hits))}


def _rated(cases: Sequence[_Case], split: Split, seed: int) -> Sequence[_Case]:
    """Choose whose lists are ranked by stars: everybody in leave-one-out, else a sample."""
    if split.name in ONE_OUT or len(cases) <= RATED_USERS:
        return cases
    chosen = np.random.default_rng(seed).permutation(len(cases))[:RATED_USERS]
    return [cases[index] for index in np.sort(chosen).tolist()]


def _among(scores: Floats, block: Sequence[_Case]) -> Floats:
    """Keep the scores of the held-out item and of the sampled negatives, −inf elsewhere."""
    rows = np.full(scores.shape, -np.inf)
    for row, values, case in zip(rows, scores, block, strict=True):
        kept = case.sampled(len(values))
        row[kept] = values[kept]
    return rows


def _top(rows: Floats, block: Sequence[_Case], rerank: Rerank | None = None) -> Ints:
    """Rank each row of (B, I), ties at random; items (B, K), −1 where a list is short."""
    orders = np.stack([case.rng(1).permutation(rows.shape[1]) for case in block])
    pool = metrics.top_k(np.take_along_axis(rows, orders, axis=1), POOL if rerank else K)
    best = np.where(pool >= 0, np.take_along_axis(orders, np.maximum(pool, 0), axis=1), -1)
    if rerank is None:
        return best
    top = np.full((len(block), K), -1, dtype=np.int64)
    for place, row, candidates in zip(top, rows, best, strict=True):
        usable = candidates[candidates >= 0]
        chosen = rerank(usable, row[usable])
        place[: len(chosen)] = chosen
    return top


def _quality(top: Ints, block: Sequence[_Case]) -> dict[str, Floats]:
    """Return recall, hit and both NDCG of each list, (B,)."""
    hits = np.stack([np.isin(row, case.relevant) for row, case in zip(top, block, strict=True)])
    relevant = np.array([len(case.relevant) for case in block])
    return {
        "recall": metrics.recall(hits, relevant),
        "hit": metrics.hit(hits, relevant),
        "ndcg": metrics.ndcg(hits, relevant, offset=1),
        "ndcg_lenskit": metrics.ndcg(hits, relevant),
    }


def _ranking_words(split: Split, rated: int, seed: int) -> list[str]:
    """Say how lists were made."""
    if split.name in ONE_OUT:
        how = [
            f"hr@10, ndcg@10 and hr@10_rating_only: the held-out item among {NEGATIVES} uniform "
            "negatives without replacement from outside the user's known items",
            "recall@10, *_full, coverage, diversity and novelty: all items outside the known ones",
        ]
    else:
        how = [
            "ranking: all items outside the user's known ones, relevant = every held-out row",
            f"hr@10_rating_only on {rated} users",
        ]
    return [*how, f"NDCG discount 1/log2(p+1), ties at random, ranking seed {seed}"]


def indicators(categories: Sequence[Sequence[str]]) -> Floats:
    """Turn names of categories into 0/1 columns, (I, G), in the order of the names.

    Example:
        >>> indicators([["drama"], [], ["comedy", "drama"]]).tolist()
        [[0.0, 1.0], [0.0, 0.0], [1.0, 1.0]]
    """
    names = sorted({name for item in categories for name in item})
    column = {name: index for index, name in enumerate(names)}
    table = np.zeros((len(categories), len(names)))
    for row, item in zip(table, categories, strict=True):
        row[[column[name] for name in item]] = 1.0
    return table


def _blocks(cases: Sequence[_Case], width: int) -> Iterator[Sequence[_Case]]:
    """Cut users so that a block's arrays stay near 16 MB, whatever the catalogue."""
    size = max(1, min(1024, 2_000_000 // max(width, 1)))
    for start in range(0, len(cases), size):
        yield cases[start : start + size]


def _by_user(rows: Interactions) -> Interactions:
    """Sort rows by user; official folds need not be."""
    return rows.take(np.argsort(rows.users, kind="stable"))


def _slices(users: Ints) -> Iterator[tuple[int, slice]]:
    """Yield each user of a sorted column with their rows."""
    names, starts = np.unique(users, return_index=True)
    ends = np.append(starts[1:], len(users))
    for user, start, end in zip(names.tolist(), starts.tolist(), ends.tolist(), strict=True):
        yield user, slice(start, end)


def _mean(values: Floats) -> float:
    """Mean over users who have the figure; NaN where nobody has."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _known(value: float | str | None) -> float | str | None:
    """Replace NaN, a figure that does not apply, by None."""
    return None if isinstance(value, float) and np.isnan(value) else value
