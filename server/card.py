# SPDX-License-Identifier: Apache-2.0
"""The card of a released model: what it is, what it cost, what it does not promise.

Every figure comes from the replayed ledger, so a card says nothing that an auditor would not find;
what nobody measured is called "not measured".

Source: Mitchell et al. (2019), "Model Cards for Model Reporting".
"""

from fractions import Fraction
from typing import Any

from server.folder import OperatorFolder
from shared.ledger.replay import replay
from shared.privacy.accountant import epsilon

CARD = "MODEL_CARD.md"
NOT_MEASURED = "not measured"
SE = "_se"
"""How the standard error of a released figure is called: the figure's name and this."""
LIMITS = (
    "ε counts what the sums tell; that a device takes part, and when, is seen by the operator.",
    "What a device shows its own owner, and comments that owners publish, are outside ε.",
    "A device can send any bounded vector: the integrity of the model is not promised.",
    "The model knows the items of its catalogue; newer ones are placed by their text alone.",
)


def card_facts(folder: OperatorFolder) -> dict[str, Any]:
    """Return what the ledger says of the released model; public.

    Raises:
        DataError: There is no ledger, or it does not verify.
    """
    found = replay(folder.path / "ledger")
    book, run, entry = found.book, found.run, found.book.releases[-1]
    delta = float(Fraction(run["delta"]))
    return {
        "model": entry["file"],
        "run": run["run"],
        "code": run["code"],
        "policy": run["policy"],
        "users": run["users"],
        "epsilon": epsilon(book.rho, delta),
        "epsilon_cap": epsilon(Fraction(run["rho_cap"]), delta),
        "delta": delta,
        "rho": float(book.rho),
        "neighboring_relation": run["neighboring_relation"],
        "privacy_unit": run["unit"],
        "trust": run["trust"],
        "rounds": book.rounds,
        "released": book.released,
        "discarded": book.discarded,
        "survivors_min": book.survivors_min,
        "noise_shares_min": book.shares_min,
        "queries": [
            {"name": spend.query, "purpose": spend.purpose, "rounds": spend.rounds}
            for spend in book.queries.values()
        ],
        "metrics": dict(book.metrics[-1]["figures"]) if book.metrics else None,
        "limits": list(LIMITS),
    }


def card_text(facts: dict[str, Any], operator: str, items: int) -> str:
    """Spell a card for people, in Markdown."""
    figures = facts["metrics"]
    measured = figures_words(figures) if figures else ""
    rows = (
        ("operator", operator),
        ("model", f"`{facts['model']}`"),
        ("catalogue", f"{items} items"),
        ("made by", facts["code"]),
        ("policy", f"`{facts['policy']}`"),
        ("devices", f"{facts['users']}, at least {facts['survivors_min']} in each sum"),
        ("ε used", f"{facts['epsilon']:.3f} at δ = {facts['delta']:.1e}"),
        ("ε of the policy's cap", f"{facts['epsilon_cap']:.3f}"),
        ("protected unit", f"{facts['privacy_unit']}, {facts['neighboring_relation']}"),
        ("trust", f"{facts['trust']}, at least {facts['noise_shares_min']} shares of noise"),
        ("rounds", f"{facts['rounds']}, of which {facts['discarded']} discarded"),
        ("measured quality", measured or NOT_MEASURED),
    )
    return "\n".join(
        (
            "# Model card",
            "",
            "A recommender that devices improved together; ratings and comments stayed on them.",
            "",
            "| | |",
            "|---|---|",
            *(f"| {name} | {value} |" for name, value in rows),
            "",
            "Asked of devices:",
            "",
            *(f"- {q['name']}, {q['rounds']} rounds: {q['purpose']}" for q in facts["queries"]),
            "",
            "Limits:",
            "",
            *(f"- {limit}" for limit in facts["limits"]),
            "",
        )
    )


def figures_words(figures: dict[str, str]) -> str:
    """Spell booked figures for people, each with its standard error where it has one."""
    return ", ".join(
        f"{name} {float(value):.4g}"
        + (f" ± {float(figures[name + SE]):.2g}" if name + SE in figures else "")
        for name, value in figures.items()
        if not name.endswith(SE)
    )
