# SPDX-License-Identifier: Apache-2.0
"""Every domain of the village runs from its words to its figures; Chinese is read by characters."""

from pathlib import Path

import numpy as np
import pytest

from shared.config import RunConfig
from shared.features import build_catalogue, item_text
from shared.text.encoder import load_encoder
from simulation.domains import DOMAINS, domain
from simulation.generic_writer import write
from simulation.run import simulate, with_default_budget
from simulation.village import village
from tests.simulation.made import real

FIVE = ("films", "shop", "social", "courses", "health")


def test_the_domains_of_the_contract_exist() -> None:
    assert set(FIVE) < set(DOMAINS)


@pytest.mark.parametrize("name", DOMAINS)
def test_every_domain_runs_end_to_end(tmp_path: Path, name: str) -> None:
    write(tmp_path / "data", village(120, 60, seed=11, domain=name))
    heard: list[str] = []
    # Seeded noise: at epsilon 2 and 120 users, one fresh draw in three lies at the user mean.
    config = RunConfig(
        data=str(tmp_path / "data"), encoder="characters", out=str(tmp_path / "run"), noise_seed=2
    )
    figures = simulate(config, heard.append)
    assert figures["epsilon"] == pytest.approx(domain(name).target_epsilon, abs=1e-3)
    assert figures["rmse"] < figures["baseline_user_mean_rmse"]
    assert figures["coverage@10"] > 10 / 60  # lists differ between people
    assert figures["note"] == (domain(name).note or None)
    assert any("note:" in line for line in heard) == (name == "health")


def test_health_is_stricter_and_says_what_it_is_not() -> None:
    health = domain("health")
    assert health.target_epsilon < min(domain(name).target_epsilon for name in FIVE[:4])
    assert "Not medical advice" in health.note


@pytest.mark.parametrize("given", [{"noise_multiplier": 2.0}, {"target_epsilon": 4.0}])
def test_a_budget_that_was_given_stays(given: dict[str, float]) -> None:
    assert with_default_budget(RunConfig(**given), "health") == RunConfig(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("control", ["no_privacy", "local_only"])
def test_controls_get_no_budget(control: str) -> None:
    assert with_default_budget(RunConfig(**{control: True}), "health").target_epsilon is None


@pytest.mark.parametrize("name", DOMAINS)
def test_no_two_words_of_a_domain_are_confused(name: str) -> None:
    words = domain(name)
    assert len({theme.name for theme in words.themes}) == len(words.themes) >= 16
    assert len(words.categories) >= 10
    assert len(words.openers) == len(words.closers) == 5
    texts = [words.liked, words.disliked, *words.titles, words.description]
    assert [text.count("{") > 0 for text in texts] == [True] * len(texts)


def test_chinese_texts_tell_themes_apart() -> None:
    data = village(60, 120, seed=2, domain="films-zh")
    vectors = load_encoder("characters").encode(item_text(data.items))
    catalogue, _ = build_catalogue(data.items, np.asarray(vectors))
    alike = catalogue.text @ catalogue.text.T
    np.fill_diagonal(alike, -1.0)
    kinds = catalogue.categories @ catalogue.categories.T
    nearest = kinds[np.arange(120), alike.argmax(axis=1)].mean()
    assert nearest > 1.5 * kinds[~np.eye(120, dtype=bool)].mean()


def test_real_chinese_reviews_run_and_recommend(tmp_path: Path) -> None:
    data = str(real("douban-dmr"))
    # 22 users: the noise is seeded, and eight seeds lay .003 to .052 below the user mean.
    config = RunConfig(data=data, encoder="characters", out=str(tmp_path / "run"), noise_seed=3)
    figures = simulate(config)
    assert figures["rmse"] < figures["baseline_user_mean_rmse"]
    assert figures["coverage@10"] > 10 / figures["items"]
    assert figures["note"] is None
