"""Tokenizers whose file is a sentencepiece model: the files beside it, added tokens, saving, and damaged files."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from chats import BRACKETS, as_dicts, record
from hypothesis import given, settings
from hypothesis import strategies as st
from luthier.errors import InputError
from luthier.text.encode import ChatEncoder
from luthier.text.piece_model import PieceKind, PieceModel
from luthier.text.tokenizer import Tokenizer
from piece_models import GEMMA, LEGACY, LLAMA, PIECE_FAMILIES, UNIGRAM, PieceFamily, metadata_of, trained, write_folder

sentencepiece = pytest.importorskip("sentencepiece")


def added(text: str, *, special: bool = True, **flags: bool) -> dict[str, Any]:
    """An entry of added_tokens_decoder."""
    return {"content": text, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False} | {
        "special": special,
        **flags,
    }


def ids(tokens: Tokenizer, texts: list[str], *, first: bool = True) -> list[list[int]]:
    return [piece[0] for piece in tokens.encode_pieces(texts, first=first)]


def size_of(family: PieceFamily) -> int:
    return len(PieceModel.read(trained(family), "x").pieces)


@pytest.fixture
def turns(tmp_path: Path) -> Path:
    """A folder in the manner of Phi-3: Llama's model, with tokens for turns and for calls added behind it."""
    first = size_of(LLAMA)
    tokens = {
        str(first): added("<|user|>", rstrip=True),
        str(first + 1): added("<|end|>"),
        str(first + 2): added("<call>", special=False),
        str(first + 3): added("</call>", special=False, lstrip=True),
    }
    return write_folder(LLAMA, tmp_path, added_tokens_decoder=tokens)


@pytest.mark.parametrize("family", PIECE_FAMILIES, ids=lambda family: family.name)
def test_a_model_is_written_as_it_was_read(family: PieceFamily) -> None:
    from sentencepiece import sentencepiece_model_pb2

    theirs = sentencepiece_model_pb2.ModelProto.FromString(trained(family))
    ours = PieceModel.read(trained(family), "tokenizer.model")
    assert [tuple(piece) for piece in ours.pieces] == [(p.piece, p.score, p.type) for p in theirs.pieces]
    assert (ours.adds_prefix, ours.algorithm) == (
        theirs.normalizer_spec.add_dummy_prefix,
        theirs.trainer_spec.model_type,
    )
    written = sentencepiece_model_pb2.ModelProto.FromString(ours.write())
    assert [(p.piece, p.score, p.type) for p in written.pieces] == [tuple(piece) for piece in ours.pieces]
    assert written.trainer_spec == theirs.trainer_spec
    assert written.normalizer_spec == theirs.normalizer_spec
    changed = sentencepiece_model_pb2.ModelProto.FromString(ours.with_prefix(not ours.adds_prefix).write())
    assert changed.normalizer_spec.add_dummy_prefix is not ours.adds_prefix
    assert changed.trainer_spec == theirs.trainer_spec


def test_special_tokens_are_those_of_the_model_unless_a_file_says_otherwise(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(trained(GEMMA))
    tokens = Tokenizer.from_folder(tmp_path)
    assert tokens.special_tokens == {
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
    }
    assert (tokens.pad_id, tokens.eos_id, tokens.bos_id, tokens.unk_id) == (0, 1, 2, 3)
    assert tokens.adds_bos and tokens.end_ids == {1}
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"eos_token": {"content": "<end_of_turn>"}}))
    tokens = Tokenizer.from_folder(tmp_path)
    assert tokens.special_tokens["eos_token"] == "<end_of_turn>"
    assert tokens.end_ids == {tokens.added_tokens["<end_of_turn>"]}
    assert tokens.eos_id not in tokens.encode_text("a<end_of_turn>b")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<eos>", "add_bos_token": False}))
    tokens = Tokenizer.from_folder(tmp_path)
    assert tokens.special_tokens["eos_token"] == "<eos>" and not tokens.adds_bos


