# SPDX-License-Identifier: Apache-2.0
"""One life of the operator's run: enrol who was invited, then ask until there is a model.

Whatever this process had done before it died is on disk, so each life begins at the beginning and
finds out for itself where the run stands. Which way leads to devices is not known here.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from server import enrolment
from server.asking import Asking, Exchange
from server.book import Book
from server.folder import OperatorFolder, Seat
from server.plan import Plan, make_plan
from server.rounds import RoundShelf
from server.training import train
from shared import wire
from shared.atomic import replace_file
from shared.catalogue import Catalogue
from shared.enrolment import release_statement
from shared.errors import CohortTooSmall, PolicyError
from shared.ledger.chain import LedgerWriter
from shared.logs import fields
from shared.model.file import save_model
from shared.privacy.canonical import digest
from shared.privacy.policy import Policy

log = logging.getLogger("privet.server")
CODE = "privet 0.1.0"


class Post(Exchange, Protocol):
    """An exchange that also reaches devices that have no name yet."""

    def enrol(
        self, seats: Sequence[Seat], question: wire.EnrolQuestion, deadline_s: float
    ) -> Iterator[tuple[Seat, wire.Message]]:
        """Ask who took these seats; yield the answers of those that are online."""


def operate(
    folder: OperatorFolder, post: Post, *, sleep: Callable[[float], None] = time.sleep
) -> str:
    """Run the federation to its release, or go on with it.

    Returns:
        SHA-256 of the released model.

    Raises:
        PolicyError: The policy is not signed, or does not cover the plan.
        CohortTooSmall: Too few devices came.
        BudgetExceeded: Rounds had to be asked again until the policy's cap was reached.
    """
    config, policy = folder.config, folder.draft
    folder.signed_policy  # noqa: B018 - refuses a policy that is not signed
    catalogue = folder.catalogue
    plan = covered_plan(folder, catalogue, policy)
    enrol(folder, post, sleep)
    with LedgerWriter.open(folder.path / "ledger", folder.server_key) as writer:
        asking = Asking(
            run=config.run,
            policy_hash=digest(policy),
            key=folder.server_key,
            directory=enrolment.directory(folder),
            shelf=RoundShelf(folder.path / "rounds"),
            book=Book(writer, policy, run=config.run, code=CODE),
            publish=folder.publish,
            exchange=post,
            pace=config.pace,
            sleep=sleep,
        )
        model = save_model(train(catalogue, plan, asking.ask))
        name = asking.finish(model)
        replace_file(folder.path / "model.safetensors", model)
    count = len(list(asking.shelf))
    log.info("released %s after %d rounds", name, count, extra=fields(model=name, rounds=count))
    announce(folder, post, name)
    return name


def announce(folder: OperatorFolder, post: Post, model: str) -> int:
    """Tell the devices that are here of a released model; return how many took it.

    Who is not here now is told by the next life of the run, or takes it with the next round.
    """
    config = folder.config
    signature = folder.server_key.sign(release_statement(config.run, model))
    message = wire.Release(config.run, model, signature)
    devices = post.online(enrolment.directory(folder))
    answers = post.ask("query.release", dict.fromkeys(devices, message), config.stage_s)
    taken = sum(isinstance(answer, wire.Taken) for _, answer in answers)
    users = len(enrolment.directory(folder))
    log.info(
        "%d of %d devices took the model", taken, users, extra=fields(taken=taken, users=users)
    )
    return taken


def covered_plan(folder: OperatorFolder, catalogue: Catalogue, policy: Policy) -> Plan:
    """Return the plan of the run, if the policy allows all of it.

    Raises:
        PolicyError: It does not: the choices were changed after the policy was drafted.
    """
    plan = make_plan(
        folder.config.plan_config, policy.users, catalogue, comments=folder.config.comments
    )
    queries = {release.query.name for release in plan.releases}
    if plan.rho > policy.floor.rho_cap or not queries <= set(policy.queries):
        raise PolicyError(
            "the signed policy must cover the whole plan, and does not.",
            hint="config.toml was changed after the policy was drafted: draft and sign it anew.",
        )
    return plan


def enrol(folder: OperatorFolder, post: Post, sleep: Callable[[float], None]) -> None:
    """Ask every seat that nobody took yet, until the policy's devices are all here.

    Raises:
        CohortTooSmall: They did not come in time.
    """
    config, policy_hash, waited = folder.config, digest(folder.draft), 0.0
    users = folder.draft.users
    while True:
        here = len(enrolment.directory(folder))
        open_seats = [seat for seat in folder.seats() if seat.state == "invited"]
        if here >= users or (not open_seats and _begun(folder)):
            return
        answers = post.enrol(open_seats, enrolment.question(folder), config.stage_s)
        new = [seat for seat, answer in answers if enrolment.take(seat, answer, policy_hash)]
        if new:
            here += len(new)
            known = fields(enrolled=here, users=users)
            log.info("enrolled %d of %d devices", here, users, extra=known)
            continue
        if _begun(folder):  # who comes late is asked again by the next life
            return
        if waited >= config.gather_s:
            raise CohortTooSmall(
                f"a run must begin with the policy's {users} devices, got {here} within "
                f"{config.gather_s:.0f} s.",
                hint="`privet server devices` shows who is missing; start again later.",
            )
        sleep(config.pace.look_s)
        waited += config.pace.look_s


def _begun(folder: OperatorFolder) -> bool:
    """Say whether the run has opened its ledger: then nobody is waited for any more."""
    return (folder.path / "ledger" / "records.jsonl").exists()


def names_of(folder: OperatorFolder) -> Mapping[str, Seat]:
    """Return transport keys, as the transport spells them, and their seats."""
    return {
        seat.read("invited")["transport_key"]: seat
        for seat in folder.seats()
        if seat.state != "revoked"
    }
