# SPDX-License-Identifier: Apache-2.0
"""The one place where the device's recommendations meet the shared model: numpy only.

Everything that the page and the commands compute for the owner goes through these functions, so
that a better score or network is taken in here and nowhere else.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from shared.catalogue import Catalogue
from shared.model.history import History
from shared.model.kernel import likeness
from shared.model.released import SharedModel
from shared.ranking.interest import Interest
from shared.ranking.scores import ItemSide
from shared.ranking.shortlist import quick_scores
from shared.schema import Floats, Ints

Terms = dict[str, Floats]
"""Additive terms of a score by kind, one number an item; their sum ranks."""
KINDS = {"learned": "taste", "item": "popularity"}
"""Terms of `shared.ranking.interest` that an owner need not tell from another."""
SAMPLE = 200
"""Items over which the scale of the small text vectors is found."""


@dataclass
class _Kept:
    """What the last call made ready: the page asks about the same model and owner again."""

    model: SharedModel
    interest: Interest
    rough: ItemSide
    """Text as its principal components: a tenth of the memory to read."""
    items: Ints
    weights: Floats


_LAST: list[_Kept] = []


class Scorer:
    """A model made ready to score for one owner.

    Args:
        model: The released model, or what stands in before the first one.
        history: The owner's ratings, oldest first. Private.
    """

    def __init__(self, model: SharedModel, history: History) -> None:
        self.items = history.items
        kept = _LAST[0] if _LAST and _LAST[0].model is model else _ready(model)
        if not np.array_equal(kept.items, self.items):
            kept = replace(kept, items=self.items, weights=kept.interest.weights(self.items))
        _LAST[:] = [kept]
        self.interest, self.rough = kept.interest, kept.rough
        self.weights = kept.weights
        """θ_u, (S,): solved from the owner's own choices. Private."""

    def quick(self) -> Floats:
        """Score the whole catalogue nearly, for a shortlist, (I,). Private."""
        return quick_scores(self.rough, self.interest.model, self.items, self.weights)

    def terms(self, rows: Ints) -> Terms:
        """Score some items exactly, term by term; the sum is what `Interest.score` gives.

        Args:
            rows: Rows of the catalogue, (r,).

        Returns:
            One array a kind, (r,). Private.
        """
        found: Terms = {}
        parts = self.interest.terms(self.items, rows, weights=self.weights)
        for name, part in parts.items():
            kind = KINDS.get(name, name)
            found[kind] = found.get(kind, 0.0) + part
        return found


def _ready(model: SharedModel) -> _Kept:
    """Make a model ready, for an owner without ratings."""
    interest = Interest.of(model.catalogue, model.interest)
    rough = replace(interest.side, text=_small_text(model.catalogue))
    return _Kept(model, interest, rough, np.zeros(0, np.int64), model.interest.weights)


def _small_text(catalogue: Catalogue) -> npt.NDArray[np.float32]:
    """Return vectors, (I, P), whose inner products are nearest to those of the text vectors.

    They are the principal components among the features, at the scale that agrees best with the
    full vectors over some items. Scores of a whole catalogue read them instead.
    """
    block = next((block for block in catalogue.blocks if block.kind == "text"), None)
    if block is None or not catalogue.text.shape[1]:
        return catalogue.text.astype(np.float32)
    small = catalogue.features[:, block.start : block.stop]
    some = np.linspace(0, len(catalogue) - 1, min(SAMPLE, len(catalogue))).astype(np.int64)
    full, part = catalogue.text[some], small[some]
    exact, near = full @ full.T, part @ part.T
    scale = max(float((exact * near).sum() / max(float((near * near).sum()), 1e-12)), 0.0)
    return np.ascontiguousarray(small * np.sqrt(scale), dtype=np.float32)


def alike(model: SharedModel, left: Ints, right: Ints) -> Floats:
    """Likeness of items in [0, 1], (a, b). Public."""
    return likeness(model.catalogue, model.tower, left, right)


def restricted(model: SharedModel, rows: Ints) -> SharedModel:
    """Return the model of some items only, in their order; no rating and no likeness changes.

    For interest ask a `Scorer` of the whole model: θ_u is solved against all other items.
    """
    tower = replace(
        model.tower,
        features=model.tower.features[rows],
        offset=model.tower.offset[rows],
        log_weight=model.tower.log_weight[rows],
    )
    mean = model.comment_mean
    return replace(
        model,
        catalogue=_some(model.catalogue, rows),
        statistics=model.statistics.take(rows),
        tower=tower,
        interest=model.interest.take(rows),
        comment_mean=None if mean is None else mean[rows],
    )


def _some(catalogue: Catalogue, rows: Ints) -> Catalogue:
    """Return some items of a catalogue."""
    return replace(
        catalogue,
        item_ids=tuple(catalogue.item_ids[row] for row in rows),
        titles=tuple(catalogue.titles[row] for row in rows),
        features=catalogue.features[rows],
        text=catalogue.text[rows],
        categories=catalogue.categories[rows],
        log_age=catalogue.log_age[rows],
    )
