# SPDX-License-Identifier: Apache-2.0
"""`privet server …`: the commands of an operator.

Nothing here weakens a guarantee: what decides it stands in the policy that an officer signed, and
every device refuses what that policy does not allow.
"""

import datetime
import json
import os
import secrets
import signal
import sqlite3
import tarfile
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from server import enrolment, setup
from server.folder import Deployment, OperatorFolder, read_draft, read_signed
from server.keys import read_signing_key, write_secret
from server.rounds import RoundShelf
from shared.atomic import replace_file
from shared.catalogue import load_catalogue
from shared.enrolment import DEVICE_RHO_CAP, rounds_within, write_invitation
from shared.errors import DataError, NetworkError, UsageError
from shared.flower import quiet_flower
from shared.ledger.replay import replay
from shared.logs import LogStyle, log_to_stderr
from shared.privacy.accountant import epsilon
from shared.terminal import harmless, harmless_json

server = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Operate a federation of devices.",
)
policy = typer.Typer(no_args_is_help=True, help="Check and sign the policy.")
catalogue = typer.Typer(no_args_is_help=True, help="Build the catalogue.")
server.add_typer(policy, name="policy")
server.add_typer(catalogue, name="catalogue")

Style = Literal["text", "json"]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The operator's folder.")]
Format = Annotated[Style, typer.Option("--format", help="Text for people, JSON for scripts.")]
Comments = Annotated[
    Path | None, typer.Option(help="Your own public comments: item_id,text[,user_id,helpful].")
]
LogFormat = Annotated[
    LogStyle, typer.Option("--log-format", help="Log lines for people, or JSON, one object a line.")
]
STOP_TIMEOUT_S = 60.0


def tell(style: Style, facts: dict[str, Any], *lines: str) -> None:
    """Print a result: one JSON object, or lines."""
    if style == "json":
        typer.echo(harmless_json(json.dumps(facts, ensure_ascii=False)))
    else:
        typer.echo(harmless("\n".join(lines)))


def progress(line: str) -> None:
    """Say how far a long command is, apart from its result."""
    typer.echo(line, err=True)


