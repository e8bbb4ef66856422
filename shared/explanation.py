# SPDX-License-Identifier: Apache-2.0
"""Why a device shows what it shows: exact terms of a score, exact weight of each own rating.

The shown rating is a Gaussian process (`shared.model.local`): with a = (K + noise)⁻¹ y over the
owner's ratings,

    r̂_j = o_j + ⟨v_j, w⟩ + Σ_i a_i · likeness part of K(j, i) + network,   w = S Σ_i a_i v_i

so it splits into terms without a rest: what everybody thinks (o_j), the owner's taste by kind of
feature (blocks of v_j), the learnt factors, likeness, network. Read the other way round,
r̂_j − o_j − network = Σ_i b_i y_i with b = (K + noise)⁻¹ K(·, j): the influence of rating i is
b_i y_i, no approximation. A ranking score is a sum of named terms already; it is shown against the
mean of the catalogue, because what all items share explains nothing.

An explanation holds the owner's ratings: it is for the owner's eyes and never leaves the device.

Source: additive attributions that are exact for linear models, Lundberg and Lee (2017), "A unified
approach to interpreting model predictions", 4.2; Rasmussen and Williams (2006), "Gaussian
Processes for Machine Learning", 2.6 for the weight function.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.catalogue import Catalogue
from shared.model.kernel import AMPLITUDE, NEWEST, NOISE_VARIANCE, likeness
from shared.model.prior import Prior
from shared.model.tower import Tower
from shared.schema import Floats, Ints, Scale

PHRASES = {
    "everyone": "how everybody likes it",
    "level": "how high you rate in general",
    "popularity": "how you rate what is liked and popular",
    "category": "its kind",
    "time": "its age",
    "text": "what it is about",
    "number": "its price and other numbers",
    "latent": "what people of your taste found",
    "likeness": "how much it resembles single things you rated",
    "network": "patterns of the shared network",
}
"""Words for the terms of a predicted rating."""
SMALL = 0.005
"""Stars below which a term or an influence is not worth a word."""


@dataclass(frozen=True)
class Explanation:
    """Why one item has its predicted rating; private, in r'."""

    item: int
    """The item that is explained."""
    terms: Mapping[str, float]
    """Named terms by the keys of `PHRASES`; their sum is the prediction, not clipped."""
    rated: Ints
    """The owner's rated items that have a say, oldest first, (n,)."""
    ratings: Floats
    """Their ratings, (n,)."""
    influence: Floats
    """What each of them adds to the prediction, (n,): the sum is the prediction less the terms
    `everyone` and `network`."""
    reads_like: int
    """The rated item whose text is nearest, -1 where there is none."""

    @property
    def score(self) -> float:
        """The prediction, r'."""
        return sum(self.terms.values())


def explain_ratings(
    tower: Tower,
    prior: Prior,
    catalogue: Catalogue,
    items: Ints,
    ratings: Floats,
    targets: Ints,
    *,
    start: Tower | None = None,
    network: Floats | None = None,
) -> list[Explanation]:
    """Explain the predicted ratings of one owner.

    Args:
        tower: Item vectors and offsets as the model was released, public.
        prior: Population prior, public.
        catalogue: Public text, categories and ages.
        items: Rated items, oldest first, (n,); n may be 0. Private.
        ratings: Their ratings in r', (n,). Private.
        targets: Items to explain, (t,).
        start: The tower before any trunk round (`build_tower`): what the released one has beyond
            it is the term `latent`. None where there was no round.
        network: What the network adds to each target, (t,), r'. Private.

    Returns:
        One explanation a target. The terms of each sum to what `shared.model.local.predict` gives
        plus the network, to 1e-6.
    """
    items, ratings = items[-NEWEST:], ratings[-NEWEST:]
    extra = np.zeros(len(targets)) if network is None else network
    spread = tower.features[items] @ prior.covariance  # (n, K)
    gram = spread @ tower.features[items].T + AMPLITUDE * likeness(catalogue, tower, items, items)
    alike = AMPLITUDE * likeness(catalogue, tower, targets, items)  # (t, n)
    cross = tower.features[targets] @ spread.T + alike
    target = ratings - tower.offset[items]
    noisy = gram + NOISE_VARIANCE * np.eye(len(items))
    solved = np.linalg.solve(noisy, np.column_stack([target, cross.T]))  # (n, 1 + t)
    dual, weights = solved[:, 0], solved[:, 1:].T
    taste = spread.T @ dual  # w, (K,)
    found = []
    for row, item in enumerate(targets.tolist()):
        terms = {"everyone": float(tower.offset[item])}
        terms |= _linear_terms(catalogue, tower, start or tower, taste, item)
        terms |= {"likeness": float(alike[row] @ dual), "network": float(extra[row])}
        nearest = _nearest(catalogue, items, item)
        found.append(Explanation(item, terms, items, ratings, weights[row] * target, nearest))
    return found


