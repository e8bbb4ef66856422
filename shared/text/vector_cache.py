# SPDX-License-Identifier: Apache-2.0
"""Text vectors that were computed before, one file a model: for public texts only.

Keys are sha256 digests of model and text, so no text stands in the file. That hides a text from
a reader, not from a guesser (a digest can be tried against a list), and a vector itself tells
what its text is about. So a device caches the public catalogue here and never a comment of its
owner; those vectors belong into the sealed store.
"""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from shared.atomic import replace_file
from shared.errors import EnvironmentFault

_log = logging.getLogger(__name__)

Vectors = npt.NDArray[np.float32]


class VectorCache:
    """Vectors by (model, text), loaded at first use and replaced as a whole file.

    Two processes may share a folder: the later write wins, and what the other had added is
    computed again. A file that does not verify is filled anew.
    """

    def __init__(self, folder: Path, model: str) -> None:
        self.model = model
        self.path = folder / f"vectors-{_sha256(model.encode()).hex()[:16]}.safetensors"
        self._rows: dict[bytes, Vectors] | None = None

    def get(self, texts: Sequence[str]) -> list[Vectors | None]:
        """Return the vector of each text, None where it is not known."""
        rows = self._loaded()
        return [rows.get(self._key(text)) for text in texts]

    def put(self, texts: Sequence[str], vectors: Vectors) -> None:
        """Add vectors, (n, D), and replace the file; an unwritable folder is only a warning."""
        rows = self._loaded()
        rows.update(zip(map(self._key, texts), vectors, strict=True))
        keys = np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(-1, 32)
        table = np.stack(list(rows.values()))
        content: dict[str, npt.NDArray[Any]] = {"keys": keys, "vectors": table}
        seal = {"model": self.model, "sha256": _seal(self.model, keys, table)}
        try:
            replace_file(self.path, to_safetensors(content, metadata=seal))
        except EnvironmentFault as wrong:
            _log.warning("text vectors are not kept: %s", wrong.message)

    def _key(self, text: str) -> bytes:
        """Return the digest that stands for a text under this model, 32 bytes."""
        return _sha256(self.model.encode() + b"\0" + text.encode("utf-8", "surrogatepass"))

    def _loaded(self) -> dict[bytes, Vectors]:
        """Read the file once; nothing, with a warning, where it does not verify."""
        if self._rows is None:
            try:
                self._rows = self._read() if self.path.exists() else {}
            except (OSError, SafetensorError, ValueError, KeyError) as wrong:
                _log.warning("the cache of text vectors is damaged and filled anew: %s", wrong)
                self._rows = {}
        return self._rows

    def _read(self) -> dict[bytes, Vectors]:
        """Read and verify the file."""
        with safe_open(self.path, framework="numpy") as file:
            seal = file.metadata() or {}
            keys, vectors = file.get_tensor("keys"), file.get_tensor("vectors")
        if seal.get("sha256") != _seal(self.model, keys, vectors):
            raise ValueError("its content differs from its checksum")
        return {bytes(key): vector for key, vector in zip(keys, vectors, strict=True)}


def _seal(model: str, keys: npt.NDArray[np.uint8], vectors: Vectors) -> str:
    """Return the checksum over model, keys and vectors."""
    head = f"{model}\n{keys.shape} {keys.dtype.str} {vectors.shape} {vectors.dtype.str}\n"
    return _sha256(head.encode() + keys.tobytes() + vectors.tobytes()).hex()


def _sha256(data: bytes) -> bytes:
    """Return the sha256 of some bytes."""
    return hashlib.sha256(data).digest()
