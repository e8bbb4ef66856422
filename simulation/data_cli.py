# SPDX-License-Identifier: Apache-2.0
"""`privet data list | inspect | generate | fetch`: what can be read, what cleaning did to it."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from shared.errors import NetworkError, UsageError
from shared.schema import RULES
from simulation.dataset import Dataset

data = typer.Typer(no_args_is_help=True, help="List, inspect and generate data sets.")

FormatOption = Annotated[
    Literal["text", "json"], typer.Option("--format", help="Text for people, JSON for scripts.")
]

PUBLIC = {
    "ml-100k": "MovieLens 100K, grouplens.org, page Datasets",
    "ml-1m": "MovieLens 1M, grouplens.org, page Datasets",
    "ml-latest-small": "MovieLens latest small, grouplens.org, page Datasets",
    "amazon-2014": "Amazon product data 2014 (5-core), page of Julian McAuley",
    "amazon-2023": "Amazon Reviews 2023, page of the McAuley Lab",
}
"""Public data sets and the page of their owners; none of them may be passed on by us."""


@data.command("list")
def list_(style: FormatOption = "text") -> None:
    """List the layouts that Privet reads, with their files."""
    from simulation.layouts import LAYOUTS

    rows = [{"layout": layout.NAME, "files": layout.FILES} for layout in LAYOUTS]
    rows.append({"layout": "village", "files": "none: generated, the default"})
    if style == "json":
        typer.echo(json.dumps(rows))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("layout", no_wrap=True)
    table.add_column("a folder with")
    for row in rows:
        table.add_row(row["layout"], row["files"])
    Console(highlight=False, markup=False, emoji=False).print(table)


@data.command()
def inspect(
    source: Annotated[str, typer.Argument(metavar="DATA", help="A folder, or `village`.")],
    style: FormatOption = "text",
) -> None:
    """Show the shape of a data set and what each cleaning rule did."""
    from simulation.layouts import load

    facts = describe(load(source))
    if style == "json":
        typer.echo(json.dumps(facts, ensure_ascii=False))
        return
    console = Console(highlight=False, markup=False, emoji=False)
    for name in ("name", "users", "items", "ratings", "comments", "density", "scale", "declared"):
        console.print(f"{name:10} {facts[name]}", soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("rule", "on", "what it does", "times"):
        table.add_column(head, justify="right" if head == "times" else "left")
    for rule in RULES:
        count = "refuses" if rule.action == "refuse" else str(facts["cleaning"][rule.name])
        table.add_row(rule.name, rule.where, rule.does, count)
    console.print(table)
    for warning in facts["warnings"]:
        console.print(f"warning: {warning}", soft_wrap=True)


def describe(dataset: Dataset) -> dict[str, Any]:
    """Return the shape of a data set and the counts of the cleaning rules."""
    scale = dataset.scale
    step = f" in steps of {scale.step:g}" if scale.step else ""
    has = [
        f"comments {'declared' if dataset.comments_declared else 'not declared'}",
        *(f"number {name}" for name in dataset.bounds),
        *(f"attribute {name}" for name in dataset.attributes),
        *(["folds " + " ".join(dataset.folds)] if dataset.folds else []),
    ]
    return {
        "name": dataset.name,
        "users": len(dataset.users),
        "items": len(dataset.items),
        "ratings": len(dataset.interactions),
        "comments": sum(bool(text) for text in dataset.interactions.comments),
        "density": round(dataset.density, 5),
        "scale": f"{scale.low:g} to {scale.high:g}{step}",
        "declared": ", ".join(has),
        "cleaning": dict(dataset.cleaning.counts),
        "warnings": list(dataset.warnings),
    }


@data.command()
def generate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    users: Annotated[int, typer.Option(help="People.")] = 500,
    items: Annotated[int, typer.Option(help="Items.")] = 350,
    domain: Annotated[str, typer.Option(help="What it is about.")] = "films",
    seed: Annotated[int, typer.Option(help="The same seed gives the same village.")] = 0,
    style: FormatOption = "text",
) -> None:
    """Write a village as a folder in the generic layout."""
    from simulation.generic_writer import write
    from simulation.village import village

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"DIR must be a new or empty folder, got {folder}.", hint="choose another name."
        )
    made = village(users, items, seed, domain)
    write(folder, made)
    if style == "json":
        typer.echo(json.dumps(describe(made) | {"folder": str(folder)}, ensure_ascii=False))
    else:
        typer.echo(
            f"{folder}: {len(made.users)} users, {len(made.items)} items, "
            f"{len(made.interactions)} ratings; try `privet simulate {folder}`"
        )


@data.command()
def fetch(name: Annotated[str, typer.Argument()]) -> None:
    """Say where a public data set can be had; Privet downloads nothing by itself."""
    if name not in PUBLIC:
        raise UsageError(
            f"NAME must be one of {', '.join(PUBLIC)}, got {name}.", hint="`privet data list`."
        )
    raise NetworkError(
        f"{name} must be fetched by you, under its owner's terms: Privet downloads nothing.",
        hint=f"{PUBLIC[name]}; unpack it and run `privet simulate path/to/{name}`.",
    )
