# SPDX-License-Identifier: Apache-2.0
"""A ledger replays to the same ε, and nothing signed can be changed unseen."""

import json
import math
import os
import subprocess
import sys
from fractions import Fraction
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from shared.errors import PrivetError, StoreLocked
from shared.ledger import chain, records, replay
from shared.ledger.checkpoint import CHECKPOINT_LABEL, COSIGNATURE_LABEL, Checkpoint
from shared.ledger.merkle import leaf_hash
from shared.ledger.records import ClaimExceeded, LedgerFault
from shared.privacy.accountant import epsilon
from tests.shared.ledger import made

ROOT = Path(__file__).parents[3]
VECTORS = json.loads((ROOT / "tests" / "vectors" / "ledger.json").read_text("utf-8"))


@pytest.fixture
def ledger(tmp_path):
    return made.write(tmp_path / "ledger", made.history(40))


def test_replay_recomputes_epsilon_of_the_run(ledger):
    expected = epsilon(made.total_rho(40), 1e-5)
    assert math.isclose(replay.replay(ledger).epsilon, expected, rel_tol=0, abs_tol=1e-9)


def test_replay_agrees_with_the_vectors_of_the_specification(tmp_path):
    for name in (chain.RECORDS, chain.CHECKPOINTS):
        (tmp_path / name).write_text("".join(f"{x}\n" for x in VECTORS[name]), "ascii")
    found = replay.replay(tmp_path)
    assert (found.root, str(found.book.rho)) == (VECTORS["root"], VECTORS["rho"])
    opened = VECTORS["receipt"]
    got = records.receipt_commitment(bytes.fromhex(opened["salt"]), opened["fields"])
    assert got == opened["commitment"]


def test_own_share_loss_is_noise_shares_times_rho(ledger):
    book = replay.replay(ledger).book
    assert math.isclose(float(book.rho_own), 849 * float(book.rho), rel_tol=1e-9)


def _refused(folder):
    with pytest.raises(LedgerFault) as caught:
        replay.replay(folder)
    assert caught.value.exit_code == 15
    assert caught.value.record is not None or caught.value.field
    return caught.value


def _tamperings(rng, content, count):
    """Single-byte changes, deletions, insertions, swaps and truncations, equally often.

    Yields the changed file and the line, from 0, in which it first differs.
    """
    for _ in range(count):
        place, kind = int(rng.integers(len(content))), int(rng.integers(5))
        byte = bytes([int(rng.integers(256))])
        changed = {
            0: content[:place] + byte + content[place + 1 :],
            1: content[:place] + content[place + 1 :],
            2: content[:place] + byte + content[place:],
            3: content[:place] + content[place : place + 2][::-1] + content[place + 2 :],
            4: content[:place],
        }[kind]
        if changed != content and not changed.startswith(content):  # more bytes: a torn tail
            size = min(len(content), len(changed))
            differs = np.flatnonzero(_bytes(content)[:size] != _bytes(changed)[:size])
            yield changed, content[: differs[0] if differs.size else size].count(b"\n")


def _bytes(content):
    return np.frombuffer(content, dtype=np.uint8)


def _named(wrong, name, line):
    """Whether the fault names the line that was changed, or the one that no longer follows it."""
    if name == chain.CHECKPOINTS and wrong.record is None:
        places = [f"{name} line {near}" for near in (line + 1, line + 2)]
        return wrong.field == name or wrong.field.partition(",")[0] in places
    record = line if name == chain.RECORDS else 2 * line + 3  # the first record not signed
    return wrong.record is not None and record <= wrong.record <= record + 1


