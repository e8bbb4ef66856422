# SPDX-License-Identifier: Apache-2.0
"""`privet privacy plan | explain`: what a budget buys, and what ε means in odds."""

import json
import math
from fractions import Fraction
from typing import Annotated, Any, Literal

import click
import typer

from shared.errors import DataError, UsageError
from shared.privacy.accountant import noise_multiplier, rho_for, rho_of
from shared.privacy.plan import Cohort, mechanism_for, mechanism_of
from shared.privacy.policy import MAX_SECURE_SUM, Mechanism, Trust
from shared.privacy.query import Block, SumQuery
from simulation.budget import Budget, gaussian_epsilon, gaussian_mu, session_sizes

Format = Literal["text", "json"]

privacy = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Plan a privacy budget, or explain one in odds.",
)


@privacy.command()
def plan(
    users: Annotated[int, typer.Option(min=1, help="Enrolled accounts.")],
    rounds: Annotated[int, typer.Option(min=1, help="Releases that each account answers.")],
    cohort: Annotated[int | None, typer.Option(min=1, help="Devices in a session.")] = None,
    target_epsilon: Annotated[float | None, typer.Option(help="Plan for this ε.")] = None,
    noise_multiplier: Annotated[float | None, typer.Option(help="Plan from this noise.")] = None,
    sigma2: Annotated[int | None, typer.Option(help="Plan from this variance of a share.")] = None,
    target_delta: Annotated[float | None, typer.Option(help="δ; else min(1e-5, 1/10U).")] = None,
    trust: Annotated[Trust, typer.Option(help="Who holds the noise.")] = "distributed",
    dropout: Annotated[str, typer.Option(help="Part that may drop out, as .1 or 1/10.")] = "0",
    colluders: Annotated[int, typer.Option(min=0, help="Survivors who may tell.")] = 0,
    dimension: Annotated[int, typer.Option(min=1, help="Length of the vector.")] = 4096,
    format: Annotated[Format, typer.Option(help="How to print.")] = "text",
) -> None:
    """Plan noise from ε, or ε from noise, and say what each choice costs."""
    if sum(x is not None for x in (target_epsilon, noise_multiplier, sigma2)) != 1:
        raise UsageError("plan must have one of --target-epsilon, --noise-multiplier, --sigma2.")
    delta = min(1e-5, 1 / (10 * users)) if target_delta is None else target_delta
    query = SumQuery("release", (Block("all", dimension, 1.0),), "clip", "A planned release.")

    def mechanism(size: int) -> Mechanism:
        """Return the mechanism of one release by a session of so many devices."""
        group = Cohort(trust, size, _fraction(dropout), colluders)
        if sigma2 is not None:
            return mechanism_of(dimension, sigma2, group)
        total = rho_for(target_epsilon, delta) if target_epsilon else rho_of(noise_multiplier or 0)
        return mechanism_for(query, total / rounds, group)

    sizes = {users if cohort is None else cohort}
    if cohort is None and users > MAX_SECURE_SUM and trust == "distributed":
        sizes.add(MAX_SECURE_SUM)  # one cohort of everybody, and sessions that can be summed
    plans = []
    for size in sorted(sizes, reverse=True):
        dealt = session_sizes(users, size)
        plans.append(_figures(Budget(mechanism(min(dealt)), rounds, delta, len(dealt))))
    _print(plans if len(plans) > 1 else plans[0], format, "\n\n".join(map(_plan_text, plans)))


@privacy.command()
def explain(
    eps: Annotated[float, typer.Argument(metavar="EPS", help="ε.")],
    delta: Annotated[float, typer.Argument(metavar="DELTA", help="δ.")],
    format: Annotated[Format, typer.Option(help="How to print.")] = "text",
) -> None:
    """Say what (ε, δ) means for one person, in odds."""
    if not (0 < eps <= 100 and 2.0**-60 < delta < 1):
        raise DataError("EPS must be in (0, 100] and DELTA in (2^-60, 1).")
    mu = gaussian_mu(eps, delta)
    guess = 0.5 * (1 + math.erf(mu / 2 / math.sqrt(2)))
    worst = 1 / (1 + math.exp(-eps))
    figures = {"epsilon": eps, "delta": delta, "mu": mu, "best_guess": guess, "worst_case": worst}
    _print(
        figures,
        format,
        f"ε = {eps:g} at δ = {delta:g}, for one Gaussian release (μ = {mu:.2f}):\n"
        f"  Somebody who guesses whether you took part is right {guess:.1%} of the time at best;\n"
        "  without looking they are right 50 %.\n"
        f"  Worst case from ε alone: a suspicion of 50 % becomes {worst:.2%}.\n"
        f"  δ: in all, at most {delta:g} of what may happen is not covered by ε.",
    )


def _fraction(text: str) -> Fraction:
    """Return a dropout as an exact fraction in [0, 1)."""
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(-1)
    if not 0 <= value < 1:
        raise DataError(f"dropout must be a number in [0, 1), got {text!r}.")
    return value


def _figures(plan: Budget) -> dict[str, Any]:
    """Return what a plan promises and costs, under the names of the run folder."""
    m, rho = plan.mechanism, plan.rho
    factors = plan.noise_factors()
    exact = gaussian_epsilon(math.sqrt(2 * float(rho)), plan.delta)
    ideal = 1 / gaussian_mu(plan.epsilon(), plan.delta)
    factors["conversion"] = noise_multiplier(rho) / ideal
    return {
        "epsilon": plan.epsilon(),
        "delta": plan.delta,
        "rho": float(rho),
        "noise_multiplier": noise_multiplier(rho),
        "sigma2": m.sigma2,
        "delta2_squared": m.delta2_squared,
        "noise_shares": m.noise_shares,
        "min_survivors": m.min_survivors,
        "cohort_size": m.cohort_size,
        "sessions": plan.sessions,
        "rounds": plan.rounds,
        "trust": m.trust,
        "epsilon_continuous": exact,
        "epsilon_own_share": plan.epsilon_own_share,
        "epsilon_2_accounts": plan.epsilon(2),
        "epsilon_5_accounts": plan.epsilon(5),
        "noise_factors": factors,
    }


def _plan_text(f: dict[str, Any]) -> str:
    """Return a plan for reading."""
    which = "one cohort" if f["sessions"] == 1 else f"{f['sessions']} sessions"
    own = f["epsilon_own_share"]
    costs = f["noise_factors"]
    lines = [
        f"{which} of {f['cohort_size']} devices, {f['rounds']} rounds, {f['trust']} trust",
        f"  ε' = {f['epsilon']!r}  (δ = {f['delta']:g}, unamplified, zero-out of one account)",
        f"  σ'² = {f['sigma2']}  a share, {f['noise_shares']} shares for sure, Δ2² = "
        f"{f['delta2_squared']}",
        f"  ρ = {f['rho']:.6g}, noise multiplier of the whole {f['noise_multiplier']:.4f}",
        "  noise of the sum against one continuous central Gaussian at this ε:",
        *(f"    {name:<11}x {value:.4f}" for name, value in costs.items() if value != 1.0),
        f"    in all     x {math.prod(costs.values()):.4f}",
        f"  with 2 accounts ε = {f['epsilon_2_accounts']:.2f}, with 5 "
        f"ε = {f['epsilon_5_accounts']:.2f}",
        "  a server that knows all other noise: "
        + ("no protection" if own is None else f"ε = {own:.1f} for one round"),
    ]
    return "\n".join(lines)


def _print(figures: object, format: Format, text: str) -> None:
    """Print to stdout: one JSON value, or text."""
    click.echo(json.dumps(figures, sort_keys=True) if format == "json" else text)
