# SPDX-License-Identifier: Apache-2.0
"""What a federation measures of its model: one more noisy sum after training, never a choice.

Source: PRIVACY, "Metrics are queries too".
"""

import logging
import math

import numpy as np

from server.plan import Plan
from server.training import Ask
from shared.errors import BudgetExceeded
from shared.logs import fields
from shared.model.queries import ABSOLUTE_CLAMP, METRICS, SQUARED_CLAMP
from shared.model.released import SharedModel
from shared.model.view import MetricsView
from shared.schema import Floats

log = logging.getLogger("privet.server")
QUERY = "metrics"


def measure(model: SharedModel, plan: Plan, ask: Ask, unit: float) -> dict[str, float] | None:
    """Ask devices how well the trained model serves their owners, where the plan has it.

    Args:
        model: What is released next.
        plan: Whether metrics are asked for, with which mechanism.
        ask: The only way from devices to the server.
        unit: Stars in one unit of r'.

    Returns:
        Figures, see `released_figures`; None where none are asked for, or where rounds that were
        asked again used the budget up: then the model is released unmeasured.
    """
    if QUERY not in plan:
        return None
    try:
        found = ask(plan[QUERY], 1, MetricsView(model))
    except BudgetExceeded as wrong:
        log.warning("the model is not measured: %s", wrong.message, extra=fields(query=QUERY))
        return None
    return released_figures(found.total, found.noise_std, unit)


def released_figures(total: Floats, noise_std: float, unit: float) -> dict[str, float]:
    """Turn the noisy sum into averages over users; post-processing.

    Args:
        total: The released sum, (m + 1,).
        noise_std: Of each of its coordinates.
        unit: Stars in one unit of r'.

    Returns:
        `rmse_user`, `mae_user` in stars, `hit_user`, `ndcg_user`, `comment_auc_user` where a tenth
        of the users has one, each with the standard error that the noise gives (`rmse_user_se`, …;
        which people took part is not in it), and `metrics_noise_std`, the noise of an average in
        [0, 1].
    """
    users = max(float(total[-1]), 1.0)
    noise = noise_std / users
    mean = dict(zip(METRICS, np.clip(total[:-1] / users, 0.0, 1.0).tolist(), strict=True))
    root = math.sqrt(mean["squared_error"])
    squared = _ratio_se(mean["squared_error"], noise)
    figures = {
        "rmse_user": unit * math.sqrt(SQUARED_CLAMP) * root,
        # The root's slope; where the mean is within the noise, what the root itself may be.
        "rmse_user_se": unit
        * math.sqrt(SQUARED_CLAMP)
        * min(squared / (2 * root) if root else math.inf, math.sqrt(squared)),
        "mae_user": unit * ABSOLUTE_CLAMP * mean["absolute_error"],
        "mae_user_se": unit * ABSOLUTE_CLAMP * _ratio_se(mean["absolute_error"], noise),
        "hit_user": mean["hit"],
        "hit_user_se": _ratio_se(mean["hit"], noise),
        "ndcg_user": mean["ndcg"],
        "ndcg_user_se": _ratio_se(mean["ndcg"], noise),
        "metrics_noise_std": noise,
    }
    known = mean["comment_auc_known"]
    if known > 0.1:
        auc = min(mean["comment_auc"] / known, 1.0)
        figures |= {"comment_auc_user": auc, "comment_auc_user_se": _ratio_se(auc, noise / known)}
    return figures


def _ratio_se(ratio: float, noise: float) -> float:
    """Return the standard error of a ratio of two sums that bear the same noise.

    `noise` is that of the part, in units of the whole. Source: the delta method.
    """
    return noise * math.sqrt(1.0 + ratio**2)
