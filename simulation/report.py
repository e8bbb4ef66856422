# SPDX-License-Identifier: Apache-2.0
"""Figures as short tables on a terminal."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Figures = dict[str, Any]


def print_result(figures: Figures) -> None:
    """Print how good, what federation gains, what privacy costs, where it lies, what to try."""
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(_quality(figures))
    for line in _sentences(figures):
        console.print(line, soft_wrap=True)


def _quality(figures: Figures) -> Table:
    """Lay out accuracy beside the controls of the same split."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("held-out ratings and items", no_wrap=True)
    table.add_column("figure", justify="right")
    table.add_column("gain of this run", justify="right")
    rmse = figures["rmse"]
    table.add_row("RMSE of this run (stars)", _figure(figures, "rmse"), "")
    for name, words in (
        ("local_only_rmse", "  a device alone (text, ridge, kernel)"),
        ("baseline_item_user_mean_rmse", "  item + user mean, without privacy"),
        ("baseline_user_mean_rmse", "  user mean"),
    ):
        value = figures.get(name)
        gain = "" if value is None else f"{value - rmse:+.4f}"
        table.add_row(words, _figure(figures, name), gain)
    for words, value, gain in _gains(figures):
        table.add_row(words, value, gain)
    for name, words in (
        ("comment_auc", "comments that interest (AUC within users)"),
        ("comment_auc_item_mean", "  the items' means alone"),
        ("comment_auc_single_task", "  the comment task alone"),
        ("hr@10", "hit rate in the top 10"),
        ("ndcg@10", "NDCG of the top 10"),
        ("coverage@10", "share of the catalogue recommended"),
        ("intra_list_diversity@10", "diversity of lists, by category"),
        ("comment_opened_auc", "public comments that get opened (AUC within users)"),
        ("comment_mrr", "own comment among others (mean reciprocal rank)"),
        ("comment_mrr_random", "  in random order"),
        ("comment_mrr_helpful", "  by helpful votes"),
    ):
        if figures.get(name) is not None or not name.startswith("comment"):
            table.add_row(words, _figure(figures, name), "")
    return table


def _gains(figures: Figures) -> list[tuple[str, str, str]]:
    """Say what each release gained: the RMSE after it, and how much lower that is."""
    lines: list[tuple[str, str, str]] = []
    last = None
    for name, value in (figures.get("rmse_after") or {}).items():
        gain = "" if last is None else f"{last - value:+.4f}"
        lines.append((f"  after {name}", f"{value:.4f}", gain))
        last = value
    return lines if len(lines) > 1 else []


def _sentences(figures: Figures) -> list[str]:
    """Say what the figures rest on."""
    lines = [""]
    if figures["epsilon"] is not None:
        where = (
            "one cohort"
            if figures["sessions"] == 1
            else f"{figures['sessions']} sessions of {figures['cohort_size']}"
        )
        lines.append(
            f"privacy   ε = {figures['epsilon']:.4g} at δ = {figures['delta']:.3g} for a person's "
            f"whole history ({figures['neighboring_relation']}, {figures['trust']} trust, {where}, "
            f"{figures['noise_shares']} noise shares)"
        )
        if figures["noise"].startswith("seeded"):
            lines.append("noise     seeded, no privacy: whoever has the seed subtracts it")
    elif figures["releases_without_noise"]:
        lines.append("privacy   none: sums without noise, a control only")
    else:
        lines.append("privacy   nothing left any device: local only")
    released = figures.get("released")
    if released:
        lines.append(
            f"released  by the users themselves, clamped, in noise of sd "
            f"{released['metrics_noise_std']:.4f}: RMSE {released['rmse_user']:.4f}, hit rate "
            f"{released['hit_user']:.4f} (means over users)"
        )
    dealt = figures.get("in_sessions")
    if dealt:
        lines.append(
            f"sessions  RMSE {dealt['rmse']:.4f} in {dealt['sessions']} secure sums of "
            f"{dealt['cohort_size']}; one cohort this large is larger than one secure sum"
        )
    for row in figures.get("cold_start") or ():
        lines.append(
            f"newcomer  {row['of']} after {row['ratings']} ratings: RMSE {row['rmse']:.4f}, "
            f"hit rate {row['hr@10']:.4f}"
        )
    if figures.get("note"):
        lines.append(f"note      {figures['note']}")
    lines += [
        f"protocol  {figures['protocol']}",
        f"run       {figures['run_dir']}",
        "next      privet simulate --no-privacy · privet simulate --local-only · "
        "privet runs compare RUN RUN · privet simulate path/to/ratings",
    ]
    return lines


def _figure(figures: Figures, name: str) -> str:
    """Format a figure with its standard deviation over seeds."""
    value = figures.get(name)
    if value is None:
        return "–"
    spread = figures.get(f"{name}_sd")
    return f"{value:.4f}" + (f" ± {spread:.4f}" if spread is not None else "")


def print_runs(found: Sequence[tuple[Path, Figures | None]]) -> None:
    """Print one line a run."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not found:
        console.print("no runs here; `privet simulate` makes one.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("run", "data", "split", "epsilon", "rmse"):
        table.add_column(head)
    for path, figures in found:
        if figures is None:
            table.add_row(str(path), "", "", "", "unfinished")
        else:
            table.add_row(
                str(path), figures["data"], figures["split"], _epsilon(figures),
                _figure(figures, "rmse"),
            )  # fmt: skip
    console.print(table)


def _epsilon(figures: Figures) -> str:
    """Name the privacy of a run in one word."""
    if figures["epsilon"] is not None:
        return f"{figures['epsilon']:.4g}"
    return "none" if figures["releases_without_noise"] else "local"


def compared(results: Sequence[Figures]) -> list[Figures]:
    """Add the price of privacy to each run: its RMSE less that of the run without noise.

    The reference is the run without noise on the same data, seed and held-out rows, if there is
    one: a split with another test fraction is another split.
    """

    def held_out(figures: Figures) -> tuple[Any, ...]:
        told = (figures.get("protocol") or "").partition(";")[0]
        return figures["data"], figures["split"], figures["seed"], told

    rows = []
    for figures in results:
        free = [
            other["rmse"]
            for other in results
            if other["releases_without_noise"] and held_out(other) == held_out(figures)
        ]
        rows.append(figures | {"price_of_privacy": figures["rmse"] - free[0] if free else None})
    return rows


def print_comparison(rows: Sequence[Figures]) -> None:
    """Print runs side by side."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("run", "epsilon", "rmse", "price of privacy", "gain over local only", "hr@10"):
        table.add_column(head, justify="left" if head == "run" else "right")
    for row in rows:
        price, local = row["price_of_privacy"], row["local_only_rmse"]
        table.add_row(
            row["run_dir"],
            _epsilon(row),
            _figure(row, "rmse"),
            "–" if price is None else f"{price:+.4f}",
            "–" if local is None else f"{local - row['rmse']:+.4f}",
            _figure(row, "hr@10"),
        )
    Console(highlight=False, markup=False, emoji=False).print(table)
