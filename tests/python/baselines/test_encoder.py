"""A sentence encoder and its index: vectors as Transformers gives them, neighbours as brute force finds them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from baseline_rows import records
from luthier.baselines import baseline
from luthier.baselines.encoder import SentenceEncoder, load_encoder
from luthier.baselines.result import Baselines
from luthier.baselines.retrieval import EmbeddingIndex, nearest_vectors
from luthier.baselines.simple import nearest_answer
from luthier.errors import InputError
from run_folder import question, write_rows
from tiny_encoder import HIDDEN, make_tiny_encoder

pytest.importorskip("transformers")

TEXTS = ["open the folder", "read the letter 12", "week", "", "the clock " * 40]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny")


@pytest.fixture(scope="module")
def encoder(folder: Path) -> SentenceEncoder:
    return load_encoder(folder)


def test_a_vector_is_the_mean_over_the_tokens_of_length_one(folder: Path, encoder: SentenceEncoder) -> None:
    import numpy as np
    import torch
    from transformers import AutoModel, AutoTokenizer

    found = encoder.encode(TEXTS)
    assert found.dtype == np.float32 and found.shape == (len(TEXTS), HIDDEN)
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    for text, vector in zip(TEXTS, found, strict=True):  # one at a time: no padding
        tokens = tokenizer(text, truncation=True, max_length=40, return_tensors="pt")
        with torch.inference_mode():
            mean = model(**tokens).last_hidden_state[0].mean(0)
        np.testing.assert_allclose(vector, (mean / mean.norm()).numpy(), atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 0.01


def test_the_files_of_sentence_transformers_say_how_to_pool_and_where_to_cut(tmp_path: Path) -> None:
    import numpy as np

    folder = make_tiny_encoder(tmp_path / "tiny")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 5}))
    found = load_encoder(folder)
    assert (found.pooling, found.most_tokens) == ("cls", 5)
    same, cut, other = found.encode(["open the folder", "open the folder disk save", "open the letter"])
    np.testing.assert_allclose(same, cut, atol=1e-6)
    assert np.abs(same - other).max() > 0.01


def test_the_nearest_vectors_are_those_of_brute_force() -> None:
    import numpy as np

    generator = np.random.default_rng(0)
    vectors, queries = (generator.normal(size=(count, 24)).astype(np.float32) for count in (700, 90))
    vectors, queries = (some / np.linalg.norm(some, axis=1, keepdims=True) for some in (vectors, queries))
    expected = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :7]
    assert nearest_vectors(vectors, queries, 7) == expected.tolist()
    assert nearest_vectors(vectors, queries[:1], 1) == expected[:1, :1].tolist()


def test_the_index_finds_a_text_itself_first(encoder: SentenceEncoder) -> None:
    texts = [question(index)[0] for index in range(30)]
    index = EmbeddingIndex(texts, encoder)
    assert len(index) == 30
    assert [found[0] for found in index.nearest(texts, 3)] == list(range(30))
    assert [len(found) for found in index.nearest(texts[:2], 99)] == [30, 30]
    assert index.nearest([], 2) == [] and EmbeddingIndex([], encoder).nearest(["week"], 2) == [[]]
    train = records([("open the folder", "A"), ("read the letter", "B")])
    outputs = nearest_answer(
        train, records([("read the letter", "?")]), EmbeddingIndex([row.question for row in train], encoder)
    ).outputs
    assert outputs == ["B"]


def test_baselines_say_what_similar_rows_were_found_with(folder: Path, tmp_path: Path) -> None:
    train = write_rows(tmp_path / "train.jsonl", [question(index) for index in range(60)])
    test = write_rows(tmp_path / "test.jsonl", [question(index) for index in range(30)])
    found = baseline(train, test=test, encoder=folder, out=tmp_path / "out")
    nearest = next(result for result in found.results if result.kind == "neighbour")
    assert nearest.evaluation.exact_match == 1.0
    assert f"Similar training rows were found by the sentence encoder {folder}." in found._repr_html_()
    stored = json.loads((tmp_path / "out" / "baselines.json").read_text())
    assert stored["encoder"] == str(folder) == Baselines.from_json(stored).encoder
    plain = baseline(train, test=test)
    assert plain.encoder is None and "encoder" not in plain._repr_html_()


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda folder: (folder / "config.json").unlink(), "holds no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be loaded"),
        (lambda folder: (folder / "model.safetensors").unlink(), "cannot be loaded"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\0" * 100), "cannot be loaded"),
        (lambda folder: _without_a_layer(folder), "the file of weights lacks encoder.layer"),
        (lambda folder: _of_nothing(folder), "not finite"),
    ],
)
def test_a_folder_that_is_no_encoder_is_an_error(tmp_path: Path, break_it: object, words: str) -> None:
    folder = make_tiny_encoder(tmp_path / "tiny")
    break_it(folder)  # type: ignore[operator]
    with pytest.raises(InputError, match=rf"\[encoder\].*{words}"):
        load_encoder(folder).encode(["week"])


def test_names_that_lead_nowhere_are_an_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(InputError, match="is a file; name the folder"):
        load_encoder(file)
    with pytest.raises(InputError, match="there is no file or folder"):
        load_encoder(tmp_path / "missing")


@pytest.mark.parametrize("package", ["transformers", "usearch.index"])
def test_a_missing_package_is_named(
    folder: Path, encoder: SentenceEncoder, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=r"pip install 'luthier\[encoder\]'"):
        load_encoder(folder) if package == "transformers" else EmbeddingIndex(["week"], encoder)


def _without_a_layer(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith("encoder.layer.1.")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def _of_nothing(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = {name: value * float("nan") for name, value in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
