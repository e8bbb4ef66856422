# SPDX-License-Identifier: Apache-2.0
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.secagg.shamir import _LOGS, _POWERS, SYMBOL, deal, recover
from tests.shared.secagg.sessions import seeded


def slow_product(a: int, b: int) -> int:
    """Carry-less multiplication modulo x^16 + x^12 + x^3 + x + 1, bit by bit."""
    result = 0
    while b:
        result ^= a * (b & 1)
        a, b = a << 1, b >> 1
        a ^= 0x1100B * (a >> 16)
    return result


@given(st.integers(0, 2**16 - 1), st.integers(0, 2**16 - 1))
def test_tables_multiply_as_the_field_does(a: int, b: int) -> None:
    assert _POWERS[_LOGS[a] + _LOGS[b]] == slow_product(a, b)


def test_tables_visit_every_non_zero_element() -> None:
    assert len(set(_POWERS[: 2**16 - 1].tolist())) == 2**16 - 1


@settings(max_examples=50, deadline=None)
@given(st.data(), st.integers(2, 40))
def test_deal_is_recovered_by_any_threshold_of_holders(data: st.DataObject, shares: int) -> None:
    threshold = data.draw(st.integers(1, shares))
    secret = data.draw(st.binary(min_size=32, max_size=32))
    dealt = deal(secret, shares=shares, threshold=threshold, random=seeded("deal"))
    holders = data.draw(st.permutations(range(shares)))[:threshold]
    rows = np.stack([np.frombuffer(dealt[h], SYMBOL) for h in holders])
    assert recover(np.array(holders), rows).astype(SYMBOL).tobytes() == secret


def test_recover_takes_many_secrets_at_once() -> None:
    secrets = [seeded(f"secret {i}")(32) for i in range(20)]
    dealt = [deal(s, shares=7, threshold=5, random=seeded("many")) for s in secrets]
    holders = np.array([6, 0, 3, 4, 1])
    table = np.stack([np.frombuffer(b"".join(d[h] for d in dealt), SYMBOL) for h in holders])
    assert recover(holders, table).astype(SYMBOL).tobytes() == b"".join(secrets)


def test_deal_below_threshold_fits_every_secret_equally() -> None:
    """t - 1 shares and any guessed secret lie on one polynomial: the guess cannot be refuted."""
    dealt = deal(b"\1\2", shares=3, threshold=3, random=seeded("a"))
    held = [np.frombuffer(share, SYMBOL) for share in dealt[:2]]
    thirds = np.arange(0, 2**16, 97).astype(SYMBOL)
    guesses = {int(recover(np.arange(3), np.stack([*held, t[None]]))[0]) for t in thirds}
    assert len(guesses) == len(thirds)


def test_share_of_a_fixed_secret_is_uniform() -> None:
    """Chi-square over 256 cells of 40,000 low bytes; false alarm 1e-6 (limit 374.6)."""
    dealt = deal(bytes(40_000 * 2), shares=2, threshold=2, random=seeded("uniform"))
    counts = np.bincount(np.frombuffer(dealt[1], SYMBOL) & 255, minlength=256)
    assert ((counts - 156.25) ** 2 / 156.25).sum() < 374.6
