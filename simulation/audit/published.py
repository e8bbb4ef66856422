# SPDX-License-Identifier: Apache-2.0
"""What a simulated run published beside its ledger: sums and metrics that the ledger must hold.

The ledger's model hashes chain over all released sums (`simulation/book.py`). So the sums that
stand in `releases/` can be hashed again, in the order of the rounds: a sum that was changed,
added or taken away does not fit. A metric query leaves the model as it is, so its sum is not
hashed: its figures are in the ledger itself. A figure that `metrics.jsonl` calls released must
stand in a metric_release. Exact or seeded sums are hashed with a key and kept in `private/`: not
read here.
"""

import json
import re
from collections import Counter
from hashlib import sha256
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load

from shared.errors import DataError
from shared.ledger import chain
from shared.ledger.beside import Place
from shared.ledger.records import LedgerFault
from shared.ledger.replay import Replay

SUMS, METRICS, PREFIX = "releases", "metrics.jsonl", "released/"
_SEED = re.compile(r"seed[0-9]+-")


def hold(place: Place, found: Replay) -> int | None:
    """Compare what the run folder publishes with the ledger.

    Args:
        place: Where the ledger stands.
        found: Its replay.

    Returns:
        How many sums were hashed again; None where there are none to compare.

    Raises:
        LedgerFault: A sum or a figure is not what the ledger holds.
    """
    _metrics(place, found)
    folder = place.home / SUMS if place.home else None
    if folder is None or not folder.is_dir() or found.run["noise"] != "os":
        return None
    return _sums(folder, place, found)


def _sums(folder: Path, place: Place, found: Replay) -> int:
    """Hash the sums again, round after round."""
    model, count, left = found.run["model"], 0, _names(folder, place.variant)
    times: Counter[str] = Counter()
    measured = {release["query"] for release in found.book.metrics}
    lines, _ = chain.split((place.ledger / chain.RECORDS).read_bytes())
    for seq, record in enumerate(map(json.loads, lines)):
        body = record["body"]
        if record["kind"] == "round_open" and body["session"] == 0:
            times[body["query"]] += 1
        if record["kind"] != "round_close":
            continue
        name = f"{place.variant}{body['query']}-{times[body['query']]:04d}.safetensors"
        if body["query"] in measured:  # its figures are held against the metric_release
            left.discard(name)
        if body["model"] == model:
            continue
        model = sha256(bytes.fromhex(model) + _sum(folder / name, seq)).hexdigest()
        if model != body["model"]:
            raise LedgerFault(f"{SUMS}/{name} is not that sum.", record=seq, field="model")
        left.discard(name)
        count += 1
    if len(left) > found.book.still_open:  # a killed run has stored the sum that it has open
        raise LedgerFault("no round in the ledger released it.", field=f"{SUMS}/{min(left)}")
    return count


def _names(folder: Path, variant: str) -> set[str]:
    """Name the sums of this run, or of this one of its seeds."""
    names = {path.name for path in folder.iterdir()}
    seeds = {name for name in names if _SEED.match(name)}
    return {name for name in seeds if name.startswith(variant)} if variant else names - seeds


def _sum(file: Path, seq: int) -> bytes:
    try:
        return bytes(load(file.read_bytes())["sum"].astype("<f8").tobytes())
    except (OSError, SafetensorError, KeyError):
        raise LedgerFault(
            f"{SUMS}/{file.name} must be in the run folder and hold that sum.",
            record=seq,
            field="model",
        ) from None


def _metrics(place: Place, found: Replay) -> None:
    """Refuse a figure that is called released and stands in no metric_release."""
    held = {
        name.removeprefix(PREFIX): float(value)
        for release in found.book.metrics
        for name, value in release["figures"].items()
    }
    file = place.file(METRICS)
    for number, line in enumerate(file.read_text("utf-8").splitlines() if file else (), 1):
        for name, value in _row(line, number).items():
            if name.startswith(PREFIX) and held.get(name.removeprefix(PREFIX)) != value:
                raise LedgerFault(
                    "no metric_release holds this figure.", field=f"{METRICS} line {number}, {name}"
                )


def _row(line: str, number: int) -> dict[str, object]:
    try:
        value = json.loads(line, parse_int=float)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise DataError(
            f"{METRICS} line {number} must be a JSON object.", hint="is the run folder whole?"
        )
    return value