def _tamper(folder, count, seed):
    """Apply tamperings to both files; return how many were tried, and which were not refused."""
    rng, tried, missed = np.random.default_rng(seed), 0, []
    for name, share in ((chain.RECORDS, 0.75), (chain.CHECKPOINTS, 0.25)):
        path = folder / name
        content = path.read_bytes()
        for changed, line in _tamperings(rng, content, round(count * share)):
            path.write_bytes(changed)
            tried += 1
            try:
                replay.replay(folder)
                missed.append((name, line, "accepted"))
            except LedgerFault as wrong:
                if not _named(wrong, name, line):
                    missed.append((name, line, str(wrong)))
        path.write_bytes(content)
    return tried, missed


def test_every_sampled_tampering_is_refused_with_its_place(ledger):
    tried, missed = _tamper(ledger, 400, seed=1)
    assert tried > 350
    assert missed == []


@pytest.mark.slow
def test_every_tampering_is_refused_with_its_place(ledger):
    """105,000 drawn, 103,639 of them change something: about four minutes of one core."""
    tried, missed = _tamper(ledger, 105_000, seed=2)
    assert tried >= 100_000
    assert missed == []


def test_whole_records_cannot_be_removed_swapped_or_doubled(ledger):
    path = ledger / chain.RECORDS
    lines = path.read_bytes().splitlines(keepends=True)
    for place in range(1, len(lines) - 1, 7):
        swapped = [*lines[:place], lines[place + 1], lines[place], *lines[place + 2 :]]
        for changed in (lines[:place] + lines[place + 1 :], lines[:place] + lines, swapped):
            path.write_bytes(b"".join(changed))
            _refused(ledger)


def test_removing_a_checkpoint_is_refused(ledger):
    path = ledger / chain.CHECKPOINTS
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:5] + lines[6:]))
    assert _refused(ledger).field == "checkpoints.jsonl line 6, prev"
    path.write_bytes(b"")
    _refused(ledger)


def test_writer_signs_every_checkpoint_though_the_last_signature_covers_them(ledger):
    marks, torn = chain.read_checkpoints(ledger)
    assert (len(marks), torn) == (41, b"")
    assert all(mark.verify(CHECKPOINT_LABEL) for mark in marks)
    lines = [mark.line() for mark in marks]
    for before, after in pairwise(lines):
        assert json.loads(after)["prev"] == leaf_hash(before).hex()


@pytest.mark.parametrize(("line", "named"), [(0, 1), (20, 21), (40, 41)])
def test_changed_signature_names_its_own_line(ledger, line, named):
    path = ledger / chain.CHECKPOINTS
    lines = path.read_bytes().splitlines(keepends=True)
    place = lines[line].index(b'"sig":"') + 9
    other = b"0" if lines[line][place : place + 1] != b"0" else b"1"
    lines[line] = lines[line][:place] + other + lines[line][place + 1 :]
    path.write_bytes(b"".join(lines))
    assert _refused(ledger).field == f"checkpoints.jsonl line {named}"


def test_checkpoints_signed_over_another_past_are_refused(ledger):
    """Each line is well signed; the third was signed after another second line."""
    path = ledger / chain.CHECKPOINTS
    marks, _ = chain.read_checkpoints(ledger)
    fields = {name: getattr(marks[1], name) for name in ("run", "size", "root", "prev")}
    other = Checkpoint.sign(made.KEY, CHECKPOINT_LABEL, at=marks[1].at + 1, **fields)
    lines = [mark.line() + b"\n" for mark in (marks[0], other, *marks[2:])]
    path.write_bytes(b"".join(lines))
    assert _refused(ledger).field == "checkpoints.jsonl line 3, prev"


def test_ledger_cut_back_to_an_older_checkpoint_is_seen_by_a_cosigner_alone(tmp_path):
    """Nobody needs a key to cut both files: the words must say so."""
    folder = made.write(tmp_path / "ledger", made.history(40))
    seen, own = replay.replay(folder), tmp_path / "own.jsonl"
    fields = {"run": seen.run["run"], "size": seen.signed, "root": seen.root, "at": 1}
    own.write_bytes(Checkpoint.sign(made.OTHER_KEY, COSIGNATURE_LABEL, **fields).line() + b"\n")
    for name, keep in ((chain.RECORDS, 21), (chain.CHECKPOINTS, 10)):
        lines = (folder / name).read_bytes().splitlines(keepends=True)
        (folder / name).write_bytes(b"".join(lines[:keep]))
    assert "cut back to an older checkpoint" in replay.text(replay.replay(folder))
    with pytest.raises(LedgerFault, match="rewritten"):
        replay.replay(folder, cosigned=own)


