# SPDX-License-Identifier: Apache-2.0
"""Which queries a run asks, what each may spend, and the integers that follow: public rules only.

Nothing here looks at a rating; the number of users, of items and the budget decide.
"""

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from shared.catalogue import Catalogue
from shared.config import RunConfig
from shared.errors import CohortTooSmall, UsageError
from shared.model.network import NetworkShape
from shared.model.plan import (
    BILINEAR_ROUNDS,
    COUNT_SCALES,
    TERMS_ROUNDS,
    WEIGHTS_ROUNDS,
    ranking_rule,
    rule_words,
    shares_of,
    trunk_rule,
)
from shared.model.prior import (
    CLIPPING_NORM,
    ROUNDS,
    ROUNDS_FREE,
    features_of,
    prior_length,
)
from shared.model.queries import (
    METRICS,
    NETWORK_NORM,
    UNCLIPPED,
    item_sums_query,
    population_prior_query,
    rank_bilinear_query,
    rank_items_query,
    rank_weights_query,
    trunk_items_query,
    trunk_network_query,
)
from shared.model.tasks import TASK_WEIGHTS
from shared.model.view import Reconstruction, profile_texts, row_count
from shared.privacy.accountant import epsilon, noise_multiplier, rho_for, rho_of
from shared.privacy.plan import Cohort, mechanism_for
from shared.privacy.policy import MAX_SECURE_SUM, Mechanism
from shared.privacy.query import SumQuery, metrics_query
from shared.schema import Floats

DEFAULT_EPSILON = 8.0
NO_NETWORK = NetworkShape(0, 0, 0)
BUILT = (
    "item_sums",
    "population_prior",
    "trunk_items",
    "trunk_network",
    "rank_weights",
    "rank_bilinear",
    "rank_items",
    "metrics",
)
"""Queries of `shared.config.QUERIES` that can be asked today."""


@dataclass(frozen=True)
class Summed:
    """A noisy sum, as the learning steps need it: with who is in it and how noisy it is."""

    total: Floats
    """The sum in the query's units, (d,)."""
    users: int
    """People whose answers are in it; with drop-outs fewer than were invited."""
    noise_std: float
    """Standard deviation of the noise in each coordinate: under distributed trust every survivor
    brought a share, so it is known exactly from their number."""


@dataclass(frozen=True)
class Release:
    """One query, how often it is asked, and the mechanism of each asking."""

    query: SumQuery
    rounds: int
    share: Fraction
    """Part of the run's ρ that all its rounds together may spend."""
    mechanism: Mechanism | None
    """None without privacy."""
    sessions: int
    """Secure sums a round is dealt into."""
    users: int
    """Devices that take part, in all sessions."""

    @property
    def noise_std(self) -> float:
        """Noise in each coordinate of a sum that everybody answers, query's units."""
        return self._std(self.users)

    @property
    def variance(self) -> int:
        """Noise variance of a sum that everybody answers, in units of the integers."""
        return self._variance(self.users)

    def summed(self, total: Floats, survivors: int | None = None) -> Summed:
        """Say of a round's sum whose answers are in it; everybody's where nobody dropped out."""
        users = self.users if survivors is None else survivors
        return Summed(total, users, self._std(users))

    def _std(self, users: int) -> float:
        """Return the standard deviation of the noise in a sum of so many, query's units."""
        if self.mechanism is None:
            return 0.0
        unit = self.query.clipping_norm / self.mechanism.scaled_norm
        return float(self._variance(users) ** 0.5 * unit)

    def _variance(self, users: int) -> int:
        """Return the noise variance over all sessions, in units of the integers."""
        if self.mechanism is None:
            return 0
        if self.mechanism.trust == "central":
            return self.sessions * self.mechanism.sum_variance(users)
        return self.mechanism.sum_variance(users)

    def under(self, rho: Fraction, cohort: Cohort) -> "Release":
        """Return the release with the mechanism that spends its share of a run's ρ."""
        each = rho * self.share / self.rounds
        return replace(self, mechanism=mechanism_for(self.query, each, cohort))

    @property
    def rho(self) -> Fraction:
        """ρ of all rounds together."""
        return self.rounds * self.mechanism.rho if self.mechanism else Fraction(0)


