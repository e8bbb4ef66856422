# SPDX-License-Identifier: Apache-2.0
"""The one record of a device that is neither a rating nor a receipt: identity, choices, budget."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.privacy.canonical import Signed, canonical, parse
from shared.privacy.policy import DeviceState, Floor
from shared.schema import Scale

Moved = Literal["no", "moving", "moved"]


@dataclass(frozen=True)
class Membership:
    """The federation that the owner agreed to take part in."""

    policy: str
    """Canonical bytes of the signed policy, ASCII."""
    signature: str
    """Officer's signature, hexadecimal."""
    joined_at: int
    left: bool = False

    @property
    def signed(self) -> Signed:
        """The policy as it was signed."""
        return Signed(self.policy.encode(), bytes.fromhex(self.signature))


@dataclass(frozen=True)
class Settings:
    """Sealed in the store as one record; every change is one commit."""

    identity: str
    """Ed25519 private key of the device, hexadecimal: signs receipts, never leaves the store."""
    scale: tuple[float, float, float]
    catalogue: str
    """Version of the catalogue."""
    model: str = ""
    """SHA-256 of the model file, "" before the first."""
    comments: str = ""
    """SHA-256 of the file of public comments, "" where there is none."""
    paused: bool = False
    moved: Moved = "no"
    hidden: tuple[str, ...] = ()
    """Ids of items that the owner wants to see less of."""
    attributes: dict[str, float] = field(default_factory=dict)
    membership: Membership | None = None
    budget: str = ""
    """Canonical `DeviceState`, "" before any policy was accepted."""
    floor: str = ""
    """Canonical `Floor` of the owner."""

    @property
    def key(self) -> Ed25519PrivateKey:
        """The signing key of receipts."""
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(self.identity))

    @property
    def public_key(self) -> str:
        """The key that receipts verify under, hexadecimal."""
        return self.key.public_key().public_bytes_raw().hex()

    @property
    def rating_scale(self) -> Scale:
        """The declared scale."""
        return Scale(*self.scale)

    @property
    def state(self) -> DeviceState | None:
        """What the device remembers of its budget."""
        return parse(DeviceState, self.budget.encode()) if self.budget else None

    @property
    def own_floor(self) -> Floor | None:
        """What the owner insists on."""
        return parse(Floor, self.floor.encode()) if self.floor else None

    def record(self) -> dict[str, Any]:
        """Return what the store seals."""
        return asdict(self)

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Settings":
        """Read a sealed record."""
        given = {f.name: record[f.name] for f in fields(cls) if f.name in record}
        joined = given.get("membership")
        given["membership"] = Membership(**joined) if joined else None
        given["scale"] = tuple(given["scale"])
        given["hidden"] = tuple(given.get("hidden", ()))
        return cls(**given)


def spell(value: DeviceState | Floor) -> str:
    """Spell a state or a floor canonically."""
    return canonical(value).decode("ascii")
