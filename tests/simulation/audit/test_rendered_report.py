# SPDX-License-Identifier: Apache-2.0
"""What a reader sees of a report: through a real browser, on the screen and on A4."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from matplotlib.image import imread

from simulation.audit import report
from tests.simulation.audit.test_report import make_run

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = ("background-networking", "component-update", "sync", "gpu", "quic")
FLAGS = ("--headless", "--no-sandbox", "--no-first-run", "--hide-scrollbars")
RED = np.array([0xB3, 0x00, 0x1B]) / 255
needs_browser = pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed here")
needs_poppler = pytest.mark.skipif(
    None in (shutil.which("pdftoppm"), shutil.which("pdftotext")),
    reason="pdftoppm and pdftotext (poppler) are not installed here",
)


def browse(page, *words):
    profile = f"--user-data-dir={page.parent / 'profile'}"
    done = subprocess.run(
        [BROWSER, *FLAGS, *(f"--disable-{part}" for part in QUIET), profile, *words, page.as_uri()],
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def screen(page):
    """Return what the window shows, shape (height, width, 3), in [0, 1]."""
    picture = page.with_suffix(".png")
    browse(page, f"--screenshot={picture}", "--window-size=900,700")
    return imread(picture)[..., :3]


def printed(page):
    """Print on paper; return the PDF."""
    paper = page.with_suffix(".pdf")
    browse(page, "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    return paper


def sheets(paper):
    """Return each sheet as a picture."""
    subprocess.run(["pdftoppm", "-r", "50", "-png", paper, paper.with_suffix("")], check=True)
    return [imread(file)[..., :3] for file in sorted(paper.parent.glob(f"{paper.stem}-*.png"))]


def first_ink(picture):
    """Return the first thing from the top that is not paper: rows of one band."""
    rows = np.flatnonzero((picture < 0.9).any(axis=(1, 2)))
    gaps = np.flatnonzero(np.diff(rows) > 1)
    return picture[rows[0] : rows[gaps[0] if gaps.size else -1] + 1]


def is_red_bar_with_white_words(band):
    """Red over most of the page's width, and words on it that can be read."""
    red = np.abs(band - RED).max(axis=2) < 0.08
    white = (band > 0.85).all(axis=2)
    height = band.shape[0]
    wide = red.any(axis=0).mean()
    return bool(height >= 10 and wide > 0.8 and red.mean() > 0.4 and (white & ~red).any())


@needs_browser
@pytest.mark.parametrize("noise", ["none", "seeded"])
def test_page_without_privacy_begins_with_a_red_bar(tmp_path, noise):
    page = report.write(make_run(tmp_path / "run", 3, noise=noise), tmp_path / "r.html").html
    picture = screen(page)
    assert is_red_bar_with_white_words(first_ink(picture))
    assert (picture[:120] < 0.9).any()  # in the window without scrolling


@needs_browser
def test_page_with_privacy_has_no_red_bar(tmp_path):
    picture = screen(report.write(make_run(tmp_path / "run", 3), tmp_path / "r.html").html)
    assert not (np.abs(picture - RED).max(axis=2) < 0.08).any()


def test_red_bar_can_be_read_in_grey():
    linear = np.where(RED <= 0.04045, RED / 12.92, ((RED + 0.055) / 1.055) ** 2.4)
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    assert 1.05 / (luminance + 0.05) > 4.5  # WCAG 2, contrast of white words on it


@needs_browser
@needs_poppler
@pytest.mark.slow
@pytest.mark.parametrize("noise", ["os", "none", "seeded"])
def test_report_prints_on_a4_with_its_pictures_on_one_sheet(tmp_path, noise):
    run = make_run(tmp_path / "run", noise=noise)
    paper = printed(report.write(run, tmp_path / "r.html").html)
    made = sheets(paper)
    assert len(made) <= 3
    assert all(abs(sheet.shape[0] / sheet.shape[1] - 297 / 210) < 0.01 for sheet in made)
    assert is_red_bar_with_white_words(first_ink(made[0])) == (noise != "os")
    text = subprocess.run(["pdftotext", paper, "-"], capture_output=True, check=True).stdout
    captions = ("The budget.", "What is left to an attacker.", "Who sees what,")
    holding = [s for s in text.decode().split("\f") if any(c in s for c in captions)]
    assert len(holding) == 1
    assert all(caption in holding[0] for caption in captions)
    assert re.search(r"6 · Exceptions", text.decode().split("\f")[0])  # page 1 is the summary
