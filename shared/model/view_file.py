# SPDX-License-Identifier: Apache-2.0
"""A public view as bytes: safetensors for the arrays, canonical JSON for the rest; no code.

The hash of these bytes is the model hash of the round that asks with the view, so two devices
that were shown different views never sign the same round. The catalogue, which every device holds,
goes by its hash. The view of the metrics is the model file.
"""

import json
import typing
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from shared.catalogue import Catalogue, content_hash
from shared.errors import DataError
from shared.model.file import FORMAT as MODEL_FORMAT
from shared.model.file import load_model, save_model
from shared.model.view import MetricsView, View

FORMAT = "privet-view/1"
_KINDS: dict[str, Any] = {
    kind.__name__: kind for kind in typing.get_args(View) if kind is not MetricsView
}
Held = Callable[[], Catalogue | None] | None
_DTYPES = {"f": np.float64, "i": np.int64}


def save_view(view: View) -> bytes:
    """Write a view; equal views give equal bytes."""
    if isinstance(view, MetricsView):
        return save_model(view.model)
    words: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    for name, value in _leaves(view, ""):
        if isinstance(value, np.ndarray):
            arrays[name] = np.ascontiguousarray(value)
        else:
            words[name] = repr(value) if isinstance(value, float) else value
    header = {"format": FORMAT, "kind": type(view).__name__, "words": words}
    text = json.dumps(header, sort_keys=True, separators=(",", ":"))
    return bytes(save(arrays or {"nothing": np.zeros(1)}, metadata={"view": text}))


def load_view(data: bytes, catalogue: Callable[[], Catalogue | None] | None = None) -> View:
    """Read what `save_view` wrote.

    Args:
        data: The bytes.
        catalogue: Gives the catalogue that this side holds; called where a view names one.

    Raises:
        DataError: Anything else, or a view of another catalogue.
    """
    try:
        found = _metadata(data)
        if found.get("format") == MODEL_FORMAT:
            return MetricsView(load_model(data, _held(catalogue)))
        header = json.loads(found["view"])
        if header["format"] != FORMAT:
            raise ValueError("another format")
        kind = _KINDS[header["kind"]]
        view = _build(kind, "", header["words"], load(data), catalogue)
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError):
        raise DataError(
            "a public view must be a safetensors file of Privet, got another.",
            hint="the round is refused; server and device must run one version.",
        ) from None
    return typing.cast("View", view)


def _metadata(data: bytes) -> dict[str, str]:
    """Return our part of the file's own header, which `load` drops."""
    length = int.from_bytes(data[:8], "little")
    return dict(json.loads(data[8 : 8 + length])["__metadata__"])


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the fields that are not dataclasses themselves, under dotted names."""
    for field in fields(value):
        held, place = getattr(value, field.name), f"{name}{field.name}"
        if isinstance(held, Catalogue):
            yield place, content_hash(held)
        elif is_dataclass(held):
            yield from _leaves(held, f"{place}.")
        elif held is not None:
            yield place, held


def _build(
    kind: Any, name: str, words: dict[str, Any], arrays: dict[str, Any], catalogue: Held
) -> Any:
    """Return the value of type ``kind`` whose leaves these are."""
    hints = typing.get_type_hints(kind)
    return kind(
        **{
            field.name: _field(hints[field.name], f"{name}{field.name}", words, arrays, catalogue)
            for field in fields(kind)
        }
    )


def _field(
    hint: Any, place: str, words: dict[str, Any], arrays: dict[str, Any], catalogue: Held
) -> Any:
    """Return one field."""
    options = [kind for kind in typing.get_args(hint) if kind is not type(None)]
    if type(None) in typing.get_args(hint):
        present = any(key == place or key.startswith(f"{place}.") for key in (*words, *arrays))
        if not present:
            return None
        hint = options[0]
    if hint is Catalogue:
        return _own(words[place], catalogue)
    if is_dataclass(hint):
        return _build(hint, f"{place}.", words, arrays, catalogue)
    if place in arrays:
        array = arrays[place]
        return array.astype(_DTYPES[array.dtype.kind])
    value = words[place]
    if typing.get_origin(hint) is tuple:
        return tuple(value)
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)[typing.get_args(hint).index(value)]
    return hint(value)


def _own(named: str, catalogue: Held) -> Catalogue:
    """Return the catalogue that this side holds, if it is the one that was named."""
    held = _held(catalogue)
    if content_hash(held) != named:
        raise ValueError("another catalogue")
    return held


def _held(catalogue: Held) -> Catalogue:
    """Return the catalogue that this side holds."""
    held = catalogue() if catalogue is not None else None
    if held is None:
        raise ValueError("no catalogue")
    return held
