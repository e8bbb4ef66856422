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
from simulation.audit import published

VERSION = 1
Facts = dict[str, Any]


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
    flat = {name: _flat(stated.get(name, {})) for name in ("config", "env")}
    flat["policy"] = _flat(_json(policy, "policy") if policy is not None else {})
    return {
        "v": VERSION,
        "stated": dict(stated),
        "policy": policy,
        "model": model,
        "warning": _warning(run["noise"]),
        "replay": _plain(found.facts()),
        "when": {"first": _day(book.first_at), "last": _day(book.last_at)},
        "budget": _budget(found),
        "odds": _odds(found),
        "accounts": [_accounts(found, count) for count in (2, 5)],
        "protected": _protected(found),
        "trust": _trust(found, model),
        "exceptions": [*_together(found, flat, stated["seeds"]), *_exceptions(found)],
        "fields": _fields(found, flat, model, stated["sums_compared"]),
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
                "noise_multiplier": _noise_multiplier(spend.rho),
                "bytes": 4 * spend.dimension,
            }
            for spend in book.queries.values()
        ],
    }


def number_of(value: Fraction | float | None, digits: int = 9) -> str | None:
    """Spell a number so that JSON stays integers and strings."""
    return None if value is None else f"{float(value):.{digits}g}"


def _noise_multiplier(rho: Fraction) -> str | None:
    return number_of((2.0 * float(rho)) ** -0.5, 6) if rho else None


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


def _accounts(found: Replay, count: int) -> Facts | None:
    """A person with several accounts: ρ grows with the square of their number."""
    if found.epsilon is None:
        return None
    rho = found.book.rho * count * count
    value = epsilon(rho, float(Fraction(found.run["delta"])))
    return {
        "count": count,
        "epsilon": number_of(value, 4),
        "guess": odds.percent(odds.best_guess(rho)),
    }


def _protected(found: Replay) -> list[Facts]:
    """PRIVACY.md's table of adversaries, computed for this run."""
    trust, all_rounds, one = found.run["trust"], found.epsilon, found.epsilon_own_round
    if all_rounds is None:
        return [{"who": "everybody", "epsilon": None, "why": "no noise was added"}]
    whole = f"{all_rounds:.3f}"
    own = f"{one:.1f} for one round; {found.epsilon_own:.1f} for all" if one is not None else None
    shares = f"at least {found.book.shares_min} honest shares of noise in every sum"
    rows = {
        "distributed": [
            ("a server that keeps to the protocol", whole, shares),
            ("a server that breaks the protocol", own, "the device's own share of noise alone"),
            ("other devices", whole, f"{shares}; the attackers' own shares do not count"),
        ],
        "central": [
            ("a server that keeps to the protocol", None, "it adds the noise and sees the sums"),
            ("a server that breaks the protocol", None, "it sees what it wants to see"),
            ("other devices", whole, "they see what was released only"),
        ],
        "local": [
            ("a server that keeps to the protocol", whole, "each device adds all of its noise"),
            ("a server that breaks the protocol", own, "each device adds all of its noise"),
            ("other devices", whole, "each device adds all of its noise"),
        ],
    }[trust]
    rows += [
        (
            "anybody who gets the model",
            f"at most {whole}" if trust == "local" else whole,
            "the model is made of the noised sums alone",
        ),
        ("somebody on the network", "no content", "they see that a device takes part, and when"),
    ]
    return [{"who": who, "epsilon": value, "why": why} for who, value, why in rows]


def _trust(found: Replay, model: Facts | None) -> list[Facts]:
    """Who sees what, could do what, and what stands against it."""
    central, noised = found.run["trust"] == "central", found.book.private
    size = model["bytes"] if model else None
    sees = "each round's noised sum, who takes part"
    if central or not noised:
        sees = "each round's sum before noise" if noised else "each round's exact sum"
    return [
        {
            "who": "the device's owner",
            "sees": "all of their own data",
            "could": "send any vector of bounded length",
            "defence": "clipping; a bound on the sum",
        },
        {
            "who": "the operator's server",
            "sees": sees,
            "could": "drop devices, send another model, enrol its own devices",
            "defence": "nothing without trusted hardware"
            if central
            else "floor on each device; minimum of survivors; signed policy",
        },
        {
            "who": "the keeper of this ledger",
            "sees": "counts, hashes, parameters",
            "could": "rewrite the history and sign it again",
            "defence": f"{len(found.cosigners)} cosigners"
            if found.cosigners
            else "nothing: no cosigner",
        },
        {
            "who": "the public",
            "sees": f"the released model{f' ({size:,} bytes)' if size else ''}",
            "could": "test guesses about a person on it",
            "defence": "the noise: ε as above" if noised else "nothing: no noise",
        },
    ]


