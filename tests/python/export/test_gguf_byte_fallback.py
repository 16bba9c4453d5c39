"""A tokenizer.json that was made from a sentencepiece model goes into a GGUF file with the ids that it gives."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from luthier.errors import InputError
from luthier.export.gguf_byte_fallback import has_byte_fallback
from luthier.export.gguf_keys import tokenizer_keys
from luthier.export.gguf_model import GgufModel
from luthier.models import load
from luthier.text.tokenizer import Tokenizer
from tiny_pieces import ROWS, make_tiny_piece_model

TEXTS = (
    "read the file and write the result",
    "two  spaces,   three\nand\ttabs",
    "naïve Straße, 東京 🙂 \u0000",
    "<s></s><unk><0x0A>",
    "",
    "x",
)


@pytest.fixture(params=[True, False], ids=["a space before text", "none"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model folder whose tokenizer.model Transformers has turned into a tokenizer.json."""
    pytest.importorskip("sentencepiece")
    from transformers import AutoTokenizer

    made = make_tiny_piece_model(tmp_path / "model", prefix=request.param)
    AutoTokenizer.from_pretrained(made).save_pretrained(tmp_path / "fast")
    shutil.copy(tmp_path / "fast" / "tokenizer.json", made)
    (made / "tokenizer.model").unlink()
    return made


def changed(folder: Path, **model: Any) -> Tokenizer:
    """The tokenizer with some keys of its model changed."""
    description = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    description["model"] |= model
    return Tokenizer(description, special_tokens={"unk_token": "<unk>"})


def test_readers_give_the_same_ids(folder: Path, tmp_path: Path) -> None:
    model = load(folder, dtype="float32")
    assert model.tokenizer.pieces is None and has_byte_fallback(model.tokenizer.description)
    GgufModel(model.decoder, model.tokenizer, model.source, "F32").write(tmp_path / "model.gguf")
    again = load(tmp_path / "model.gguf", dtype="float32")
    assert again.tokenizer.pieces is not None
    assert [again.tokenizer.encode_text(text) for text in TEXTS] == [model.tokenizer.encode_text(t) for t in TEXTS]
    assert again.tokenizer.control.by_text == model.tokenizer.control.by_text
    assert again.encoder.end_ids == model.encoder.end_ids
    prompt = [again.tokenizer.encode_text("read the file")]
    assert again.generate_ids(prompt, 6) == model.generate_ids(prompt, 6)


def test_too_many_tokens_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="but the model has rows for 7; they do not belong together"):
        tokenizer_keys(Tokenizer.from_folder(folder), 7)


def test_merges_in_an_order_that_scores_cannot_say_are_refused(folder: Path) -> None:
    merges = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["merges"]
    tokenizer = changed(folder, merges=merges[: len(merges) // 8])  # most pieces have no merge, and readers make them
    with pytest.raises(InputError, match="readers of GGUF files would tokenise otherwise"):
        tokenizer_keys(tokenizer, ROWS)