@dataclass(frozen=True)
class Plan:
    """All releases of a run, in order, and what they cost together."""

    releases: tuple[Release, ...]
    delta: float
    sessions: int
    cohort_size: int
    """Devices in the smallest session."""
    factors: int = 0
    """k, factors of an item in the trunk."""
    preference: float = 1.0
    """b, weight of an item's offset beside its factors."""
    shape: NetworkShape = NO_NETWORK
    """Sizes of the network; of none where nothing is federated."""
    count_scale: float = COUNT_SCALES["ratings"]
    """α of `item_sums`."""
    taste_width: int = 0
    """p, length of the item vectors that interest is learnt over."""
    taste_factors: int = 0
    """k, factors of an item in interest."""
    comments: bool = False
    """Whether comments are declared, and so learnt from."""
    task_weights: tuple[float, float] = TASK_WEIGHTS
    """Weights of the rating and the comment task in the trunk's loss."""
    why: str = ""
    """Why these blocks are trained, in one sentence."""
    reconstruction: Reconstruction = "leave-one-out"
    local_steps: int = 1
    local_rate: float = 0.0

    def __getitem__(self, name: str) -> Release:
        return next(release for release in self.releases if release.query.name == name)

    def __contains__(self, name: object) -> bool:
        return any(release.query.name == name for release in self.releases)

    @property
    def rho(self) -> Fraction:
        """ρ of the run, exact."""
        return sum((release.rho for release in self.releases), Fraction(0))

    @property
    def private(self) -> bool:
        """Whether any release draws noise."""
        return self.rho > 0

    def figures(self) -> dict[str, Any]:
        """Return the plan's part of a run's figures, under the names of the command line."""
        first = next((r.mechanism for r in self.releases if r.mechanism), None)
        own = (
            epsilon(sum((r.rounds * r.mechanism.own_share_rho for r in self.releases
                         if r.mechanism), Fraction(0)), self.delta)
            if first and first.trust != "central"
            else None
        )  # fmt: skip
        return {
            "epsilon": epsilon(self.rho, self.delta) if self.private else None,
            "epsilon_amplified": None,
            "epsilon_own_share": own,
            "delta": self.delta if self.private else None,
            "rho": float(self.rho) if self.private else None,
            "noise_multiplier": noise_multiplier(self.rho) if self.private else None,
            "noise_shares": first.noise_shares if first else None,
            "queries": [_line(release) for release in self.releases],
            "sessions": self.sessions if self.releases else None,
            "cohort_size": self.cohort_size if self.releases else None,
            "participations_max": sum(release.rounds for release in self.releases),
            "rounds": sum(release.rounds for release in self.releases),
            "neighboring_relation": "zero-out" if self.private else None,
        }


def _line(release: Release) -> dict[str, Any]:
    """Return one entry of `queries`: name, rounds, share, dimension, norm, noise."""
    mechanism = release.mechanism
    return {
        "name": release.query.name,
        "rounds": release.rounds,
        "share": float(release.share),
        "dimension": release.query.dimension,
        "clipping": release.query.clipping,
        "clipping_norm": release.query.clipping_norm,
        "noise_multiplier": noise_multiplier(mechanism.rho) if mechanism else None,
        "rho": float(release.rho) if mechanism else None,
        "sigma2": mechanism.sigma2 if mechanism else None,
        "delta2_squared": mechanism.delta2_squared if mechanism else None,
    }


