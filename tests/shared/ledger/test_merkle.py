# SPDX-License-Identifier: Apache-2.0
"""The Merkle tree against the published vectors of certificate transparency."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ledger import merkle

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "ledger_rfc6962.json").read_text("utf-8")
)


def _hex(values):
    return [bytes.fromhex(value) for value in values]


LEAVES = [merkle.leaf_hash(leaf) for leaf in _hex(VECTORS["leaves"])]


@pytest.mark.parametrize("size", range(9))
def test_tree_root_agrees_with_published_vectors(size):
    assert merkle.tree_root(LEAVES[:size]).hex() == VECTORS["roots"][size]


@pytest.mark.parametrize("case", VECTORS["inclusion"], ids=lambda case: case["name"])
def test_verify_inclusion_agrees_with_published_vectors(case):
    got = merkle.verify_inclusion(
        bytes.fromhex(case["leafHash"]),
        case["leafIdx"],
        case["treeSize"],
        _hex(case["proof"]),
        bytes.fromhex(case["root"]),
    )
    assert got == case["valid"]


@pytest.mark.parametrize("case", VECTORS["consistency"], ids=lambda case: case["name"])
def test_verify_consistency_agrees_with_published_vectors(case):
    got = merkle.verify_consistency(
        case["size1"],
        case["size2"],
        bytes.fromhex(case["root1"]),
        bytes.fromhex(case["root2"]),
        _hex(case["proof"]),
    )
    assert got == case["valid"]


def _happy(kind):
    return [case for case in VECTORS[kind] if case["valid"] and case["name"].endswith("happy-path")]


@pytest.mark.parametrize("case", _happy("inclusion"), ids=lambda case: case["name"])
def test_inclusion_proof_equals_published_proof(case):
    index, size = case["leafIdx"], case["treeSize"]
    assert merkle.inclusion_proof(index, LEAVES[:size]) == _hex(case["proof"])


@pytest.mark.parametrize("case", _happy("consistency"), ids=lambda case: case["name"])
def test_consistency_proof_equals_published_proof(case):
    proof = merkle.consistency_proof(case["size1"], LEAVES[: case["size2"]])
    assert proof == _hex(case["proof"])


@given(st.integers(1, 70), st.data())
def test_proofs_verify_at_every_size(size, data):
    leaves = [merkle.leaf_hash(bytes([number])) for number in range(size)]
    root = merkle.tree_root(leaves)
    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion_proof(index, leaves)
    assert merkle.verify_inclusion(leaves[index], index, size, path, root)
    first = data.draw(st.integers(1, size))
    old = merkle.tree_root(leaves[:first])
    path = merkle.consistency_proof(first, leaves)
    assert merkle.verify_consistency(first, size, old, root, path)


@given(st.integers(2, 40), st.data())
def test_consistency_fails_when_the_old_tree_was_another(size, data):
    leaves = [merkle.leaf_hash(bytes([number])) for number in range(size)]
    first = data.draw(st.integers(1, size - 1))
    other = merkle.tree_root([*leaves[: first - 1], merkle.leaf_hash(b"rewritten")])
    path = merkle.consistency_proof(first, leaves)
    assert not merkle.verify_consistency(first, size, other, merkle.tree_root(leaves), path)


def test_proofs_refuse_places_outside_the_tree():
    with pytest.raises(IndexError):
        merkle.inclusion_proof(3, LEAVES[:3])
    with pytest.raises(IndexError):
        merkle.consistency_proof(4, LEAVES[:3])
