# SPDX-License-Identifier: Apache-2.0
"""Every promise that the kernel's docstrings make has a test.

The rule: the first paragraph of some test's docstring is the bullet under `Guarantees`, word for
word, with a full stop.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KERNEL = Path(__file__).parents[3] / "shared" / "privacy"


def docstrings(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and docstring of every class and function under a folder."""
    for file in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                yield f"{file.stem}.{node.name}", ast.get_docstring(node) or ""


def guarantees() -> Iterator[str]:
    """Yield every bullet of every `Guarantees` section of the kernel."""
    for _, text in docstrings(KERNEL):
        for section in re.findall(r"^Guarantees:\n((?: +.*\n?)+)", text, flags=re.MULTILINE):
            yield from (" ".join(bullet.split()) for bullet in section.split("- ")[1:])


PROMISES = sorted(guarantees())
TESTED = {
    " ".join(text.split("\n\n")[0].split()) for name, text in docstrings(HERE) if ".test_" in name
}


@pytest.mark.parametrize("promise", PROMISES)
def test_guarantee_has_a_test(promise):
    assert promise + "." in TESTED


def test_guarantees_are_found():
    assert len(PROMISES) == len(set(PROMISES)) >= 25
