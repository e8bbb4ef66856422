# SPDX-License-Identifier: Apache-2.0
"""The public catalogue as numbers: what a server publishes and every device computes with.

One file carries it: safetensors for the arrays (no code can hide in it), and in its metadata, as
canonical JSON, the words (ids, titles, names of categories). The version is the sha256 of that
content, so two sides that name the same version compute with the same numbers, and a file in
which a single byte differs is refused.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from shared.atomic import replace_file
from shared.errors import DataError
from shared.schema import Floats

FORMAT = "privet-catalogue/1"
"""Name and version of the file format, its first field."""


@dataclass(frozen=True)
class FeatureBlock:
    """A run of columns of the public features that share one meaning and one prior."""

    kind: str
    """One of "category", "time", "text", "number"."""
    start: int
    stop: int


@dataclass(frozen=True)
class Catalogue:
    """Public features of all items, with what the likeness kernel needs.

    Every block of `features` is centred over the catalogue and divided by its rms row norm.
    """

    item_ids: tuple[str, ...]
    titles: tuple[str, ...]
    features: Floats
    """Public features x_j, (I, F)."""
    blocks: tuple[FeatureBlock, ...]
    """The blocks of `features`, in order, covering all F columns; missing kinds are left out."""
    text: Floats
    """Centred, L2-normalised text vectors, (I, D); (I, 0) where the catalogue has no text."""
    categories: Floats
    """0/1 category indicators divided by sqrt(number of categories of the item), (I, G)."""
    log_age: Floats
    """ln(1 + max(newest year + 1 - year, 0)), (I,); the mean where the year is unknown."""

    def __len__(self) -> int:
        return len(self.item_ids)

    @property
    def tells_items_apart(self) -> bool:
        """Whether it says what an item is, by text or category, and not only how old it is."""
        return bool(self.text.shape[1] or self.categories.shape[1])


@dataclass(frozen=True)
class Projection:
    """How one block comes out of raw columns: x = (raw - mean) @ weights, unknown entries 0."""

    kind: str
    """The kind of the block it makes."""
    mean: Floats
    """Mean of each raw column over the catalogue it was fitted on, (R,)."""
    weights: Floats
    """Rotation (PCA, LDA or none) and scale in one matrix, (R, columns of the block)."""


@dataclass(frozen=True)
class FeatureBasis:
    """Everything that turns items into features, fitted once a model line and then frozen."""

    encoder: str
    """Name of the encoder that made the text vectors; "" where there were none."""
    category_names: tuple[str, ...]
    """Names behind the G category columns, sorted."""
    number_names: tuple[str, ...]
    """Numeric columns in use, sorted."""
    newest_year: float
    """Newest year of the catalogue; NaN where no year is known."""
    mean_log_age: float
    """Stands in for the log age of an item without a year."""
    projections: tuple[Projection, ...]
    """One a block, in the order of the blocks."""

    @property
    def version(self) -> str:
        """Sha256 of the basis, 64 hex digits: equal versions project alike."""
        return _digest(_basis_words(self), _basis_arrays(self))

    def projection(self, kind: str) -> Projection | None:
        """Return the projection of one kind of block, None where the basis lacks it."""
        return next((p for p in self.projections if p.kind == kind), None)


def catalogue_version(catalogue: Catalogue, basis: FeatureBasis) -> str:
    """Return the sha256 of a catalogue and its basis, 64 hex digits, public."""
    words, arrays = _content(catalogue, basis)
    return _digest(words, arrays)


def content_hash(catalogue: Catalogue) -> str:
    """Return the sha256 of what devices compute with, 64 hex digits; the basis has no part in it.

    Equal before saving and after loading, so that a server can name the catalogue by it.
    """
    words = {
        "item_ids": list(catalogue.item_ids),
        "titles": list(catalogue.titles),
        "blocks": [asdict(block) for block in catalogue.blocks],
    }
    names = ("features", "text", "categories", "log_age")
    arrays = {name: np.asarray(getattr(catalogue, name), dtype=np.float64) for name in names}
    return _digest(words, arrays)


def save_catalogue(path: Path, catalogue: Catalogue, basis: FeatureBasis) -> str:
    """Write a catalogue with its basis as one file, atomically; equal content, equal bytes.

    Returns:
        The version, sha256 of the content, 64 hex digits.

    Raises:
        DataError: the shapes of the catalogue do not fit together.
        EnvironmentFault: the file cannot be written; what stood there before is untouched.
    """
    words, arrays = _content(catalogue, basis)
    _check(catalogue, basis)
    version = _digest(words, arrays)
    header = _canonical({**words, "version": version})
    replace_file(path, to_safetensors(arrays, metadata={"catalogue": header}))
    return version


def load_catalogue(path: Path) -> tuple[Catalogue, FeatureBasis, str]:
    """Read a catalogue file and check every byte of it.

    Returns:
        The catalogue, its basis, and the version that was stated and recomputed.

    Raises:
        DataError: the file is missing, is of another format, or differs from what its version
            states.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            header = (file.metadata() or {}).get("catalogue", "")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        words = json.loads(header)
        stated = words.pop("version")
        if words["format"] != FORMAT or stated != _digest(words, arrays):
            raise ValueError("its content differs from its version")
        # equal content has one spelling, so a byte that changes no meaning is refused as well
        if to_safetensors(arrays, metadata={"catalogue": header}) != path.read_bytes():
            raise ValueError("its bytes are not in canonical form")
        catalogue, basis = _from_content(words, arrays)
        _check(catalogue, basis)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as wrong:
        raise DataError(
            f"{path} must be an intact catalogue file of format {FORMAT}, got: {wrong}.",
            hint="fetch the catalogue again from where it was published, or build it anew.",
        ) from wrong
    return catalogue, basis, stated


