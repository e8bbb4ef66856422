# SPDX-License-Identifier: Apache-2.0
"""The three pictures of a report, as SVG text: readable in grey, the same bytes every time.

The burn-down of the budget; the trade-off that the noise leaves to an attacker, with measured
attacks as points; who sees what, with the bytes on each arrow.
"""

import io
import re
from html.parser import HTMLParser
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shared.privacy import odds

INK, GREEN, GREY, PALE = "#1d2420", "#1f5a3c", "#7d857f", "#e9efe9"
STYLE: Any = {
    "svg.hashsalt": "privet",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.titlesize": 9,
}


DRAWN_BY = f"matplotlib {mpl.__version__}"


def draw(facts: dict[str, Any]) -> dict[str, str]:
    """Return the pictures by name: burn, tradeoff, flow."""
    with mpl.rc_context(STYLE):
        return {
            "burn": _svg(_burn(facts)),
            "tradeoff": _svg(_tradeoff(facts)),
            "flow": _svg(_flow(facts)),
        }


def _svg(figure: Figure) -> str:
    """Return the figure without date, prologue or fixed size, so that the page scales it."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r' height="[^"]*pt"', "", text, count=1)
    joins = 'stroke-linejoin="round" stroke-linecap="butt"'  # what the style sheet said
    return re.sub(r'<svg([^>]*?) width="[^"]*"', rf"<svg {joins}\1", text, count=1)


_TAG = re.compile(r"svg|g|defs|path|use|text|clippath|rect")
_ATTRIBUTE = re.compile(
    r"clip-path|d|height|id|stroke-line(cap|join)|style|transform|version|viewbox|width|x|y"
    r"|xlink:href|xmlns(:xlink)?"
)
_PROPERTY = re.compile(r"(fill|stroke|font)(-[a-z]+)?|opacity|text-anchor")


class _Reader(HTMLParser):
    """Notes whether anything is in a picture that none of ours holds."""

    def __init__(self) -> None:
        super().__init__()
        self.depth, self.odd = 0, False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one element."""
        names = [name for name, _ in attrs]
        styles = ";".join(value or "" for name, value in attrs if name == "style").split(";")
        properties = [style.partition(":")[0].strip() for style in styles if style.strip()]
        links = [value or "" for name, value in attrs if name == "xlink:href"]
        self.odd |= not (
            _TAG.fullmatch(tag)
            and all(map(_ATTRIBUTE.fullmatch, names))
            and all(map(_PROPERTY.fullmatch, properties))
        )
        self.odd |= any(not link.startswith("#") for link in links)
        self.odd |= tag == "svg" and (self.depth > 0 or "style" in names)
        self.depth += 1

    def handle_decl(self, decl: str) -> None:
        """Refuse declarations."""
        self.odd = True


def harmless(picture: str) -> bool:
    """Say whether a picture holds only what ours hold: nothing that could cover the page's words.

    Pictures drawn by another version of the library differ in bytes, so they cannot be compared;
    this can be checked of them all the same.
    """
    reader = _Reader()
    reader.feed(picture)
    reader.close()
    return not reader.odd


