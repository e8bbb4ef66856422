# SPDX-License-Identifier: Apache-2.0
"""What a run measures beyond rating errors: diverse lists, comments worth reading, newcomers."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from shared.catalogue import Catalogue
from shared.config import RunConfig
from shared.diversity import diversify, item_vectors
from shared.model.history import History
from shared.model.released import SharedModel
from shared.schema import Floats
from shared.text.encoder import load_encoder
from simulation.cache import cache_dir
from simulation.cold_start import cold_start
from simulation.dataset import Dataset
from simulation.evaluate import K, Rerank
from simulation.evaluate_comments import NAMES, evaluate_comments
from simulation.over_time import profile_drift
from simulation.splits import Split


def diverse(catalogue: Catalogue, diversity: float) -> Rerank | None:
    """Return what chooses lists under `--diversity`; None where lists are simply the best."""
    if diversity == 0.0:
        return None
    return partial(diversify, vectors=item_vectors(catalogue), k=K, diversity=diversity)


def beyond(
    config: RunConfig,
    model: SharedModel,
    devices: Sequence[History],
    parts: Split,
    dataset: Dataset,
    protocol: str,
) -> dict[str, Any]:
    """Measure comments worth reading and newcomers.

    Args:
        config: The run.
        model: The shared model.
        devices: What each user's device knows. Private.
        parts: The split. Private.
        dataset: The data set. Private.
        protocol: What the figures so far rest on.

    Returns:
        Figures by name, None where one does not apply, and the protocol with what they rest on.
    """
    found = _comments(config, model, devices, parts, dataset)
    words = [protocol, str(found.pop("protocol"))]
    if config.diversity:
        words.append(f"lists diversified, lambda = {config.diversity:g}")
    rows = cold_start(model, devices, parts, dataset.scale, config.seed)
    if rows is not None:
        words.append("cold_start: held-out users with their first ratings alone; hr@10 of the next "
                     "item among 99 uniform negatives")  # fmt: skip
    protocol = "; ".join(part for part in words if part)
    return found | {
        "cold_start": rows,
        "diversity": config.diversity,
        "profile_drift": _drift(model.catalogue, devices),
        "protocol": protocol,
    }


def _drift(catalogue: Catalogue, devices: Sequence[History]) -> float | None:
    """Say how far text profiles moved from the first half of people's histories to the end."""
    whole = [device.items for device in devices if len(device) > 1]
    moved = profile_drift(catalogue, [items[: len(items) // 2] for items in whole], whole)
    return None if np.isnan(moved) else moved


def _comments(
    config: RunConfig,
    model: SharedModel,
    devices: Sequence[History],
    parts: Split,
    dataset: Dataset,
) -> dict[str, Any]:
    """Measure how well public comments are recommended, where people write comments."""
    if not dataset.comments_declared:
        return dict.fromkeys(NAMES) | {"protocol": ""}
    everything = np.arange(len(dataset.items))

    def interest(user: int) -> Floats:
        return model.comment_interest(devices[user], everything)

    # Comments of a research data set lie on this machine in the clear; on a device they never do.
    encoder = load_encoder(config.encoder, cache_dir() / "research")
    return evaluate_comments(
        dataset,
        parts,
        lambda texts: np.asarray(encoder.encode(texts), dtype=np.float64),
        interest=interest if model.comment_mean is not None else None,
        share=config.public_comments,
        alpha=config.written_alpha,
        seed=config.seed,
    )
