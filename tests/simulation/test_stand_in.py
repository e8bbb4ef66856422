# SPDX-License-Identifier: Apache-2.0
"""Public comments as the text of items that have none: never a private one, never a test one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from shared.config import RunConfig
from shared.features import build_catalogue
from shared.schema import Floats, Items
from simulation.dataset import Dataset, PublicComments
from simulation.run import Stage, _told
from simulation.splits import split
from simulation.stand_in import with_public_comments

BARE = Items(
    ids=("a", "b", "c"),
    titles=("", "", ""),
    descriptions=("", "", ""),
    categories=((), (), ()),
    years=np.full(3, np.nan),
)
PUBLIC = PublicComments(
    items=np.array([0, 0, 2]),
    authors=np.array([1, 2, 1]),
    texts=("x", "yy", "zzz"),
    helpful=np.array([3.0, np.nan, 0.0]),
)


def lengths(texts: Sequence[str]) -> Floats:
    """Encode a text as a corner by its length."""
    return np.eye(4)[[len(text) for text in texts]]


def test_mean_of_public_comments_stands_in_for_the_text() -> None:
    catalogue, basis = with_public_comments(BARE, PUBLIC, lengths, "lengths")
    assert catalogue.text.shape == (3, 4)
    assert basis.encoder == "lengths"
    assert {block.kind for block in catalogue.blocks} == {"text", "number"}
    assert basis.number_names == ("public comments: log helpful", "public comments: log length")


def test_items_without_comments_say_nothing() -> None:
    catalogue, _ = with_public_comments(BARE, PUBLIC, lengths, "lengths")
    text = next(block for block in catalogue.blocks if block.kind == "text")
    np.testing.assert_allclose(catalogue.features[1, text.start : text.stop], 0.0, atol=1e-12)


@pytest.fixture
def stage(hamlet: Dataset) -> Stage:
    """The hamlet with items that nothing but their rows tell apart, nothing published."""
    count = len(hamlet.items)
    items = replace(
        hamlet.items,
        titles=("",) * count,
        descriptions=("",) * count,
        categories=((),) * count,
        years=np.full(count, np.nan),
        numbers={},
    )
    bare = replace(hamlet, items=items, public_comments=None)
    return Stage(bare, *build_catalogue(items, None), 0.0)


def test_a_run_on_bare_items_reads_published_training_comments_alone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = split(stage.dataset, "random", 0.3, 1)
    read: list[str] = []

    class Spy:
        name = "spy"

        def encode(self, texts: Sequence[str]) -> Floats:
            read.extend(texts)
            return np.random.default_rng(0).standard_normal((len(texts), 8))

    monkeypatch.setattr("simulation.run.load_encoder", lambda *args: Spy())
    config = RunConfig(public_comments=0.5)
    told = _told(config, stage, parts, lambda line: None)
    assert told.catalogue.text.shape == (len(stage.dataset.items), 8)
    wrote = {text for text in parts.train.comments if text}
    away = {text for text in parts.test.comments if text} - wrote
    assert set(read) <= wrote
    assert not set(read) & away
    assert 0 < len(read) < sum(bool(text) for text in parts.train.comments)


def test_a_run_without_published_comments_has_no_text(stage: Stage) -> None:
    parts = split(stage.dataset, "random", 0.3, 1)
    assert _told(RunConfig(), stage, parts, lambda line: None) is stage
