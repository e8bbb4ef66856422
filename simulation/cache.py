# SPDX-License-Identifier: Apache-2.0
"""Where the simulator keeps vectors of texts between runs."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return where vectors of public texts are kept between runs."""
    root = os.environ.get("PRIVET_CACHE_DIR")
    if root:
        return Path(root)
    return Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))) / "privet"