def _linear_terms(
    catalogue: Catalogue, tower: Tower, start: Tower, taste: Floats, item: int
) -> dict[str, float]:
    """Split ⟨v_j, w⟩ by blocks of features; the rest is what trunk rounds added."""
    parts = start.features[item] * taste
    public = 1 + catalogue.features.shape[1]
    terms = {"level": float(parts[0]), "popularity": float(parts[public:].sum())}
    for block in catalogue.blocks:
        terms[block.kind] = float(parts[1 + block.start : 1 + block.stop].sum())
    moved = tower.features[item] - start.features[item]
    return terms | {"latent": float(moved @ taste)}


def _nearest(catalogue: Catalogue, items: Ints, item: int) -> int:
    """Return the rated item, other than the item itself, that reads most like it; -1 if none."""
    others = items[items != item]
    if len(others) == 0 or not catalogue.text.shape[1] or not catalogue.text[item].any():
        return -1
    alike = catalogue.text[others] @ catalogue.text[item]
    return int(others[np.argmax(alike)]) if alike.max() > 0 else -1


def explain_score(terms: Mapping[str, Floats], item: int) -> dict[str, float]:
    """Explain a ranking score, given as named terms over the whole catalogue.

    Args:
        terms: Named terms of the score of every item, each (I,); their sum is the score. Private.
        item: The item to explain.

    Returns:
        Each term less its mean over the catalogue, by falling size, then `average`, the mean
        score: the sum is the score of the item, to 1e-6. Private.

    Example:
        >>> explain_score({"text": np.array([1.0, 3.0]), "popularity": np.array([5.0, 5.5])}, 1)
        {'text': 1.0, 'popularity': 0.25, 'average': 7.25}
    """
    average = {name: float(values.mean()) for name, values in terms.items()}
    beyond = {name: float(values[item]) - average[name] for name, values in terms.items()}
    falling = sorted(beyond, key=lambda name: (-abs(beyond[name]), name))
    return {name: beyond[name] for name in falling} | {"average": sum(average.values())}


def because(explanation: Explanation, titles: Sequence[str], scale: Scale, count: int = 2) -> str:
    """Say in words which of the owner's ratings carry a prediction. Private.

    Args:
        explanation: Why.
        titles: Titles of the catalogue, I entries.
        scale: The scale in which the owner rates.
        count: Most ratings to name on each side.

    Returns:
        "because you rated A 5 and B 4, although you rated C 2; it reads like A"; parts that do
        not apply are left out. Where the owner's ratings pull the prediction down, those that do
        come first.
    """
    pushes = explanation.influence / scale.unit
    order = np.argsort(-np.abs(pushes), kind="stable")
    upward = [row for row in order if pushes[row] > SMALL]
    downward = [row for row in order if pushes[row] < -SMALL]
    total = float(pushes.sum())
    first, second = (upward, downward) if total >= 0 else (downward, upward)

    def told(rows: Sequence[int]) -> str:
        stars = scale.from_unit(explanation.ratings)
        names = [f"{titles[explanation.rated[row]]} {stars[row]:g}" for row in rows[:count]]
        return "you rated " + " and ".join(names)

    words = f"because {told(first)}" if first else "because of what others think of it"
    if first and second:
        words += f", although {told(second)}"
    if explanation.reads_like >= 0:
        words += f"; it reads like {titles[explanation.reads_like]}"
    return words


def term_words(explanation: Explanation, scale: Scale) -> list[tuple[str, float]]:
    """Name the terms of a prediction, in stars, largest first. Private.

    Args:
        explanation: Why.
        scale: The scale in which the owner rates.

    Returns:
        ("how everybody likes it", stars) first, then what the owner's own data add, each with its
        sign; terms that round to nothing are left out. Stars before clipping to the scale.
    """
    stars = {name: value / scale.unit for name, value in explanation.terms.items()}
    everyone = (PHRASES["everyone"], scale.centre + stars.pop("everyone"))
    falling = sorted(stars.items(), key=lambda term: -abs(term[1]))
    return [everyone, *((PHRASES[name], v) for name, v in falling if abs(v) > SMALL)]
