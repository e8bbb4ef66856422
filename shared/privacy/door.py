# SPDX-License-Identifier: Apache-2.0
"""The one door: nothing about a person leaves a device but through `authorise` and `release`.

`authorise` is pure: floor, state, two signed values and a time in; a `Charge` or a typed `Refusal`
out. The caller writes `charge.state` to disk (fsync) and only then calls `release`, which accepts
nothing but a Charge, once. Charges are never refunded. A retry resends the bytes of the first try.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from shared.errors import BudgetExceeded, CohortTooSmall, PolicyError, Refusal
from shared.privacy.canonical import Signed, digest, verified
from shared.privacy.encode import encode, to_residues
from shared.privacy.noise import OsRandom, RandomSource, discrete_gaussian
from shared.privacy.policy import DeviceState, Floor, LastRound, Policy, RoundConfig
from shared.privacy.query import SparseVector, SumQuery

WEEK_S = 7 * 24 * 3600
_SEAL = object()


class PolicyRefused(PolicyError, Refusal):
    """A policy or a round is not signed by the pinned key, or is not well formed."""


class Charge:
    """The right to release one answer, made by `authorise` alone, usable once.

    Guarantees:
        - a charge cannot be built outside authorise
        - a charge releases once, copies included
    """

    def __init__(self, seal: object, config: RoundConfig, state: DeviceState) -> None:
        if seal is not _SEAL:
            raise Refusal("a charge must come from authorise.")
        self.config = config
        self.state = state
        """State of the device after the charge: on disk before `release`."""
        self._unused = [None]  # list.pop is atomic: two threads cannot both release

    def __copy__(self) -> "Charge":
        return self

    def __deepcopy__(self, memo: object) -> "Charge":
        return self

    def __reduce__(self) -> str:
        raise Refusal("a charge cannot leave the process.")

    def spend(self) -> None:
        """Use the charge up.

        Raises:
            Refusal: it was used before.
        """
        try:
            self._unused.pop()
        except IndexError:
            raise Refusal(
                "a charge must be used once, got a second release.",
                hint="resend the bytes of the first try.",
            ) from None


@dataclass(frozen=True)
class Contribution:
    """What a device sends: noisy residues mod 2^32, which secure aggregation then masks."""

    residues: npt.NDArray[np.uint32]
    """(d,)."""


def authorise(
    floor: Floor, state: DeviceState, policy: Signed, round_config: Signed, now_s: int
) -> Charge | Refusal:
    """Decide whether the device takes part in one session of one round.

    Args:
        floor: What the device insists on.
        state: What the device remembers.
        policy: The policy, signed by the pinned officer's key.
        round_config: The round, signed by the policy's server key.
        now_s: The device's own clock, seconds.

    Returns:
        A charge, or the first refusal with three lines: requested, remaining, what would help.

    Guarantees:
        - whatever a hostile server sends, the sum of rho never passes the cap
        - no bytes make it raise
        - no round is answered twice, in whatever session
        - no charge counts on more shares of noise than the policy has devices
    """
    rules = verified(Policy, policy, state.officer_key)
    if rules is None or digest(rules) != state.policy_hash:
        return _say(PolicyRefused, "a policy", "the policy that the owner accepted, signed by its "
                    "officer", "ask the operator for it, or join again.")  # fmt: skip
    config = verified(RoundConfig, round_config, rules.server_key)
    if config is None:
        return _say(PolicyRefused, "a round", "well-formed rounds signed by the policy's server",
                    "the operator must sign the round with that key.")  # fmt: skip
    return decide(floor, state, rules, config, now_s)


def decide(
    floor: Floor, state: DeviceState, policy: Policy, config: RoundConfig, now_s: int
) -> Charge | Refusal:
    """Judge a round whose signatures hold; see `authorise`."""
    for refusal in _refusals(floor.stricter(policy.floor), state, policy, config, now_s):
        return refusal
    others = tuple(last for last in state.last_rounds if last.run != config.run)
    after = replace(
        state,
        spent=state.spent + config.mechanism.rho,
        participations=state.participations + 1,
        last_time_s=now_s,
        last_rounds=(*others, LastRound(config.run, config.round)),
    )
    return Charge(_SEAL, config, after)


def release(
    vector: npt.NDArray[np.float64] | SparseVector,
    query: SumQuery,
    charge: Charge,
    rng: np.random.Generator,
    source: RandomSource | None = None,
) -> Contribution:
    """Clip, round and noise one device's vector; the only way out.

    Args:
        vector: The device's vector. Private.
        query: What the device computed; must be what the charge is for.
        charge: From `authorise`; used up by this call, whatever comes of it.
        rng: Chance for the rounding.
        source: Chance for the noise; the operating system's, unless a test says otherwise.

    Raises:
        Refusal: no charge, a used one, or one for another query.
    """
    if not isinstance(charge, Charge) or query != charge.config.query:
        raise Refusal("a release must have a charge for its query.")
    charge.spend()
    mechanism = charge.config.mechanism
    if mechanism.trust == "central":  # the server adds the one share, to the sum
        share = np.zeros(mechanism.dimension, dtype=np.int64)
    else:
        share = discrete_gaussian(mechanism.sigma2, mechanism.dimension, source or OsRandom())
    encoded = encode(vector, query, mechanism, rng)
    if isinstance(encoded, SparseVector):
        share[encoded.indices] += encoded.values
        return Contribution(to_residues(share))
    return Contribution(to_residues(share + encoded))


def abort(state: DeviceState, now_s: int) -> DeviceState:
    """Record that a charge ended unused: the budget stays charged."""
    recent = tuple(min(then, now_s) for then in state.aborts_s if now_s - then < WEEK_S)
    return replace(state, aborts_s=(*recent, now_s))


def _refusals(
    floor: Floor, state: DeviceState, policy: Policy, config: RoundConfig, now_s: int
) -> Iterator[Refusal]:
    """Yield why the device does not take part."""
    m, rho, left = config.mechanism, config.mechanism.rho, floor.rho_cap - state.spent
    last = max((r.round for r in state.last_rounds if r.run == config.run), default=0)
    aborts = sum(now_s - then < WEEK_S for then in state.aborts_s)
    least = floor.min_noise_shares if m.trust == "distributed" else 1
    if config.policy_hash != state.policy_hash or config.run != policy.run:
        yield _say(PolicyRefused, "a round of another policy", f"rounds of {policy.run!r}",
                   "join that federation first.")  # fmt: skip
    if config.query.name not in policy.queries:
        yield _say(Refusal, "a query that the policy does not name", ", ".join(policy.queries),
                   "a new signed policy that names it.")  # fmt: skip
    if m.trust not in floor.trusts:
        yield _say(Refusal, f"{m.trust} trust", f"only {', '.join(floor.trusts) or 'none'}",
                   "a round under a trust that both the owner and the policy allow.")  # fmt: skip
    if not m.fits_secure_sum:
        yield _say(Refusal, f"a sum of {m.cohort_size} devices", "sums of at most 1,000 devices "
                   "that fit 32 bits", "sessions of fewer devices.")  # fmt: skip
    if m.cohort_size > policy.users:
        yield _say(Refusal, f"a sum of {m.cohort_size} devices",
                   f"at most the policy's {policy.users} devices", "a round of fewer.")  # fmt: skip
    if m.noise_shares < least:
        yield _say(CohortTooSmall, f"{m.noise_shares} shares of noise", f"at least {least}",
                   "a larger cohort, or less allowance for dropout.")  # fmt: skip
    if m.min_survivors <= floor.min_survivors_above * m.cohort_size:
        yield _say(CohortTooSmall, f"a sum of {m.min_survivors} of {m.cohort_size} devices",
                   f"more than {floor.min_survivors_above} of them",
                   "a higher min_survivors.")  # fmt: skip
    if config.round <= last:
        yield _say(Refusal, f"round {config.round}", f"rounds after {last}",
                   "a new round; none is answered twice.")  # fmt: skip
    if now_s - state.last_time_s < floor.min_separation_s:
        yield _say(Refusal, f"a release {now_s - state.last_time_s} s after the last",
                   f"one every {floor.min_separation_s} s", "wait.")  # fmt: skip
    if state.participations >= floor.participations_max:
        yield _say(BudgetExceeded, "1 release", f"0 of {floor.participations_max} releases",
                   "a new policy that the owner accepts.")  # fmt: skip
    if aborts >= floor.aborts_max:
        yield _say(Refusal, f"a release after {aborts} unused ones in a week",
                   f"at most {floor.aborts_max} unused", "wait; see the receipts.")  # fmt: skip
    if rho > floor.rho_round_max or rho > left:
        yield _say(BudgetExceeded, f"ρ = {float(rho):.3g}",
                   f"ρ = {float(min(left, floor.rho_round_max)):.3g} of {float(floor.rho_cap):.3g}",
                   "more noise, or a new policy that the owner accepts.")  # fmt: skip


def _say(kind: type[Refusal], requested: str, remaining: str, remedy: str) -> Refusal:
    """Return a refusal in three lines."""
    return kind(f"requested: {requested}\nremaining: {remaining}", hint=remedy)
