# SPDX-License-Identifier: Apache-2.0
"""The engine behind `--engine flower`: the deployment's two apps under Flower's simulation engine.

    server   `server.app.app` over Flower's Grid: enrolment, signed rounds, real secure sums, ledger
    devices  `client.app.app` with `client.session.Rounds`, see `simulation.virtual`

The whole federation runs once, in a folder of its own below the run's `private/`; then the
researcher's page asks for one sum after another and gets those that were opened. Slow, and the same
integers as the other engines given the same encoded vectors: it shows that a simulated figure is
what devices would give.
"""

import importlib.util
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from client.training import Answer
from server import enrolment, setup
from server.folder import Deployment, OperatorFolder, Seat
from server.plan import DEFAULT_EPSILON, Release
from server.rounds import RoundShelf
from shared.catalogue import Catalogue, FeatureBasis, save_catalogue
from shared.config import RunConfig
from shared.enrolment import write_invitation
from shared.errors import EnvironmentFault, PrivetError, UsageError, VerificationError
from shared.flower import quiet_flower
from shared.model.history import History
from shared.privacy.accountant import epsilon, rho_of
from shared.privacy.encode import decode
from shared.schema import Floats
from simulation.federation import CohortSum

DEVICES_MAX = 300
"""Virtual devices that one process answers for in bearable time, see docs/log.md."""
STAGE_S = 600.0
"""How long a stage is waited for: virtual devices answer one after the other."""
NODES_S = 120
"""How long Flower may take to make its nodes."""
RAY = {"num_cpus": 1, "include_dashboard": False}
Say = Callable[[str], None]


def check_ray() -> None:
    """Look for Flower's simulation engine.

    Raises:
        EnvironmentFault: It is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise EnvironmentFault(
            "--engine flower must have Ray, which Flower's simulation engine runs on; it is not "
            "installed.",
            hint="`pip install 'privet[flower]'`, or leave --engine out.",
        )


def deployment(config: RunConfig, users: int, *, comments: bool) -> Deployment:
    """Return the choices of an operator who deploys what a configuration simulates.

    Raises:
        UsageError: It asks for what no deployment does, or for too many devices.
    """
    plain = RunConfig()
    same = ("trust", "cohort", "objective", "blocks", "local_steps", "local_rate", "reconstruction",
            "target_delta", "no_privacy", "local_only")  # fmt: skip
    other = [name for name in same if getattr(config, name) != getattr(plain, name)]
    if other:
        what = other[0].replace("_", "-")
        raise UsageError(
            f"--engine flower must run what a server can deploy; it cannot take {what}.",
            hint=f"leave {what} out, or leave --engine out.",
        )
    if users > DEVICES_MAX:
        raise UsageError(
            f"--engine flower must have at most {DEVICES_MAX} devices, got {users}.",
            hint="take fewer users; the vectorised engine gives the same integers.",
        )
    delta = min(1e-5, 1 / (10 * users))
    chosen = config.target_epsilon or DEFAULT_EPSILON
    if config.noise_multiplier:
        chosen = epsilon(rho_of(config.noise_multiplier), delta)
    return Deployment(
        operator="a simulated federation",
        run="51" * 16,
        address="127.0.0.1:1",
        listen="127.0.0.1",
        link_port=1,
        users=users,
        target_epsilon=chosen,
        reserve=0.0,
        spare_rounds=0,
        dropout=config.dropout,
        colluders=config.colluders,
        rounds=config.rounds,
        budget=config.budget,
        comments=comments,
        min_separation_s=0,
        stage_s=STAGE_S,
        gather_s=60.0,
    )


def as_deployed(config: RunConfig, users: int, *, comments: bool) -> RunConfig:
    """Return the configuration with the numbers that its deployment plans with."""
    planned = deployment(config, users, comments=comments).plan_config
    taken = {"noise_multiplier": planned.noise_multiplier, "target_delta": planned.target_delta}
    return config.model_copy(update={"target_epsilon": None} | taken)


def found(
    place: Path,
    choices: Deployment,
    catalogue: Catalogue,
    basis: FeatureBasis,
    devices: Sequence[History],
    noise_seed: int | None,
    held: Sequence[History] | None = None,
) -> OperatorFolder:
    """Make the operator's folder, with a signed policy, and lay down what devices hold.

    `held` is what each holds out of it, where the budget asks for metrics.
    """
    from simulation.virtual import HELD, write_people

    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_people(place, devices, noise_seed)
    if held is not None:
        write_people(place, held, None, HELD)
    folder = setup.init(place / "operator", choices, datetime.now(UTC))
    save_catalogue(place / "catalogue.safetensors", catalogue, basis)
    setup.take_catalogue(folder, place / "catalogue.safetensors")
    setup.sign_policy(folder.path / "policy.json", Ed25519PrivateKey.generate())
    return folder


def serve(grid, context, place: Path) -> None:  # type: ignore[no-untyped-def]
    """Give every node of Flower's a seat, then let `server.app.app` run the federation."""
    from server.app import app, spelled
    from simulation.virtual import node_file

    folder = OperatorFolder(place / "operator")
    nodes = settled(grid, folder.config.users)
    for node, invitation in zip(nodes, enrolment.invite(folder, len(nodes)), strict=True):
        key = spelled(node.public_key)  # the engine's nodes have no key; their number stands in
        Seat(folder.path / "devices" / invitation.id).write("invited", {"transport_key": key})
        file = node_file(place, node.node_id)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(write_invitation(replace(invitation, transport_key=key)))
    app(grid, replace(context, run_config={**context.run_config, "folder": str(folder.path)}))