def make_plan(
    config: RunConfig, users: int, catalogue: Catalogue, *, comments: bool = False
) -> Plan:
    """Choose the queries, and give each its mechanism.

    Args:
        config: Choice of privacy, trust, cohort, allowance, budget.
        users: Enrolled users U, public.
        catalogue: The public catalogue.
        comments: Whether the data declare comments; only then is anything spent on them.

    Raises:
        CohortTooSmall: a session would have fewer devices than privacy can be promised to.
        UsageError: more colluders than the cohort can bear, or a query that is not built yet.
    """
    delta = config.target_delta or min(1e-5, 1 / (10 * users))
    size = users if config.cohort == "all" else min(config.cohort, users)
    sessions = -(-users // size)
    plan = Plan(
        (),
        delta,
        sessions,
        users // sessions,
        comments=comments,
        reconstruction=config.reconstruction,
        local_steps=config.local_steps,
        local_rate=config.local_rate,
    )
    if config.local_only:
        return plan
    if not config.private:
        return _with_queries(plan, config, users, catalogue, math.inf)
    cohort = _cohort(config, plan.cohort_size)
    rho = (
        rho_of(config.noise_multiplier)
        if config.noise_multiplier
        else rho_for(config.target_epsilon or DEFAULT_EPSILON, delta)
    )
    query = item_sums_query(len(catalogue), comments=comments)
    whole = Release(query, 1, Fraction(1), None, sessions, users).under(rho, cohort)
    plan = _with_queries(plan, config, users, catalogue, 1 / whole.noise_std)
    return replace(plan, releases=tuple(r.under(rho, cohort) for r in plan.releases))


def _with_queries(
    plan: Plan, config: RunConfig, users: int, catalogue: Catalogue, mu: float
) -> Plan:
    """Choose queries, rounds and shares by the public rule, or as the configuration says.

    `mu` is the reciprocal of the noise's standard deviation in a sum that had the whole budget, so
    that sessions, dropout allowance and local trust count as the smaller budget that they leave.
    """
    rule = trunk_rule(users, len(catalogue), mu, config.blocks)
    taste = ranking_rule(users, len(catalogue), mu)
    chosen = shares_of(config.objective, rule, taste)
    shares = {name: _exact(chosen.get(name, 0)) for name in BUILT}
    if config.budget is not None:
        missing = [name for name, share in config.budget.items() if share and name not in BUILT]
        if missing:
            raise UsageError(
                f"--budget must name queries that are built ({', '.join(BUILT)}), got "
                f"{', '.join(missing)}.",
                hint="leave them out for now.",
            )
        shares = {name: _exact(config.budget.get(name, 0)) for name in BUILT}
    shape = network_shape(catalogue, rule.factors or 2)
    factors, rounds = shape.factors, config.rounds or rule.rounds or 2
    moments = prior_length(features_of(catalogue), rule.pairs)
    rows = row_count(len(catalogue), factors)
    free = math.isinf(mu)
    norm = UNCLIPPED if free else NETWORK_NORM
    prior_norm, prior_rounds = (UNCLIPPED, ROUNDS_FREE) if free else (CLIPPING_NORM, ROUNDS)
    width = min(taste.width, catalogue.features.shape[1] + 2)
    kinds = min(taste.factors, width)  # a catalogue of few columns has no more of them
    named = row_count(len(catalogue), kinds)
    queries = {
        "item_sums": (item_sums_query(len(catalogue), comments=plan.comments), 1),
        "population_prior": (population_prior_query(moments, prior_norm), prior_rounds),
        "trunk_items": (trunk_items_query(rows, factors), rounds),
        "trunk_network": (trunk_network_query(shape.size, norm), rule.network_rounds or 1),
        "rank_weights": (rank_weights_query(), WEIGHTS_ROUNDS),
        "rank_bilinear": (rank_bilinear_query(width), BILINEAR_ROUNDS),
        "rank_items": (rank_items_query(named, kinds), TERMS_ROUNDS),
        "metrics": (metrics_query(METRICS), 1),
    }
    releases = tuple(
        Release(*queries[name], share, None, plan.sessions, users)
        for name, share in shares.items()
        if share > 0
    )
    return replace(
        plan,
        releases=releases,
        factors=factors,
        preference=rule.preference,
        why=rule_words(
            users, len(catalogue), mu, config.blocks, budget_given=config.budget is not None
        ),
        shape=shape,
        count_scale=COUNT_SCALES[config.objective],
        taste_width=width,
        taste_factors=kinds,
    )


def network_shape(catalogue: Catalogue, factors: int) -> NetworkShape:
    """Return the network's sizes as they follow from the public catalogue.

    A tower of a catalogue without text or categories has few columns, and no more factors.
    """
    columns = features_of(catalogue)
    return NetworkShape(min(factors, columns), profile_texts(catalogue).shape[1], columns)


def _exact(share: float) -> Fraction:
    """Read a share as the decimal that was meant."""
    return Fraction(share).limit_denominator(10**6)


def _cohort(config: RunConfig, size: int) -> Cohort:
    """Check that the smallest session can promise anything."""
    if size < 2:
        raise CohortTooSmall(
            f"a private sum must have at least 2 devices, got {size}.",
            hint="use more users or a larger --cohort, or look at the data with --no-privacy.",
        )
    dropout = Fraction(config.dropout).limit_denominator(10**6)
    cohort = Cohort(config.trust, size, dropout, config.colluders)
    if config.trust == "distributed" and 2 * cohort.min_survivors <= size + config.colluders:
        raise UsageError(
            f"survivors must outnumber half the cohort and the colluders, got {size} devices, "
            f"--dropout {config.dropout:g}, --colluders {config.colluders}.",
            hint="lower --dropout or --colluders, or ask a larger cohort.",
        )
    return cohort


def in_sessions(config: RunConfig, users: int) -> RunConfig | None:
    """Return the run dealt into secure sums that exist, where one cohort would be too large."""
    if not config.private or users <= MAX_SECURE_SUM or config.cohort != "all":
        return None
    sessions = -(-users // MAX_SECURE_SUM)
    return config.model_copy(update={"cohort": -(-users // sessions)})
