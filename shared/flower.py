# SPDX-License-Identifier: Apache-2.0
"""Keep Flower quiet and at home: to be called before anything of `flwr` is imported.

Out of the box Flower looks up a telemetry host and an update host, installs packages for a run,
and writes to `~/.flwr`. It reads these switches when it is imported, so they are set first, here,
for this process and for every process that it starts.
"""

import os
from pathlib import Path

FLOWER_QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
}
"""`DO_NOT_TRACK` alone changes nothing in Flower."""


def quiet_flower(home: Path) -> dict[str, str]:
    """Switch Flower's calls home off and keep its files below ``home``.

    Returns:
        The environment of this process, for the processes that it starts.
    """
    home.mkdir(parents=True, exist_ok=True)
    os.environ.update(FLOWER_QUIET | {"FLWR_HOME": str(home.resolve())})
    return dict(os.environ)
