# SPDX-License-Identifier: Apache-2.0
"""Known layouts of data folders, and `load`, which finds the one that fits.

Another layout is one small file with NAME, FILES, `detect(folder)` and `read(folder)`, and its
name in LAYOUTS. `shared.listing` turns files into rows and cleans items, `events` cleans ratings,
`assembly` puts them in order.
"""

from pathlib import Path
from typing import Protocol

from shared.errors import DataError
from simulation.dataset import Dataset
from simulation.layouts import amazon, generic, movielens_1m, movielens_100k, movielens_latest


class Layout(Protocol):
    """What the module of a layout offers."""

    NAME: str
    FILES: str

    def detect(self, folder: Path) -> bool:
        """Say whether the folder is in this layout."""
        ...

    def read(self, folder: Path) -> Dataset:
        """Read and clean the folder."""
        ...


LAYOUTS: tuple[Layout, ...] = (
    movielens_100k,
    movielens_1m,
    movielens_latest,
    amazon,
    generic,
)
"""Tried in this order; the generic layout is last because any folder may carry `std/`."""


def load(data: str = "village") -> Dataset:
    """Load a folder in a known layout, or the built-in village.

    Args:
        data: Path of a folder, or the word `village`.

    Raises:
        DataError: No such folder, no known layout, or a bad row in it.
    """
    if data == "village":
        from simulation.village import village

        return village()
    folder = Path(data)
    if not folder.is_dir():
        raise DataError(
            f"DATA must be a folder or the word village, got {data!r}.",
            hint="`privet data list` names the known layouts.",
        )
    return find_layout(folder).read(folder)


def find_layout(folder: Path) -> Layout:
    """Return the first layout that fits the folder."""
    for layout in LAYOUTS:
        if layout.detect(folder):
            return layout
    raise DataError(
        f"{folder} must be in a known layout, got none of its files.",
        hint="`privet data list` says which files each layout has.",
    )
