# SPDX-License-Identifier: Apache-2.0
"""What every side must agree on: pure functions and values, no network, no clock.

Importing this package switches the telemetry of every library that Privet may load off, and numpy
to one thread, before any of them is imported. It imports nothing else.
"""

import os

TELEMETRY_OFF = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "ANONYMIZED_TELEMETRY": "false",
}
"""Environment that keeps Flower, Ray, Hugging Face and others from calling home."""

os.environ.update(TELEMETRY_OFF)
# One person's matrices are small: two threads of numpy's BLAS wait for each other most of the time
# (three times the processor time of a run on ML-100K). Whoever sets it keeps their choice.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
