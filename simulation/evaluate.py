# SPDX-License-Identifier: Apache-2.0
"""How good a predictor is, with the researcher's full view: none of it passed the door.

Ranking figures name their protocol, because figures of different protocols cannot be compared.
Negatives come from outside what the device knows; nothing else about held-out rows is used.

Source: Krichene and Rendle (2020), "On sampled metrics for item recommendation", on why the full
ranking stands beside the sampled one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from shared import metrics
from shared.schema import Floats, Ints
from simulation.splits import Split

K = 10
NEGATIVES = 99
RATING_SAMPLE = 200
"""Users whose whole catalogue is ranked by predicted rating, outside leave-one-out."""
BLOCK = 256
"""Users whose scores are held at once."""

Figures = dict[str, Any]


class Predictor(Protocol):
    """What is evaluated: one owner's ratings and their interest in every item."""

    def rate(self, user: int, items: Ints) -> Floats:
        """Predict stars, shape (t,), within the scale."""

    def score(self, user: int) -> Floats:
        """Score all items, shape (I,), higher is more interesting."""


@dataclass(frozen=True)
class Case:
    """One user with held-out items, and what their device knows."""

    user: int
    known: Ints
    held_out: Ints
    rows: slice
    """Their rows of `Split.test`."""


def cases(split: Split) -> list[Case]:
    """List the users who have held-out items."""
    known, test = split.known, split.test
    users = np.unique(test.users)
    starts, stops = (np.searchsorted(test.users, users, side) for side in ("left", "right"))
    found = []
    for user, start, stop in zip(users.tolist(), starts, stops, strict=True):
        low, high = np.searchsorted(known.users, [user, user + 1])
        rows = slice(int(start), int(stop))
        found.append(Case(user, known.items[low:high], test.items[rows], rows))
    return found


def evaluate(
    predictor: Predictor,
    split: Split,
    *,
    items_count: int,
    categories: tuple[tuple[str, ...], ...],
    seed: int,
    ranking: bool = True,
) -> Figures:
    """Evaluate ratings, and ranking where asked.

    Args:
        predictor: What is evaluated.
        split: Training, history and test rows.
        items_count: Items of the catalogue, I.
        categories: Categories of each item, for diversity.
        seed: Seeds negatives, ties and samples.
        ranking: Whether lists are made at all.

    Returns:
        Figures by the names of the command line; None where one does not apply.
    """
    found = cases(split)
    figures = rating_figures(predictor, split, found)
    if ranking:
        rng = np.random.default_rng([seed, 1])
        figures |= list_figures(predictor, split, found, items_count, categories, rng)
        figures |= _rating_only(predictor, split, found, items_count, rng)
    return figures


def rating_figures(predictor: Predictor, split: Split, found: list[Case]) -> Figures:
    """Compare predicted with given stars; errors of one user are counted as one cluster."""
    test, train = split.test, split.train
    predicted = np.empty(len(test))
    for case in found:
        predicted[case.rows] = predictor.rate(case.user, case.held_out)
    squared = (predicted - test.ratings) ** 2
    return {
        "rmse": metrics.rmse(predicted, test.ratings),
        "rmse_se": _clustered_error(squared, found),
        "mae": metrics.mae(predicted, test.ratings),
        "rmse_cold_item": _root(squared[~np.isin(test.items, train.items)]),
        "rmse_cold_user": _root(squared[~np.isin(test.users, train.users)]),
    }


def _root(squared: Floats) -> float | None:
    """Root mean of squared errors; None of none."""
    return float(np.sqrt(squared.mean())) if len(squared) else None


def _clustered_error(squared: Floats, found: list[Case]) -> float:
    """Return the standard error of the RMSE, users drawn at random (delta method)."""
    mean = squared.mean()
    spread = sum(float(np.sum(squared[case.rows] - mean)) ** 2 for case in found)
    return float(np.sqrt(spread) / len(squared) / (2 * np.sqrt(mean))) if mean > 0 else 0.0