def test_torn_tail_is_named_and_cut_off_by_the_next_start(ledger):
    path = ledger / chain.RECORDS
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"at":0,"bo')
    found = replay.replay(ledger)
    assert found.torn_bytes == 11
    assert "Torn tail: 11 bytes after record 81" in replay.text(found)
    with chain.LedgerWriter.open(ledger, made.KEY) as writer:
        assert writer.repaired_bytes == 11
    assert path.read_bytes() == whole


@pytest.mark.parametrize("cut", range(0, 700, 13))
def test_a_crash_inside_a_write_loses_no_acknowledged_record(tmp_path, cut):
    folder = made.write(tmp_path / "l", made.history(2)[:-1])
    acknowledged = (folder / chain.RECORDS).read_bytes()
    with chain.LedgerWriter.open(folder, made.KEY) as writer:
        writer.append("publication", {"count": 3})
    size = len(acknowledged) + cut
    content = (folder / chain.RECORDS).read_bytes()[:size]
    (folder / chain.RECORDS).write_bytes(content)
    with chain.LedgerWriter.open(folder, made.KEY) as writer:
        assert writer.tree.size == content.count(b"\n")
        writer.append("publication", {"count": 1})
    assert (folder / chain.RECORDS).read_bytes().startswith(acknowledged)
    replay.replay(folder)


def test_a_crash_before_the_checkpoint_is_signed_at_the_next_start(ledger):
    path = ledger / chain.CHECKPOINTS
    steps = made.history(2)[:-1]
    folder = made.write(ledger.parent / "other", steps)
    path = folder / chain.CHECKPOINTS
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    _refused(folder)
    with chain.LedgerWriter.open(folder, made.KEY):
        pass
    assert path.read_bytes() == whole
    replay.replay(folder)


def test_writer_refuses_to_start_on_a_changed_ledger(ledger):
    path = ledger / chain.RECORDS
    path.write_bytes(path.read_bytes().replace(b"trunk_items", b"trunk_itemz", 1))
    with pytest.raises(LedgerFault):
        chain.LedgerWriter.open(ledger, made.KEY)


def test_writer_refuses_a_second_writer_and_another_key(ledger):
    with chain.LedgerWriter.open(ledger, made.KEY), pytest.raises(StoreLocked):
        chain.LedgerWriter.open(ledger, made.KEY)
    with pytest.raises(LedgerFault, match="another key"):
        chain.LedgerWriter.open(ledger, made.OTHER_KEY)


def test_writer_stays_usable_after_a_refused_record(ledger):
    whole = (ledger / chain.RECORDS).read_bytes()
    with chain.LedgerWriter.open(ledger, made.KEY) as writer:
        opening = made.round_open(41, sigma2=3_000)
        with pytest.raises(ClaimExceeded):
            writer.append("round_open", opening)
        assert (ledger / chain.RECORDS).read_bytes() == whole
        writer.append("publication", {"count": 2})
    assert replay.replay(ledger).book.publications == 2


def test_rewritten_history_passes_without_and_fails_with_a_cosignature(tmp_path):
    folder = made.write(tmp_path / "ledger", made.history(40))
    seen = replay.replay(folder)
    mark = Checkpoint.sign(
        made.OTHER_KEY,
        COSIGNATURE_LABEL,
        run=seen.run["run"],
        size=20,
        root=_root(folder, 20),
        at=1,
    )
    own = tmp_path / "own.jsonl"
    own.write_bytes(mark.line() + b"\n")
    assert replay.replay(folder, cosigned=own).cosigners == (mark.key,)
    steps = made.history(40)
    steps[5] = ("round_open", steps[5][1] | {"purpose": "something else"})
    made.forge(folder, steps)
    assert replay.NOT_COSIGNED in replay.text(replay.replay(folder))
    with pytest.raises(LedgerFault, match="rewritten"):
        replay.replay(folder, cosigned=own)


