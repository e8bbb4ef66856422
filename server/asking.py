# SPDX-License-Identifier: Apache-2.0
"""`ask` over devices: one question of the algorithm becomes one or more rounds of secure sums.

`server.training.train` calls `Asking.ask` again for every question after a restart; a question
whose sum is on disk is answered from there. The model of a round is the view that goes out with
it, by hash, so a round is closed in the ledger when the next view is known: every record of the
ledger then names a file that anybody can fetch and hash.

A round in which too few devices answer is discarded: charged, nothing revealed, asked again under
a new number while the policy's cap allows it. So is a sum that is larger than bounded vectors give.
"""

import logging
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.book import Book
from server.plan import Release, Summed
from server.rounds import Decided, Opened, RoundFolder, RoundShelf
from shared import wire
from shared.enrolment import write_directory
from shared.errors import CohortTooSmall, UsageError
from shared.logs import fields
from shared.model.view import View
from shared.model.view_file import load_view, save_view
from shared.privacy.canonical import parse, sign
from shared.privacy.encode import decode
from shared.privacy.policy import Mechanism, RoundConfig
from shared.round_terms import terms_of
from shared.schema import Ints
from shared.secagg.aggregator import Aggregator
from shared.secagg.refusals import ProtocolRefusal, TooFewDevices
from shared.secagg.terms import SERVER_NAME, Enrolment, Identity

log = logging.getLogger("privet.server")

_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII).fullmatch
Questions = Mapping[bytes, wire.Message]
"""Device id to the message for it."""


class SumTooLarge(ProtocolRefusal):
    """A device put more into the sum than its bound allows; the sum is not used."""


WHY: tuple[tuple[type[ProtocolRefusal], str], ...] = (
    (TooFewDevices, "too few devices"),
    (SumTooLarge, "sum too large"),
)
"""Why a round was discarded, in the words of `rounds`."""


class Exchange(Protocol):
    """The way to devices and back; Flower's Grid, or a table in a test."""

    def online(self, cohort: Mapping[bytes, bytes]) -> set[bytes]:
        """Return the devices of the cohort that can be reached now."""

    def ask(
        self, action: str, questions: Questions, deadline_s: float
    ) -> Iterator[tuple[bytes, wire.Message]]:
        """Send, and yield replies as they come, until all have answered or the deadline is over."""


@dataclass(frozen=True)
class Pace:
    """How long the server waits, in seconds."""

    stage_s: float = 60.0
    """For a stage; who has not answered by then has dropped out."""
    gather_s: float = 86400.0
    """For enough devices to be online before a round is opened."""
    look_s: float = 2.0
    """Between two looks at who is online."""
    between_s: float = 0.0
    """Between two rounds: the policy's `min_separation`."""


