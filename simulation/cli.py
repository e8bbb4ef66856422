# SPDX-License-Identifier: Apache-2.0
"""`privet simulate | runs | config`: the researcher's commands."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from shared.config import RunConfig, load
from shared.errors import UsageError

Style = Literal["text", "json"]
FormatOption = Annotated[Style, typer.Option("--format", help="Text for people, JSON for scripts.")]

RESERVED = {
    "canaries": "--canaries",
}
"""Flags of the contract that no release has built yet."""


def simulate(
    data: Annotated[
        str | None, typer.Argument(help="A folder in a known layout, or `village`.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file; flags win over it.")] = None,
    split: Annotated[
        str | None, typer.Option(help="random, u1..u5, leave-one-out, one-random, users, items.")
    ] = None,
    test_fraction: Annotated[float | None, typer.Option(help="Share held out.")] = None,
    target_epsilon: Annotated[
        float | None, typer.Option(help="Epsilon to reach; 8, health 2.")
    ] = None,
    noise_multiplier: Annotated[
        float | None, typer.Option(help="Noise over sensitivity of the single equal Gaussian.")
    ] = None,
    no_privacy: Annotated[bool, typer.Option("--no-privacy", help="No noise: control.")] = False,
    local_only: Annotated[
        bool, typer.Option("--local-only", help="No federation: control.")
    ] = False,
    target_delta: Annotated[
        float | None, typer.Option(help="Delta; min(1e-5, 1/(10 users)).")
    ] = None,
    trust: Annotated[str | None, typer.Option(help="distributed, central or local.")] = None,
    cohort: Annotated[str | None, typer.Option(help="Devices in one secure sum, or all.")] = None,
    dropout: Annotated[float | None, typer.Option(help="Allowance for dropouts; 0.1.")] = None,
    colluders: Annotated[int | None, typer.Option(help="Noise shares not counted; 0.")] = None,
    budget: Annotated[
        str | None, typer.Option(help="Shares of rho: item_sums=.45,trunk_items=.55.")
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="Rounds of the item block.")] = None,
    encoder: Annotated[
        str | None, typer.Option(help="default, characters, a path or a hub name.")
    ] = None,
    domain: Annotated[str | None, typer.Option(help="What the village is about.")] = None,
    seed: Annotated[int | None, typer.Option(help="Splits, negatives, village; not noise.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Run N seeds; figures are means ± sd.")] = None,
    noise_seed: Annotated[
        int | None, typer.Option(help="Seed the noise: tests only, no privacy.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads for the encoder.")] = None,
    out: Annotated[str | None, typer.Option(help="Folder of the run; runs/NAME-TIME.")] = None,
    resume: Annotated[str | None, typer.Option(help="Go on with an unfinished run.")] = None,
    engine: Annotated[
        str | None, typer.Option(help="vectorised, or flower: real apps; ray is reserved.")
    ] = None,
    protocol: Annotated[str | None, typer.Option(help="drawn, or real secure sums.")] = None,
    blocks: Annotated[
        str | None, typer.Option(help="Trunk blocks: items,network; a public rule.")
    ] = None,
    objective: Annotated[
        str | None, typer.Option(help="balanced, ratings or ranking: what budget serves.")
    ] = None,
    diversity: Annotated[float | None, typer.Option(help="Unlikeness in lists, 0 to 1; 0.")] = None,
    public_comments: Annotated[
        float | None, typer.Option(help="Share of training comments to publish; none.")
    ] = None,
    canaries: Annotated[str | None, typer.Option(hidden=True)] = None,
    style: FormatOption = "text",
) -> None:
    """Run a private federation on ratings, on one machine.

    Reserved, not built yet: --canaries, --engine ray.
    """
    given = dict(locals())
    _refuse_reserved(given)
    names = set(RunConfig.model_fields)
    flags = {name: value for name, value in given.items() if name in names}
    flags["budget"] = parse_budget(budget)
    flags["blocks"] = tuple(blocks.split(",")) if blocks else None
    flags["cohort"] = int(cohort) if cohort and cohort.isdigit() else cohort
    settings = load(config or _stored_config(resume), flags)
    from simulation.report import print_result
    from simulation.run import simulate as run

    figures = run(settings, lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201
    if style == "json":
        typer.echo(json.dumps(figures, ensure_ascii=False, allow_nan=False))
    else:
        print_result(figures)


def _refuse_reserved(given: dict[str, Any]) -> None:
    """Refuse the names of the contract that are not built yet."""
    asked = [flag for name, flag in RESERVED.items() if given[name] is not None]
    asked += ["--engine ray"] * (given["engine"] == "ray")
    if asked:
        raise UsageError(
            f"{asked[0]} is reserved and not built yet.",
            hint="--engine flower runs on Ray; the vectorised engine is faster than either."
            if given["engine"] == "ray"
            else "leave it out for now.",
        )


def _stored_config(resume: str | None) -> Path | None:
    """Return the configuration of the run to go on with."""
    return Path(resume) / "config.toml" if resume else None


def parse_budget(text: str | None) -> dict[str, float] | None:
    """Read `item_sums=.45,trunk_items=.55`.

    Example:
        >>> parse_budget("item_sums=.25,metrics=.75")
        {'item_sums': 0.25, 'metrics': 0.75}
    """
    if text is None:
        return None
    shares = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            shares[name.strip()] = float(share)
        except ValueError:
            raise UsageError(
                f"--budget must be NAME=SHARE,NAME=SHARE, got {part!r}.",
                hint="for instance --budget item_sums=1.",
            ) from None
    return shares


config = typer.Typer(no_args_is_help=True, help="Show the configuration, or its JSON Schema.")


@config.command("show")
def show_config(
    file: Annotated[Path | None, typer.Option("--config", help="TOML file to merge.")] = None,
    style: FormatOption = "text",
) -> None:
    """Print the configuration that a run would use."""
    settings = load(file)
    if style == "json":
        typer.echo(settings.model_dump_json(by_alias=True))
    else:
        typer.echo(settings.to_toml(), nl=False)


@config.command("schema")
def show_schema(style: FormatOption = "json") -> None:
    """Print the JSON Schema of the configuration; every key with its meaning."""
    typer.echo(json.dumps(RunConfig.model_json_schema(by_alias=True), indent=1, ensure_ascii=False))


runs = typer.Typer(no_args_is_help=True, help="List, show and compare finished runs.")


@runs.command("list")
def list_(
    folder: Annotated[Path, typer.Option(help="Where run folders lie.")] = Path("runs"),
    style: FormatOption = "text",
) -> None:
    """List the runs of a folder, oldest first."""
    from simulation.report import print_runs
    from simulation.runs import list_runs

    found = list_runs(folder)
    if style == "json":
        entries = [
            {"run_dir": str(path), "finished": f is not None} | (f or {}) for path, f in found
        ]
        typer.echo(json.dumps(entries, ensure_ascii=False))
    else:
        print_runs(found)


@runs.command("show")
def show(run: Annotated[Path, typer.Argument()], style: FormatOption = "text") -> None:
    """Show the figures of one run."""
    from simulation.report import print_result
    from simulation.runs import read_result

    figures = read_result(run)
    if style == "json":
        typer.echo(json.dumps(figures, ensure_ascii=False))
    else:
        print_result(figures)


@runs.command("compare")
def compare(
    run: Annotated[list[Path], typer.Argument(help="Two runs or more.")],
    plot: Annotated[
        Path | None,
        typer.Option(help="Write an SVG picture: RMSE against epsilon, or the price of diversity."),
    ] = None,
    style: FormatOption = "text",
) -> None:
    """Compare runs: what privacy costs against a run without noise."""
    from shared.atomic import replace_file
    from simulation.report import compared, print_comparison
    from simulation.runs import read_result

    if len(run) < 2:
        raise UsageError(
            f"compare must be given at least 2 runs, got {len(run)}.",
            hint="`privet runs list` names them.",
        )
    rows = compared([read_result(path) for path in run])
    if plot is not None:
        from simulation.plots import accuracy_against_diversity, rmse_against_epsilon

        varied = len({row.get("diversity") for row in rows}) > 1
        replace_file(plot, (accuracy_against_diversity if varied else rmse_against_epsilon)(rows))
    if style == "json":
        typer.echo(json.dumps(rows, ensure_ascii=False))
    else:
        print_comparison(rows)
