# SPDX-License-Identifier: Apache-2.0
"""The operator's folder: what `privet server init` makes and every other command reads.

config.toml   the operator's choices             keys/      Ed25519, CA, TLS, SuperExec's secret
policy.json   draft, then signed (policy.sig)    devices/   one folder a seat
catalogue     what is recommended                files/     public files by SHA-256
ledger/       the book                           rounds/    the state of every round
flower/       Flower's database and logs         model.safetensors, once released
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Literal

import pydantic
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.asking import Pace
from server.keys import read_signing_key
from server.superlink import FlowerFolder
from shared.atomic import replace_file
from shared.catalogue import Catalogue, load_catalogue
from shared.config import RunConfig
from shared.errors import DataError, PolicyError
from shared.privacy.accountant import noise_multiplier, rho_for
from shared.privacy.canonical import Signed, parse, verified
from shared.privacy.policy import Policy
from shared.schema import Scale

STOPPED = "stopped.json"
"""Says why a run cannot go on; removed by the next start."""


class Deployment(pydantic.BaseModel):
    """The operator's choices. What decides the guarantee is drafted into the policy and signed."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    operator: str
    """Who runs the server, as owners read it."""
    run: str
    """Name of the period, 32 hexadecimal digits."""
    address: str
    """Host and port under which devices reach the server."""
    listen: str = "0.0.0.0"  # noqa: S104 - devices come from outside
    """Address that the guard listens on."""
    link_port: int
    """Port of Flower's SuperLink, on loopback."""
    users: int = pydantic.Field(ge=2, le=1000)
    """Devices that the run begins with; public, and fixed when it begins."""
    target_epsilon: float = pydantic.Field(gt=0, le=64)
    """ε when all of the budget is used, spare rounds included."""
    reserve: float = pydantic.Field(default=0.2, ge=0, lt=1)
    """Part of the budget that is kept for rounds that must be asked again."""
    dropout: float = pydantic.Field(default=0.1, ge=0, lt=0.5)
    """Part of the devices that may drop out of a round."""
    colluders: int = pydantic.Field(default=0, ge=0)
    """Devices that may conspire with the server."""
    rounds: int | None = pydantic.Field(default=None, ge=1, le=1000)
    """Rounds of each trunk block; by the public rule where left out."""
    budget: dict[str, float] | None = None
    """Shares of the budget by query; by the public rule where left out."""
    comments: bool = False
    """Whether owners are told that the lengths of their comments are asked about as well."""
    spare_rounds: int = pydantic.Field(default=2, ge=0)
    """How many rounds may be asked again."""
    min_separation_s: int = pydantic.Field(default=3600, ge=0)
    """Between two rounds."""
    answer_after_ms: int = pydantic.Field(default=2000, ge=100, le=60000)
    """From a question to a device's answer, whatever it holds."""
    stage_s: float = pydantic.Field(default=60.0, gt=0)
    """How long the server waits for a stage's answers."""
    hold_s: float = pydantic.Field(default=8.0, ge=0, le=20)
    """How long a device's asking for messages waits at the guard, instead of asking again."""
    gather_s: float = pydantic.Field(default=86400.0, ge=0)
    """How long it waits for enough devices before a round."""
    scale_low: float = 1.0
    scale_high: float = 5.0

    @property
    def port(self) -> int:
        """Port of the guard."""
        return int(self.address.rpartition(":")[2])

    @property
    def scale(self) -> Scale:
        """Declared rating scale."""
        return Scale(self.scale_low, self.scale_high)

    @property
    def delta(self) -> Fraction:
        """δ of every ε that is shown."""
        return min(Fraction(1, 10**5), Fraction(1, 10 * self.users))

    @property
    def rho_cap(self) -> Fraction:
        """Σρ that a device may spend in this run."""
        return rho_for(self.target_epsilon, float(self.delta))

    @property
    def plan_config(self) -> RunConfig:
        """The choices in the words of the planner, less the reserve."""
        rho = self.rho_cap * (1 - Fraction(self.reserve).limit_denominator(10**6))
        return RunConfig(
            noise_multiplier=noise_multiplier(rho),
            target_delta=float(self.delta),
            trust="distributed",
            dropout=self.dropout,
            colluders=self.colluders,
            rounds=self.rounds,
            budget=self.budget,
        )

    @property
    def pace(self) -> Pace:
        """How long the server waits."""
        return Pace(
            stage_s=self.stage_s, gather_s=self.gather_s, between_s=float(self.min_separation_s)
        )