@dataclass
class Asking:
    """One run's way of asking devices."""

    run: str
    policy_hash: str
    key: Ed25519PrivateKey
    """The server's, named by the policy."""
    directory: Mapping[bytes, bytes]
    """Device id to Ed25519 key, of the devices that are not revoked."""
    shelf: RoundShelf
    book: Book
    publish: Callable[[bytes], str]
    """Puts bytes among the public files; returns their SHA-256."""
    exchange: Exchange
    pace: Pace
    sleep: Callable[[float], None] = time.sleep
    members: Callable[[], Mapping[bytes, bytes]] | None = None
    """Enrols who came meanwhile and returns the directory of the next round; never more devices
    than the policy has. Where it is None the directory stays as it is."""

    def ask(self, release: Release, server_round: int, view: View) -> Summed:
        """Return the noisy sum of the devices' answers to one question, and how many are in it.

        Args:
            release: The query and its mechanism; distributed trust.
            server_round: Which of the query's rounds, from 1.
            view: What devices compute with; public.

        Raises:
            UsageError: The plan's mechanism is not one for secure sums of devices.
            BudgetExceeded: One more round would pass the policy's cap.
            CohortTooSmall: Too few devices came in time.
        """
        mechanism = release.mechanism
        if mechanism is None or mechanism.trust != "distributed" or release.sessions != 1:
            raise UsageError(
                "a federation of devices must add noise on each device, in one secure sum.",
                hint="set trust = distributed and at most 1,000 devices in config.toml.",
            )
        while True:
            tries = self.shelf.of(release.query.name, server_round)
            if tries and (opened := tries[-1].opened) is not None:
                total = decode(opened.total, release.query, mechanism)
                return release.summed(total, opened.survivors)
            if tries and not tries[-1].outcome:
                folder = tries[-1]
            else:
                folder = self._decide(release, server_round, view)
            self._run(folder, release)

    def finish(self, model: bytes, figures: Mapping[str, float] | None = None) -> str:
        """Close the last round with the finished model and record its release.

        Args:
            model: The model file.
            figures: What the metric round told of it, where there was one.

        Returns:
            SHA-256 of the model file.
        """
        name = self.publish(model)
        self._close_opened(name)
        if figures is not None:
            self.book.metrics(self.shelf.of("metrics", 1)[-1].number, figures)
        self.book.release(name)
        return name

    def _decide(self, release: Release, server_round: int, view: View) -> RoundFolder:
        """Fix everything about the next round, once enough devices are here to answer it."""
        assert release.mechanism is not None  # noqa: S101 - `ask` has checked
        self.book.afford(release.mechanism.rho)
        data = save_view(view)
        held = getattr(view, "catalogue", None)
        load_view(data, lambda: held)  # what no device could read is not asked
        model = self.publish(data)
        self._close_opened(model)
        self.book.open_run(model)
        self._keep_apart()
        self._gather(release.mechanism.min_survivors)
        config = RoundConfig(
            policy_hash=self.policy_hash,
            model_hash=model,
            run=self.run,
            round=self.shelf.last + 1,
            query=release.query,
            mechanism=release.mechanism,
        )
        signed = sign(config, self.key)
        directory = write_directory(self.run, self.directory, self.key)
        return self.shelf.decide(
            Decided(
                number=config.round,
                query=release.query.name,
                server_round=server_round,
                config=signed.payload.decode("ascii"),
                signature=signed.signature.hex(),
                directory=self.publish(directory),
                cohort=tuple(name.hex() for name in sorted(self.directory)),
            )
        )

    def _keep_apart(self) -> None:
        """Wait until the last charge is as long ago as the policy says: before, devices refuse."""
        left = self.shelf.charged_at + self.pace.between_s - time.time()
        if left > 0:
            self.sleep(min(left, self.pace.between_s))

    def _gather(self, enough: int) -> None:
        """Wait until enough devices are online: a round that cannot succeed is not opened.

        Raises:
            CohortTooSmall: They did not come in time.
        """
        waited = 0.0
        self._welcome()
        while (here := len(self.exchange.online(self.directory))) < enough:
            if waited >= self.pace.gather_s:
                raise CohortTooSmall(
                    f"a round must have {enough} devices online, got {here} within "
                    f"{self.pace.gather_s:.0f} s.",
                    hint="`privet server devices` shows who is missing; start again later.",
                )
            self.sleep(self.pace.look_s)
            waited += self.pace.look_s
            self._welcome()

    def _welcome(self) -> None:
        """Take the devices that joined since the last round into the next one's directory."""
        if self.members is not None:
            self.directory = self.members()

    def _run(self, folder: RoundFolder, release: Release) -> None:
        """Carry a round from wherever it stands to its sum, or discard it."""
        began, decided = time.monotonic(), folder.decided
        config = parse(RoundConfig, decided.config.encode("ascii"))
        self.book.open_round(config)
        try:
            opened = self._sum(folder, decided, config)
        except ProtocolRefusal as wrong:
            why = next((word for kind, word in WHY if isinstance(wrong, kind)), "wrong shares")
            self.book.close_round(config, "discarded", 0, config.model_hash, folder.receipts)
            folder.close("discarded", why)
            log.warning(
                "round %d discarded: %s the budget is charged",
                config.round,
                wrong.message,
                extra=fields(round=config.round, query=release.query.name, why=why),
            )
            return
        folder.open_sum(opened)
        spent, seconds = self.book.spent_percent, time.monotonic() - began
        log.info(
            "round %d  %s  invited %d  survivors %d  ρ %.1f %% of cap  %.1f s",
            config.round,
            release.query.name,
            config.mechanism.cohort_size,
            opened.survivors,
            spent,
            seconds,
            extra=fields(
                round=config.round,
                query=release.query.name,
                invited=config.mechanism.cohort_size,
                survivors=opened.survivors,
                rho_percent=round(spent, 2),
                seconds=round(seconds, 2),
            ),
        )

    def _sum(self, folder: RoundFolder, decided: Decided, config: RoundConfig) -> Opened:
        """Run the five stages, or what is left of them."""
        identity = Identity(SERVER_NAME, self.key)
        public = self.key.public_key().public_bytes_raw()
        cohort = {bytes.fromhex(name) for name in decided.cohort} & self.directory.keys()
        enrolment = Enrolment(public, {name: self.directory[name] for name in cohort})
        aggregator = Aggregator(terms_of(config), enrolment, identity)
        opening = wire.Opening(
            self.run,
            config.round,
            0,
            decided.signed.payload,
            decided.signed.signature,
            decided.directory,
        )
        questions: Questions = dict.fromkeys(cohort, opening)
        resumed = folder.stage(wire.STAGES[0]) is not None
        for stage in wire.STAGES:
            stored = folder.stage(stage)
            if stored is None:
                patience, resumed = 2 if resumed else 1, False  # devices have to come back as well
                self._collect(folder, aggregator, stage, questions, patience)
            for data in stored or ():
                aggregator.receive(data)
            if stage != wire.STAGES[-1]:
                following = wire.STAGES[wire.STAGES.index(stage) + 1]
                questions = {
                    name: wire.Question(self.run, config.round, following, 0, body)
                    for name, body in aggregator.close_stage().items()
                }
        total, survivors = aggregator.finish()
        _refuse_too_large(total, config.mechanism, len(survivors))
        return Opened(total, len(survivors))

    def _collect(
        self,
        folder: RoundFolder,
        aggregator: Aggregator,
        stage: str,
        questions: Questions,
        patience: int,
    ) -> None:
        """Ask one stage's questions and put what was accepted on disk."""
        accepted: list[bytes] = []
        receipts: list[str] = []
        earlier = {receipt for other in self.shelf for receipt in other.receipts}
        refused: dict[str, int] = {}
        replies = self.exchange.ask(f"train.{stage}", questions, patience * self.pace.stage_s)
        for _, reply in replies:
            body = _body(reply, folder.number, stage)
            if body is None:
                reason = reply.reason if isinstance(reply, wire.Refused) else "off the protocol"
                refused[reason] = refused.get(reason, 0) + 1
                continue
            try:
                aggregator.receive(body)
            except ProtocolRefusal as wrong:
                refused[type(wrong).__name__] = refused.get(type(wrong).__name__, 0) + 1
                continue
            accepted.append(body)
            if isinstance(reply, wire.Advert) and reply.receipt not in earlier:
                receipts.append(reply.receipt)
        if refused:
            log.info(
                "round %d  %s  refused by devices: %s",
                folder.number,
                stage,
                refused,
                extra=fields(round=folder.number, stage=stage, refused=refused),
            )
        if stage == wire.STAGES[0]:
            folder.keep_receipts(receipts)
        folder.close_stage(stage, accepted)

    def _close_opened(self, model: str) -> None:
        """Close the round whose sum led to this model, if one is still open in the ledger."""
        for folder in self.shelf:
            opened = folder.opened
            if opened is not None and not folder.outcome:
                config = parse(RoundConfig, folder.decided.config.encode("ascii"))
                self.book.close_round(config, "released", opened.survivors, model, folder.receipts)
                folder.close("released")


def _refuse_too_large(total: Ints, mechanism: Mechanism, survivors: int) -> None:
    """Refuse a sum that bounded vectors and their noise cannot give: a device sent another.

    The bound is n·Δ2 + 6·√n·σ'·√d: honest noise passes its part less than once in 10^8 sums.

    Raises:
        SumTooLarge: It is larger.
    """
    noise = 6.0 * math.sqrt(mechanism.sum_variance(survivors) * mechanism.dimension)
    if np.linalg.norm(total) > survivors * math.sqrt(mechanism.delta2_squared) + noise:
        raise SumTooLarge("a sum must be one that bounded vectors can give, and is larger.")


def _body(reply: wire.Message, number: int, stage: str) -> bytes | None:
    """Return what a reply brings to this stage of this round, None where it is another reply."""
    match reply, stage:
        case wire.Advert(round=found, body=body, receipt=receipt), "advertise":
            return body if found == number and _HASH(receipt) else None
        case wire.Contribution(round=found, body=body), "mask":
            return body if found == number else None
        case wire.Answer(round=found, stage=named, body=body), _:
            return body if (found, named) == (number, stage) else None
    return None
