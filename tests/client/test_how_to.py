# SPDX-License-Identifier: Apache-2.0
"""The commands of the how-to page run as they stand there."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from privet import main
from shared.catalogue import save_catalogue
from shared.features import build_catalogue, item_text
from shared.model.file import save_model
from shared.model.released import SharedModel
from shared.text.encoder import load_encoder
from simulation.village import village

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "own-a-device.md"


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the run and the table that the page speaks of."""
    people = village(60, 350)  # the village of `privet simulate`, fewer people: the same films
    encoder = load_encoder("characters")
    vectors = np.asarray(encoder.encode(item_text(people.items)))
    catalogue, basis = build_catalogue(people.items, vectors, encoder=encoder.name)
    (tmp_path / "run").mkdir()
    save_catalogue(tmp_path / "run" / "catalogue.safetensors", catalogue, basis)
    model = SharedModel.before_any_release(catalogue)
    (tmp_path / "run" / "model.safetensors").write_bytes(save_model(model))
    ids = catalogue.item_ids
    (tmp_path / "mine.csv").write_text(f"item_id,rating\n{ids[8]},5\n{ids[9]},2\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commands_of_the_page_run(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    assert len(lines) >= 13
    for line in lines:
        assert main(shlex.split(line)[1:]) == 0, capsys.readouterr().err
    assert not (workplace / "home").exists()
