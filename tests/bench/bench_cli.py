# SPDX-License-Identifier: Apache-2.0
"""What a person waits for at the front door: `privet --help`, goal 0.3 s of a whole process."""

import subprocess
import sys
from typing import Any


def test_help(benchmark: Any) -> None:
    """Start Python, import the front door, print its help."""
    benchmark(
        lambda: subprocess.run(
            [sys.executable, "privet.py", "--help"], check=True, capture_output=True
        )
    )
