# SPDX-License-Identifier: Apache-2.0
"""Who is protected from whom in this run, whom to trust for what, and what is out of the ordinary.

Source: docs/explanation/privacy-promise.md; the table of adversaries computed from the ledger.
"""

from collections.abc import Mapping
from fractions import Fraction

from shared.ledger.replay import Replay
from shared.privacy.accountant import epsilon
from simulation.audit.figures import Facts, bound


def protected(found: Replay) -> list[Facts]:
    """PRIVACY.md's table of adversaries, computed for this run."""
    trust, all_rounds, one = found.run["trust"], found.epsilon, found.epsilon_own_round
    if all_rounds is None:
        return [{"who": "everybody", "epsilon": None, "why": "no noise was added"}]
    whole = bound(all_rounds)
    own = None
    if one is not None and found.epsilon_own is not None:
        own = f"{bound(one, 1)} for one round; {bound(found.epsilon_own, 1)} for all"
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


def trust(found: Replay, model: Facts | None) -> list[Facts]:
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


def together(found: Replay, flat: Mapping[str, Mapping[str, str]], beside_it: int) -> list[str]:
    """Say what the seeds of one folder cost together: each is a release on the same data."""
    told = (flat[name].get("seeds", "1") for name in ("policy", "config"))
    seeds = max(beside_it, *(int(word) for word in told if word.isdecimal()), 1)
    if seeds < 2 or found.epsilon is None or not found.book.rho:
        return []
    value = epsilon(seeds * found.book.rho, float(Fraction(found.run["delta"])))
    return [
        f"One of {seeds} seeds on the same data. The guarantee above is this seed's alone: what "
        f"all {seeds} publish together costs ε = {bound(value, 2)}."
    ]


def exceptions(found: Replay) -> list[str]:
    """Say what a reader would not expect, one sentence each."""
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