def _root(folder, size):
    lines, _ = chain.split((folder / chain.RECORDS).read_bytes())
    trees = [tree.root().hex() for _, tree in chain.walk(lines, chain.read_checkpoints(folder)[0])]
    return trees[size - 1]


def _with(steps, place, **changes):
    kind, body = steps[place]
    return [*steps[:place], (kind, body | changes), *steps[place + 1 :]]


OPEN = made.history(4)
LIES = [
    ("rho", _with(OPEN, 3, rho="1/1000000"), 17),
    ("rho", _with(OPEN, 3, rho="1"), 15),
    ("delta2_squared", _with(OPEN, 3, delta2_squared=4096**2), 17),
    ("survivors", _with(OPEN, 4, survivors=800), 17),
    ("survivors", _with(OPEN, 4, survivors=944), 15),
    ("sigma2", _with(OPEN, 3, sigma2=24), 15),
    ("min_survivors", _with(OPEN, 3, min_survivors=400), 15),
    ("rho", _with(OPEN, 0, rho_cap="1/100"), 17),
    ("round", _with(OPEN, 0, participations_max=2), 17),
    ("model", _with(OPEN, 5, model=made.digest("forked")), 15),
    ("cohort_size", _with(OPEN, 0, users=942), 15),
    ("delta", _with(OPEN, 0, delta=f"1/{2**60}"), 15),
    ("sessions", [*_with(_with(OPEN, 0, users=1886), 3, sessions=2)[:4],
        ("round_open", made.round_open(2, session=1, sessions=3))], 15),
    ("model", _with(OPEN, 4, outcome="discarded"), 15),
    ("round", [*OPEN[:5], *OPEN[3:5], *OPEN[5:]], 15),
    ("round", [*OPEN[:4], *OPEN[3:]], 15),
    ("trust", _with(OPEN, 3, trust="local"), 15),
    ("key", _with(OPEN, 0, key="00" * 32), 15),
    ("surprise", _with(OPEN, 3, surprise=1), 15),
    ("kind", [*OPEN, ("gossip", {})], 15),
    ("kind", [*OPEN, OPEN[0]], 15),
    ("dimension", _with(OPEN, 3, dimension=5046.0), 15),
    ("cohort_size", _with(OPEN, 3, cohort_size=True), 15),
    ("receipts", _with(OPEN, 4, receipts=["ff" * 32, "00" * 32]), 15),
    ("verdict", [*OPEN, ("audit", {
        "name": "canaries", "method": "one-shot", "verdict": "VIOLATION", "epsilon_lower": "9.1",
        "confidence": "0.99", "power": "none", "false_alarm_rate": "none",
        "detection_rate": "none"})], 17),
]  # fmt: skip


@pytest.mark.parametrize(("field", "steps", "code"), LIES, ids=lambda value: str(value)[:16])
def test_replay_names_what_a_lying_keeper_signed(tmp_path, field, steps, code):
    folder = made.forge(tmp_path / "ledger", steps)
    with pytest.raises(PrivetError) as caught:
        replay.replay(folder)
    assert caught.value.exit_code == code
    assert field in caught.value.field


def _append_unsigned(folder, kind, body):
    """What anybody can do who can write to the files: chain one more record, sign nothing."""
    path = folder / chain.RECORDS
    lines = path.read_bytes().splitlines()
    record = records.Record(len(lines), kind, 0, leaf_hash(lines[-1]).hex(), body)
    path.write_bytes(path.read_bytes() + record.line() + b"\n")


