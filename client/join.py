# SPDX-License-Identifier: Apache-2.0
"""`privet client join`: an invitation, a policy in plain words, and the owner's own decision.

The device's key is made on the device; the invitation's transport key only opens the line. What
the invitation names is fetched whole and checked by its hash before anything is accepted.
"""

import tempfile
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

from client.device import Device
from client.files import PublicFiles
from client.joining import DEVICE_FLOOR
from client.transfer import CATALOGUE
from shared.enrolment import DEVICE_RHO_CAP, Invitation, read_invitation, rounds_within
from shared.errors import DataError, PolicyError
from shared.privacy.accountant import epsilon
from shared.privacy.canonical import Signed, verified
from shared.privacy.policy import Floor, Policy
from shared.schema import Scale


@dataclass(frozen=True)
class Offer:
    """What an owner is asked to accept."""

    invitation: Invitation
    policy: Policy

    @property
    def signed(self) -> Signed:
        """The policy as its officer signed it."""
        return self.invitation.signed_policy

    @property
    def epsilon(self) -> float:
        """ε when all of the budget is used."""
        return epsilon(self.policy.floor.rho_cap, float(self.policy.delta))

    @property
    def epsilon_worst_round(self) -> float:
        """ε of one round against an operator who made up all other devices."""
        worst = self.policy.floor.rho_round_max * self.policy.shares_max
        return epsilon(worst, float(self.policy.delta))

    def warning(self, left: Fraction = DEVICE_RHO_CAP) -> str:
        """Say that the device's own budget ends before the policy's, "" where it does not.

        Args:
            left: ρ that the device may still spend in its life.
        """
        floor = self.policy.floor
        if floor.rho_cap <= left:
            return ""
        return (
            f"The policy may spend ρ = {float(floor.rho_cap):.3g}; this device has "
            f"{float(left):.3g} left for its life. It surely answers "
            f"{rounds_within(self.policy, left)} of at most {floor.participations_max} rounds and "
            "refuses those that would pass its own limit."
        )

    def words(self) -> tuple[str, ...]:
        """Say what is asked, in sentences."""
        policy, floor = self.policy, self.policy.floor
        spacing = f"{floor.min_separation_s / 3600:.3g} hours" if floor.min_separation_s else "0 s"
        demo = ("DEMO: too few noise shares to protect anybody.",) if floor.demo else ()
        measured = (
            "To measure the model, this device keeps about a tenth of your ratings out of what it "
            "answers; your own recommendations use all of them.",
        )
        return (
            *demo,
            f"{policy.operator} asks {policy.users} devices to improve one shared model. It learns "
            "sums over all of them, with noise; ratings and comments never leave a device.",
            f"Asked at most {floor.participations_max} times, {spacing} apart: "
            f"{', '.join(policy.queries)}.",
            *(measured if "metrics" in policy.queries else ()),
            f"When all of it is used: ε {self.epsilon:.2f} at δ {float(policy.delta):.0e}.",
            f"If the operator makes up all other devices: ε {self.epsilon_worst_round:.1f} for one "
            "round. Only your own noise protects you then.",
            f"Signed by the officer with the key {self.invitation.officer_key}: compare it with "
            "the one that you were told by another way.",
            f"{policy.operator} can see that this device takes part, and when.",
            "Leaving stops it; what was added to a trained model cannot be taken out again.",
        )


def left_in(folder: Path, passphrase: str | None) -> Fraction:
    """Return the ρ that a device may still spend in its life; all of it where it is new."""
    if not (folder / "custody.json").exists():
        return DEVICE_RHO_CAP
    with Device.open(folder, passphrase=passphrase) as device:
        return DEVICE_RHO_CAP - device.spent


def read_offer(file: Path, officer_key: str = "") -> Offer:
    """Read an invitation and check the policy in it.

    Args:
        file: The invitation.
        officer_key: The officer's public key as the owner knows it, hexadecimal; "" where they
            compare it themselves.

    Raises:
        DataError: It is no invitation.
        PolicyError: The policy is not signed by the officer that it names, or by another one.
    """
    try:
        invitation = read_invitation(file.read_bytes())
    except OSError as wrong:
        raise DataError(
            f"{file} must be a readable invitation, got: {wrong.strerror}.", hint="check its name."
        ) from None
    policy = verified(Policy, invitation.signed_policy, invitation.officer_key)
    if policy is None or policy.run != invitation.run:
        raise PolicyError(
            "the policy in an invitation must be signed by its officer, and is not.",
            hint="ask the operator for another invitation.",
        )
    if officer_key.lower() not in ("", invitation.officer_key):
        raise PolicyError(
            "the policy in an invitation must be signed by the officer that you know, and is "
            "signed by another.",
            hint="do not join; tell the officer.",
        )
    return Offer(invitation, policy)


def join(
    folder: Path,
    offer: Offer,
    *,
    passphrase: str | None = None,
    custody: str = "auto",
    demo: bool = False,
    floor: Floor | None = None,
) -> None:
    """Take part: fetch the catalogue, make the device if there is none, accept, keep the line.

    Args:
        folder: The device's; a new one is made if it is missing or empty.
        offer: What the owner accepts.
        passphrase: For custody by passphrase.
        custody: How a new device keeps its key.
        demo: Whether the owner accepts fewer than 16 noise shares.
        floor: What the owner insists on, instead of the device's default.

    Raises:
        NetworkError: The server does not give the catalogue.
        DataError: The device has another catalogue.
        Refusal: The policy asks for less protection than the owner's floor.
    """
    invitation = offer.invitation
    with tempfile.TemporaryDirectory() as place:
        files = PublicFiles(invitation.address, invitation.ca, Path(place))
        try:
            data = files.fetch(invitation.catalogue)
        finally:
            files.close()
        if not (folder / CATALOGUE).exists():
            scale = Scale(float(invitation.scale_low), float(invitation.scale_high))
            fetched = Path(place) / invitation.catalogue
            Device.create(
                folder, fetched, scale=scale, custody=custody, passphrase=passphrase
            ).close()
    if (folder / CATALOGUE).read_bytes() != data:
        raise DataError(
            "a device must have the catalogue of the federation that it joins, and has another.",
            hint="join with a new folder; `privet client export` carries ratings over.",
        )
    with Device.open(folder, passphrase=passphrase) as device:
        device.accept(offer.signed, invitation.officer_key, demo=demo, floor=floor or DEVICE_FLOOR)
        device.keep_line({**asdict(invitation), "node": 0})