@dataclass(frozen=True)
class Seat:
    """One place in the federation: invited, perhaps enrolled, perhaps revoked."""

    path: Path

    @property
    def invitation(self) -> str:
        """Id of the invitation."""
        return self.path.name

    def read(self, name: Literal["invited", "enrolled"]) -> dict[str, str]:
        """Return what is known, empty where nothing is."""
        path = self.path / f"{name}.json"
        if not path.exists():
            return {}
        return dict(pydantic.TypeAdapter(dict[str, str]).validate_json(path.read_bytes()))

    def write(self, name: Literal["invited", "enrolled"], words: dict[str, str]) -> None:
        """Keep what is known; each file has one writer and is written whole."""
        data = pydantic.TypeAdapter(dict[str, str]).dump_json(words, indent=1)
        replace_file(self.path / f"{name}.json", data)

    @property
    def state(self) -> Literal["invited", "enrolled", "revoked"]:
        """Where the seat stands."""
        if (self.path / "revoked").exists():
            return "revoked"
        return "enrolled" if (self.path / "enrolled.json").exists() else "invited"

    def revoke(self) -> None:
        """Shut the device out for good."""
        replace_file(self.path / "revoked", b"")


class OperatorFolder:
    """Paths and what lies at them."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    @property
    def config(self) -> Deployment:
        """The operator's choices.

        Raises:
            DataError: There are none, or they are not valid.
        """
        file = self.path / "config.toml"
        try:
            return Deployment(**tomllib.loads(file.read_text()))
        except FileNotFoundError:
            raise DataError(
                f"{self.path} must be an operator's folder, got one without config.toml.",
                hint="`privet server init DIR` makes one.",
            ) from None
        except (tomllib.TOMLDecodeError, pydantic.ValidationError) as wrong:
            raise DataError(
                f"{file} must hold valid choices, got: {_first(wrong)}.",
                hint="`privet server init` writes one that is complete.",
            ) from None

    @property
    def keys(self) -> Path:
        """Folder of keys."""
        return self.path / "keys"

    @property
    def server_key(self) -> Ed25519PrivateKey:
        """The key that signs rounds, directory and ledger."""
        return read_signing_key(self.keys / "server.pem")

    @property
    def flower(self) -> FlowerFolder:
        """Where Flower's processes keep their things."""
        path = self.path / "flower"
        path.mkdir(exist_ok=True)
        return FlowerFolder(path, self.keys, self.config.link_port)

    @property
    def files(self) -> Path:
        """Folder of public files."""
        return self.path / "files"

    def publish(self, data: bytes) -> str:
        """Put bytes among the public files; return their SHA-256."""
        name = sha256(data).hexdigest()
        if not (self.files / name).exists():
            replace_file(self.files / name, data)
        return name

    @property
    def catalogue_file(self) -> Path:
        """The catalogue in use."""
        return self.path / "catalogue.safetensors"

    @property
    def catalogue(self) -> Catalogue:
        """What is recommended."""
        return load_catalogue(self.catalogue_file)[0]

    @property
    def draft(self) -> Policy:
        """The policy as it lies there, signed or not."""
        return read_draft(self.path / "policy.json")

    @property
    def signed_policy(self) -> tuple[Signed, str]:
        """The policy with its signature, and the officer's public key.

        Raises:
            PolicyError: It is not signed, or was changed after it was.
        """
        return read_signed(self.path / "policy.json")

    def seats(self) -> Iterator[Seat]:
        """Yield all seats, in order of their invitation's id."""
        folder = self.path / "devices"
        return (Seat(path) for path in sorted(folder.iterdir())) if folder.exists() else iter(())


def read_draft(file: Path) -> Policy:
    """Read a policy, signed or not.

    Raises:
        DataError: There is none in the file.
    """
    try:
        return parse(Policy, file.read_bytes())
    except FileNotFoundError:
        raise DataError(
            "a federation must have a policy, and has none yet.",
            hint="`privet server catalogue build DIR ITEMS` drafts it.",
        ) from None


def read_signed(file: Path) -> tuple[Signed, str]:
    """Read a policy with the signature beside it, and the officer's public key.

    Raises:
        PolicyError: It is not signed, or was changed after it was.
    """
    read_draft(file)
    draft = file.read_bytes()
    try:
        key, signature = file.with_suffix(".sig").read_text().split()
        signed = Signed(draft, bytes.fromhex(signature))
    except (FileNotFoundError, ValueError):
        signed, key = Signed(draft, b""), ""
    if verified(Policy, signed, key) is None:
        raise PolicyError(
            "the policy must be signed by the officer, and is not.",
            hint="`privet server policy check DIR/policy.json` shows it; then `policy sign`.",
        )
    return signed, key


def _first(wrong: Exception) -> str:
    """Return what is wrong first, in a few words."""
    if isinstance(wrong, pydantic.ValidationError):
        error = wrong.errors()[0]
        return f"{'.'.join(map(str, error['loc']))}: {error['msg']}"
    return str(wrong)