def _burn(facts: dict[str, Any]) -> Figure:
    """What is left of the budget after each round."""
    figure, axes = _axes(3.4, 2.5)
    cap = facts["replay"]["rho_cap"]
    if cap is None or not facts["burn"]:
        return _nothing(figure, axes, "no budget was spent")
    whole = _fraction(cap)
    rounds = [0, *(number for number, _ in facts["burn"])]
    left = [100.0, *(max(0.0, 100 * (1 - float(rho) / whole)) for _, rho in facts["burn"])]
    step = max(1, len(rounds) // 400)  # a picture of 400 steps is as fine as print can show
    rounds, left = rounds[::step] + rounds[-1:], left[::step] + left[-1:]
    rounds.append(1.06 * rounds[-1])  # so that the last step is seen
    left.append(left[-1])
    axes.fill_between(rounds, left, step="post", color=PALE)
    axes.step(rounds, left, where="post", color=GREEN, linewidth=1.6)
    axes.set(xlim=(0, rounds[-1]), ylim=(0, 104), xlabel="round", ylabel="budget left, %")
    axes.set_title(f"{left[-1]:.0f} % left after round {facts['burn'][-1][0]}", loc="right")
    return figure


def _tradeoff(facts: dict[str, Any]) -> Figure:
    """Every attack lies on or above the curve: fewer false alarms mean more people missed."""
    figure, axes = _axes(3.4, 2.5)
    axes.set(xlim=(-4, 102), ylim=(-4, 102), xlabel="false alarms, %", ylabel="people missed, %")
    axes.plot([0, 100], [100, 0], color=GREY, linewidth=1, linestyle=":")
    axes.text(53, 51, "guessing", color=GREY, rotation=-36, fontsize=8)
    if facts["odds"] is None:
        axes.text(4, 6, "no noise: every attack is possible", color=INK)
        return figure
    mu, grid = float(facts["odds"]["mu"]), _grid()
    curve = [100 * odds.missed(share, mu) for share in grid]
    epsilon, delta = float(facts["replay"]["epsilon"]), _fraction(facts["replay"]["delta"])
    worst = [100 * odds.missed_worst(share, epsilon, delta) for share in grid]
    percent = [100 * share for share in grid]
    axes.fill_between(percent, curve, color=PALE)
    axes.plot(percent, curve, color=GREEN, linewidth=2, label="limit set by the noise")
    axes.plot(
        percent, worst, color=INK, linewidth=1.8, dashes=(3, 1.2), label="limit by ε, δ alone"
    )
    measured = [
        (100 * float(attack["false_alarm_rate"]), 100 - 100 * float(attack["detection_rate"]))
        for attack in facts["attacks"]
        if "none" not in (attack["false_alarm_rate"], attack["detection_rate"])
    ]
    if measured:
        x, y = zip(*measured, strict=True)
        axes.scatter(x, y, marker="x", color=INK, zorder=3, label="measured attack")
    else:
        axes.plot([], [], " ", label="no attack was measured")
    axes.legend(frameon=False, fontsize=8, loc="upper right")
    return figure


def _grid() -> list[float]:
    """Return rates from 0 to 1, fine near 0, where the worst case falls steeply."""
    return [share / 10_000 for share in range(100)] + [share / 200 for share in range(2, 201)]


def _flow(facts: dict[str, Any]) -> Figure:
    """Who sees what, and how many bytes go along each arrow."""
    figure, axes = _axes(7.1, 1.75)
    axes.set(xlim=(-0.5, 100.5), ylim=(0, 30))
    axes.axis("off")
    box(axes, 0, "device", "ratings, comments,\ntaste: stay here")
    box(axes, 40.5, "server", _seen(facts))
    box(axes, 81, "the public", "released model")
    up = max((query["bytes"] for query in facts["queries_long"]), default=0)
    model = facts["model"]
    down = _size(model["bytes"]) if model else "size not stated"
    arrow(axes, (19, 19), (40.5, 19), f"clipped vector: {_size(up)}", 21)
    arrow(axes, (40.5, 9), (19, 9), f"model: {down}", 3.5)
    arrow(axes, (59.5, 14), (81, 14), f"model: {down}", 16)
    return figure


def _seen(facts: dict[str, Any]) -> str:
    """Say what the server sees."""
    if facts["odds"] is None:
        return "exact sums,\nwho takes part"
    central = facts["replay"]["trust"] == "central"
    return "sums before noise" if central else "noised sums,\nwho takes part"


def box(axes: Axes, left: float, title: str, text: str) -> None:
    """Draw one actor and what it sees."""
    axes.add_patch(mpl.patches.Rectangle((left, 2), 19, 25, facecolor=PALE, edgecolor=GREEN))
    axes.text(left + 9.5, 20.5, title, ha="center", color=INK, fontweight="bold")
    axes.text(left + 9.5, 10, text, ha="center", va="center", color=INK, fontsize=8)


def arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], text: str, height: float
) -> None:
    """Draw one flow with its bytes."""
    style = {"arrowstyle": "-|>", "color": INK, "shrinkA": 2, "shrinkB": 2}
    axes.annotate("", end, start, arrowprops=style)
    axes.text((start[0] + end[0]) / 2, height, text, ha="center", color=INK, fontsize=8)


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _nothing(figure: Figure, axes: Axes, text: str) -> Figure:
    axes.axis("off")
    axes.text(0.5, 0.5, text, ha="center", color=INK)
    return figure


def _fraction(text: str) -> float:
    top, _, bottom = text.partition("/")
    return int(top) / int(bottom or 1)


def _size(count: int) -> str:
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1000:.1f} kB" if count < 10_000 else f"{count / 1000:.0f} kB"
