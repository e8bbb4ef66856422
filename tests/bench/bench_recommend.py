# SPDX-License-Identifier: Apache-2.0
"""Recommending on a device: 10^5 items inside one process, and the whole command from cold.

Run: OMP_NUM_THREADS=1 python -m tests.bench.bench_recommend
Goals: the ten best of 10^5 items in at most 20 ms; the command in at most 0.5 s and 120 MB. A busy
machine shows in the spread, so the median of the calls and the smallest are both printed.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from client.recommending import explain, recommend, shortlist
from client.scoring import Scorer
from shared.catalogue import Catalogue, FeatureBlock
from shared.features import build_catalogue, item_text
from shared.model.history import History
from shared.model.released import SharedModel
from shared.text.encoder import CharacterEncoder
from simulation.devices import devices_of
from simulation.village import village
from tests.client.folders import write_files
from tests.client.made import hamlet, resident
from tests.client.page.asked import Asker

ITEMS, RATINGS, REPEATS = 100_000, 200, 30


def large_model() -> SharedModel:
    """Make a catalogue of 10^5 items with text vectors of 384 dimensions."""
    rng = np.random.default_rng(0)
    text = rng.standard_normal((ITEMS, 384)).astype(np.float32).astype(np.float64)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    kinds = (rng.random((ITEMS, 18)) < 0.1).astype(np.float64)
    blocks = (FeatureBlock("category", 0, 18), FeatureBlock("time", 18, 21))
    catalogue = Catalogue(
        tuple(f"item-{row}" for row in range(ITEMS)),
        tuple(f"Title {row}" for row in range(ITEMS)),
        rng.standard_normal((ITEMS, 53)) / 7,
        (*blocks, FeatureBlock("text", 21, 53)),
        text,
        kinds / np.sqrt(np.maximum(kinds.sum(axis=1, keepdims=True), 1.0)),
        np.log1p(rng.integers(0, 80, ITEMS)),
    )
    return SharedModel.before_any_release(catalogue)


def timed(name: str, run: Callable[[], object], goal_ms: float | None = None) -> None:
    """Print the median and the smallest time of some calls, and the median of their CPU time."""
    run()
    times, cpu = [], []
    for _ in range(REPEATS):
        started, busy = time.perf_counter(), time.process_time()
        run()
        times.append(1e3 * (time.perf_counter() - started))
        cpu.append(1e3 * (time.process_time() - busy))
    goal = f"  goal {goal_ms:g}" if goal_ms else ""
    print(
        f"{name:<44} {statistics.median(times):7.1f} ms  min {min(times):6.1f}"
        f"  cpu {statistics.median(cpu):5.1f}{goal}"
    )


def in_process() -> None:
    model = large_model()
    rng = np.random.default_rng(1)
    rows = rng.choice(ITEMS, RATINGS, replace=False)
    own = History(rows, rng.standard_normal(RATINGS))
    less = np.array([5, 77])
    timed("ten best of 10^5 items", lambda: recommend(model, own), 20)
    timed("the same with two items unwanted", lambda: recommend(model, own, less=less), 20)
    turns = [own, History(own.items[1:], own.ratings[1:])]

    def after_a_rating() -> None:
        turns.reverse()
        recommend(model, turns[0])

    timed("the same after a new rating", after_a_rating)
    timed("one explanation among 10^5 items", lambda: explain(model, own, 7), 20)


def page() -> None:
    """Time whole answers of the page, without a network."""
    asker = Asker(resident()).enter()
    for path in ("/", "/comments", "/item?id=film-00001", "/left", "/budget"):
        timed(f"page {path}", lambda path=path: asker.ask("GET", path))  # type: ignore[misc]


def shortlist_recall() -> None:
    """Say how many of the ten best of all items the shortlist keeps."""
    dataset = village(users=60, items=6000, seed=1)
    vectors = CharacterEncoder(512).encode(item_text(dataset.items))
    listed, _ = build_catalogue(dataset.items, vectors)
    model = SharedModel.before_any_release(listed)
    kept = []
    for own in devices_of(dataset, dataset.interactions):
        kept.append(np.isin(_exact(model, own), shortlist(Scorer(model, own), 6000)).mean())
    print(f"{'ten best of 6,000 items in the shortlist':<44} {np.mean(kept):7.1%}")


def _exact(model: SharedModel, own: History) -> np.ndarray:
    score = np.asarray(sum(Scorer(model, own).terms(np.arange(6000)).values()))
    score[own.items] = -np.inf
    return np.argsort(-score, kind="stable")[:10]


def from_cold() -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(Path(folder), hamlet(), first=24)
        home = f"{folder}/home"
        silent = subprocess.DEVNULL
        words = ["init", home, "--catalogue", str(files.catalogue), "--model", str(files.model)]
        run = [sys.executable, "-m", "privet", "client"]
        subprocess.run([*run, *words], check=True, stdout=silent, stderr=silent)
        subprocess.run([*run, "add", home, str(files.mine)], check=True, stdout=silent)
        for command in ("recommend", "status", "receipts"):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            wall = []
            for _ in range(7):
                started = time.perf_counter()
                subprocess.run([*run, command, home], check=True, stdout=silent)
                wall.append(time.perf_counter() - started)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(
                f"{'privet client ' + command + ', cold':<44} {1e3 * statistics.median(wall):7.0f}"
                f" ms  min {1e3 * min(wall):6.0f}  cpu {1e3 * cpu / 7:.0f}  goal 500   "
                f"{_peak(['client', command, home]):.0f} MB  goal 120"
            )


PEAK = """
import sys, privet
privet.main(sys.argv[1:])
with open("/proc/self/status") as file:  # a child's ru_maxrss counts its parent's memory too
    print(next(line.split()[1] for line in file if line.startswith("VmHWM")), file=sys.stderr)
"""


def _peak(words: list[str]) -> float:
    """Return the peak memory of one command in MB."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *words], check=True, capture_output=True, text=True
    )
    return int(done.stderr.split()[-1]) / 1024


def main() -> None:
    in_process()
    shortlist_recall()
    page()
    from_cold()


if __name__ == "__main__":
    main()
