# SPDX-License-Identifier: Apache-2.0
"""The metrics are the field's: equal to LensKit, to scikit-learn and to naive loops."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import metrics

VECTORS = Path(__file__).parents[1] / "vectors" / "metrics_lenskit.json"
GOLDEN = json.loads(VECTORS.read_text(encoding="utf-8"))
LISTS = ["recall@10", "hit@10", "ndcg@10", "ndcg@10_offset_1"]


def _ours(table: dict) -> dict[str, np.ndarray | float]:
    """Compute every figure of the vector file with our functions."""
    k = table["k"]
    hits = np.zeros((len(table["lists"]), k), dtype=bool)
    for row, items, relevant in zip(hits, table["lists"], table["relevant"], strict=True):
        row[: len(items[:k])] = np.isin(items[:k], relevant)
    count = np.array([len(items) for items in table["relevant"]])
    predicted, ratings = np.concatenate(table["predicted"]), np.concatenate(table["ratings"])
    return {
        "recall@10": metrics.recall(hits, count),
        "hit@10": metrics.hit(hits, count),
        "ndcg@10": metrics.ndcg(hits, count),
        "ndcg@10_offset_1": metrics.ndcg(hits, count, offset=1),
        "rmse": metrics.rmse(predicted, ratings),
        "mae": metrics.mae(predicted, ratings),
    }


@pytest.mark.parametrize("name", [*LISTS, "rmse", "mae"])
def test_metric_agrees_with_lenskit_vectors(name):
    np.testing.assert_allclose(_ours(GOLDEN)[name], GOLDEN["expected"][name], rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("seed", range(5))
def test_list_metrics_agree_with_lenskit_live(seed):
    pytest.importorskip("lenskit", reason="LensKit is not installed; its vectors were checked")
    data, theirs = (
        importlib.import_module("lenskit.data"),
        importlib.import_module("lenskit.metrics"),
    )
    rng = np.random.default_rng(seed)
    table = {"k": 10, "lists": [], "relevant": [], "ratings": [], "predicted": []}
    for _ in range(30):
        size = rng.integers(1, 25)
        table["lists"].append(rng.permutation(50)[: rng.integers(1, 20)].astype(np.int64))
        table["relevant"].append(rng.permutation(50)[:size].astype(np.int64))
        table["ratings"].append(rng.integers(1, 6, size).astype(float))
        table["predicted"].append(rng.uniform(1, 5, size))
    ours = _ours(table)
    found: dict[str, list[float]] = {name: [] for name in LISTS}
    totals: dict[str, list[tuple[float, int]]] = {"rmse": [], "mae": []}
    rank_plus_one = theirs.LogRankWeight(offset=1)
    scorers = {
        "recall@10": theirs.Recall(n=10),
        "hit@10": theirs.Hit(n=10),
        "ndcg@10": theirs.NDCG(n=10),
        "ndcg@10_offset_1": theirs.NDCG(n=10, weight=rank_plus_one),
    }
    for items, relevant, ratings, predicted in zip(
        table["lists"], table["relevant"], table["ratings"], table["predicted"], strict=True
    ):
        ranked = data.ItemList(item_ids=items, ordered=True)
        truth = data.ItemList(item_ids=relevant, rating=ratings)
        scored = data.ItemList(item_ids=relevant, scores=predicted)
        for name, scorer in scorers.items():
            found[name].append(scorer.measure_list(ranked, truth))
        totals["rmse"].append(theirs.RMSE().compute_list_data(scored, truth))
        totals["mae"].append(theirs.MAE().compute_list_data(scored, truth))
    for name in LISTS:
        np.testing.assert_allclose(ours[name], found[name], rtol=0, atol=1e-6)
    assert ours["rmse"] == pytest.approx(theirs.RMSE().global_aggregate(totals["rmse"]), abs=1e-6)
    assert ours["mae"] == pytest.approx(theirs.MAE().global_aggregate(totals["mae"]), abs=1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12))
def test_top_k_is_a_stable_sort(seed, items, k):
    scores = np.random.default_rng(seed).integers(0, 4, (5, items)).astype(float)
    expected = np.full((5, k), -1)
    expected[:, : min(k, items)] = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(metrics.top_k(scores, k), expected)


def test_top_k_leaves_excluded_items_out():
    scores = np.array([[np.nan, 2.0, -np.inf, 1.0], [-np.inf] * 4])
    np.testing.assert_array_equal(metrics.top_k(scores, 3), [[1, 3, -1], [-1, -1, -1]])


@given(st.integers(0, 2**32 - 1))
def test_auc_by_user_agrees_with_counting_pairs(seed):
    rng = np.random.default_rng(seed)
    users, scores = rng.integers(0, 4, 40), rng.integers(0, 5, 40).astype(float)
    positive = rng.random(40) < 0.4
    expected = []
    for user in np.unique(users):
        yes, no = scores[(users == user) & positive], scores[(users == user) & ~positive]
        wins = (yes[:, None] > no) + 0.5 * (yes[:, None] == no)
        expected.append(wins.mean() if wins.size else np.nan)
    np.testing.assert_allclose(metrics.auc_by_user(users, scores, positive), expected)


def test_auc_agrees_with_scikit_learn():
    roc_auc_score = pytest.importorskip("sklearn.metrics").roc_auc_score
    rng = np.random.default_rng(3)
    scores, positive = rng.integers(0, 9, 200).astype(float), rng.random(200) < 0.3
    assert metrics.auc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))


def test_intra_list_diversity_agrees_with_all_pairs():
    rng = np.random.default_rng(5)
    kinds = (rng.random((30, 6)) < 0.3).astype(float)
    top = np.stack([rng.permutation(30)[:8] for _ in range(6)])
    top[0, 5:] = -1
    for value, items in zip(metrics.intra_list_diversity(top, kinds), top, strict=True):
        known = [kinds[i] for i in items if i >= 0 and kinds[i].any()]
        pairs = [
            1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            for n, a in enumerate(known)
            for b in known[:n]
        ]
        assert value == pytest.approx(np.mean(pairs))


def test_intra_list_diversity_is_nan_without_categories():
    assert np.isnan(metrics.intra_list_diversity(np.array([[0, 1]]), np.zeros((2, 0)))).all()


def test_novelty_falls_with_popularity():
    rare, known = metrics.novelty(np.array([[0, 1], [2, 3]]), np.array([0.1, 0.2, 0.8, 0.9]))
    assert rare > known


def test_coverage_counts_an_item_once():
    assert metrics.coverage(np.array([[0, 1], [1, 0], [-1, -1]]), items=8) == 0.25


@pytest.mark.parametrize("metric", [metrics.recall, metrics.ndcg, metrics.hit])
def test_list_metric_is_nan_without_relevant_item(metric):
    assert np.isnan(metric(np.zeros((1, 3), dtype=bool), np.array([0]))).all()


@pytest.mark.parametrize("metric", [metrics.rmse, metrics.mae])
def test_rating_metric_is_nan_without_row(metric):
    assert np.isnan(metric(np.zeros(0), np.zeros(0)))


def test_standard_error_is_nan_for_one_user():
    assert np.isnan(metrics.standard_error(np.array([1.0])))
