# SPDX-License-Identifier: Apache-2.0
"""The private evaluation release: how well the model serves people, as one more noisy sum.

Each device measures its own held-out events and sends figures in [0, 1] through the door, once, at
the end; they never choose a round. People without held-out events send zeros, like anybody who has
nothing to say. What comes out is public under the run's ρ, unlike the full view of the researcher.

Source: PRIVACY, "Metrics are queries too".
"""

from collections.abc import Iterator, Mapping

import numpy as np

from client.training import Answer
from server.plan import Release
from shared.model.queries import METRICS
from shared.privacy.clip import metric_vector
from shared.schema import Floats, Ints

SQUARED_CLAMP, ABSOLUTE_CLAMP = 4.0, 2.0
"""Errors in r' are clamped at what a person can be wrong by on half the scale."""


def metric_answers(per_user: Mapping[str, Floats], enrolled: Ints, unit: float) -> Iterator[Answer]:
    """Give each enrolled device's answer to the metric query.

    Args:
        per_user: Columns of `simulation.evaluate`: each device's figures about its owner. Private.
        enrolled: Users who take part, in the order of the cohort.
        unit: Stars in one unit of r'.

    Yields:
        One vector a device, each coordinate in [0, 1]; zeros without held-out events. Private.
    """
    rows = {int(user): row for row, user in enumerate(per_user["user"])}
    for user in enrolled.tolist():
        if user not in rows:
            yield np.zeros(len(METRICS) + 1)
            continue
        own = {name: float(column[rows[user]]) for name, column in per_user.items()}
        yield metric_vector(_scaled(own, unit), METRICS)


def _scaled(own: dict[str, float], unit: float) -> dict[str, float]:
    """Bring one owner's figures to [0, 1]."""
    auc = own.get("comment_auc", float("nan"))
    return own | {
        "squared_error": own["squared_error"] / unit**2 / SQUARED_CLAMP,
        "absolute_error": own["absolute_error"] / unit / ABSOLUTE_CLAMP,
        "comment_auc": auc,
        "comment_auc_known": float(np.isfinite(auc)),
    }


def released_figures(total: Floats, asked: Release, unit: float) -> dict[str, float]:
    """Turn the noisy sum into averages over users; post-processing.

    Args:
        total: The released sum, (m + 1,).
        asked: The release, for its noise.
        unit: Stars in one unit of r'.

    Returns:
        `rmse_user`, `mae_user` in stars, `hit_user`, `ndcg_user`, `comment_auc_user` where a tenth
        of the users has one, and `metrics_noise_std`, the noise of an average in [0, 1].
    """
    users = max(float(total[-1]), 1.0)
    mean = dict(zip(METRICS, np.clip(total[:-1] / users, 0.0, 1.0).tolist(), strict=True))
    figures = {
        "rmse_user": unit * float(np.sqrt(SQUARED_CLAMP * mean["squared_error"])),
        "mae_user": unit * ABSOLUTE_CLAMP * mean["absolute_error"],
        "hit_user": mean["hit"],
        "ndcg_user": mean["ndcg"],
        "metrics_noise_std": asked.noise_std / users,
    }
    if mean["comment_auc_known"] > 0.1:
        figures["comment_auc_user"] = min(mean["comment_auc"] / mean["comment_auc_known"], 1.0)
    return figures
