# SPDX-License-Identifier: Apache-2.0
"""Rooms load with what their extra installs, and nothing more."""

import subprocess
import sys

import pytest

BLOCK = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refuse())
"""
RESEARCH = {"matplotlib", "sklearn", "scipy", "pandas", "polars", "ray", "dp_accounting"}
LEARNING = {"torch", "sentence_transformers", "opacus", "flwr"}


@pytest.mark.parametrize(
    ("modules", "blocked"),
    [
        ("client.training, shared.text.encoder", RESEARCH | LEARNING),
        ("shared.model.local, shared.ranking, shared.metrics", RESEARCH | LEARNING),
        ("shared.privacy.door, shared.secagg.device, shared.secagg.aggregator",
         RESEARCH | LEARNING | {"pydantic", "rich", "typer"}),
        ("shared.privacy.policy, shared.privacy.accountant, shared.ledger.replay",
         RESEARCH | LEARNING | {"numpy", "pydantic", "rich", "typer", "click"}),
        ("client.recommend_cli", RESEARCH | LEARNING | {"starlette", "uvicorn", "jinja2"}),
        ("client.page.serve", RESEARCH | LEARNING),
        ("privet, simulation.privacy_cli", RESEARCH | LEARNING),
    ],
)  # fmt: skip
def test_room_imports_without_what_it_must_not_need(modules: str, blocked: set[str]) -> None:
    code = BLOCK.format(blocked=blocked) + f"import {modules}\n"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
