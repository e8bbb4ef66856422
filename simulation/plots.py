# SPDX-License-Identifier: Apache-2.0
"""Pictures of runs as SVG: the same bytes for the same figures, readable in grey."""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

Figures = dict[str, Any]

STYLE: dict[str, Any] = {
    "svg.hashsalt": "privet",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
BARS = (
    ("baseline_user_mean_rmse", "user mean", "0.85"),
    ("baseline_item_user_mean_rmse", "item + user mean, no privacy", "0.7"),
    ("local_only_rmse", "a device alone", "0.5"),
    ("rmse", "this run", "0.15"),
)
"""Figure, words and grey of each bar."""


def rmse_against_epsilon(runs: Sequence[Figures]) -> bytes:
    """Draw RMSE against ε: runs with noise as points, the run without as a line.

    Args:
        runs: Figures of runs, as `privet simulate --format json` prints them.

    Returns:
        An SVG picture.
    """
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(5.2, 3.2), layout="constrained")
        axes = figure.subplots()
        noisy = sorted((run for run in runs if run["epsilon"]), key=lambda run: run["epsilon"])
        if noisy:
            axes.errorbar(
                [run["epsilon"] for run in noisy],
                [run["rmse"] for run in noisy],
                yerr=[run.get("rmse_sd") or 0.0 for run in noisy],
                fmt="o-",
                color="0.15",
                capsize=3,
                label="private federation",
            )
            axes.set_xscale("log")
        for place, run in enumerate(run for run in runs if run["releases_without_noise"]):
            words = "" if place else "without noise"
            axes.axhline(run["rmse"], color="0.4", linestyle="--", label=words)
        alone = [run["local_only_rmse"] for run in runs if run["local_only_rmse"] is not None]
        if alone:
            axes.axhline(alone[0], color="0.7", linestyle=":", label="a device alone")
        axes.set_xlabel("ε (larger is less private)")
        axes.set_ylabel("RMSE, stars")
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False)
        return _svg(figure)


def result_bars(figures: Figures) -> bytes:
    """Draw the RMSE of one run beside its controls.

    Args:
        figures: Figures of one run.

    Returns:
        An SVG picture.
    """
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(5.2, 2.0), layout="constrained")
        axes = figure.subplots()
        known = [(figures[n], words, grey) for n, words, grey in BARS if figures.get(n) is not None]
        values = [value for value, _, _ in known]
        for place, (value, _, grey) in enumerate(known):
            axes.barh(place, value, color=grey)
            axes.text(value, place, f" {value:.3f}", va="center")
        axes.set_yticks(range(len(known)), [words for _, words, _ in known])
        axes.invert_yaxis()
        axes.set_xlim(min(values) * 0.8, max(values) * 1.06)
        axes.set_xlabel("RMSE, stars (the axis does not start at zero; shorter is better)")
        return _svg(figure)


def _svg(figure: Figure) -> bytes:
    """Write without date or creator, so that the bytes depend on the figures alone."""
    out = io.BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()
