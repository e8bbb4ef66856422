# SPDX-License-Identifier: Apache-2.0
"""The private evaluation release: how well the model serves people, as one more noisy sum.

Each device measures its own held-out events and sends figures in [0, 1] through the door, once, at
the end; they never choose a round. People without held-out events send zeros, like anybody who has
nothing to say. What comes out is public under the run's ρ, unlike the full view of the researcher.
A federation of devices does the same over the wire (`client.measuring`, `server.measuring`).

Source: PRIVACY, "Metrics are queries too".
"""

from collections.abc import Iterator, Mapping

import numpy as np

from client.measuring import figures_vector
from client.training import Answer
from shared.model.queries import METRICS
from shared.schema import Floats, Ints


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
        own["squared_error"] /= unit**2
        own["absolute_error"] /= unit
        yield figures_vector(own)
