# SPDX-License-Identifier: Apache-2.0
"""How well the shared model serves one owner: figures in [0, 1] about the ratings held out.

The definitions are those of the simulator's full view (`simulation.evaluate`, lists over all items
that the device does not know). A device that held nothing out answers with zeros.

Source: PRIVACY, "Metrics are queries too".
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from shared import metrics
from shared.model.comment_task import interest_of
from shared.model.comments import CommentInterest, length_interest
from shared.model.history import History
from shared.model.queries import ABSOLUTE_CLAMP, METRICS, SQUARED_CLAMP
from shared.model.released import SharedModel
from shared.model.view import MetricsView
from shared.privacy.clip import metric_vector
from shared.ranking.interest import Interest
from shared.schema import Floats, Scale

K = 10
"""Length of the list that hit and NDCG look at."""
RANGE = Scale(1.0, 5.0).to_unit([1.0, 5.0])
"""Lowest and highest rating in r', the same for every scale: predictions are clipped to it."""
TIES_SEED = 0
"""Of the order of equal scores: a public constant, so that no order of items is favoured."""


def metrics_answers(
    view: MetricsView, devices: Sequence[History], held: Sequence[History] | None
) -> Iterator[Floats]:
    """Give each device's answer to the metric query.

    Args:
        view: The trained model. Public.
        devices: What each device knows. Private.
        held: What each device held out of that. Private.

    Yields:
        One vector a device, (m + 1,), each coordinate in [0, 1]; zeros where nothing is held out.
        Private.
    """
    interest = Interest.of(view.catalogue, view.model.interest)
    for place, known in enumerate(devices):
        own = held[place] if held is not None else known.take(np.zeros(0, dtype=np.int64))
        if len(own) == 0:
            yield np.zeros(len(METRICS) + 1)
            continue
        yield figures_vector(own_figures(view.model, interest, known, own))


def figures_vector(own: Mapping[str, float]) -> Floats:
    """Bring one owner's figures to [0, 1] and lay them in a row, (m + 1,). Private.

    Args:
        own: `squared_error` and `absolute_error` in r', `hit`, `ndcg`, perhaps `comment_auc`.
    """
    auc = own.get("comment_auc", float("nan"))
    scaled = {
        "squared_error": own["squared_error"] / SQUARED_CLAMP,
        "absolute_error": own["absolute_error"] / ABSOLUTE_CLAMP,
        "comment_auc": auc,
        "comment_auc_known": float(np.isfinite(auc)),
    }
    return metric_vector({**own, **scaled}, METRICS)


def own_figures(
    model: SharedModel, interest: Interest, known: History, held: History
) -> dict[str, float]:
    """Measure the model on what one owner held out, in r'. Private."""
    error = np.clip(model.rate(known, held.items), *RANGE) - held.ratings
    score = interest.score(known.items)
    score[known.items] = -np.inf
    order = np.random.default_rng(TIES_SEED).permutation(len(score))
    top = metrics.top_k(score[order][None], K)
    hits = np.isin(np.where(top >= 0, order[top], -1), held.items)
    relevant = np.array([len(held)])
    return {
        "squared_error": float(np.mean(error**2)),
        "absolute_error": float(np.mean(np.abs(error))),
        "hit": float(metrics.hit(hits, relevant)[0]),
        "ndcg": float(metrics.ndcg(hits, relevant, offset=1)[0]),
        "comment_auc": _comment_auc(model, known, held),
    }


def _comment_auc(model: SharedModel, known: History, held: History) -> float:
    """Return the AUC of comment interest over what was held out; NaN where it has one class."""
    if model.comment_mean is None:
        return float("nan")
    shown, positive = told(interest_of(known), held)
    if positive[shown].all() or not positive[shown].any():
        return float("nan")
    scores = model.comment_interest(known, held.items[shown])
    return metrics.auc(scores, positive[shown])


def told(own: CommentInterest, held: History) -> tuple[np.ndarray, np.ndarray]:
    """Return of which held-out ratings a rule speaks, and whether the owner cared there.

    Args:
        own: The rule of the owner's own history. Private.
        held: What was held out, (n,). Private.
    """
    lengths = held.comment_lengths
    lengths = np.zeros(len(held), dtype=np.int64) if lengths is None else lengths
    wrote, acts = lengths > 0, held.comment_acts
    if own.rule == "events" and acts is not None:
        return ~np.isnan(acts), acts == 1
    if own.rule == "wrote":
        return np.ones(len(held), dtype=np.bool_), wrote
    if own.rule == "length":
        return wrote, length_interest(lengths, own.mean_log_length) > 0.5
    return np.zeros(len(held), dtype=np.bool_), wrote