def _content(
    catalogue: Catalogue, basis: FeatureBasis
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Split a catalogue and its basis into words and arrays."""
    words = {
        "format": FORMAT,
        "item_ids": list(catalogue.item_ids),
        "titles": list(catalogue.titles),
        "blocks": [asdict(block) for block in catalogue.blocks],
        "basis": _basis_words(basis),
    }
    arrays = {
        "features": _smallest(catalogue.features),
        "text": _smallest(catalogue.text),
        "categories": _smallest(catalogue.categories),
        "log_age": _smallest(catalogue.log_age),
        **_basis_arrays(basis),
    }
    return words, arrays


def _from_content(
    words: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]
) -> tuple[Catalogue, FeatureBasis]:
    """Put words and arrays together again."""
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    catalogue = Catalogue(
        item_ids=tuple(words["item_ids"]),
        titles=tuple(words["titles"]),
        features=wide["features"],
        blocks=tuple(FeatureBlock(**block) for block in words["blocks"]),
        text=wide["text"],
        categories=wide["categories"],
        log_age=wide["log_age"],
    )
    spoken = words["basis"]
    newest_year, mean_log_age = wide["basis.years"].tolist()
    basis = FeatureBasis(
        encoder=spoken["encoder"],
        category_names=tuple(spoken["category_names"]),
        number_names=tuple(spoken["number_names"]),
        newest_year=newest_year,
        mean_log_age=mean_log_age,
        projections=tuple(
            Projection(kind, wide[f"basis.{kind}.mean"], wide[f"basis.{kind}.weights"])
            for kind in spoken["projections"]
        ),
    )
    return catalogue, basis


def _basis_words(basis: FeatureBasis) -> dict[str, Any]:
    """Return what the basis says in words."""
    return {
        "encoder": basis.encoder,
        "category_names": list(basis.category_names),
        "number_names": list(basis.number_names),
        "projections": [projection.kind for projection in basis.projections],
    }


def _basis_arrays(basis: FeatureBasis) -> dict[str, npt.NDArray[Any]]:
    """Return what the basis holds in numbers, by name."""
    arrays = {"basis.years": _smallest(np.array([basis.newest_year, basis.mean_log_age]))}
    for projection in basis.projections:
        arrays[f"basis.{projection.kind}.mean"] = _smallest(projection.mean)
        arrays[f"basis.{projection.kind}.weights"] = _smallest(projection.weights)
    return arrays


def _smallest(array: Floats) -> npt.NDArray[Any]:
    """Return float32 where that loses nothing (text vectors: half the file), else float64."""
    with np.errstate(over="ignore"):
        narrow = array.astype(np.float32)
    chosen = narrow if np.array_equal(narrow, array, equal_nan=True) else array
    return np.ascontiguousarray(chosen)


def _digest(words: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> str:
    """Return the sha256 over words, then every array by name with its dtype and shape."""
    digest = hashlib.sha256(_canonical(words).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _canonical(words: dict[str, Any]) -> str:
    """Return JSON with one spelling: sorted keys, no spaces, no escapes that are not needed."""
    return json.dumps(words, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _check(catalogue: Catalogue, basis: FeatureBasis) -> None:
    """Refuse a catalogue whose parts do not fit together."""
    items, width = len(catalogue.item_ids), catalogue.features.shape[-1]
    edges = [0, *(block.stop for block in catalogue.blocks)]
    rules = {
        "ids must be unique": len(set(catalogue.item_ids)) == items,
        "every array must have one row an item": {len(catalogue.titles)}
        | {
            len(a)
            for a in (catalogue.features, catalogue.text, catalogue.categories, catalogue.log_age)
        }
        == {items},
        "blocks must cover all columns in order": edges[:-1]
        == [block.start for block in catalogue.blocks]
        and edges[-1] == width,
        "blocks must be those of the basis": [block.kind for block in catalogue.blocks]
        == [projection.kind for projection in basis.projections],
        "numbers must be finite": all(
            bool(np.isfinite(a).all())
            for a in (catalogue.features, catalogue.text, catalogue.categories, catalogue.log_age)
        ),
    }
    for rule, holds in rules.items():
        if not holds:
            raise DataError(
                f"in a catalogue {rule}, got one where that fails.",
                hint="build it with shared.features.build_catalogue.",
            )