AUDIT = {"name": "canaries", "method": "one-shot", "verdict": "CONSISTENT", "epsilon_lower": "1.0"}
AUDIT |= {"confidence": "0.99", "power": "0.99"}
AUDIT |= dict.fromkeys(("false_alarm_rate", "detection_rate"), "none")


@pytest.mark.parametrize(
    ("kind", "body", "kept"),
    [
        ("audit", AUDIT, "audits"),
        ("metric_release", {"round": 40, "query": "trunk_items", "figures": {"rmse": "0.1"}},
         "metrics"),
        ("release", {"name": "model", "round": 40, "model": made.digest("model 40"),
                     "file": made.digest("another")}, "releases"),
    ],
)  # fmt: skip
def test_unsigned_record_is_not_believed(ledger, kind, body, kept):
    before = getattr(replay.replay(ledger).book, kept)
    _append_unsigned(ledger, kind, body)
    found = replay.replay(ledger)
    assert (found.records, found.signed) == (83, 82)
    assert getattr(found.book, kept) == before


def test_unsigned_round_is_charged(ledger):
    _append_unsigned(ledger, "round_open", made.round_open(41))
    found = replay.replay(ledger)
    assert found.book.rho == made.total_rho(41)
    assert "1 sums were opened and never closed; they are charged" in replay.text(found)


def test_keeper_cannot_be_its_own_witness(ledger):
    fields = {"run": made.run_open()["run"], "size": 82, "root": _root(ledger, 82), "at": 1}
    mark = Checkpoint.sign(made.KEY, COSIGNATURE_LABEL, **fields)
    (ledger / chain.COSIGNATURES).write_bytes(mark.line() + b"\n")
    assert _refused(ledger).field == chain.COSIGNATURES


def test_run_without_a_release_says_so(tmp_path):
    folder = made.write(tmp_path / "l", made.history(3)[:-1])
    assert "No model release is in this ledger" in replay.text(replay.replay(folder))


def test_pinned_key_refuses_a_ledger_of_another_keeper(ledger):
    with pytest.raises(LedgerFault, match="key that was given"):
        replay.replay(ledger, key="00" * 32)


def opening_fields(steps, **changes):
    """What a device that answered round 2 was asked, as its receipt commits to it."""
    opened = steps[3][1]
    fields = {name: opened[name] for name in ("round", "query", "config", "model", "rho")}
    return fields | {"run": steps[0][1]["run"], "seq": 5} | changes


@pytest.mark.parametrize("field", ["config", "model", "rho", "query"])
def test_a_receipt_of_another_question_than_the_ledger_tells_is_refused(tmp_path, field):
    """A server that asks one thing of devices and writes another into the book."""
    steps = made.history(3)
    fields = opening_fields(steps, **{field: "another"})
    name = records.receipt_commitment(bytes(32), fields)
    folder = made.write(tmp_path / "one", _with(steps, 4, receipts=[name]))
    handed = tmp_path / "receipts.jsonl"
    handed.write_bytes(records.canonical({"salt": "00" * 32, "fields": fields}) + b"\n")
    with pytest.raises(LedgerFault, match=field):
        replay.replay(folder, receipts=handed)


def test_receipts_must_stand_in_exactly_one_closed_round(tmp_path):
    steps = made.history(3)
    fields = opening_fields(steps)
    name = records.receipt_commitment(bytes(32), fields)
    folder = made.write(tmp_path / "one", _with(steps, 4, receipts=[name]))
    handed = tmp_path / "receipts.jsonl"
    handed.write_bytes(records.canonical({"salt": "00" * 32, "fields": fields}) + b"\n")
    assert replay.replay(folder, receipts=handed).receipts == 1
    twice = _with(_with(steps, 4, receipts=[name]), 6, receipts=[name])
    for case in (steps, twice, _with(steps, 6, receipts=[name])):
        folder = made.write(tmp_path / str(len(list(tmp_path.iterdir()))), case)
        with pytest.raises(LedgerFault):
            replay.replay(folder, receipts=handed)