def test_tokenizer_json_counts_where_both_files_are_there(tmp_path: Path) -> None:
    from chats import CHATML, tokenizer

    tokenizer(CHATML).save(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(trained(GEMMA))
    assert Tokenizer.from_folder(tmp_path).vocabulary_size == tokenizer(CHATML).vocabulary_size


def test_control_tokens_in_text_stay_text_and_other_added_tokens_are_matched(turns: Path) -> None:
    tokens = Tokenizer.from_folder(turns)
    first = size_of(LLAMA)
    assert tokens.vocabulary_size == first + 4
    assert {"<|user|>", "<|end|>", "<s>", "</s>"} <= set(tokens.control.by_text)
    assert not {first, first + 1} & set(tokens.encode_text("a<|user|>\n b<|end|>"))
    spelled = [tokens.token(id) for id in tokens.encode_text("the<call>fox \n</call>")]
    assert spelled[0].startswith("▁") and "<call>" in spelled and spelled[-1] == "</call>"
    assert not spelled[spelled.index("<call>") + 1].startswith("▁"), "only the start of a row gets the space"
    assert "▁" not in spelled[-2] and "<0x0A>" not in spelled, "the token takes the whitespace before it"
    text = "the<call>fox</call> and <|end|>"
    assert tokens.decode(tokens.encode_text(text)) == text


def test_every_id_stands_for_its_characters(turns: Path) -> None:
    tokens = Tokenizer.from_folder(turns)
    text = "the naïve 🙂fox<call> 日本 </call>is  not"
    found, places = tokens.encode_pieces([text])[0]
    assert len(found) == len(places)
    position = 0
    for id, (start, end) in zip(found, places, strict=True):
        assert position <= start <= end
        assert start in (position, position), "nothing is left out"
        position = end
        spelled = tokens.token(id)
        if end > start and not spelled.startswith("<0x"):
            assert text[start:end] in (spelled.replace("▁", " "), spelled.replace("▁", " ", 1).lstrip(" "), " </call>")
    assert position == len(text)


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=40))
@pytest.mark.parametrize("family", [LLAMA, GEMMA, UNIGRAM], ids=lambda family: family.name)
def test_text_comes_back_as_it_was(family: PieceFamily, text: str) -> None:
    tokens = loaded(family)
    assert tokens.decode(tokens.encode_text(text)) == text.replace("▁", " ")


_LOADED: dict[str, Tokenizer] = {}


def loaded(family: PieceFamily) -> Tokenizer:
    if family.name not in _LOADED:
        _LOADED[family.name] = Tokenizer.from_gguf_metadata(metadata_of(family))
    return _LOADED[family.name]


def test_ids_outside_the_vocabulary_write_nothing_and_are_no_tokens(turns: Path) -> None:
    tokens = Tokenizer.from_folder(turns)
    found = tokens.encode_text("the fox")
    assert tokens.decode([*found, 10**6, tokens.eos_id, -1]) == "the fox"
    assert tokens.decode([*found, tokens.eos_id], skip_special=False) == "the fox</s>"
    for id in (-1, size_of(LLAMA) + 4, 10**6):
        with pytest.raises(InputError, match="there is no token"):
            tokens.token(id)


@pytest.mark.parametrize("family", [LLAMA, LEGACY, GEMMA], ids=lambda family: family.name)
@pytest.mark.parametrize("source", ["folder", "gguf"])
def test_a_saved_folder_gives_transformers_the_same_ids(family: PieceFamily, source: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokens = (
        Tokenizer.from_folder(write_folder(family, tmp_path / "a"))
        if source == "folder"
        else Tokenizer.from_gguf_metadata(metadata_of(family))
    )
    tokens.save(tmp_path / "b")
    again = Tokenizer.from_folder(tmp_path / "b")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "b", split_special_tokens=True)
    texts = ["the fox", "it's 日本 🙂\n\n\tx", "a<s>b<end_of_turn>", "x   y", ""]
    wanted = theirs(texts, add_special_tokens=False)["input_ids"]
    assert ids(tokens, texts) == ids(again, texts) == wanted
    assert again.control.by_text.keys() == tokens.control.by_text.keys()
    assert ids(again, texts, first=False) == ids(tokens, texts, first=False)
    assert (theirs.bos_token_id, theirs.eos_token_id) == (tokens.bos_id, tokens.eos_id) == (again.bos_id, again.eos_id)
    assert theirs("the fox")["input_ids"][0] == tokens.bos_id, "add_bos_token is saved"


