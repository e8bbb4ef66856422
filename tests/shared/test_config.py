# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from shared.config import RunConfig, load
from shared.errors import DataError, UsageError


def test_load_gives_epsilon_choice_of_flag_precedence_over_file(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("target-epsilon = 2.0\nseed = 7\n")
    config = load(file, {"no_privacy": True})
    assert config.target_epsilon is None
    assert config.no_privacy
    assert config.seed == 7


def test_load_reads_back_what_to_toml_wrote(tmp_path: Path) -> None:
    config = load(None, {"noise_multiplier": 1.5, "budget": {"item_sums": 1.0}, "data": 'a"b'})
    file = tmp_path / "config.toml"
    file.write_text(config.to_toml())
    assert load(file) == config


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("target-epsilon = -1", "target-epsilon"),
        ("colour = 1", "colour"),
        ("seed = ", "TOML"),
        ("[budget]\nitem_sums = 0.5", "sum to 1"),
        ("[budget]\nnobody = 1.0", "nobody"),
    ],
)
def test_load_refuses_a_bad_file(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "run.toml"
    file.write_text(text)
    with pytest.raises(DataError, match=word) as wrong:
        load(file)
    assert wrong.value.hint


def test_load_refuses_two_choices_of_privacy() -> None:
    with pytest.raises(UsageError, match="at most one choice"):
        load(None, {"target_epsilon": 1.0, "local_only": True})


def test_load_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="readable file"):
        load(tmp_path / "none.toml")


def test_every_field_of_the_schema_is_documented() -> None:
    fields = RunConfig.model_json_schema(by_alias=True)["properties"]
    assert all(field.get("description") for field in fields.values())