@server.command()
def init(
    folder: Folder,
    operator: Annotated[str, typer.Option(help="Who runs the server, as owners read it.")],
    address: Annotated[str, typer.Option(help="HOST:PORT under which devices reach it.")],
    users: Annotated[int, typer.Option(help="Devices that the run begins with.", min=2, max=1000)],
    target_epsilon: Annotated[float, typer.Option(help="ε when all budget is used.")] = 4.0,
    dropout: Annotated[float, typer.Option(help="Part of them that may drop out.")] = 0.1,
    rounds: Annotated[int | None, typer.Option(help="Rounds of each block.")] = None,
    budget: Annotated[str | None, typer.Option(help="Shares by query, as `simulate`.")] = None,
    listen: Annotated[str, typer.Option(help="Address to listen on.")] = "0.0.0.0",  # noqa: S104
    link_port: Annotated[int, typer.Option(help="Port of the SuperLink, on loopback.")] = 8000,
    min_separation_s: Annotated[int, typer.Option(help="Seconds between two rounds.")] = 3600,
    answer_after_ms: Annotated[int, typer.Option(help="From question to answer.")] = 2000,
    stage_s: Annotated[
        float | None,
        typer.Option(help="How long a stage is waited for; by the number of devices if left out."),
    ] = None,
    style: Format = "text",
) -> None:
    """Make the folder of a new federation: keys, choices, TLS."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError("--address must be HOST:PORT, got another.", hint="e.g. box.example:8443.")
    config = Deployment(
        operator=operator,
        run=secrets.token_hex(16),
        address=address,
        listen=listen,
        link_port=link_port,
        users=users,
        target_epsilon=target_epsilon,
        dropout=dropout,
        rounds=rounds,
        budget=_shares(budget) if budget else None,
        min_separation_s=min_separation_s,
        answer_after_ms=answer_after_ms,
        stage_s=setup.stage_time(users) if stage_s is None else stage_s,
    )
    made = setup.init(folder, config, datetime.datetime.now(datetime.UTC))
    tell(
        style,
        {"folder": str(made.path), "run": config.run},
        f"A federation of {users} devices is prepared in {made.path}.",
        f"Next: `privet server catalogue build {folder} CATALOGUE`.",
    )


@catalogue.command("build")
def catalogue_build(
    folder: Folder,
    items: Annotated[
        Path,
        typer.Argument(help="An items.csv, a folder that holds one, or a catalogue.safetensors."),
    ],
    encoder: Annotated[
        str | None, typer.Option(help="default, characters, a folder or a name on the hub.")
    ] = None,
    comments: Comments = None,
    style: Format = "text",
) -> None:
    """Encode the items, fit the basis, and draft the policy that goes with the catalogue."""
    from server.catalogue import build

    found = OperatorFolder(folder)
    drafted = build(found, items, encoder=encoder, comments=comments, say=progress)
    made, basis, version = load_catalogue(found.catalogue_file)
    tell(
        style,
        {
            "items": len(made),
            "version": version,
            "encoder": basis.encoder,
            "policy": str(folder / "policy.json"),
            "queries": list(drafted.queries),
        },
        f"{len(made)} items. The policy is drafted; the officer reads and signs it:",
        f"  privet server policy check {folder}/policy.json",
        f"  privet server policy sign {folder}/policy.json --key OFFICER.pem",
    )


@catalogue.command("update")
def catalogue_update(
    folder: Folder,
    items: Annotated[Path, typer.Argument(help="An items.csv, or a folder that holds one.")],
    comments: Comments = None,
    style: Format = "text",
) -> None:
    """Continue the catalogue: new items, changed texts; taken up at the next release."""
    from server.catalogue import update

    done = update(OperatorFolder(folder), items, comments=comments, say=progress)
    tell(
        style,
        vars(done),
        f"{done.items} items: {done.new} new, {done.texts} with another text, {done.facts} with "
        f"other facts, {done.absent} not in the table stay.",
        "Rounds under way go on with the catalogue that the run began with.",
        f"Devices get it with the next release; after one: `privet server start {folder}`.",
    )


@policy.command("check")
def policy_check(
    file: Annotated[Path, typer.Argument(help="policy.json")], style: Format = "text"
) -> None:
    """Say in words what a policy promises, and whether it is signed."""
    draft = read_draft(file)
    floor = draft.floor
    spent = epsilon(floor.rho_cap, float(draft.delta))
    worst = epsilon(floor.rho_round_max * draft.shares_max, float(draft.delta))
    answered = rounds_within(draft, DEVICE_RHO_CAP)
    signed = file.with_suffix(".sig").exists()
    if signed:
        read_signed(file)
    tell(
        style,
        {
            "operator": draft.operator,
            "run": draft.run,
            "users": draft.users,
            "queries": list(draft.queries),
            "epsilon": spent,
            "epsilon_own_share_round": worst,
            "delta": float(draft.delta),
            "participations_max": floor.participations_max,
            "min_noise_shares": floor.min_noise_shares,
            "rounds_within_device_cap": answered,
            "text_alpha": float(draft.text_alpha),
            "signed": signed,
        },
        f"{draft.operator}, run {draft.run}: {draft.users} devices, at most "
        f"{floor.participations_max} rounds, {floor.min_separation_s} s apart.",
        f"Queries: {', '.join(draft.queries)}.",
        f"ε {spent:.2f} at δ {float(draft.delta):.0e} when all is used; at least "
        f"{floor.min_noise_shares} honest noise shares in each sum.",
        f"Against an operator who makes up all other devices: ε {worst:.1f} for one round.",
        f"warning: devices spend at most ρ = {float(DEVICE_RHO_CAP):g} in their life unless their "
        f"owners say otherwise; this policy may ask {float(floor.rho_cap):.3g}. Such a device "
        f"surely answers {answered} of {floor.participations_max} rounds."
        if floor.rho_cap > DEVICE_RHO_CAP
        else "",
        f"When an item's text changes, {float(draft.text_alpha):.0%} of the old one stays.",
        "DEMO: fewer than 16 noise shares." if floor.demo else "",
        "Signed." if signed else "Not signed.",
    )


@policy.command("sign")
def policy_sign(
    file: Annotated[Path, typer.Argument(help="policy.json")],
    key: Annotated[Path, typer.Option(help="The officer's Ed25519 key, PEM.")],
    style: Format = "text",
) -> None:
    """Sign a policy as its officer."""
    public = setup.sign_policy(file, read_signing_key(key))
    tell(style, {"officer_key": public}, f"Signed by {public}; tell owners this key.")


@server.command()
def invite(
    folder: Folder,
    count: Annotated[int, typer.Option(help="How many devices.", min=1, max=1000)] = 1,
    style: Format = "text",
) -> None:
    """Make invitations, one file each; who holds one can take the seat."""
    place = folder / "invitations"
    made: list[str] = []
    for invitation in enrolment.invite(OperatorFolder(folder), count):
        path = place / f"{invitation.id}.json"
        write_secret(path, write_invitation(invitation))
        made.append(str(path))
    tell(style, {"invitations": made}, *made)


@server.command()
def devices(folder: Folder, style: Format = "text") -> None:
    """List the seats: invited, enrolled, revoked."""
    rows = [
        {
            "invitation": seat.invitation,
            "state": seat.state,
            "device": seat.read("enrolled").get("device", ""),
        }
        for seat in OperatorFolder(folder).seats()
    ]
    lines = (f"{row['invitation']}  {row['state']:<9} {row['device']}" for row in rows)
    tell(style, {"devices": rows}, *lines)


@server.command()
def start(folder: Folder, log_format: LogFormat = "text", style: Format = "text") -> None:
    """Run the federation until its model is released; restart whatever dies."""
    found = OperatorFolder(folder)
    quiet_flower(found.flower.path / "home")
    from server.start import Supervisor

    log_to_stderr(log_format)
    supervisor = Supervisor(found)
    for word in (signal.SIGTERM, signal.SIGINT):
        signal.signal(word, lambda *_: supervisor.stop())
    outcome = supervisor.run()
    tell(style, {"outcome": outcome}, outcome)


@server.command()
def stop(folder: Folder, style: Format = "text") -> None:
    """End the supervisor and all that it started."""
    from server.start import running_supervisor

    found = OperatorFolder(folder)
    pid = running_supervisor(found)
    if not pid:
        tell(style, {"stopped": False}, "Nothing runs.")
        return
    os.kill(pid, signal.SIGTERM)
    for _ in range(int(STOP_TIMEOUT_S / 0.2)):
        if not running_supervisor(found):
            tell(style, {"stopped": True}, "Stopped.")
            return
        time.sleep(0.2)
    raise NetworkError(
        f"the supervisor must stop within {STOP_TIMEOUT_S:.0f} s, and did not.",
        hint=f"its process is {pid}.",
    )


@server.command()
def status(folder: Folder, style: Format = "text") -> None:
    """Say where the run stands: devices, rounds, budget."""
    from server.card import figures_words
    from server.start import running_supervisor

    found = OperatorFolder(folder)
    states = [seat.state for seat in found.seats()]
    facts: dict[str, Any] = {
        "running": running_supervisor(found) != 0,
        "users": found.config.users,
        "invited": states.count("invited"),
        "enrolled": states.count("enrolled"),
        "revoked": states.count("revoked"),
        "rounds": 0,
        "released": 0,
        "discarded": 0,
        "spent_percent": 0.0,
        "model": "",
        "metrics": None,
    }
    if (found.path / "ledger" / "records.jsonl").exists():
        book = replay(found.path / "ledger").book
        facts |= {
            "rounds": book.rounds,
            "released": book.released,
            "discarded": book.discarded,
            "spent_percent": round(float(100 * book.rho / found.draft.floor.rho_cap), 1),
            "model": book.releases[-1]["file"] if book.releases else "",
            "metrics": dict(book.metrics[-1]["figures"]) if book.metrics else None,
        }
    measured = figures_words(facts["metrics"]) if facts["metrics"] else ""
    tell(
        style,
        facts,
        f"{'running' if facts['running'] else 'stopped'}: {facts['enrolled']} of "
        f"{facts['users']} devices enrolled, {facts['invited']} invited",
        f"rounds {facts['rounds']}, released {facts['released']}, discarded "
        f"{facts['discarded']}, {facts['spent_percent']} % of the budget",
        f"model {facts['model']}" if facts["model"] else "no model yet",
        *([f"measured by the devices: {measured}"] if measured else []),
    )


@server.command()
def rounds(folder: Folder, style: Format = "text") -> None:
    """List the rounds: what was asked, and why each closed as it did."""
    rows = []
    for each in RoundShelf(folder / "rounds"):
        decided, opened = each.decided, each.opened
        rows.append(
            {
                "round": decided.number,
                "query": decided.query,
                "of_query": decided.server_round,
                "invited": len(decided.cohort),
                "survivors": opened.survivors if opened else 0,
                "outcome": each.outcome or ("summed" if opened else "under way"),
                "why": each.why,
            }
        )
    lines = (
        f"round {row['round']}  {row['query']} {row['of_query']}  invited {row['invited']}  "
        f"survivors {row['survivors']}  {row['outcome']} {row['why']}".rstrip()
        for row in rows
    )
    tell(style, {"rounds": rows}, *lines)


@server.command()
def release(folder: Folder, style: Format = "text") -> None:
    """Show the released model, its hash, its place in the ledger; write its card beside it."""
    from server.card import CARD, card_facts, card_text

    found = OperatorFolder(folder)
    path = found.path / "model.safetensors"
    if not path.exists():
        raise DataError(
            "a model must have been released, and none was yet.",
            hint="`privet server start DIR` runs the rounds; `status` shows where they stand.",
        )
    book = replay(found.path / "ledger").book
    entry = book.releases[-1]
    facts = card_facts(found)
    text = card_text(facts, found.config.operator, len(found.catalogue))
    replace_file(found.path / CARD, text.encode())
    tell(
        style,
        {"file": str(path), "sha256": entry["file"], "round": entry["round"], "card": facts},
        f"{path}",
        f"sha256 {entry['file']}, after round {entry['round']}, in the ledger.",
        "",
        text,
    )


@server.command()
def revoke(
    folder: Folder,
    device: Annotated[str, typer.Argument(help="Device id, or the invitation's.")],
    style: Format = "text",
) -> None:
    """Shut a device out, for good and at once."""
    found = OperatorFolder(folder)
    for seat in found.seats():
        if device in (seat.invitation, seat.read("enrolled").get("device")):
            seat.revoke()
            _unregister(found, seat.read("invited")["transport_key"])
            tell(style, {"revoked": device}, f"Revoked {device}.")
            return
    raise UsageError(
        "a device must be one of the seats, got another.", hint="`devices` lists them."
    )


@server.command()
def backup(
    folder: Folder,
    out: Annotated[Path, typer.Argument(help="The archive to write, .tar.gz")],
    style: Format = "text",
) -> None:
    """Write everything that cannot be made again into one archive: it holds keys."""
    found = OperatorFolder(folder)
    if out.exists():
        raise UsageError(f"{out} must be new, it exists.", hint="choose another name.")
    copy = found.flower.path / "superlink.backup.db"
    if found.flower.database.exists():
        with sqlite3.connect(found.flower.database) as live, sqlite3.connect(copy) as kept:
            live.backup(kept)
    handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        for path in sorted(found.path.rglob("*")):
            inside = path.relative_to(found.path)
            ours = inside.parts[0] != "flower" or path == copy
            if path.is_file() and ours and path != out.resolve():
                archive.add(path, arcname=str(inside))
    copy.unlink(missing_ok=True)
    tell(style, {"archive": str(out)}, f"Wrote {out}: keep it as secret as the keys in it.")


def _unregister(folder: OperatorFolder, transport_key: str) -> None:
    """Take a device off the SuperLink, if it runs; the supervisor does not register it again."""
    from server.start import running_supervisor

    if not running_supervisor(folder):
        return
    quiet_flower(folder.flower.path / "home")
    from server.control import Control

    with Control(folder.flower.address, folder.keys / "ca.pem") as control:
        node_id = control.nodes().get(transport_key.encode())
        if node_id is not None:
            control.unregister(node_id)


def _shares(text: str) -> dict[str, float]:
    """Read `item_sums=.6,trunk_items=.4`."""
    try:
        return {name: float(share) for name, share in (part.split("=") for part in text.split(","))}
    except ValueError:
        raise UsageError(
            "--budget must be QUERY=SHARE,QUERY=SHARE, got another.", hint="shares add up to 1."
        ) from None
