# SPDX-License-Identifier: Apache-2.0
"""`privet audit`: what a privacy officer types.

Replay a ledger, make a report, check a report, cosign a ledger, export a registry entry. The code
battery, the canaries and the attacks keep their names until they are built.
"""

import json
import os
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from shared.errors import DataError, UsageError
from shared.ledger import beside, chain, replay
from shared.ledger.checkpoint import COSIGNATURE_LABEL, Checkpoint, public_hex
from shared.ledger.records import ClaimExceeded, LedgerFault

audit = typer.Typer(
    help="Replay, report and verify a privacy budget.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Form = Annotated[Literal["text", "json"], typer.Option("--format", help="text or json")]
Key = Annotated[str | None, typer.Option(help="Public key that must have signed, hex.")]


@audit.command("replay")
def replay_(
    path: Annotated[Path, typer.Argument(help="Run folder, ledger folder or records.jsonl.")],
    key: Key = None,
    cosigned: Annotated[Path | None, typer.Option(help="A cosigner's own copy.")] = None,
    receipts: Annotated[Path | None, typer.Option(help="Receipts handed over, JSON lines.")] = None,
    form: Form = "text",
) -> None:
    """Recompute everything that a ledger claims."""
    from simulation.audit import published

    try:
        found = replay.replay(path, key=key, cosigned=cosigned, receipts=receipts)
        sums = published.hold(beside.locate(path), found)
    except (LedgerFault, ClaimExceeded) as wrong:
        if form == "json":
            typer.echo(json.dumps(replay.failure(wrong), indent=1))
        raise
    if form == "json":
        typer.echo(json.dumps(found.facts() | {"sums_compared": sums}, indent=1))
        return
    typer.echo(replay.text(found))
    if sums is not None:
        typer.echo(f"Published sums: {sums}, hashed again; they are those that the ledger names.")


@audit.command()
def report(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[Path, typer.Option(help="The page to write, FILE.html.")],
    key: Annotated[Path | None, typer.Option(help="Private key that signs, PEM.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 10 if a field is missing.")
    ] = False,
    form: Form = "text",
) -> None:
    """Write the report of a run: FILE.html, FILE.json, FILE.sig."""
    from simulation.audit import report as pages

    if out.suffix != ".html":
        raise UsageError(f"--out must end in .html, got {out.name}.", hint="name a page.")
    signer = pages.load_key(key) if key is not None else None
    done = pages.write(run, out, key=signer)
    if form == "json":
        names = [done.html, done.json, *([done.signature] if done.signature else [])]
        row = {"files": [str(n) for n in names], "bytes": done.bytes}
        typer.echo(json.dumps(row | {"not_stated": done.not_stated}, indent=1))
    else:
        signed = "signed" if done.signature else "NOT SIGNED (no --key, no key in the run)"
        typer.echo(f"{done.html}  {done.bytes / 1000:.0f} kB, {signed}")
        if done.not_stated:
            typer.echo(f"not stated: {', '.join(done.not_stated)}", err=True)
    if strict and done.not_stated:
        raise DataError(
            f"every field must be stated, {', '.join(done.not_stated)} is not.",
            hint="state it in policy.json or config.toml; `not performed` is a statement.",
        )


@audit.command()
def verify(
    report: Annotated[Path, typer.Argument(help="The page, FILE.html.")],
    key: Key = None,
    form: Form = "text",
) -> None:
    """Check a report against the ledger that it carries."""
    from simulation.audit import report as pages

    found = pages.verify(report, key=key)
    compared = pages.pictures_agree(report)
    if form == "json":
        typer.echo(json.dumps(found.facts() | {"pictures_compared": compared}, indent=1))
        return
    typer.echo("The page, its facts and its ledger agree, and the signature is good.")
    if not compared:
        typer.echo("The pictures were drawn by another version of the library: not compared.")
    if key is None:
        typer.echo("The signing key is the ledger's own; pass --key to pin one that you know.")
    typer.echo(replay.text(found))


@audit.command()
def cosign(
    ledger: Annotated[Path, typer.Argument(help="Run folder or ledger folder.")],
    key: Annotated[Path, typer.Option(help="Your private key, PEM.")],
    previous: Annotated[Path | None, typer.Option(help="Your own earlier cosignatures.")] = None,
    out: Annotated[Path | None, typer.Option(help="Your own copy, appended to.")] = None,
    form: Form = "text",
) -> None:
    """Replay a ledger, then sign that you saw its last checkpoint."""
    from simulation.audit.report import load_key

    signer = load_key(key)
    found = replay.replay(ledger, cosigned=previous)
    if public_hex(signer) == found.run["key"]:
        raise UsageError("a keeper cannot cosign its own ledger.", hint="use another key.")
    mark = Checkpoint.sign(
        signer,
        COSIGNATURE_LABEL,
        run=found.run["run"],
        size=found.signed,
        root=found.root,
        at=int(time.time()),
    )
    for path in (replay.locate(ledger) / chain.COSIGNATURES, *([out] if out else [])):
        with path.open("ab") as file:
            file.write(mark.line() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    if form == "json":
        typer.echo(mark.line().decode())
        return
    typer.echo(f"Cosigned {mark.size} records, root {mark.root}.")
    typer.echo("Keep your own copy: only a copy outside the ledger shows a rewritten history.")


@audit.command("export-registry")
def export_registry(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[Path | None, typer.Option(help="File; standard output without.")] = None,
) -> None:
    """Write a Tier 3 entry for the registry of deployments, in YAML."""
    from simulation.audit import registry
    from simulation.audit.facts import gather

    text = registry.yaml(registry.entry(gather(run)))
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, "utf-8")
    typer.echo("What no schema can check:", err=True)
    for line in registry.BY_A_PERSON:
        typer.echo(f"  - {line}", err=True)


def _reserve(name: str) -> None:
    """Keep a name of the contract until it is built."""

    @audit.command(
        name,
        help="Reserved, not built yet.",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def refuse() -> None:
        raise UsageError(
            f"`privet audit {name}` is reserved and not built yet.",
            hint="`privet audit -h` lists the commands that are built.",
        )


for _name in ("code", "canary", "attack"):
    _reserve(_name)
