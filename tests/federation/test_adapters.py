# SPDX-License-Identifier: Apache-2.0
"""Flower's private modules stay behind two files; everybody else uses what Flower documents."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ADAPTERS = {"client/fleet.py", "server/control.py"}
PUBLIC = {"flwr.app", "flwr.clientapp", "flwr.serverapp", "flwr.simulation"}


def imported(path: Path) -> set[str]:
    """Modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return {name for name in found if name.split(".")[0] == "flwr"}


def test_private_modules_of_flower_are_imported_by_the_adapters_alone() -> None:
    for room in ("client", "server", "shared", "simulation"):
        for path in (ROOT / room).rglob("*.py"):
            if path.relative_to(ROOT).as_posix() not in ADAPTERS:
                assert imported(path) <= PUBLIC, path
