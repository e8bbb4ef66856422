# SPDX-License-Identifier: Apache-2.0
"""A run folder's policy and model are those that its ledger names, or the ledger is refused."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.errors import UsageError
from shared.ledger import beside, chain, replay
from shared.ledger.checkpoint import public_hex
from shared.ledger.records import LedgerFault
from tests.shared.ledger import made

POLICY = b'{"purpose": "films"}'


@pytest.fixture
def run(tmp_path):
    return make(tmp_path / "run")


def make(folder, variant="", **opening):
    opening.setdefault("policy", made.digest(POLICY.decode()))
    made.write(folder / f"{variant}ledger", made.history(3, **opening))
    (folder / f"{variant}policy.json").write_bytes(POLICY)
    (folder / f"{variant}model.safetensors").write_bytes(b"file")
    return folder


def test_replay_compares_policy_and_model_of_a_run_folder(run):
    found = replay.replay(run)
    assert (found.policy_compared, found.model_compared) == (True, True)
    words = replay.text(found)
    assert replay.POLICY_COMPARED in words
    assert replay.MODEL_COMPARED in words
    assert "not at hand" not in words


def _refused(path, **place):
    with pytest.raises(LedgerFault) as caught:
        replay.replay(path)
    assert caught.value.exit_code == 15
    assert {name: getattr(caught.value, name) for name in place} == place


def test_replay_refuses_another_policy(run):
    (run / "policy.json").write_bytes(POLICY + b" ")
    _refused(run, record=0, field="policy")
    _refused(run / "ledger", record=0, field="policy")


def test_replay_refuses_a_run_folder_without_its_policy(run):
    (run / "policy.json").unlink()
    _refused(run, record=0, field="policy")


def test_bare_ledger_says_that_its_policy_was_not_compared(run):
    bare = (run / "ledger").rename(run.parent / "bare")
    for path in (bare, bare / chain.RECORDS):
        found = replay.replay(path)
        assert not found.policy_compared
        assert replay.POLICY_NOT_AT_HAND in replay.text(found)
        assert replay.MODEL_NOT_AT_HAND in found.facts()["cannot_be_checked"]


def test_each_seed_is_held_against_its_own_policy(tmp_path):
    run = make(tmp_path / "run", "seed5-")
    assert replay.replay(run / "seed5-ledger").policy_compared
    (run / "seed5-policy.json").rename(run / "seed6-policy.json")
    _refused(run / "seed5-ledger", record=0, field="policy")
    assert beside.locate(run).variant == "seed5-"
    _refused(run, record=0, field="policy")


def test_policy_of_a_deployment_has_the_hash_that_devices_pin(tmp_path):
    name = made.digest("privet/v1/Policy\n" + POLICY.decode())
    run = make(tmp_path / "run", origin="deployment", policy=name)
    assert replay.replay(run).policy_compared
    run = make(tmp_path / "other", origin="deployment")
    _refused(run, record=0, field="policy")


def test_replay_refuses_a_model_that_was_not_released(run):
    (run / "model.safetensors").write_bytes(b"another file")
    _refused(run, record=7, field="file")


def test_replay_refuses_a_model_where_the_release_was_cut_off(run):
    """Both files of the ledger cut back to an older checkpoint: no key is needed for that."""
    for name, keep in ((chain.RECORDS, 5), (chain.CHECKPOINTS, 2)):
        lines = (run / "ledger" / name).read_bytes().splitlines(keepends=True)
        (run / "ledger" / name).write_bytes(b"".join(lines[:keep]))
    _refused(run, record=None, field="model.safetensors")


def test_keyed_hash_of_a_model_is_not_compared(tmp_path):
    run = make(tmp_path / "run", noise="seeded")
    (run / "model.safetensors").write_bytes(b"another file")
    assert not replay.replay(run).model_compared


FLOOR = {"rho_cap": "2/1", "participations_max": 1000}
PROMISED = FLOOR | {
    "rho_round_max": "1/1",
    "min_noise_shares": 849,
    "min_survivors_above": "2/3",
    "trusts": ["distributed"],
}


@pytest.mark.parametrize(
    ("stated", "field"),
    [
        ({"trust": "distributed", "users": 943, "delta": "1e-05", "rho": "2"}, None),
        ({"floor": FLOOR, "queries": ["item_sums", "trunk_items"]}, None),
        ({"releases": [{"query": "item_sums"}, {"query": "trunk_items"}]}, None),
        (["a list"], None),
        ({"trust": "local"}, "trust"),
        ({"users": 944}, "users"),
        ({"delta": "1e-06"}, "delta"),
        ({"delta": "small"}, "delta"),
        ({"rho": "1"}, "rho_cap"),
        ({"rho": "1/0"}, "rho_cap"),
        ({"floor": FLOOR | {"rho_cap": "199/100"}}, "rho_cap"),
        ({"floor": FLOOR | {"participations_max": 999}}, "participations_max"),
        ({"queries": ["item_sums"]}, "query"),
        ({"releases": [{"query": "item_sums"}]}, "query"),
        ({"floor": PROMISED, "server_key": public_hex(made.KEY)}, None),
        ({"server_key": "00" * 32}, "key"),
        ({"floor": PROMISED | {"trusts": ["local"]}}, "trust"),
        ({"floor": PROMISED | {"rho_round_max": "1/100000"}}, "rho"),
        ({"floor": PROMISED | {"min_noise_shares": 850}}, "min_survivors"),
        ({"floor": PROMISED | {"min_survivors_above": "91/100"}}, "min_survivors"),
        ({"floor": PROMISED | {"min_survivors_above": "most"}}, "min_survivors"),
    ],
)
def test_ledger_keeps_to_what_its_policy_states(tmp_path, stated, field):
    """The hash alone would let a keeper sign one thing and do another."""
    content = json.dumps(stated)
    run = make(tmp_path / "run", policy=made.digest(content))
    (run / "policy.json").write_text(content)
    if field is None:
        assert replay.replay(run).policy_compared
    else:
        _refused(run, record=0, field=field)


@pytest.mark.parametrize("stated", [{"floor": 1}, {"releases": [1]}, {"floor": {
    "participations_max": "many"}}])  # fmt: skip
def test_policy_of_odd_values_is_refused_by_name(tmp_path, stated):
    content = json.dumps(stated)
    run = make(tmp_path / "run", policy=made.digest(content))
    (run / "policy.json").write_text(content)
    _refused(run, field="policy.json")


def test_folder_of_two_ledgers_is_not_one_run(tmp_path):
    make(make(tmp_path / "run"), "seed5-")
    with pytest.raises(UsageError, match="one ledger"):
        replay.replay(tmp_path / "run")


def test_replay_names_the_officer_who_signed_a_deployments_policy(tmp_path):
    label = b"privet/v1/Policy\n"
    run = make(tmp_path / "run", origin="deployment", policy=made.digest((label + POLICY).decode()))
    assert replay.replay(run).officer == ""
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw().hex()
    (run / "policy.sig").write_text(f"{public} {key.sign(label + POLICY).hex()}\n")
    found = replay.replay(run)
    assert found.officer == found.facts()["officer"] == public
    assert public in replay.text(found)
    for wrong in (other.sign(label + POLICY), key.sign(POLICY)):
        (run / "policy.sig").write_text(f"{public} {wrong.hex()}\n")
        _refused(run, field="policy.sig")
    (run / "policy.sig").write_text("no signature at all")
    _refused(run, field="policy.sig")
