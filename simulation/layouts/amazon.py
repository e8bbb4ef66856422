# SPDX-License-Identifier: Apache-2.0
"""Amazon reviews as JSON lines (.json, .jsonl, with or without .gz): the 2014, 2018, 2023 forms.

    2014, 2018   reviewerID, asin, overall, unixReviewTime, reviewText, summary, helpful or vote
    2023         user_id, parent_asin or asin, rating, timestamp (milliseconds), text, title,
                 helpful_vote

Reviews are comments, declared by this layout. Goods bring no text of their own here; an items.csv
in the folder adds titles and descriptions.

Source: McAuley et al. (2015), "Image-based recommendations on styles and substitutes"; Ni et al.
(2019), "Justifying recommendations"; Hou et al. (2024), "Bridging language and items".
"""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from shared.errors import DataError
from shared.listing.items import ITEM_FILES, build_items, csv_items
from shared.listing.reading import json_rows, text_lines
from shared.schema import Scale
from simulation.dataset import Dataset
from simulation.layouts.assembly import assemble
from simulation.layouts.events import EventRow, join_comment, read_events

NAME = "Amazon reviews"
FILES = "one *.json, *.jsonl, *.json.gz or *.jsonl.gz of reviews [+ items.csv]"
SCALE = Scale(1, 5)
PATTERNS = ("*.json", "*.jsonl", "*.json.gz", "*.jsonl.gz")
OLD = ("reviewerID", "asin", "overall", "unixReviewTime", "reviewText", "summary")
NEW = ("user_id", "parent_asin", "rating", "timestamp", "text", "title")


def detect(folder: Path) -> bool:
    """Say whether the folder holds a file of reviews."""
    return _file(folder) is not None


def _file(folder: Path) -> Path | None:
    """Find the first file whose first line reads like a review."""
    for path in sorted(path for pattern in PATTERNS for path in folder.glob(pattern)):
        try:
            first: Any = [json.loads(line) for line in islice(text_lines(path), 1)]
        except (ValueError, RecursionError, DataError):
            continue
        if first and isinstance(first[0], dict) and {"asin", "user_id"} & set(first[0]):
            return path
    return None


def read(folder: Path) -> Dataset:
    """Read the folder."""
    fired: Counter[str] = Counter()
    path = _file(folder)
    if path is None:
        raise DataError(f"{folder} must hold reviews, got none.", hint=f"it takes {FILES}.")
    names = _names(next(json_rows(path))[1])
    events = read_events(_events(path), path, SCALE, fired, columns=names)
    catalogue = next((folder / name for name in ITEM_FILES if (folder / name).is_file()), None)
    items = build_items(csv_items(catalogue), {}, fired) if catalogue else None
    return assemble("amazon", SCALE, events, items, fired, comments_declared=True)


def _events(path: Path) -> Iterator[EventRow]:
    for line, review in json_rows(path):
        names = OLD if "reviewerID" in review else NEW
        user, item, stars, time, text, title = (review.get(name) for name in names)
        if names is NEW:
            item = item or review.get("asin")
            time = _seconds(time)
        comment = join_comment(str(title or ""), str(text or ""))
        yield line, user or "", item or "", stars, time or 0, comment, _votes(review)


def _names(review: dict[str, Any]) -> tuple[str, ...]:
    """Say what this form calls user, item, rating, time, comment and votes, for messages."""
    if "reviewerID" in review:
        return (*OLD[:5], "helpful" if "helpful" in review else "vote")
    return NEW[0], NEW[1] if NEW[1] in review else "asin", *NEW[2:5], "helpful_vote"


def _seconds(time: Any) -> Any:
    """Turn milliseconds into seconds; what is no number stays, to be refused by its line."""
    try:
        return int(time) // 1000 if time else 0
    except (ValueError, TypeError, OverflowError):
        return time


def _votes(review: dict[str, Any]) -> Any:
    """Read the helpful votes of any form; "" where there are none to read."""
    if isinstance(pair := review.get("helpful"), list) and pair:
        return pair[0]
    vote = review.get("helpful_vote", review.get("vote", ""))
    return vote.replace(",", "") if isinstance(vote, str) else vote
