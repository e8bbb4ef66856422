# SPDX-License-Identifier: Apache-2.0
"""Whatever bytes a folder holds, it is read or refused with a typed error: never a defect."""

import contextlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import DataError
from simulation.layouts import load
from tests.simulation.made import AMAZON_2014, AMAZON_2023, GENERIC, ML_1M, ML_100K, ML_LATEST

FULL = GENERIC | {
    "items.csv": "item_id,title,genres,description,year,price\ntea,Tea,Hot|Drink,Warm.,1990,3\n",
    "comments.csv": "item_id,text,user_id,helpful\ntea,Nice.,ann,4\n",
    "comment_events.csv": "user_id,item_id,interested,opened,timestamp\nbob,tea,1,0,5\n",
    "users.csv": "user_id,town\nbob,Ely\n",
    "dataset.toml": 'name = "x"\n[scale]\nlow = 1\nhigh = 5\n[numbers.price]\nlow = 0\nhigh = 9\n',
}
FOLDERS = {
    "ml-100k": ML_100K,
    "ml-1m": ML_1M,
    "ml-latest": ML_LATEST,
    "generic": FULL,
    "amazon-2014": {"r.json": "".join(json.dumps(row) + "\n" for row in AMAZON_2014)},
    "amazon-2023": {"r.jsonl": "".join(json.dumps(row) + "\n" for row in AMAZON_2023)},
}
PIECES = st.sampled_from(
    [b"", b"\n", b"\r", b'"', b",", b"::", b"\t", b"|", b"\x00", b"\xff", b"\xe9", b"-1", b"nan",
     b"1e400", b"9" * 30, b"[]", b"{}", b"null", b"true", b'"x"', b"\\ud800", b"\xef\xbb\xbf", b"="]
)  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_damaged_folder_is_read_or_refused(name, data):
    files = FOLDERS[name]
    chosen = data.draw(st.sampled_from(sorted(files)))
    raw = files[chosen].encode("latin-1" if name in ("ml-100k", "ml-1m") else "utf-8")
    start = data.draw(st.integers(0, len(raw)))
    stop = data.draw(st.integers(start, min(len(raw), start + 12)))
    changed = raw[:start] + data.draw(PIECES) + raw[stop:]
    with TemporaryDirectory() as place:
        for file, text in files.items():
            (Path(place) / file).write_bytes(text.encode("latin-1"))
        (Path(place) / chosen).write_bytes(changed)
        with contextlib.suppress(DataError):
            made = load(place)
            assert len(made.users) >= 2
            for fold in made.folds:
                made.folds[fold]