def _together(found: Replay, flat: Mapping[str, Mapping[str, str]], beside_it: int) -> list[str]:
    """Say what the seeds of one folder cost together: each is a release on the same data."""
    told = (flat[name].get("seeds", "1") for name in ("policy", "config"))
    seeds = max(beside_it, *(int(word) for word in told if word.isdecimal()), 1)
    if seeds < 2 or found.epsilon is None or not found.book.rho:
        return []
    value = epsilon(seeds * found.book.rho, float(Fraction(found.run["delta"])))
    return [
        f"One of {seeds} seeds on the same data. The guarantee above is this seed's alone: what "
        f"all {seeds} publish together costs ε = {number_of(value, 4)}."
    ]


def _exceptions(found: Replay) -> list[str]:
    book, run, rows = found.book, found.run, []
    if run["origin"] == "simulation":
        rows.append(
            "A simulation on one machine: its owner saw all data. It shows what a "
            "deployment with these settings would promise."
        )
    if run["key_origin"] == "run":
        rows.append(
            "The ledger is signed with a key made for this run: the signature shows that "
            "nothing changed since, not who wrote it."
        )
    rows += [
        f"Cosigned by {key}: worth what you know of whoever holds that key."
        for key in found.cosigners
    ]
    if Fraction(run["delta"]) > Fraction(1, 10 * max(run["users"], 1)):
        rows.append("δ is larger than 1 in ten times the number of accounts.")
    if not found.cosigners:
        rows.append(
            "No cosigner: a history rewritten and signed again by its keeper would not show."
        )
    if book.private and run["protocol"] == "drawn" and run["trust"] == "distributed":
        rows.append("The sum of the devices' noise was drawn at once; no secure sum was run.")
    if book.cohort_max > 1000:
        rows.append(f"A sum of {book.cohort_max} devices is larger than one secure sum (1,000).")
    if book.private and 0 < book.shares_min < 16 and run["trust"] == "distributed":
        rows.append("DEMO: fewer than 16 shares of noise in a sum.")
    if book.still_open:
        rows.append(f"{book.still_open} sums were opened and never closed; they are charged.")
    if not book.releases:
        rows.append("No model release is in this ledger: the run is unfinished, or was cut short.")
    if not found.policy_compared:
        rows.append("The policy was not at hand: it was not compared with the ledger.")
    if book.discarded:
        rows.append(f"{book.discarded} sums were discarded; they are charged all the same.")
    if found.torn_bytes:
        rows.append(
            f"{found.torn_bytes} bytes of a record that was never finished follow the last one."
        )
    if found.signed < found.records:
        rows.append(
            f"{found.records - found.signed} records after the last checkpoint are not signed."
        )
    return rows


