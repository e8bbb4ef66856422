# SPDX-License-Identifier: Apache-2.0
"""Interest s_uj: the score that ranks items for an owner, on their device.

A predicted rating ranks badly: it asks how well people would like what they chose to see, not what
they will choose. Interest asks what they choose next.
"""

from dataclasses import dataclass

import numpy as np

from shared.catalogue import Catalogue
from shared.metrics import top_k
from shared.model.interest import NAMES, InterestModel
from shared.ranking.contexts import contexts_of, shared_terms, taste
from shared.ranking.scores import ItemSide, context_scores
from shared.ranking.shortlist import SHORTLIST, quick_scores
from shared.ranking.weights import own_weights
from shared.schema import Floats, Ints

GROUPS = {
    "popularity": ("popularity",),
    "liking": ("liking",),
    "text": ("text",),
    "category": ("category",),
    "time": ("time", "age"),
    "likeness": ("joint",),
    "learned": ("learned",),
}
"""Names of terms in explanations, by how the names of their scores begin."""
BLOCK = 4096
"""Items scored at once: keeps the comparison of a long history with a catalogue small."""


@dataclass(frozen=True)
class Interest:
    """A model made ready to score for any owner; public."""

    side: ItemSide
    model: InterestModel

    @classmethod
    def of(cls, catalogue: Catalogue, model: InterestModel) -> "Interest":
        """Make a model ready for its catalogue."""
        return cls(ItemSide.of(catalogue, model), model)

    def weights(self, history: Ints) -> Floats:
        """Return θ_u, (S,): solved from the owner's own choices, free. Private."""
        return own_weights(contexts_of(self.side, self.model, history), self.model)

    def score(
        self, history: Ints, items: Ints | None = None, *, weights: Floats | None = None
    ) -> Floats:
        """Score items for one owner; higher is more interesting.

        Args:
            history: Items the owner took up, oldest first, (n,). Private.
            items: What to score, (N,); the whole catalogue where None.
            weights: θ_u where it is known already.

        Returns:
            Scores, (N,), comparable within one owner only. Private.
        """
        theta = self.weights(history) if weights is None else weights
        asked = np.arange(len(self.side.popularity)) if items is None else items
        ends = np.array([len(history)])
        c = taste(self.side, history, ends)
        score = np.empty(len(asked))
        for start in range(0, len(asked), BLOCK):
            block = asked[start : start + BLOCK]
            scores = context_scores(self.side, history, ends, block)[:, 0]
            rest = shared_terms(self.side, self.model, c, block)[0]
            score[start : start + BLOCK] = theta @ scores + rest
        return score

    def terms(
        self, history: Ints, items: Ints, *, weights: Floats | None = None
    ) -> dict[str, Floats]:
        """Return what a score is made of, for explanations: terms that sum to it.

        Args:
            history: Items the owner took up, oldest first, (n,). Private.
            items: What to explain, (N,).
            weights: θ_u where it is known already.

        Returns:
            By the keys of `GROUPS`, then "taste" (M and the items' factors) and "item" (the items'
            own terms), (N,) each. Private.
        """
        theta = self.weights(history) if weights is None else weights
        ends = np.array([len(history)])
        scores = context_scores(self.side, history, ends, items)[:, 0] * theta[:, None]
        parts = {
            group: scores[[name.startswith(starts) for name in NAMES]].sum(axis=0)
            for group, starts in GROUPS.items()
        }
        own = self.model.items[items, 0]
        c = taste(self.side, history, ends)
        rest = shared_terms(self.side, self.model, c, items)[0]
        return parts | {"taste": rest - own, "item": own}

    def rank(self, history: Ints, count: int, *, weights: Floats | None = None) -> Ints:
        """Return the items an owner would choose next, best first, without those of the history.

        In a catalogue of more than 500 items the joint likeness, which compares every event
        with every item, is computed for the 500 best by all other terms.

        Args:
            history: Items the owner took up, oldest first, (n,). Private.
            count: Length of the list; shorter where the catalogue has fewer items left.
            weights: θ_u where it is known already; it changes only when the history does.

        Returns:
            Rows of the catalogue, (min(count, items left),). Private.
        """
        theta = self.weights(history) if weights is None else weights
        items = np.arange(len(self.side.popularity))
        if len(items) > SHORTLIST:
            quick = quick_scores(self.side, self.model, history, theta)
            quick[history] = -np.inf
            items = np.sort(np.argpartition(-quick, SHORTLIST)[:SHORTLIST])
        items = np.setdiff1d(items, history, assume_unique=True)
        scores = self.score(history, items, weights=theta)
        best = top_k(scores[None], min(count, len(items)))[0]
        return np.asarray(items[best])
