# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shared.comments_file import (
    CommentsFile,
    load_comments,
    mean_by_item,
    read_table,
    save_comments,
)
from shared.errors import DataError

FILE = CommentsFile(
    "encoder@1", ("a", "b"), ("green", "树篱"), ("", "0" * 64), np.eye(2, 3, dtype=np.float32)
)


def test_load_gives_what_was_saved_and_equal_content_equal_bytes() -> None:
    data = save_comments(FILE)
    found = load_comments(data)
    assert replace(found, vectors=FILE.vectors) == FILE
    assert np.array_equal(found.vectors, FILE.vectors)
    assert save_comments(found) == data


def test_comments_are_on_known_items_alone() -> None:
    (one,) = FILE.comments({"b": 4})
    assert (one.row, one.text, one.author, one.id) == (4, "树篱", "", "0" * 64)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(FILE, texts=("one",)),
        replace(FILE, ids=("",)),
        replace(FILE, vectors=np.zeros((3, 3), np.float32)),
        replace(FILE, vectors=np.full((2, 3), np.nan, np.float32)),
        replace(FILE, texts=("x" * 10_001, "y")),
        replace(FILE, texts=(1, 2)),  # type: ignore[arg-type]
    ],
)
def test_load_refuses_parts_that_do_not_fit(wrong: CommentsFile) -> None:
    with pytest.raises(DataError, match="intact file"):
        load_comments(save_comments(wrong))


@pytest.mark.parametrize("data", [b"", b"item_id,text\n", save_comments(FILE)[:-1], bytes(64)])
def test_load_refuses_other_files(data: bytes) -> None:
    with pytest.raises(DataError, match="intact file"):
        load_comments(data)


def test_table_is_cleaned(tmp_path: Path) -> None:
    file = tmp_path / "comments.csv"
    file.write_text("item_id,text,user_id,helpful\na,<b>green</b>,me,3\nb,,,x\n")
    (first, one), (second, two) = read_table(file)
    assert (first, one.text, one.author, one.helpful) == ("a", "green", "me", 3.0)
    assert (second, two.text) == ("b", "")
    assert np.isnan(two.helpful)


def test_mean_by_item_is_zero_where_nobody_wrote() -> None:
    vectors = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    assert mean_by_item([2, 2], vectors, 3).tolist() == [[0, 0], [0, 0], [0.5, 0.5]]