def list_figures(
    predictor: Predictor,
    split: Split,
    found: list[Case],
    items_count: int,
    categories: tuple[tuple[str, ...], ...],
    rng: np.random.Generator,
) -> Figures:
    """Rank the whole catalogue outside what each device knows; for leave-one-out samples too."""
    order = rng.permutation(items_count)  # ties must not fall in the order of ids
    tops, hits = [], []
    relevant = np.array([len(case.held_out) for case in found])
    for block in _blocks(found):
        scores = np.stack([predictor.score(case.user) for case in block])
        for row, case in zip(scores, block, strict=True):
            row[case.known] = -np.inf
        top = metrics.top_k(scores[:, order], K)
        top = np.where(top < 0, -1, order[top])
        tops.append(top)
        hits += [np.isin(row, case.held_out) for row, case in zip(top, block, strict=True)]
    top, hit_table = np.concatenate(tops), np.stack(hits)
    full = _hit_figures(hit_table, relevant)
    raters = np.bincount(split.train.items, minlength=items_count)
    people = len(np.unique(split.train.users))
    figures = {
        "recall@10": float(np.nanmean(metrics.recall(hit_table, relevant))),
        "hr@10": full["hr"],
        "ndcg@10": full["ndcg"],
        "hr@10_full": full["hr"],
        "ndcg@10_full": full["ndcg"],
        "ndcg@10_lenskit": float(np.nanmean(metrics.ndcg(hit_table, relevant))),
        "coverage@10": metrics.coverage(top, items_count),
        "intra_list_diversity@10": _mean(
            metrics.intra_list_diversity(top, category_table(categories))
        ),
        "novelty@10": _mean(metrics.novelty(top, (raters + 1) / (people + 1))),
        "protocol": (
            f"{split.protocol}; full ranking of all items unknown to the device, every held-out "
            "item relevant, NDCG discount 1/log2(p + 1)"
        ),
    }
    if split.name == "leave-one-out":
        figures |= _sampled(predictor, found, items_count, rng)
        figures["protocol"] = (
            f"{split.protocol}; hr@10 and ndcg@10 against {NEGATIVES} uniform negatives from "
            "outside what the device knows, the others over the full ranking, NDCG discount "
            "1/log2(p + 1)"
        )
    return figures


def _mean(values: Floats) -> float | None:
    """Mean over users; None where no user has one."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else None


def _blocks(found: list[Case]) -> Iterator[list[Case]]:
    """Cut the cases into blocks."""
    return (found[i : i + BLOCK] for i in range(0, len(found), BLOCK))


def _hit_figures(hits: Any, relevant: Ints) -> dict[str, float]:
    """Average hit and NDCG over users."""
    return {
        "hr": float(np.nanmean(metrics.hit(hits, relevant))),
        "ndcg": float(np.nanmean(metrics.ndcg(hits, relevant, offset=1))),
    }


def category_table(categories: tuple[tuple[str, ...], ...]) -> Floats:
    """Return 0/1 indicators of the categories, (I, G)."""
    names = sorted({name for row in categories for name in row})
    table = np.zeros((len(categories), len(names)))
    for item, row in enumerate(categories):
        table[item, [names.index(name) for name in row]] = 1.0
    return table


def _sampled(
    predictor: Predictor, found: list[Case], items_count: int, rng: np.random.Generator
) -> Figures:
    """Rank the one held-out item among sampled negatives, by interest."""
    ranks = []
    for case in found:
        scores = predictor.score(case.user)
        ranks.append(_rank(scores[_candidates(case, items_count, rng)], rng))
    return _rank_figures(np.array(ranks))


def _candidates(case: Case, items_count: int, rng: np.random.Generator) -> Ints:
    """Return the held-out item, then negatives from outside what the device knows."""
    chance = rng.random(items_count)
    chance[case.known] = chance[case.held_out[0]] = np.inf
    free = items_count - len(case.known) - 1
    negatives = np.argsort(chance)[: min(NEGATIVES, free)]
    return np.concatenate([case.held_out[:1], negatives])


def _rank(scores: Floats, rng: np.random.Generator) -> int:
    """Rank of the first score, 0 is best, ties at random."""
    ties = int((scores[1:] == scores[0]).sum())
    return int((scores[1:] > scores[0]).sum()) + int(rng.integers(0, ties + 1))


def _rank_figures(ranks: Ints) -> Figures:
    """Hit rate and NDCG of one relevant item."""
    inside = ranks < K
    return {
        "hr@10": float(inside.mean()),
        "ndcg@10": float(np.where(inside, 1 / np.log2(ranks + 2.0), 0.0).mean()),
    }


def _rating_only(
    predictor: Predictor,
    split: Split,
    found: list[Case],
    items_count: int,
    rng: np.random.Generator,
) -> Figures:
    """Rank by predicted rating alone: what is lost where interest is not modelled."""
    hits = []
    if split.name == "leave-one-out":
        for case in found:
            stars = predictor.rate(case.user, _candidates(case, items_count, rng))
            hits.append(_rank(stars, rng) < K)
    else:
        chosen = rng.permutation(len(found))[:RATING_SAMPLE]
        for case in (found[i] for i in chosen):
            stars = predictor.rate(case.user, np.arange(items_count)).copy()
            stars[case.known] = -np.inf
            best = np.lexsort((rng.random(items_count), -stars))[:K]
            hits.append(bool(np.isin(best, case.held_out).any()))
    return {"hr@10_rating_only": float(np.mean(hits))}
