# SPDX-License-Identifier: Apache-2.0
"""Public features of items: from titles, descriptions, categories, years and prices to numbers.

Four blocks, each left out where the catalogue has nothing for it:

    category   0/1 indicators
    time       [a, 1{a < -0.7}, |a|], a = clip((year - (newest - 13)) / 15, -3, 1)
    text       principal components of the encoder's vectors
    number     linear discriminants of the numeric columns, first category as class

Each block is centred over the catalogue and divided by its rms row norm, so that one prior
precision a kind of block serves every catalogue. What is fitted is fitted once, on public data,
and frozen as a `FeatureBasis`; new items are projected and never refit it. Numpy only: a device
has no scikit-learn. Everything here is public; no rating enters.

Source: docs/explanation (the recipe of the local model); PCA: Jolliffe (2002), "Principal
Component Analysis"; LDA: Hastie et al. (2009), "The Elements of Statistical Learning", 4.3.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from shared.catalogue import Catalogue, FeatureBasis, FeatureBlock, Projection
from shared.errors import DataError
from shared.schema import Floats, Items

TEXT_SIZE = 32
"""Principal components kept of the text vectors (64 gave nothing on top)."""
CATEGORY_LIMIT = 64
"""Most category columns; the most frequent ones stay."""
DESCRIPTION_LIMIT = 500
"""Characters of a description that are read."""
NO_CATEGORY = frozenset({"", "unknown", "(no genres listed)"})
"""Words that data sets write where an item has no category."""


def item_text(items: Items) -> list[str]:
    """Write each item as the one text that the encoder reads.

    Returns:
        "title. Genres: a, b. description[:500]" an item, parts that are missing left out; "" where
        an item has none of them. A title that only repeats the id counts as missing.

    Example:
        >>> item_text(Items(("1",), ("Hedge (1999)",), ("It grows.",), (("Drama",),), np.ones(1)))
        ['Hedge (1999). Genres: Drama. It grows.']
    """
    texts = []
    for name, title, description, categories in zip(
        items.ids, items.titles, items.descriptions, items.categories, strict=True
    ):
        parts = [
            f"{title}." if title and title != name else "",
            f"Genres: {', '.join(categories)}." if categories else "",
            description[:DESCRIPTION_LIMIT],
        ]
        texts.append(" ".join(part for part in parts if part))
    return texts


def build_catalogue(
    items: Items,
    text_vectors: npt.NDArray[np.floating] | None,
    *,
    comment_vectors: npt.NDArray[np.floating] | None = None,
    encoder: str = "",
    text_size: int = TEXT_SIZE,
) -> tuple[Catalogue, FeatureBasis]:
    """Fit a basis on a public catalogue and compute the features of its items.

    Args:
        items: The catalogue as text, I items.
        text_vectors: What the encoder makes of `item_text(items)`, (I, D); a zero row says
            nothing. None where the catalogue has no text.
        comment_vectors: Mean vectors of each item's *public* comments, (I, D), zero rows where
            there are none; they stand in where `text_vectors` is None or all zero.
        encoder: Name of the encoder, kept in the basis.
        text_size: Most principal components of the text, > 0.

    Returns:
        The catalogue and the frozen basis; `project(basis, items, text_vectors)` gives the same
        catalogue again. Both public.

    Raises:
        DataError: there is no item, ids repeat, or vectors are not (I, D) and finite.
    """
    if len(items) == 0 or len(set(items.ids)) != len(items):
        raise DataError(
            f"a catalogue must have at least one item and unique ids, got {len(items)} items.",
            hint="look at the items file: one row an item.",
        )
    vectors = _text(items, text_vectors)
    if not vectors.any():
        vectors = _text(items, comment_vectors)
    newest = _newest_year(items.years)
    category_names = _category_names(items)
    number_names, numbers = _numbers(items, sorted(items.numbers))
    moving = np.array([len(np.unique(c[np.isfinite(c)])) > 1 for c in numbers.T], dtype=bool)
    number_names = tuple(np.array(number_names, dtype=object)[moving])
    fitted = [
        _fit("category", _indicators(items, category_names)),
        _fit("time", _time(items.years, newest)),
        _fit("text", _unknown_rows(vectors), text_size),
        _fit_numbers(numbers[:, moving], items.categories),
    ]
    log_age = _log_age(items.years, newest)
    basis = FeatureBasis(
        encoder=encoder,
        category_names=category_names,
        number_names=number_names,
        newest_year=newest,
        mean_log_age=float(np.nanmean(log_age)) if np.isfinite(log_age).any() else 0.0,
        projections=tuple(p for p in fitted if p is not None),
    )
    return project(basis, items, vectors), basis


def project(
    basis: FeatureBasis, items: Items, text_vectors: npt.NDArray[np.floating] | None
) -> Catalogue:
    """Compute the features of items, old or new, with a frozen basis; nothing is refitted.

    A category or numeric column that the basis does not know is ignored; what an item lacks
    (text, year, number) becomes the mean of the catalogue the basis was fitted on.

    Returns:
        A catalogue of these items in the order given, with the blocks of the basis.

    Raises:
        DataError: text vectors are not (I, D) with the D of the basis, or not finite.
    """
    text = basis.projection("text")
    vectors = _text(items, text_vectors)
    if text is None:
        vectors = np.zeros((len(items), 0))
    elif text_vectors is None:
        vectors = np.zeros((len(items), len(text.mean)))
    elif vectors.shape[1] != len(text.mean):
        raise DataError(
            f"text vectors must have the {len(text.mean)} dimensions of the basis, "
            f"got {vectors.shape[1]}.",
            hint=f"encode with the encoder of the basis, {basis.encoder or 'not stated'}.",
        )
    raw = {
        "category": _indicators(items, basis.category_names),
        "time": _time(items.years, basis.newest_year),
        "text": _unknown_rows(vectors),
        "number": _numbers(items, basis.number_names)[1],
    }
    parts = [_apply(projection, raw[projection.kind]) for projection in basis.projections]
    edges = np.cumsum([0, *(part.shape[1] for part in parts)]).tolist()
    log_age = _log_age(items.years, basis.newest_year)
    return Catalogue(
        item_ids=items.ids,
        titles=items.titles,
        features=_single(np.hstack([np.zeros((len(items), 0)), *parts])),
        blocks=tuple(
            FeatureBlock(projection.kind, start, stop)
            for projection, start, stop in zip(basis.projections, edges, edges[1:], strict=False)
        ),
        text=_single(_unit_rows(np.nan_to_num(raw["text"] - text.mean)) if text else vectors),
        categories=_unit_rows(raw["category"]),
        log_age=np.where(np.isfinite(log_age), log_age, basis.mean_log_age),
    )


def ema(old: npt.ArrayLike, new: npt.ArrayLike, alpha: float) -> Floats:
    """Move a vector towards a new one: alpha · old + (1 - alpha) · new.

    Args:
        old: What was known, any shape.
        new: What came, the same shape.
        alpha: Share of the old that stays, from 0 (take the new) to 1 (nothing changes).

    Raises:
        DataError: alpha lies outside [0, 1] or the shapes differ.

    Example:
        >>> ema([1.0, 0.0], [0.0, 1.0], alpha=0.75)
        array([0.75, 0.25])
    """
    before, after = np.asarray(old, dtype=np.float64), np.asarray(new, dtype=np.float64)
    if not 0.0 <= alpha <= 1.0 or before.shape != after.shape:
        raise DataError(
            f"ema takes an alpha in [0, 1] and two equal shapes, "
            f"got {alpha}, {before.shape} and {after.shape}.",
            hint="alpha is the share of the old value that stays.",
        )
    return alpha * before + (1.0 - alpha) * after


def _fit(kind: str, raw: Floats, components: int | None = None) -> Projection | None:
    """Fit one block on raw columns (I, R): centre, rotate by PCA where asked, scale.

    Unknown entries of `raw` are NaN. None where no column varies.
    """
    known = _known_rows(raw)
    if raw.shape[1] == 0 or not known.any():
        return None
    mean = np.nanmean(raw[known], axis=0)
    centred = np.nan_to_num(raw - mean)
    rotation = np.eye(raw.shape[1])
    if components is not None:
        rotation = principal_axes(centred, components)
    return _scaled(kind, mean, rotation, centred, known)


def _fit_numbers(raw: Floats, categories: Sequence[tuple[str, ...]]) -> Projection | None:
    """Fit the block of numeric columns (I, R): standardise, discriminate, standardise again."""
    known = _known_rows(raw)
    if raw.shape[1] == 0 or not known.any():
        return None
    mean, deviation = np.nanmean(raw, axis=0), np.nanstd(raw, axis=0)
    standard = np.nan_to_num((raw - mean) / deviation)
    first = [row[0] if row and row[0].lower() not in NO_CATEGORY else "" for row in categories]
    labels = np.array(first, dtype=object)
    axes = discriminant_axes(standard, np.where(known, labels, ""))
    if axes.shape[1] == 0:
        axes = principal_axes(standard, raw.shape[1])
    spread = np.std(standard @ axes, axis=0)
    axes = (axes / np.where(spread > 0, spread, 1.0))[:, spread > 1e-3]  # no copies of a column
    return _scaled("number", mean, axes / deviation[:, None], np.nan_to_num(raw - mean), known)


def _scaled(
    kind: str, mean: Floats, rotation: Floats, centred: Floats, known: npt.NDArray[np.bool_]
) -> Projection | None:
    """Divide a rotation by the rms norm of the rows it gives, over the rows that are known."""
    rows = centred[known] @ rotation
    rms = float(np.sqrt((rows**2).sum(axis=1).mean()))
    if rms < 1e-9:
        return None
    return Projection(kind, mean, rotation / rms)


def _apply(projection: Projection, raw: Floats) -> Floats:
    """Project raw columns (I, R); an unknown entry stands at the mean."""
    return np.asarray(np.nan_to_num(raw - projection.mean) @ projection.weights)


def principal_axes(centred: Floats, components: int) -> Floats:
    """Return the directions of largest variance of centred rows.

    Args:
        centred: Rows with mean zero, (I, R).
        components: Most directions to keep.

    Returns:
        Orthonormal columns, (R, c), by falling variance, c <= components and at most the rank.
        Each column's largest entry is positive, so that every machine finds the same sign.

    Source:
        Eigenvectors of the covariance; scikit-learn's PCA gives the same up to sign.
    """
    few = len(centred) < centred.shape[1]  # then the rows' inner products are the smaller matrix
    square = centred @ centred.T if few else centred.T @ centred
    values, vectors = np.linalg.eigh(square)  # ascending
    keep = np.flatnonzero(values > max(values[-1], 0.0) * 1e-10)[::-1][:components]
    axes = vectors[:, keep]
    return _signed(centred.T @ axes / np.sqrt(values[keep]) if few else axes)


def discriminant_axes(standard: Floats, labels: npt.NDArray[np.object_]) -> Floats:
    """Return the directions that part the classes best, relative to the spread inside them.

    Args:
        standard: Standardised numeric columns, (I, R).
        labels: Class of each row, (I,); "" where unknown. A class needs two rows to count.

    Returns:
        Columns by falling separation, (R, c), c = min(classes - 1, R); (R, 0) with fewer than two
        classes. Signed as `principal_axes`.

    Source:
        Fisher's discriminant, Hastie et al. (2009), 4.3.3: eigenvectors of W⁻¹B.
    """
    counts = Counter(label for label in labels if label)
    classes = sorted(label for label, count in counts.items() if count > 1)
    if len(classes) < 2:
        return np.zeros((standard.shape[1], 0))
    rows = standard[np.isin(labels, classes)]
    total = np.cov(rows.T, bias=True).reshape(standard.shape[1], -1)
    inside = np.zeros_like(total)
    for label in classes:
        members = standard[labels == label]
        inside += (members - members.mean(axis=0)).T @ (members - members.mean(axis=0))
    inside /= len(rows)
    # the ridge keeps a column that never moves inside a class from dividing by zero
    inside += 1e-9 * max(float(np.trace(total)), 1e-9) * np.eye(len(inside))
    whiten = np.linalg.inv(np.linalg.cholesky(inside))
    between = whiten @ (total - inside) @ whiten.T
    _, vectors = np.linalg.eigh((between + between.T) / 2)
    axes = whiten.T @ vectors[:, ::-1][:, : min(len(classes) - 1, len(inside))]
    return _signed(axes)


def _signed(axes: Floats) -> Floats:
    """Turn each column so that its largest entry is positive."""
    largest = np.abs(axes).argmax(axis=0)
    return np.asarray(axes * np.where(np.take_along_axis(axes, largest[None], 0) < 0, -1.0, 1.0))


def _newest_year(years: Floats) -> float:
    """Return the newest year that is not absurd, NaN where none is known.

    A year far above the bulk (a typing error such as 9999) must not move everybody's age: above
    the upper quartile plus three times the quartile range, at least 30 years, it does not count.
    """
    known = years[np.isfinite(years)]
    if len(known) == 0:
        return float("nan")
    low, high = np.quantile(known, [0.25, 0.75])
    return float(known[known <= high + 3.0 * max(high - low, 10.0)].max())


def _time(years: Floats, newest: float) -> Floats:
    """Return the three features of the year, (I, 3); NaN where the year is unknown."""
    a = np.clip((years - (newest - 13.0)) / 15.0, -3.0, 1.0)
    a = np.where(np.isfinite(years), a, np.nan)
    columns = np.stack([a, np.where(np.isnan(a), np.nan, a < -0.7), np.abs(a)], axis=1)
    return np.asarray(columns, dtype=np.float64)


def _log_age(years: Floats, newest: float) -> Floats:
    """Return ln(1 + age), (I,), age counted from the year after the newest; NaN where unknown."""
    age = np.maximum(newest + 1.0 - years, 0.0)
    return np.asarray(np.where(np.isfinite(years), np.log1p(age), np.nan))


def _category_names(items: Items) -> tuple[str, ...]:
    """Return the most frequent categories, sorted by name; ties go to the name that sorts first."""
    counts = Counter(name for row in items.categories for name in set(row))
    known = [name for name in counts if name.lower() not in NO_CATEGORY]
    return tuple(sorted(sorted(known, key=lambda name: (-counts[name], name))[:CATEGORY_LIMIT]))


def _indicators(items: Items, names: Sequence[str]) -> Floats:
    """Return 0/1 category indicators, (I, G)."""
    column = {name: place for place, name in enumerate(names)}
    table = np.zeros((len(items), len(names)))
    for row, categories in enumerate(items.categories):
        table[row, [column[name] for name in categories if name in column]] = 1.0
    return table


def _numbers(items: Items, names: Sequence[str]) -> tuple[tuple[str, ...], Floats]:
    """Return the named numeric columns side by side, (I, R), NaN where unknown."""
    unknown = np.full(len(items), np.nan)
    columns = [items.numbers.get(name, unknown) for name in names]
    table = np.stack(columns, axis=1) if columns else np.zeros((len(items), 0))
    return tuple(names), np.where(np.isfinite(table), table, np.nan)


def _text(items: Items, vectors: npt.NDArray[np.floating] | None) -> Floats:
    """Return text vectors as float64 (I, D), (I, 0) for None; refuse another shape."""
    if vectors is None:
        return np.zeros((len(items), 0))
    wide = np.asarray(vectors, dtype=np.float64)
    if wide.ndim != 2 or len(wide) != len(items) or not np.isfinite(wide).all():
        raise DataError(
            f"text vectors must be finite, one row for each of {len(items)} items, "
            f"got shape {wide.shape}.",
            hint="encode item_text(items) of the same items.",
        )
    return wide


def _known_rows(raw: Floats) -> npt.NDArray[np.bool_]:
    """Return which rows hold at least one known entry, (I,)."""
    return np.asarray(np.isfinite(raw).any(axis=1), dtype=np.bool_)


def _unknown_rows(vectors: Floats) -> Floats:
    """Mark the rows that say nothing (all zero) as unknown."""
    return np.where(vectors.any(axis=1, keepdims=True), vectors, np.nan)


def _unit_rows(table: Floats) -> Floats:
    """Divide each row by its L2 norm; a zero row stays."""
    norms = np.linalg.norm(table, axis=1, keepdims=True)
    return np.asarray(table / np.where(norms > 0, norms, 1.0))


def _single(table: Floats) -> Floats:
    """Round to what float32 holds: half the file, and fewer machine-dependent last digits."""
    return table.astype(np.float32).astype(np.float64)
