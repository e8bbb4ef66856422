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
from server.carrying import Released, carry
from server.comments import publish_comments
from server.folder import OperatorFolder, Seat
from server.measuring import measure
from server.plan import Plan, Release, Summed, make_plan
from server.publications import gather
from server.rounds import RoundShelf
from server.training import Ask, train
from shared import wire
from shared.catalogue import Catalogue
from shared.enrolment import release_statement
from shared.errors import CohortTooSmall, PolicyError
from shared.ledger.chain import LedgerWriter
from shared.logs import fields
from shared.model.file import save_model
from shared.model.view import View
from shared.privacy.canonical import digest
from shared.privacy.policy import Policy

log = logging.getLogger("privet.server")
CODE = "privet 0.1.0"
SOON_S = 2.0
"""What a device may be late with between two rounds, when it looks for messages often."""


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
    again = (folder.path / "model.safetensors").exists()

    def members() -> Mapping[bytes, bytes]:
        take_seats(folder, post)
        return enrolment.directory(folder)

    with LedgerWriter.open(folder.path / "ledger", folder.server_key) as writer:
        book = Book(writer, policy, run=config.run, code=CODE)
        asking = Asking(
            run=config.run,
            policy_hash=digest(policy),
            key=folder.server_key,
            directory=enrolment.directory(folder),
            shelf=RoundShelf(folder.path / "rounds"),
            book=book,
            publish=folder.publish,
            exchange=post,
            pace=config.pace,
            sleep=sleep,
            members=members,
        )
        ask = between(folder, post, asking)
        model = train(catalogue, plan, ask)
        figures = measure(model, plan, ask, 1 / config.scale.unit)
        released = carry(folder, model, asking.finish(save_model(model), figures), book)
        gather(folder, post, enrolment.directory(folder))
        comments = publish_comments(folder, enrolment.directory(folder), book)
    name, count = released.model, len(list(asking.shelf))
    log.info("released %s after %d rounds", name, count, extra=fields(model=name, rounds=count))
    announce(folder, post, released, comments, enrolment.directory(folder))
    if again:
        welcome(folder, post, lambda new: announce(folder, post, released, comments, new), sleep)
    return name


def welcome(
    folder: OperatorFolder,
    post: Post,
    tell: Callable[[Mapping[bytes, bytes]], object],
    sleep: Callable[[float], None],
) -> None:
    """Give the model to who joins after the release, while seats are open and time is left."""
    config, waited = folder.config, 0.0
    while waited < config.gather_s and any(seat.state == "invited" for seat in folder.seats()):
        before = enrolment.directory(folder)
        if take_seats(folder, post):
            now = enrolment.directory(folder)
            tell({name: now[name] for name in now.keys() - before.keys()})
            continue
        sleep(config.pace.look_s)
        waited += config.pace.look_s


def between(folder: OperatorFolder, post: Post, asking: Asking) -> Ask:
    """Ask as `asking` does, and after each round that was run ask what owners published."""
    config = folder.config
    soon = min(config.stage_s, config.answer_after_ms / 1000 + SOON_S)

    def ask(release: Release, server_round: int, view: View) -> Summed:
        before = asking.shelf.last
        found = asking.ask(release, server_round, view)
        if asking.shelf.last != before:
            gather(folder, post, asking.directory, deadline_s=soon)
        return found

    return ask


def announce(
    folder: OperatorFolder,
    post: Post,
    released: Released,
    comments: str,
    among: Mapping[bytes, bytes],
) -> int:
    """Tell those of the devices that are here what was released; return how many took it.

    Who is not here now is told by the next life of the run, or takes it with the next round.
    """
    config = folder.config
    names = (config.run, released.model, released.catalogue, comments)
    message = wire.Release(*names, folder.server_key.sign(release_statement(*names)))
    devices = post.online(among)
    answers = post.ask("query.release", dict.fromkeys(devices, message), config.stage_s)
    taken = sum(isinstance(answer, wire.Taken) for _, answer in answers)
    users = len(among)
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
    config, waited = folder.config, 0.0
    users = folder.draft.users
    while True:
        here = len(enrolment.directory(folder))
        open_seats = [seat for seat in folder.seats() if seat.state == "invited"]
        if here >= users or (not open_seats and _begun(folder)):
            return
        if take_seats(folder, post):
            continue
        if _begun(folder):  # who comes late is asked again before the next round
            return
        if waited >= config.gather_s:
            raise CohortTooSmall(
                f"a run must begin with the policy's {users} devices, got {here} within "
                f"{config.gather_s:.0f} s.",
                hint="`privet server devices` shows who is missing; start again later.",
            )
        sleep(config.pace.look_s)
        waited += config.pace.look_s


def take_seats(folder: OperatorFolder, post: Post) -> int:
    """Ask once who took the open seats; return how many enrolled, within the policy's devices."""
    users, here = folder.draft.users, len(enrolment.directory(folder))
    open_seats = [seat for seat in folder.seats() if seat.state == "invited"][: users - here]
    if not open_seats:
        return 0
    policy_hash = digest(folder.draft)
    answers = post.enrol(open_seats, enrolment.question(folder), folder.config.stage_s)
    new = sum(enrolment.take(seat, answer, policy_hash) for seat, answer in answers)
    if new:
        here += new
        known = fields(enrolled=here, users=users)
        log.info("enrolled %d of %d devices", here, users, extra=known)
    return new


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
