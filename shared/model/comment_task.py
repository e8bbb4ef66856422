# SPDX-License-Identifier: Apache-2.0
"""The comment task: which items' comments a person cares about, ĉ_uj = c_j + ⟨v_j, wᶜ⟩ + head_c.

Comment interest c ∈ [0, 1] is worked with as c' = 3 (c − ½), which spreads like a rating r', so
that both tasks share the constants of one model. c_j comes from two more columns of `item_sums`;
wᶜ is a ridge of its own on the device, with its own mask and Gram matrix, over the same item
vectors: that is how the two tasks share the trunk.

Source: ARCHITECTURE, "The model"; RECIPE, "COMMENTS"; Caruana (1997), "Multitask Learning".
"""

import numpy as np

from shared.catalogue import Catalogue
from shared.model.comments import CommentInterest, comment_interest
from shared.model.history import History
from shared.model.prior import Prior
from shared.model.ridge import LeaveOneOut, leave_one_out, posterior
from shared.model.statistics import (
    RATING_VARIANCE,
    denoise_means,
    denoise_weights,
)
from shared.model.tower import Tower
from shared.schema import Floats

UNIT = 3.0
"""c' = UNIT · (c − ½)."""
OBSERVED_SCALE = 0.4
"""Size of the column that says that the task was observed, beside the column of c'."""
ROW_SCALE = 0.1
"""Typical scale of one row after a person's vector is brought to norm 1."""
TASTE_VARIANCE = 0.1
"""s_c: prior variance of a comment vector wᶜ in units of that of a user vector, S."""


def to_unit(interest: Floats) -> Floats:
    """Bring c ∈ [0, 1] to c', any shape."""
    return np.asarray(UNIT * (interest - 0.5))


def from_unit(interest: Floats) -> Floats:
    """Bring c' back to c and clip it to [0, 1], any shape: what is shown."""
    return np.clip(0.5 + interest / UNIT, 0.0, 1.0)


def interest_of(history: History) -> CommentInterest:
    """Apply the public rule to what a device knows of its owner's comments. Private."""
    lengths = history.comment_lengths
    known = np.zeros(len(history), dtype=np.int64) if lengths is None else lengths
    return comment_interest(known, history.comment_acts)


def comment_rows(interest: CommentInterest) -> Floats:
    """Build the comment columns of `item_sums`: (c', scale) where observed, zeros elsewhere.

    Args:
        interest: Targets of the owner. Private.

    Returns:
        Rows, shape (n, 2). Private.
    """
    rows = np.column_stack(
        [to_unit(interest.target), np.full(len(interest.target), OBSERVED_SCALE)]
    )
    return np.where(interest.observed[:, None], rows, 0.0)


def denoise_comments(
    sums: Floats, noise_std: float, catalogue: Catalogue, popularity: Floats
) -> Floats:
    """Turn the noisy comment columns of `item_sums` into c'_j; post-processing.

    Args:
        sums: Released sums of `comment_rows` at norm 1, shape (I, 2).
        noise_std: Standard deviation of the noise in each coordinate; 0 without privacy.
        catalogue: Public features: an item nobody spoke of gets its c' from its text.
        popularity: Standardised log weight, shape (I,).

    Returns:
        Denoised mean c'_j of each item, shape (I,).
    """
    count_noise = (noise_std / OBSERVED_SCALE) ** 2
    weight, _, variance = denoise_weights(sums[:, 1] / OBSERVED_SCALE, count_noise, scale=ROW_SCALE)
    noise = noise_std**2 + RATING_VARIANCE * ROW_SCALE * weight + 0.3 * variance
    return denoise_means(sums[:, 0] / weight, noise / weight**2, popularity, catalogue)


def comment_vector(
    tower: Tower, prior: Prior, comment_mean: Floats, history: History, interest: CommentInterest
) -> Floats:
    """Solve for the owner's comment vector wᶜ, (K,); zeros where nothing is known. Private."""
    rows = history.items[interest.observed]
    target = to_unit(interest.target[interest.observed]) - comment_mean[rows]
    return posterior(tower.features[rows], target, prior.precision / TASTE_VARIANCE).mean


def comment_leave_one_out(
    tower: Tower, prior: Prior, comment_mean: Floats, history: History, interest: CommentInterest
) -> LeaveOneOut:
    """Give every event's comment residual and comment vector as if it had never happened.

    Returns:
        Residuals (n,), 0 where not observed, and vectors (n, K): without the event where it is
        observed, of all events elsewhere. Private.
    """
    seen = interest.observed
    features = tower.features[history.items[seen]]
    target = to_unit(interest.target[seen]) - comment_mean[history.items[seen]]
    solved = posterior(features, target, prior.precision / TASTE_VARIANCE)
    loo = leave_one_out(features, target, solved)
    residual = np.zeros(len(history))
    vectors = np.tile(solved.mean, (len(history), 1))
    residual[seen], vectors[seen] = loo.residual, loo.vectors
    return LeaveOneOut(residual, vectors)