def _fields(
    found: Replay,
    flat: Mapping[str, Mapping[str, str]],
    model: Facts | None,
    sums: int | None,
) -> list[Facts]:
    """The table after the registry's schema and NIST SP 800-226; None is not stated."""
    run, book = found.run, found.book
    policy, config, env = flat["policy"], flat["config"], flat["env"]
    delta, private = Fraction(run["delta"]), book.private
    at_deltas = ", ".join(
        f"{epsilon(book.rho, float(value)):.3f} at {float(value):.0e}"
        for value in (delta, delta / 10, delta / 1000)
    )
    released = dict(book.metrics[-1]["figures"]) if book.metrics else {}
    simulated = run["origin"] == "simulation"
    versions = ", ".join(f"{name} {value}" for name, value in sorted(env.items())[:8])
    audits = "; ".join(f"{a['name']}: {a['verdict']} ({a['method']})" for a in book.audits)
    rows: list[tuple[str, str, str | None]] = [
        ("Identity", "operator", policy.get("operator") or ("the researcher" * simulated) or None),
        (
            "Identity",
            "purpose",
            policy.get("purpose")
            or "; ".join(sorted({s.purpose for s in book.queries.values()}))
            or None,
        ),
        ("Identity", "run", f"{run['run']} ({run['origin']})"),
        (
            "Identity",
            "region and law",
            policy.get("region")
            or ("no people: a simulation on a data set" if simulated else None),
        ),
        ("Guarantee", "unit", "one enrolled account: all events on one device"),
        (
            "Guarantee",
            "neighbouring relation",
            "zero-out: the account's vector is replaced by zero; taking part is public",
        ),
        ("Guarantee", "ε at δ", at_deltas if private else "none: no noise"),
        (
            "Guarantee",
            "μ-GDP",
            f"{odds.mu(book.rho):.4f} (one Gaussian of equal cost)"
            if private
            else "none: no noise",
        ),
        ("Guarantee", "ρ (zCDP)", number_of(book.rho) if private else "none: no noise"),
        ("Guarantee", "two accounts, five accounts", _several(found)),
        ("Guarantee", "amplification by sampling", "not claimed: ε holds against the server"),
        (
            "Mechanism",
            "noise",
            "discrete Gaussian on integers, from the operating system's generator"
            if run["noise"] == "os"
            else f"{run['noise']}",
        ),
        ("Mechanism", "who holds the noise", f"{run['trust']}, {run['protocol']}"),
        (
            "Mechanism",
            "bounding",
            "; ".join(sorted({f"{s.query}: norm {s.clipping_norm}" for s in book.queries.values()}))
            or None,
        ),
        (
            "Sampling",
            "as implemented",
            f"every round invites one cohort of up to "
            f"{book.cohort_max} of {run['users']} accounts; cohorts are public",
        ),
        ("Sampling", "participations", f"{book.rounds} of at most {run['participations_max']}"),
        ("Tuning", "where settings come from", policy.get("tuning") or config.get("tuning")),
        (
            "Utility",
            "released figures",
            ", ".join(f"{k} {v}" for k, v in sorted(released.items()))
            or "not released: no part of the budget was kept for metrics",
        ),
        ("Audit", "empirical audit", audits or "not performed"),
        (
            "Security",
            "keys",
            f"ledger signed by {run['key'][:16]}…, made for the "
            f"{run['key_origin']}; {len(found.cosigners)} cosigners",
        ),
        ("Security", "policy", _policy_words(found)),
        ("Security", "model file", _model_words(found, model)),
        ("Security", "published sums", _sums_words(found, sums)),
        ("Security", "software", versions or None),
        (
            "Retention",
            "how long what is kept",
            policy.get("retention")
            or ("the run folder, until its owner deletes it" if simulated else None),
        ),
        (
            "Retention",
            "valid until",
            policy.get("valid_until") or ("the end of the run" if simulated else None),
        ),
        ("Justification", "why this ε", policy.get("justification")),
    ]
    return [{"group": group, "name": name, "value": value} for group, name, value in rows]


def _policy_words(found: Replay) -> str | None:
    """Say which policy; None, so red, where nobody compared it."""
    name = found.run["policy"]
    return f"SHA-256 {name}; its text is in this report" if found.policy_compared else None


def _model_words(found: Replay, model: Facts | None) -> str:
    """Say what became of the comparison with the last release."""
    if model is not None:
        return f"SHA-256 {model['sha256']}, {model['bytes']:,} bytes: the file of the last release"
    if not found.book.releases:
        return "no model was released"
    if found.run["noise"] != "os":
        return "not published; its hash is keyed, so that nobody can test guesses on it"
    return "not at hand: not compared with its release"


def _sums_words(found: Replay, sums: int | None) -> str:
    if sums is None:
        return "not at hand: not compared with the ledger"
    return f"{sums}, hashed again when this report was made: as the ledger names them"


def _several(found: Replay) -> str:
    rows = [_accounts(found, count) for count in (2, 5)]
    parts = [f"ε {row['epsilon']} with {row['count']}" for row in rows if row]
    return ", ".join(parts) or "none: no noise"


def _plain(value: Any) -> Any:
    """Spell floats as strings, exactly."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list) else value


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Flatten nested tables; the last word of a dotted key also stands alone."""
    if not isinstance(value, Mapping):
        return {prefix: str(value)} if prefix and value not in ("", None) else {}
    rows: dict[str, str] = {}
    for name, entry in value.items():
        rows |= _flat(entry, str(name).replace("-", "_"))
    return rows


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
    return _plain(value) if isinstance(value, dict) else {}


def _toml(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        value = tomllib.loads(path.read_text("utf-8"))
    except ValueError:
        raise DataError(f"{path.name} must be TOML.", hint="is the run folder whole?") from None
    return {name: _plain(entry) for name, entry in _flat(value).items()}
