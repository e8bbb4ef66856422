# SPDX-License-Identifier: Apache-2.0
"""How good predictions and lists are, in the field's definitions and in numpy alone.

Ratings: `rmse`, `mae`. Lists, one row a user: `recall`, `ndcg`, `hit`, and over all lists
`coverage`, `intra_list_diversity`, `novelty`. Pairs: `auc`, `auc_by_user`.

Axes: U users, I items, k length of a list, N rows. A list is a row of `top`, item rows best
first, -1 where a list is shorter than k. `hits[u, p]` says that position p of u's list holds a
relevant item, `relevant[u]` counts all relevant items of u. List metrics return one value a user
(NaN where u has no relevant item) and leave the mean to the caller: `numpy.nanmean`.

Conventions are LensKit's (2025.8.1), and a test holds both equal to 1e-6:
recall divides by min(relevant, k); relevance is binary; rmse and mae run over all rows, not over
users' means. Everything computed here from raw rows is the researcher's full view: private.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from shared.schema import Floats, Ints

Bools = npt.NDArray[np.bool_]


def rmse(predicted: Floats, actual: Floats) -> float:
    """Root mean squared error over all rows, in the unit of the input; NaN without a row.

    Args:
        predicted: Predicted ratings, (N,).
        actual: Given ratings, (N,). Private.

    Returns:
        sqrt(1/N Σ (predicted − actual)²).

    Source:
        Herlocker et al. (2004), "Evaluating collaborative filtering recommender systems", 4.1.1.

    Example:
        >>> rmse(np.array([3.0, 4.0]), np.array([3.0, 2.0])).__round__(4)
        1.4142
    """
    error = np.asarray(predicted) - actual
    return float(np.sqrt(np.mean(error**2))) if error.size else float("nan")


def mae(predicted: Floats, actual: Floats) -> float:
    """Mean absolute error over all rows, in the unit of the input; NaN without a row.

    Args:
        predicted: Predicted ratings, (N,).
        actual: Given ratings, (N,). Private.

    Returns:
        1/N Σ |predicted − actual|.

    Source:
        Herlocker et al. (2004), 4.1.1.

    Example:
        >>> mae(np.array([3.0, 4.0]), np.array([3.0, 2.0]))
        1.0
    """
    error = np.abs(np.asarray(predicted) - actual)
    return float(np.mean(error)) if error.size else float("nan")


def top_k(scores: Floats, k: int) -> Ints:
    """Rank the k best columns of every row.

    Ties go to the lower column. Where column order means something (item ids often follow
    popularity), permute the columns first, as `simulation.evaluate` does.

    Args:
        scores: (U, I), higher is better; −inf or NaN leaves the item out.
        k: Length of the lists.

    Returns:
        Columns, best first, (U, k), −1 where fewer than k items are left.

    Example:
        >>> top_k(np.array([[1.0, 3.0, 3.0, -np.inf]]), k=4)
        array([[ 1,  2,  0, -1]])
    """
    rows, items = scores.shape
    usable = np.where(np.isnan(scores), -np.inf, scores)
    short = min(k, items)
    top = np.full((rows, k), -1, dtype=np.int64)
    if short == 0 or rows == 0:
        return top
    best = np.argpartition(-usable, short - 1, axis=1)[:, :short]
    best.sort(axis=1)  # so that the stable sort below gives ties to the lower column
    order = np.argsort(-np.take_along_axis(usable, best, axis=1), axis=1, kind="stable")
    best = np.take_along_axis(best, order, axis=1)
    worst = np.take_along_axis(usable, best[:, -1:], axis=1)
    # a partition may pick any of the columns tied with the last place: settle those rows exactly
    tied = np.flatnonzero(((usable >= worst).sum(axis=1) > short) & (worst[:, 0] > -np.inf))
    if tied.size:
        best[tied] = np.argsort(-usable[tied], axis=1, kind="stable")[:, :short]
    kept = np.take_along_axis(usable, best, axis=1) > -np.inf
    top[:, :short] = np.where(kept, best, -1)
    return top


def recall(hits: Bools, relevant: Ints) -> Floats:
    """Share of what could be found in a list of length k that was found.

    Args:
        hits: Relevance of the k positions, (U, k).
        relevant: Number of relevant items of each user, (U,).

    Returns:
        Σ_p hits / min(relevant, k), (U,); NaN where nothing is relevant. The bound min(relevant,
        k) is LensKit's: a perfect list reads 1 also for a user with more than k relevant items.

    Source:
        LensKit 2025.8.1, `lenskit.metrics.Recall`; Herlocker et al. (2004), 4.2.1.

    Example:
        >>> recall(np.array([[True, False], [True, False]]), np.array([1, 5]))
        array([1. , 0.5])
    """
    reachable = np.minimum(relevant, hits.shape[1])
    found = hits.sum(axis=1)
    return _ratio(found, reachable)


def ndcg(hits: Bools, relevant: Ints, *, offset: int = 0) -> Floats:
    """Discounted cumulative gain of a list, as a share of the best list's.

    Two discounts are in use and must never be compared: with `offset=0` (LensKit's default and
    the original paper) positions 1 and 2 weigh 1 and position p weighs 1/log2 p; with `offset=1`
    (RecBole, NCF and the federated papers) position p weighs 1/log2(p + 1).

    Args:
        hits: Relevance of the k positions, (U, k).
        relevant: Number of relevant items of each user, (U,).
        offset: 0 or 1, added to the position in the logarithm.

    Returns:
        DCG / ideal DCG with binary gains, (U,); NaN where nothing is relevant. The ideal list
        has min(relevant, k) hits in front.

    Source:
        Järvelin and Kekäläinen (2002), "Cumulated gain-based evaluation of IR techniques";
        LensKit 2025.8.1, `lenskit.metrics.NDCG` with `LogRankWeight(offset=...)`.

    Example:
        >>> ndcg(np.array([[False, False, True]]), np.array([1])).round(4)
        array([0.6309])
        >>> ndcg(np.array([[False, False, True]]), np.array([1]), offset=1)
        array([0.5])
    """
    k = hits.shape[1]
    weights = 1.0 / np.log2(np.maximum(np.arange(1, k + 1) + offset, 2))
    ideal = np.concatenate([[0.0], np.cumsum(weights)])[np.minimum(relevant, k)]
    return _ratio(hits @ weights, ideal)


def hit(hits: Bools, relevant: Ints) -> Floats:
    """Say whether a list holds any relevant item; its mean over users is the hit rate.

    Args:
        hits: Relevance of the k positions, (U, k).
        relevant: Number of relevant items of each user, (U,).

    Returns:
        1 or 0, (U,); NaN where nothing is relevant.

    Source:
        Deshpande and Karypis (2004), "Item-based top-N recommendation algorithms", 5.1;
        LensKit 2025.8.1, `lenskit.metrics.Hit`.

    Example:
        >>> hit(np.array([[False, True], [False, False]]), np.array([1, 1]))
        array([1., 0.])
    """
    return np.where(relevant > 0, hits.any(axis=1).astype(np.float64), np.nan)


def auc(scores: Floats, positive: Bools) -> float:
    """Chance that a positive pair scores above a negative one, ties counting half.

    Args:
        scores: (N,), higher means more likely positive.
        positive: (N,).

    Returns:
        The area under the ROC curve; NaN where one class is missing.

    Source:
        Hanley and McNeil (1982): the Mann–Whitney statistic with mid-ranks.

    Example:
        >>> auc(np.array([0.2, 0.5, 0.5]), np.array([False, True, False]))
        0.75
    """
    return float(auc_by_user(np.zeros(len(scores), dtype=np.int64), scores, positive)[0])


def auc_by_user(users: Ints, scores: Floats, positive: Bools) -> Floats:
    """Compute the AUC inside every user's own pairs, ties by mid-ranks.

    Only pairs of one user are compared, so a user's level, or how many pairs they have, cannot
    help. Its `nanmean` is the mean within-user AUC (called GAUC with equal weights).

    Args:
        users: User of each pair, (N,), in any order.
        scores: (N,).
        positive: (N,).

    Returns:
        One value for each distinct user, ascending, (U',); NaN where the user lacks a class.

    Source:
        Zhu et al. (2017), "Optimized cost per click in Taobao display advertising", 4.2, without
        their weights; Hanley and McNeil (1982).

    Example:
        >>> auc_by_user(np.array([7, 7, 9, 9]), np.array([1.0, 2.0, 5.0, 5.0]),
        ...             np.array([False, True, True, False]))
        array([1. , 0.5])
    """
    _, user = np.unique(users, return_inverse=True)
    order = np.lexsort((scores, user))
    user, value, label = user[order], np.asarray(scores)[order], np.asarray(positive)[order]
    count = np.bincount(user)
    rank = np.arange(len(user)) - (np.cumsum(count) - count)[user] + 1.0
    fresh = np.ones(len(user), dtype=bool)
    fresh[1:] = (user[1:] != user[:-1]) | (value[1:] != value[:-1])
    tie = np.cumsum(fresh) - 1
    rank = (np.bincount(tie, rank) / np.bincount(tie))[tie]
    yes = np.bincount(user, label, minlength=len(count))
    pairs = yes * (count - yes)
    above = np.bincount(user, rank * label, minlength=len(count)) - yes * (yes + 1) / 2
    return _ratio(above, pairs)


def coverage(top: Ints, items: int) -> float:
    """Share of the catalogue that stands in at least one list.

    Args:
        top: Lists, (U, k), −1 for empty places.
        items: Number of items in the catalogue, I.

    Returns:
        |union of lists| / I, in [0, 1].

    Source:
        Ge et al. (2010), "Beyond accuracy", 3.1, "catalog coverage"; RecBole `ItemCoverage`.

    Example:
        >>> coverage(np.array([[0, 1], [1, -1]]), items=4)
        0.5
    """
    return len(np.unique(top[top >= 0])) / items if items else float("nan")


def intra_list_diversity(top: Ints, categories: Floats) -> Floats:
    """Mean distance of two items of one list, by their categories.

    The distance is 1 − cosine of the category indicators: a yardstick from outside the model's
    own space, so that a list is not called diverse by the vectors that chose it. Items without
    categories are left out: nothing is known about them.

    Args:
        top: Lists, (U, k), −1 for empty places.
        categories: Non-negative indicators, (I, G), in any row scaling.

    Returns:
        Mean over the pairs of a list, (U,), in [0, 1]; NaN with fewer than two known items.

    Source:
        Ziegler et al. (2005), "Improving recommendation lists through topic diversification",
        3.3 (as 1 − similarity); Smyth and McClave (2001), "Similarity vs. diversity".

    Example:
        >>> kinds = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> intra_list_diversity(np.array([[0, 1], [0, 2]]), kinds).round(4)
        array([1.    , 0.2929])
    """
    norms = np.linalg.norm(categories, axis=1)
    unit = categories / np.where(norms > 0, norms, 1.0)[:, None]
    known = (top >= 0) & (norms > 0)[top]
    lists = np.where(known[:, :, None], unit[top], 0.0)  # (U, k, G): callers pass user blocks
    m = known.sum(axis=1)
    pairs = m * (m - 1) / 2
    # Σ_{p<q} cos = (|Σ v|² − m) / 2 for unit vectors
    likeness = (np.sum(lists.sum(axis=1) ** 2, axis=1) - m) / 2
    return np.asarray(np.clip(1.0 - _ratio(likeness, pairs), 0.0, 1.0))


def novelty(top: Ints, popularity: Floats) -> Floats:
    """Mean surprise of a list in bits: −log2 of the popularity share of its items.

    Args:
        top: Lists, (U, k), −1 for empty places.
        popularity: Share of users who know each item, (I,), in (0, 1]. The caller says which:
            `simulation.evaluate` uses (training raters + 1) / (users + 1).

    Returns:
        Mean over the list, (U,), bits; NaN for an empty list.

    Source:
        Zhou et al. (2010), "Solving the apparent diversity-accuracy dilemma", "self-information";
        Vargas and Castells (2011), 4.1.

    Example:
        >>> novelty(np.array([[0, 1], [1, -1]]), np.array([0.5, 0.125]))
        array([2., 3.])
    """
    there = top >= 0
    bits = np.where(there, -np.log2(popularity)[top], 0.0)
    return _ratio(bits.sum(axis=1), there.sum(axis=1))


def standard_error(values: Floats) -> float:
    """Standard error of a mean over users: sd / √n over the values that are not NaN.

    Source: the textbook's, with n − 1; users are independent, rows of one user are not.

    Example:
        >>> round(standard_error(np.array([0.0, 1.0, np.nan, 1.0])), 4)
        0.3333
    """
    known = values[~np.isnan(values)]
    return float(np.std(known, ddof=1) / np.sqrt(len(known))) if len(known) > 1 else float("nan")


def _ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> Floats:
    """Divide, NaN where the whole is not positive."""
    nan: Floats = np.full(len(part), np.nan)
    np.divide(part, whole, out=nan, where=whole > 0)
    return nan