def test_chats_have_the_ids_of_transformers(turns: Path) -> None:
    from transformers import AutoTokenizer

    template = (
        "{{ bos_token }}{% for m in messages %}<|user|>\n{{ m.role }}: {{ m.content }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|user|>\nassistant: {% endif %}"
    )
    (turns / "chat_template.jinja").write_text(template)
    tokens = Tokenizer.from_folder(turns)
    theirs = AutoTokenizer.from_pretrained(turns)
    row = record("the fox  is", "not brown 🙂", "日本\n", "it's <call>x</call>", system="be brief")
    encoded = ChatEncoder(tokens).encode_row(row)
    assert encoded.tokens == theirs.apply_chat_template(as_dicts(row), return_dict=False)
    shown = tokens.decode([id for id, w in zip(encoded.tokens, encoded.weights, strict=True) if w], skip_special=False)
    assert shown == "not brown 🙂<|end|> it's <call>x</call><|end|>", "decoding leaves out the first word's space"


def test_llama_2_s_brackets_are_text_and_its_turns_are_found(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    folder = write_folder(LLAMA, tmp_path)
    template = BRACKETS.template.replace(
        "[/INST]{% else %} {{ m.content | trim }}", "[/INST]{% else %} {{ m.content }} "
    )
    (folder / "chat_template.jinja").write_text(template)
    tokens = Tokenizer.from_folder(folder)
    row = record("the fox", "is not", "brown?", "no", system="be brief")
    encoded = ChatEncoder(tokens).encode_row(row)
    assert encoded.tokens == AutoTokenizer.from_pretrained(folder).apply_chat_template(as_dicts(row), return_dict=False)
    assert sum(encoded.ends) == 2 and encoded.end_supervised


def test_older_folders_list_added_tokens_by_text(tmp_path: Path) -> None:
    first = size_of(LLAMA)
    folder = write_folder(LLAMA, tmp_path, additional_special_tokens=["<|a|>"])
    (folder / "added_tokens.json").write_text(json.dumps({"<|a|>": first, "<b>": first + 1}))
    tokens = Tokenizer.from_folder(folder)
    assert tokens.added_tokens["<|a|>"] == first and "<|a|>" in tokens.control.by_text
    assert first + 1 in tokens.encode_text("x<b>y") and first not in tokens.encode_text("x<|a|>y")
    for content in ({"<b>": "1"}, {"<b>": -1}, {"": first}, []):
        (folder / "added_tokens.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match=r"added_tokens.json"):
            Tokenizer.from_folder(folder)


def test_a_spare_piece_may_get_another_text(tmp_path: Path) -> None:
    model = PieceModel.read(trained(GEMMA), "x")
    spare = next(id for id, piece in enumerate(model.pieces) if piece.text == "<unused0>")
    tokens = Tokenizer.from_folder(
        write_folder(GEMMA, tmp_path, added_tokens_decoder={str(spare): added("<call>", special=False)})
    )
    assert spare in tokens.encode_text("a<call>b") and spare not in tokens.encode_text("a<unused0>b")
    assert tokens.token(spare) == "<call>" and tokens.decode([spare]) == "<call>"


@pytest.mark.parametrize(
    "listed",
    [[1], {"x": {"content": "a"}}, {"5": "a"}, {"5": {}}, {"5": {"content": ""}}, {"9" * 30: {"content": "a"}}],
)
def test_damaged_lists_of_added_tokens_are_refused_with_the_file(listed: Any, tmp_path: Path) -> None:
    folder = write_folder(LLAMA, tmp_path, added_tokens_decoder=listed)
    with pytest.raises(InputError, match=r"tokenizer_config.json: added_tokens_decoder"):
        Tokenizer.from_folder(folder)


def test_files_that_are_no_models_are_refused_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    whole = trained(LLAMA)
    for content in (b"", b"IQ== 0\nIg== 1\n", b"\xff" * 100, b"\x0a\xff\xff\xff\xff\x7f", whole[:1000], b"\x12\x00"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"tokenizer.model"):
            Tokenizer.from_folder(tmp_path)


def test_damaged_models_load_or_are_refused(tmp_path: Path) -> None:
    draw = random.Random(0)
    path = tmp_path / "tokenizer.model"
    for _ in range(100):
        damaged = bytearray(trained(LLAMA))
        for _ in range(draw.randint(1, 5)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        if draw.random() < 0.3:
            del damaged[draw.randrange(len(damaged)) :]
        path.write_bytes(bytes(damaged))
        try:
            tokens = Tokenizer.from_folder(tmp_path)
            tokens.decode(tokens.encode_text("the fox 日本 <s>"))
        except InputError as error:
            assert "tokenizer.model" in str(error)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tokenizer.ggml.tokens": None}, "tokenizer.ggml.tokens is missing"),
        ({"tokenizer.ggml.tokens": []}, "0 tokens but"),
        ({"tokenizer.ggml.tokens": "abc"}, "tokenizer.ggml.tokens is not a list"),
        ({"tokenizer.ggml.scores": None}, "tokenizer.ggml.scores is missing"),
        ({"tokenizer.ggml.scores": [0.0]}, "tokenizer.ggml.scores"),
        ({"tokenizer.ggml.token_type": None}, "tokenizer.ggml.token_type is missing"),
        ({"tokenizer.ggml.bos_token_id": 10**6}, "bos_token_id is 1000000"),
        ({"tokenizer.ggml.precompiled_charsmap": [1000]}, "precompiled_charsmap"),
    ],
)
def test_damaged_gguf_metadata_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Tokenizer.from_gguf_metadata(metadata_of(LLAMA, **changes))


@pytest.mark.parametrize(
    ("key", "index", "value", "words"),
    [
        ("tokens", 300, 7, "not a list of strings"),
        ("tokens", 300, "", r"tokens\[300\]"),
        ("tokens", 300, "<s>", r"tokens\[300\] is '<s>'"),
        ("scores", 300, "x", r"scores\[300\]"),
        ("scores", 300, float("nan"), r"scores\[300\]"),
        ("token_type", 300, 77, r"token_type\[300\] is 77"),
        ("token_type", 300, [], r"token_type\[300\]"),
        ("token_type", 10, 1, "GGUF: not a sentencepiece model"),
    ],
)
def test_damaged_pieces_of_a_gguf_file_are_refused(key: str, index: int, value: Any, words: str) -> None:
    metadata = metadata_of(LLAMA)
    metadata[f"tokenizer.ggml.{key}"][index] = value
    with pytest.raises(InputError, match=words):
        Tokenizer.from_gguf_metadata(metadata)


def test_fillers_of_a_gguf_vocabulary_may_share_a_name() -> None:
    metadata = metadata_of(LLAMA)
    for name in ("", "[PAD]", "[PAD]"):
        metadata["tokenizer.ggml.tokens"].append(name)
        metadata["tokenizer.ggml.scores"].append(0.0)
        metadata["tokenizer.ggml.token_type"].append(int(PieceKind.UNUSED))
    tokens = Tokenizer.from_gguf_metadata(metadata)
    assert tokens.vocabulary_size == size_of(LLAMA) + 3
    assert tokens.encode_text("the fox") == loaded(LLAMA).encode_text("the fox")


def test_an_unknown_token_that_the_file_does_not_mark_is_found() -> None:
    metadata = metadata_of(LLAMA)
    metadata["tokenizer.ggml.token_type"][0] = int(PieceKind.NORMAL)
    assert Tokenizer.from_gguf_metadata(metadata).unk_id == 0
    with pytest.raises(InputError, match="unknown_token_id is 5000"):
        Tokenizer.from_gguf_metadata(metadata | {"tokenizer.ggml.unknown_token_id": 5000})
