# SPDX-License-Identifier: Apache-2.0
"""Pictures of runs as SVG: the same bytes for the same figures, readable in grey.

Both take results as `privet simulate --format json` prints them. Runs differ by marker and line
style, never by colour alone; text stays text, so that a reader can search and restyle it.
"""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

Figures = dict[str, Any]

STYLE: dict[str, Any] = {
    "svg.hashsalt": "privet",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
MARKERS = ("o-", "s--", "^-.", "D:", "v-", "P--")
"""One a group of runs; groups beyond the last begin again."""
LEVELS = (
    ("local_only_rmse", "a device alone", ":", "0.55"),
    ("baseline_item_user_mean_rmse", "item + user mean, no privacy", "-.", "0.7"),
)
"""Figure, words, line style and grey of the levels that noise is compared with."""
BARS = (
    ("baseline_user_mean_rmse", "user mean", "0.85", ""),
    ("baseline_item_user_mean_rmse", "item + user mean, no privacy", "0.7", ""),
    ("local_only_rmse", "a device alone", "0.55", "//"),
    ("rmse", "", "0.2", ""),
    ("without_noise", "the same, without noise", "0.95", ".."),
)
"""Figure, words, grey and hatch of each bar; the words of `rmse` depend on the run."""


def rmse_against_epsilon(runs: Sequence[Figures]) -> bytes:
    """Draw RMSE against ε: runs with noise as points, runs and controls without as levels.

    Runs of one data set and split make one line. Levels are drawn where all runs share data and
    split; levels of different splits would be misread.

    Args:
        runs: Figures of runs, in any order; a run without `epsilon` is a level or nothing.

    Returns:
        An SVG picture, UTF-8; the same bytes for the same figures.

    Source:
        Bars are standard deviations over seeds, drawn where a run has them.
    """
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure, axes = _axes(5.2, 3.2)
        groups: dict[str, list[Figures]] = {}
        for run in runs:
            groups.setdefault(f"{run.get('data')}, {run.get('split')}", []).append(run)
        for index, (name, members) in enumerate(groups.items()):
            words = "private federation" if len(groups) == 1 else name
            _curve(axes, members, MARKERS[index % len(MARKERS)], words)
        if len(groups) == 1:
            _levels(axes, runs)
        axes.set(xlabel="ε (larger is less private)", ylabel="RMSE, stars")
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
        return _svg(figure)


def _curve(axes: Axes, runs: Sequence[Figures], marker: str, words: str) -> None:
    """Draw the runs with noise of one data set and split, by ε."""
    noisy = sorted((run for run in runs if run.get("epsilon")), key=lambda run: run["epsilon"])
    if not noisy:
        return
    epsilons = [run["epsilon"] for run in noisy]
    axes.errorbar(
        epsilons,
        [run["rmse"] for run in noisy],
        yerr=[run.get("rmse_sd") or 0.0 for run in noisy],
        fmt=marker,
        color="0.15",
        capsize=3,
        label=words,
    )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(sorted(set(epsilons)), [f"{epsilon:.3g}" for epsilon in sorted(set(epsilons))])


def _levels(axes: Axes, runs: Sequence[Figures]) -> None:
    """Draw what noise is compared with: the federation without it, and no federation."""
    free = [run["rmse"] for run in runs if run.get("releases_without_noise")]
    if free:
        axes.axhline(_mean(free), color="0.35", linestyle="--", label="without noise")
    for key, words, style, grey in LEVELS:
        known = [run[key] for run in runs if run.get(key) is not None]
        if known:
            axes.axhline(_mean(known), color=grey, linestyle=style, label=words)


def accuracy_against_diversity(runs: Sequence[Figures]) -> bytes:
    """Draw what diverse lists cost: hits found against diversity of lists on categories.

    Runs of one data set, split and privacy make one line, in order of λ, which is written at each
    point. The hit rate is that of lists over the whole catalogue, `hr@10_full`, for the diversity
    is that of these lists.

    Args:
        runs: Figures of runs, in any order; a run without the two figures is left out.

    Returns:
        An SVG picture, UTF-8; the same bytes for the same figures.
    """
    groups: dict[str, list[Figures]] = {}
    for run in runs:
        if run.get("intra_list_diversity@10") is not None and run.get("hr@10_full") is not None:
            epsilon = run.get("epsilon")
            private = f"ε = {epsilon:.3g}" if epsilon else "no noise"
            groups.setdefault(f"{run.get('data')}, {private}", []).append(run)
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure, axes = _axes(5.2, 3.2)
        for index, (name, members) in enumerate(groups.items()):
            ordered = sorted(members, key=lambda run: run.get("diversity") or 0.0)
            across = [run["intra_list_diversity@10"] for run in ordered]
            up = [run["hr@10_full"] for run in ordered]
            axes.plot(across, up, MARKERS[index % len(MARKERS)], color="0.15", label=name)
            for x, y, run in zip(across, up, ordered, strict=True):
                words = f"λ = {run.get('diversity') or 0.0:g}"
                axes.annotate(words, (x, y), xytext=(4, 5), textcoords="offset points")
        axes.set(xlabel="diversity of lists on categories", ylabel="hit rate in the top 10")
        # from zero, so that a small price looks small
        highest = max((run["hr@10_full"] for runs in groups.values() for run in runs), default=1.0)
        axes.set_ylim(0.0, 1.15 * highest or 1.0)
        axes.margins(x=0.15)
        if groups:
            axes.legend(loc="lower left")
        return _svg(figure)


def result_bars(figures: Figures) -> bytes:
    """Draw the RMSE of one run beside its controls.

    Args:
        figures: Figures of one run. With `price_of_privacy`, as `privet runs compare` adds it, the
            run without noise is drawn too.

    Returns:
        An SVG picture, UTF-8; the same bytes for the same figures. A figure that is None or
        absent has no bar.
    """
    price = figures.get("price_of_privacy")
    if price and figures.get("rmse") is not None:  # 0: the run itself is the one without noise
        figures = figures | {"without_noise": figures["rmse"] - price}
    known = [bar for bar in BARS if figures.get(bar[0]) is not None]
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure, axes = _axes(5.2, 0.7 + 0.3 * max(len(known), 1))
        for place, (key, _, grey, hatch) in enumerate(known):
            value = figures[key]
            spread = figures.get(f"{key}_sd")
            axes.barh(place, value, color=grey, hatch=hatch, edgecolor="0.15", linewidth=0.6)
            words = f" {value:.4f}" + (f" ± {spread:.4f}" if spread is not None else "")
            axes.text(value, place, words, va="center")
        axes.set_yticks(range(len(known)), [words or _this_run(figures) for _, words, *_ in known])
        axes.invert_yaxis()
        # bars from zero, so that lengths compare; the digits beside them show small differences
        axes.set_xlim(0, 1.25 * max((figures[key] for key, *_ in known), default=1.0))
        axes.set_xlabel("RMSE, stars (shorter is better)")
        return _svg(figure)


def _this_run(figures: Figures) -> str:
    """Name the run by its privacy."""
    if figures.get("epsilon"):
        return f"this run, ε = {figures['epsilon']:.3g}"
    return "this run, no noise" if figures.get("releases_without_noise") else "this run"


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure, in inches; without pyplot, so without a screen or global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _svg(figure: Figure) -> bytes:
    """Write without date or creator, so that the bytes depend on the figures alone."""
    out = io.BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()
