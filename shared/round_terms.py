# SPDX-License-Identifier: Apache-2.0
"""From the round that a server signed to the numbers of its secure sum; both sides compute them."""

from shared.privacy.canonical import digest
from shared.privacy.policy import RoundConfig
from shared.secagg.terms import Terms


def terms_of(config: RoundConfig) -> Terms:
    """Return the terms of a round's secure sum, bound to policy, model, query and mechanism.

    Raises:
        TermsRefused: The numbers do not keep a sum safe.
    """
    mechanism = config.mechanism
    return Terms(
        config_hash=bytes.fromhex(digest(config)),
        server_round=config.round,
        cohort_size=mechanism.cohort_size,
        min_survivors=mechanism.min_survivors,
        max_colluders=mechanism.max_colluders,
        dimension=mechanism.dimension,
    )
