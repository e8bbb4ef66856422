# SPDX-License-Identifier: Apache-2.0
"""What the server publishes about interest: the numbers that rank items, and nothing that runs.

s_uj = ⟨θ_u, scores_uj⟩ + c_uᵀ M x_j + ⟨δ_j, (1, Uᵀ(c_u − c̄))⟩, with the owner's recent taste c_u.
`shared.ranking` computes it; here stands what of it is shared. See ARCHITECTURE, "The model".
"""

from dataclasses import dataclass, replace

import numpy as np

from shared.catalogue import Catalogue
from shared.schema import Floats, Ints

NAMES = (
    "text_recent",
    "text_all",
    "category_recent",
    "time_latest",
    "time_recent",
    "time_all",
    "age_latest",
    "joint_latest",
    "joint_recent",
    "joint_all",
    "joint_best",
    "popularity",
    "popularity_squared",
    "liking",
    "popularity_length",
    "liking_length",
    "popularity_near_latest",
    "popularity_near_recent",
    "liking_near_latest",
    "liking_near_recent",
    "learned_latest",
    "learned_recent",
)
"""The S scores that θ weighs, in order; `shared.ranking.scores` says what each is."""

START = {
    "text_recent": 0.15,
    "text_all": 0.3,
    "category_recent": 0.15,
    "time_latest": 0.3,
    "time_recent": 0.3,
    "time_all": -0.4,
    "age_latest": 0.2,
    "joint_latest": 0.1,
    "joint_recent": 0.05,
    "joint_best": 0.2,
    "popularity": 1.1,
    "popularity_squared": 0.2,
    "liking": 0.1,
    "popularity_near_latest": 0.2,
    "popularity_near_recent": 0.35,
    "liking_near_latest": 0.5,
    "liking_near_recent": -0.1,
}
"""θ before anybody is asked, 0 where nothing is said: chosen on validation items."""


@dataclass(frozen=True)
class InterestModel:
    """The shared part of interest; public."""

    popularity: Floats
    """Log weight of each item, standardised over the catalogue, (I,)."""
    liking: Floats
    """Mean rating of each item, standardised over the catalogue, (I,)."""
    projection: Floats
    """From [public features, popularity, liking] to whitened item vectors x, (F + 2, p). Sent, not
    recomputed: eigenvectors differ between machines."""
    weights: Floats
    """θ, what a score is worth to people on average, (S,)."""
    bilinear: Floats
    """M, which recent taste draws people to which items, (p, p)."""
    directions: Floats
    """U, the k directions of taste for which items have terms of their own, (p, k)."""
    centre: Floats
    """c̄, taste of the average event, (p,)."""
    items: Floats
    """δ_j, an item's own term and its factors, (I, 1 + k)."""
    spread: Floats
    """Spread of all factors over the whole catalogue, (1,); 1 while nothing is known."""

    @property
    def learned(self) -> Floats:
        """Factors of the items in units of their spread, (I, k)."""
        return self.items[:, 1:] / self.spread

    def with_items(self, items: Floats) -> "InterestModel":
        """Return the model with other terms of its items, (I, 1 + k)."""
        spread = float(items[:, 1:].std()) if items.shape[1] > 1 else 0.0
        return replace(self, items=items, spread=np.array([spread or 1.0]))

    def take(self, rows: Ints) -> "InterestModel":
        """Return the model of some items, in their order; no score of an item changes."""
        return replace(
            self,
            popularity=self.popularity[rows],
            liking=self.liking[rows],
            items=self.items[rows],
        )

    @classmethod
    def untrained(cls, catalogue: Catalogue, popularity: Floats, liking: Floats) -> "InterestModel":
        """Return interest as it is before devices are asked: likeness and popularity at START.

        Args:
            catalogue: Public features.
            popularity: Standardised log weights, (I,); zeros where nothing was released.
            liking: Item means, (I,); zeros where nothing was released.
        """
        spread = max(float(liking.std()), 1e-9)
        return cls(
            popularity=popularity,
            liking=(liking - liking.mean()) / spread,
            projection=np.zeros((catalogue.features.shape[1] + 2, 0)),
            weights=np.array([START.get(name, 0.0) for name in NAMES]),
            bilinear=np.zeros((0, 0)),
            directions=np.zeros((0, 0)),
            centre=np.zeros(0),
            items=np.zeros((len(popularity), 1)),
            spread=np.ones(1),
        )

    def vectors(self, catalogue: Catalogue) -> Floats:
        """Return the whitened item vectors x of a catalogue, (I, p)."""
        own = np.column_stack([catalogue.features, self.popularity, self.liking])
        return np.asarray(own @ self.projection)