def settled(grid, count: int = 0) -> list:  # type: ignore[no-untyped-def, type-arg]
    """Return Flower's nodes once all are there: the ServerApp starts while they are being made.

    Args:
        grid: Flower's.
        count: How many there must be; 0 where only Flower knows, who then has no more to come for
            a second.

    Raises:
        EnvironmentFault: They do not come.
    """
    before = -1
    for _ in range(NODES_S):
        nodes = list(grid.get_nodes())
        if len(nodes) == (count or before) and nodes:
            return nodes
        before = len(nodes)
        time.sleep(1.0)
    raise EnvironmentFault(
        f"Flower's simulation engine must make {count or 'its'} nodes in {NODES_S} s, and did not.",
        hint="is the machine busy? Take fewer devices.",
    )


def simulate_flower(place: Path, devices: int) -> None:
    """Run the federation of a folder under Flower's simulation engine, in this process.

    Raises:
        PrivetError: What the server's run ended with.
    """
    quiet_flower(place / "flower")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray's way from 2.56 on
    from flwr.serverapp import ServerApp
    from flwr.simulation import run_simulation

    from simulation.virtual import VirtualDevices

    server, ended = ServerApp(), list[PrivetError]()

    @server.main()
    def main(grid, context) -> None:  # type: ignore[no-untyped-def]
        try:
            serve(grid, context, place)
        except PrivetError as wrong:
            ended.append(wrong)

    logging.getLogger("flwr").setLevel(logging.ERROR)
    run_simulation(
        server,
        VirtualDevices(place),
        devices,
        backend_config={"init_args": {**RAY}, "client_resources": {"num_cpus": 1}},
    )
    if ended:
        raise ended[0]


class OverFlower:
    """`cohort_sum` out of a federation that ran over Flower.

    Args:
        place: Folder of the federation, below `private/`.
        run: Runs it.
    """

    def __init__(self, place: Path, run: Callable[[], None]) -> None:
        self._place, self._run = place, run

    def cohort_sum(self, release: Release, server_round: int, answers: Iterable[Answer]) -> Floats:
        """Return a sum that the devices' contributions were opened to.

        Args:
            release: The query and its mechanism.
            server_round: From 1 to `release.rounds`.
            answers: Not looked at: the devices computed their own, from the same view.

        Returns:
            The sum, shape ``(d,)``, float64. Public under the release's ρ.

        Raises:
            VerificationError: The federation was asked something else.
        """
        if not (self._place / "operator" / "model.safetensors").exists():
            shutil.rmtree(self._place, ignore_errors=True)  # sums that nobody has seen
            self._run()
        shelf = RoundShelf(self._place / "operator" / "rounds")
        tries = shelf.of(release.query.name, server_round)
        opened = tries[-1].opened if tries else None
        if opened is None or release.mechanism is None:
            raise VerificationError(
                f"the federation must have released {release.query.name} {server_round}, and has "
                "not.",
                hint="run it again with a new --out.",
            )
        return decode(opened.total, release.query, release.mechanism)


def engine(
    config: RunConfig,
    place: Path,
    catalogue: Catalogue,
    basis: FeatureBasis,
    devices: Sequence[History],
    say: Say,
    *,
    comments: bool,
    held: Sequence[History],
) -> CohortSum:
    """Return the engine of a run; `config` is as the researcher gave it.

    `held` are the ratings that each device measures the model on, where metrics are asked for.
    """
    check_ray()

    def run() -> None:
        choices = deployment(config, len(devices), comments=comments)
        seed = None if config.noise_seed is None else config.noise_seed + config.seed
        found(place, choices, catalogue, basis, devices, seed, held)
        say(f"Flower's simulation engine: {len(devices)} virtual devices, real secure sums")
        with told(say):
            simulate_flower(place, len(devices))

    return OverFlower(place, run).cohort_sum


@contextmanager
def told(say: Say) -> Iterator[None]:
    """Repeat what the server logs: released and public quantities only."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(f"over Flower: {record.getMessage()}")

    handler, log = Handler(), logging.getLogger("privet.server")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