def test_sessions_charge_an_account_once_a_round(tmp_path):
    steps = [("run_open", made.run_open(users=3 * 943))]
    steps += [("round_open", made.round_open(1, session=s, sessions=3)) for s in range(3)]
    closes = [made.round_close(1, session=s, model=made.digest("model 0")) for s in range(3)]
    steps += [("round_close", body) for body in closes]
    found = replay.replay(made.write(tmp_path / "l", steps))
    assert found.book.rho == Fraction(made.round_open(1)["rho"])


def test_replay_runs_with_the_standard_library_and_cryptography_alone(ledger):
    """Imports of anything else fail in the child, so the tool cannot lean on it."""
    code = (
        "import sys\n"
        "allowed = set(sys.stdlib_module_names) | {'shared', 'cryptography', '_cffi_backend'}\n"
        "class Wall:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] not in allowed:\n"
        "            raise ImportError('walled: ' + name)\n"
        "sys.meta_path.insert(0, Wall())\n"
        "from shared.ledger.replay import main\n"
        "code = main(sys.argv[1:])\n"
        "mine = {n.partition('.')[0] for n in sys.modules} & {'numpy', 'torch', 'pydantic'}\n"
        "sys.exit(99 if mine else code)\n"
    )
    words = [sys.executable, "-c", code, str(ledger), "--format", "json"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, capture_output=True, text=True, cwd=ledger, env=env, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "holds"


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory):
    """An environment of its own that holds `cryptography` and what that needs, nothing else."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    made_it = subprocess.run([sys.executable, "-m", "venv", folder], capture_output=True)
    if made_it.returncode:
        pytest.skip("python -m venv does not work here")
    pip = [folder / "bin" / "python", "-m", "pip", "install", "-q", "--retries", "1"]
    wanted = f"cryptography=={version('cryptography')}"
    if subprocess.run([*pip, "--timeout", "20", wanted], capture_output=True).returncode:
        pytest.skip("cryptography cannot be installed here: no network, or no registry")
    return folder / "bin" / "python"


@pytest.mark.slow
def test_replay_runs_in_an_environment_with_cryptography_alone(ledger, bare_python):
    names = [bare_python, "-m", "pip", "list", "--format", "freeze"]
    listed = subprocess.run(names, capture_output=True, text=True, check=True).stdout
    installed = {line.partition("==")[0].lower() for line in listed.splitlines()}
    assert installed <= {"cryptography", "cffi", "pycparser", "pip", "setuptools"}
    words = [bare_python, "-m", "shared.ledger.replay", ledger]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env={})
    assert done.returncode == 0, done.stderr
    assert f"ε = {epsilon(made.total_rho(40), 1e-5):.9f}" in done.stdout
    (ledger / chain.RECORDS).write_bytes((ledger / chain.RECORDS).read_bytes()[:-9])
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env={})
    assert (done.returncode, done.stdout) == (15, "")
    assert "record 81" in done.stderr


@pytest.mark.parametrize(("changes", "code"), [({}, 0), ({"rho_cap": "1/100"}, 17)])
def test_tool_exit_code_and_json(tmp_path, capsys, changes, code):
    steps = made.history(3)
    folder = made.forge(tmp_path / "l", _with(steps, 0, **changes))
    assert replay.main([str(folder), "--format", "json"]) == code
    out = json.loads(capsys.readouterr().out)
    assert out["verdict"] == ("holds" if code == 0 else "claim exceeded")


def test_tool_says_where_a_ledger_is_broken(ledger, capsys):
    path = ledger / chain.RECORDS
    path.write_bytes(path.read_bytes().replace(b'"survivors":943', b'"survivors":942', 1))
    assert replay.main([str(ledger)]) == 15
    assert "error: record 2, field checkpoints.jsonl line 1, root" in capsys.readouterr().err
