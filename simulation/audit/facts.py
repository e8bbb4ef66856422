# SPDX-License-Identifier: Apache-2.0
"""The facts of a report, read from a run folder and from nowhere else.

What is read: `ledger/` (replayed; every figure comes from it, released metrics too), `policy.json`
(held against the ledger; operator, purpose, retention, justification, region, valid_until),
`config.toml` (tuning, seeds), `env.json` (versions) and `model.safetensors` (held against its
release). `private/` is never opened. A fact that nobody stated is None, and the page
prints it in red.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

from shared.errors import DataError
from shared.ledger import beside, chain
from shared.ledger.replay import Replay, replay
from shared.privacy import odds
from shared.privacy.accountant import epsilon
from simulation.audit import adversaries, fields, published
from simulation.audit.figures import (
    Facts,
    accounts,
    bound,
    flatten,
    noise_multiplier,
    number_of,
    plain,
)

VERSION = 1


def gather(run: Path) -> Facts:
    """Return all facts of a run: strings, integers, lists and objects only.

    Raises:
        LedgerFault: The ledger does not verify.
        ClaimExceeded: It verifies and a claim is exceeded.
        DataError: A file of the run is not readable.
    """
    found, place = replay(run), beside.locate(run)
    policy, model = place.file(beside.POLICY), place.file(beside.MODEL)
    home = place.home or place.ledger
    files = {"config": _toml(home / "config.toml"), "env": _json(_read(home / "env.json"), "env")}
    seeds = len(list(home.glob(f"seed*-ledger/{chain.RECORDS}"))) if place.variant else 1
    stated = files | {"seeds": seeds, "sums_compared": published.hold(place, found)}
    return summarise(
        found,
        stated,
        policy=_read(policy) if policy else None,
        model=_model(model) if model and found.model_compared else None,
    ) | {"ledger": contents(place.ledger)}


def _model(path: Path) -> Facts:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": sha256(content).hexdigest()}


def contents(ledger: Path) -> dict[str, list[str]]:
    """Return the ledger's own lines, so that a report carries its proof."""
    files = (chain.RECORDS, chain.CHECKPOINTS, chain.COSIGNATURES)
    return {
        name: (ledger / name).read_bytes().decode("latin-1").split("\n")
        for name in files
        if (ledger / name).exists()
    }


def summarise(
    found: Replay, stated: Mapping[str, Any], *, policy: str | None, model: Facts | None
) -> Facts:
    """Turn a replay and what a run states into the facts of a report.

    Args:
        found: The replay of its ledger.
        stated: `config`, `env`, `seeds`, `sums_compared`: what the run's owner states.
        policy: The text of policy.json, None where it was not at hand.
        model: Size and hash of the model file, if it is the released one.
    """
    found = replace(found, model_compared=model is not None)  # `verify` compares its hash
    book, run = found.book, found.run
    flat = {name: flatten(stated.get(name, {})) for name in ("config", "env")}
    flat["policy"] = flatten(_json(policy, "policy") if policy is not None else {})
    return {
        "v": VERSION,
        "stated": dict(stated),
        "policy": policy,
        "model": model,
        "claim": bound(found.epsilon) if found.epsilon is not None else None,
        "warning": _warning(run["noise"]),
        "replay": plain(found.facts()),
        "when": {"first": _day(book.first_at), "last": _day(book.last_at)},
        "budget": _budget(found),
        "odds": _odds(found),
        "accounts": [accounts(found, count) for count in (2, 5)],
        "protected": adversaries.protected(found),
        "trust": adversaries.trust(found, model),
        "exceptions": [
            *adversaries.together(found, flat, stated["seeds"]),
            *adversaries.exceptions(found),
        ],
        "fields": fields.table(
            found, fields.Stated(**flat, model=model, sums=stated["sums_compared"])
        ),
        "attacks": [dict(audit) for audit in book.audits],
        "burn": [[number, number_of(rho)] for number, rho in book.burn],
        "queries_long": [
            {
                "name": spend.query,
                "purpose": spend.purpose,
                "rounds": spend.rounds,
                "sessions": spend.sessions,
                "dimension": spend.dimension,
                "clipping_norm": spend.clipping_norm,
                "share": odds.percent(float(spend.rho / book.rho)) if book.rho else "none",
                "rho": number_of(spend.rho),
                "noise_multiplier": noise_multiplier(spend.rho),
                "bytes": 4 * spend.dimension,
            }
            for spend in book.queries.values()
        ],
    }


def _warning(noise: str) -> str | None:
    """Return the first line of a report that promises nothing."""
    if noise == "none":
        return "No privacy: no noise was added in this run. Nothing on this page is a guarantee."
    if noise == "seeded":
        return (
            "No privacy: the noise of this run came from a seed. Whoever has the seed can take "
            "the noise off. The figures show what real noise of this size would guarantee."
        )
    return None


def _budget(found: Replay) -> Facts:
    book, cap = found.book, found.run["rho_cap"]
    if not book.private:
        return {"state": "no budget: nothing was protected", "spent": None, "cap_epsilon": None}
    if not book.rounds:
        words = "nothing left any device, so nothing was spent"
        return {"state": words, "spent": "0.0 %", "cap_epsilon": None}
    share = float(book.rho / Fraction(cap))
    state = "within budget" if share < 0.999 else "exhausted: no further release is allowed"
    cap_epsilon = epsilon(Fraction(cap), float(Fraction(found.run["delta"])))
    return {
        "state": state,
        "spent": odds.percent(share) if share < 1 else "100 %",
        "cap_epsilon": number_of(cap_epsilon, 6),
    }


def _odds(found: Replay) -> Facts | None:
    if found.epsilon is None:
        return None
    guess = odds.best_guess(found.book.rho)
    return {
        "guess": odds.percent(guess),
        "guesses_of_100": round(100 * guess),
        "suspicion": odds.percent(odds.suspicion(found.epsilon)),
        "mu": number_of(odds.mu(found.book.rho), 4),
    }


def _day(seconds: int) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d") if seconds else None


def _read(path: Path) -> str:
    """Return the text of a file, an empty object where there is none."""
    try:
        return path.read_bytes().decode("utf-8") if path.exists() else "{}"
    except ValueError:
        raise DataError(f"{path.name} must be UTF-8.", hint="is the run folder whole?") from None


def _json(text: str, name: str) -> dict[str, Any]:
    """Read an object; floats become strings, so that the facts stay canonical."""
    try:
        value = json.loads(text, parse_float=str)
    except (ValueError, RecursionError):
        raise DataError(f"{name}.json must be JSON.", hint="is the run folder whole?") from None
    return plain(value) if isinstance(value, dict) else {}


def _toml(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        value = tomllib.loads(path.read_text("utf-8"))
    except ValueError:
        raise DataError(f"{path.name} must be TOML.", hint="is the run folder whole?") from None
    return {name: plain(entry) for name, entry in flatten(value).items()}
