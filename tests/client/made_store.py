# SPDX-License-Identifier: Apache-2.0
"""Devices, policies and questions for tests: made up, with keys that everybody knows."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from client.device import Device
from shared.model.queries import item_sums_query
from shared.model.view import ItemSumsView
from shared.privacy.canonical import digest, sign
from shared.privacy.plan import Cohort, mechanism_for
from shared.privacy.policy import Floor, Policy, RoundConfig

OFFICER, SERVER = (Ed25519PrivateKey.from_private_bytes(bytes([b]) * 32) for b in (1, 2))
OFFICER_KEY = OFFICER.public_key().public_bytes_raw().hex()
FLOOR = Floor(
    rho_cap=Fraction(1, 2),
    rho_round_max=Fraction(1, 4),
    participations_max=100,
    min_separation_s=0,
    aborts_max=5,
    min_noise_shares=16,
    min_survivors_above=Fraction(2, 3),
    trusts=("distributed",),
)
POLICY = Policy(
    run="autumn",
    operator="Example Org",
    server_key=SERVER.public_key().public_bytes_raw().hex(),
    users=500,
    delta=Fraction(1, 10**5),
    queries=(
        "item_sums",
        "population_prior",
        "trunk_items",
        "trunk_network",
        "rank_weights",
        "rank_bilinear",
        "rank_items",
    ),
    floor=FLOOR,
    text_alpha=Fraction(7, 10),
)
SIGNED = sign(POLICY, OFFICER)
COHORT = Cohort("distributed", 500, Fraction(1, 10))
MARKERS = ("plumberry", "quillfeather", "zephyrine", "marrowgate")
"""Words that stand in no catalogue: in titles and comments of tests that look for them."""


def question(items: int, round_: int = 1, rho: Fraction = Fraction(1, 50), **changes) -> object:
    """Return one signed round of `item_sums`."""
    query = item_sums_query(items)
    config = RoundConfig(
        digest(POLICY), "00" * 32, "autumn", round_, query, mechanism_for(query, rho, COHORT)
    )
    return sign(replace(config, **changes), SERVER)


def view(items: int) -> ItemSumsView:
    """Return what goes with it."""
    return ItemSumsView(items)


def joined(device: Device) -> Device:
    """Accept the policy."""
    device.accept(SIGNED, OFFICER_KEY, now=1000)
    return device


def all_bytes(folder: Path) -> bytes:
    """Return the bytes of every file below a folder, names included."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return b"\n".join(str(path).encode() + b"\n" + path.read_bytes() for path in files)
