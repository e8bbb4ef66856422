# SPDX-License-Identifier: Apache-2.0
"""Content words: topics count, habits of writing and single persons' words do not."""

import numpy as np
import pytest

from shared.content_words import DIMENSION, FEWEST, content_words

TEXTS = ["the capo and the tremolo"] * 10 + ["this was pretty good"] * 285 + ["zyzzyva"] * 5


def test_words_of_few_or_of_all_do_not_count():
    assert set(content_words(TEXTS).weights) == {"capo", "tremolo"}


@pytest.mark.parametrize(("count", "kept"), [(FEWEST - 1, False), (FEWEST, True), (15, True)])
def test_a_word_counts_from_ten_comments(count, kept):
    texts = ["capo"] * count + ["else"] * (300 - count)
    assert ("capo" in content_words(texts).weights) == kept


def test_texts_that_share_topics_are_alike():
    words = content_words(TEXTS)
    one, two, three = words.encode(["A CAPO!", "my capo is mine", "tremolo"])
    assert one @ two == pytest.approx(1.0)
    assert abs(one @ three) < 1e-9


def test_rows_have_norm_one_or_are_zero():
    rows = content_words(TEXTS).encode(["capo tremolo capo", "nothing known", ""])
    assert rows.shape == (3, DIMENSION)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), [1.0, 0.0, 0.0])


def test_spelling_of_capitals_and_length_leave_no_trace():
    words = content_words(TEXTS)
    short, long = words.encode(["Capo", "capo and some more words of no weight at all"])
    np.testing.assert_array_equal(short, long)


def test_without_public_comments_no_word_counts():
    assert not content_words([]).encode(["capo"]).any()
