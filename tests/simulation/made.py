# SPDX-License-Identifier: Apache-2.0
"""Tiny made-up folders and data sets; every name and number in them is invented here."""

import gzip
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from shared.schema import Interactions, Items, Scale
from simulation.dataset import CleaningReport, Dataset

DATA = Path(os.environ.get("PRIVET_DATA_DIR", Path(__file__).parents[3] / "shared" / "data"))

GENERIC = {
    "interactions.csv": "user_id,item_id,rating,timestamp,comment,helpful\n"
    "ann,tea,5,100,A warm cup.,3\n"
    "ann,jam,2,200,,\n"
    "bob,tea,4,300,,\n"
}

ML_100K = {
    "u.data": "10\t2\t3\t500\n2\t1\t5\t400\n2\t3\t1\t300\n10\t1\t4\t600\n",
    "u.genre": "unknown|0\nDrama|1\nFarce|2\n\n",
    "u.item": "1|Tea for Bob (1991)|01-Jan-1991||http://x|0|1|1\n"
    "2|Café (1994)|01-Jan-1994||http://x|0|1|0\n"
    "3|unknown||||1|0|0\n",
    "u.user": "2|30|F|baker|00000\n10|41|M|miller|11111\n",
    "u1.base": "2\t1\t5\t400\n10\t2\t3\t500\n",
    "u1.test": "10\t1\t4\t600\n2\t3\t1\t300\n",
}

ML_1M = {
    "ratings.dat": "1::7::5::100\n1::8::3::90\n2::7::1::200\n",
    "movies.dat": "7::Tea: The Film (2001)::Drama|Farce\n8::Café (1930)::Drama\n9::Unseen::\n",
    "users.dat": "1::F::25::3::00000\n2::M::56::7::11111\n",
}

ML_LATEST = {
    "ratings.csv": "userId,movieId,rating,timestamp\n1,7,4.5,100\n1,8,0.5,90\n2,7,3.0,200\n",
    "movies.csv": "movieId,title,genres\n"
    '7,"Tea, the Film (2001)",Drama|Farce\n8,Jam,(no genres listed)\n',
    "tags.csv": "userId,movieId,tag,timestamp\n1,7,slow,1\n1,7,warm,2\n2,8,unseen,3\n",
}

AMAZON_2014 = [
    {
        "reviewerID": "ann",
        "asin": "B1",
        "overall": 5.0,
        "helpful": [2, 3],
        "unixReviewTime": 86400,
        "reviewText": "Strings &amp; all.",
        "summary": "Good",
    },
    {
        "reviewerID": "bob",
        "asin": "B2",
        "overall": 1.0,
        "helpful": [0, 0],
        "unixReviewTime": 172800,
        "reviewText": "",
        "summary": "Broke!",
    },
]
AMAZON_2018 = [
    {"reviewerID": "ann", "asin": "B1", "overall": 4.0, "unixReviewTime": 86400, "vote": "1,204"},
    {"reviewerID": "bob", "asin": "B1", "overall": 2.0, "unixReviewTime": 86400},
]
AMAZON_2023 = [
    {
        "user_id": "ann",
        "asin": "B1-blue",
        "parent_asin": "B1",
        "rating": 5.0,
        "timestamp": 86400999,
        "text": "It plays.",
        "title": "Fine",
        "helpful_vote": 7,
    },
    {"user_id": "bob", "asin": "B2", "rating": 3.0, "timestamp": 1000, "text": "", "title": ""},
]


def write_folder(folder: Path, files: Mapping[str, str], encoding: str = "utf-8") -> Path:
    """Write the files; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_bytes(text.encode(encoding))
    return folder


def write_reviews(path: Path, reviews: list[dict]) -> Path:
    """Write reviews as JSON lines, compressed where the name ends in .gz; returns the folder."""
    raw = "".join(json.dumps(review) + "\n" for review in reviews).encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path.parent


def real(name: str) -> Path:
    """Return the folder of a real data set, or skip the test."""
    if not (DATA / name).is_dir():
        pytest.skip(f"PRIVET_DATA_DIR holds no {name}")
    return DATA / name


def events(rows: list[tuple[int, int, float]]) -> Interactions:
    """Make interactions out of (user, item, stars), one second apart, in canonical order."""
    users, items, stars = (np.array(column) for column in zip(*rows, strict=True))
    order = np.argsort(users, kind="stable")
    return Interactions(
        users[order].astype(np.int64),
        items[order].astype(np.int64),
        stars[order].astype(np.float64),
        np.arange(len(rows), dtype=np.int64)[order],
        np.full(len(rows), "", dtype=object),
        np.full(len(rows), np.nan),
    )


def catalogue(count: int) -> Items:
    """Make items without text."""
    blank = ("",) * count
    ids = tuple(f"i{j}" for j in range(count))
    return Items(ids, ids, blank, ((),) * count, np.full(count, np.nan))


def dataset(rows: list[tuple[int, int, float]], users: int, items: int, **more: object) -> Dataset:
    """Make a data set out of (user, item, stars)."""
    return Dataset(
        name="made",
        scale=Scale(1, 5),
        users=tuple(f"u{u}" for u in range(users)),
        items=catalogue(items),
        interactions=events(rows),
        comments_declared=False,
        cleaning=CleaningReport({}),
        **more,
    )
