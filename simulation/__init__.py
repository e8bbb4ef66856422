# SPDX-License-Identifier: Apache-2.0
"""The researcher's room: `from simulation import simulate` runs a federation from Python.

Example:
    figures = simulate(data="path/to/ml-100k", split="u1", target_epsilon=8)
"""

from typing import Any


def simulate(**options: Any) -> dict[str, Any]:
    """Run a private federation and return its figures.

    Args:
        options: Fields of `shared.config.RunConfig` by name.

    Returns:
        The figures of `privet simulate --format json`.
    """
    from shared.config import load
    from simulation.run import simulate as run

    return run(load(None, options))
