# SPDX-License-Identifier: Apache-2.0
"""Comments are recommended from text and interest alone, and judged on what nobody learned from."""

from dataclasses import replace

import numpy as np
import pytest

from shared.text.encoder import load_encoder
from simulation.dataset import Dataset
from simulation.evaluate_comments import (
    NAMES,
    evaluate_comments,
    posted,
    reciprocal_rank,
)
from simulation.published import published
from simulation.splits import Split, split
from simulation.village import village


def encode(texts):
    return load_encoder("characters").encode(list(texts))


@pytest.fixture(scope="module")
def town() -> Dataset:
    return village(200, 80, seed=5)


@pytest.fixture(scope="module")
def parts(town: Dataset) -> Split:
    return split(town, "random", 0.2, 0)


def test_own_comment_is_found_far_above_chance(town, parts):
    figures = evaluate_comments(town, parts, encode, share=1.0)
    assert figures["comment_cases"] > 30
    assert figures["comment_mrr"] > figures["comment_mrr_random"] + 0.015


def test_opened_comments_are_found_above_chance_with_the_true_interest(town, parts):
    likes = town.truth.taste @ town.truth.traits.T
    figures = evaluate_comments(town, parts, encode, interest=lambda user: likes[user])
    assert figures["comment_opened_auc"] > 0.55
    assert 0 < figures["comment_ndcg@10"] < 1
    assert figures["comment_mrr"] is None


def test_text_of_a_test_row_moves_no_opening(town, parts):
    other = np.array(["Entirely different words."] * len(parts.test), dtype=object)
    changed = replace(parts, test=replace(parts.test, comments=other))
    one, two = (evaluate_comments(town, p, encode) for p in (parts, changed))
    assert one == two


def test_figures_that_do_not_apply_are_none(town, parts):
    bare = replace(town, public_comments=None, comment_events=None)
    figures = evaluate_comments(bare, parts, encode)
    assert set(figures) == {*NAMES, "protocol"}
    assert {figures[name] for name in NAMES} == {None}
    assert figures["protocol"] == ""


def test_alpha_decides_how_much_the_newest_comment_counts(town, parts):
    newest, mean = (
        evaluate_comments(town, parts, encode, share=1.0, alpha=alpha)["comment_mrr"]
        for alpha in (0.0, 1.0)
    )
    assert newest < mean


def test_protocol_says_what_was_published(town, parts):
    assert (
        "30% of training comments" in evaluate_comments(town, parts, encode, share=0.3)["protocol"]
    )


def test_a_posted_comment_joins_what_is_usually_said(town, parts):
    from simulation.evaluate_comments import _readers

    told = published(town, parts, 1.0, 0)
    readers = _readers(told, parts, encode, len(town.items), 0.95)
    on_item = np.flatnonzero(told.items == np.bincount(told.items).argmax())
    twin = readers.public[on_item[0]]
    rows = posted(readers, twin, on_item, on_item)
    np.testing.assert_allclose(rows[0], rows[1])


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([3.0, 1.0, 2.0], 1.0), ([1.0, 2.0, 3.0], 1 / 3), ([0.0, 0.0], 0.75), ([1.0], 1.0)],
)
def test_reciprocal_rank_shares_ties(scores, expected):
    assert reciprocal_rank(np.array(scores)) == pytest.approx(expected)
