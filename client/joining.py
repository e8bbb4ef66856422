# SPDX-License-Identifier: Apache-2.0
"""Taking part: the owner accepts one signed policy, and the device pins it."""

from dataclasses import replace
from fractions import Fraction

from client.books import Books
from client.settings import Membership, spell
from shared.errors import PolicyError, Refusal
from shared.privacy.canonical import Signed, digest, verified
from shared.privacy.policy import DeviceState, Floor, Policy

DEVICE_FLOOR = Floor(
    rho_cap=Fraction(1),
    rho_round_max=Fraction(1),
    participations_max=10_000,
    min_separation_s=0,
    aborts_max=10,
    min_noise_shares=16,
    min_survivors_above=Fraction(2, 3),
    trusts=("distributed", "local"),
)
"""What a device insists on where its owner says nothing: a lifetime of ρ = 1, about ε = 7.8 at
δ = 1e-6, however many federations it joins."""


def accept(
    books: Books, signed: Signed, officer_key: str, floor: Floor, *, demo: bool, now: int
) -> Policy:
    """Pin a policy and its officer's key.

    Args:
        books: The open store.
        signed: The policy, signed by the officer.
        officer_key: The officer's public key as the owner knows it, hexadecimal.
        floor: What the owner insists on; kept, and weakened neither by a policy nor by joining
            again, a demo apart.
        demo: Whether the owner accepts fewer than 16 noise shares, of which every page says DEMO.
        now: The device's own clock, seconds.

    Returns:
        The policy.

    Raises:
        PolicyError: it is not signed by that officer.
        Refusal: it promises fewer noise shares than the owner's floor and is no accepted demo.
    """
    policy = verified(Policy, signed, officer_key)
    if policy is None:
        raise PolicyError(
            "a policy must be well formed and signed by the officer's key, it is not.",
            hint="ask the operator for the signed policy and compare the officer's key.",
        )
    settings = books.settings
    if settings.own_floor is not None:
        floor = floor.stricter(settings.own_floor)
    if demo:
        floor = replace(floor, min_noise_shares=min(floor.min_noise_shares, 2))
    elif policy.floor.demo:
        raise Refusal(
            f"requested: a policy with {policy.floor.min_noise_shares} noise shares\n"
            f"remaining: at least {floor.min_noise_shares}",
            hint="accept it as a demo, with made-up ratings.",
        )
    before = settings.state or DeviceState(officer_key, "")
    state = replace(before, officer_key=officer_key, policy_hash=digest(policy))
    joined = Membership(signed.payload.decode("ascii"), signed.signature.hex(), now)
    books.commit(
        settings=replace(
            settings, membership=joined, budget=spell(state), floor=spell(floor), paused=False
        )
    )
    return policy
