"""Tokenizers from folders and GGUF metadata, compared with Transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from chats import CHATML, FAMILIES, HEADERS, WORDS, Family, description, reference, tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from luthier.errors import InputError, LuthierError
from luthier.text.tokenizer import Tokenizer

TEXTS = (
    "hello world",
    "it's 2024, isn't it?\n\n1. one\n2. two",
    "  two  spaces\tand tabs\r\n\r\n",
    "日本語 naïve 🙂🙂 ∑",
    "def f(x):\n    return x+1\n",
    "",
)


def metadata(**changes: Any) -> dict[str, Any]:
    """GGUF metadata of a small byte-level vocabulary."""
    model = json.loads(description(CHATML))["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    values = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.merges": [" ".join(pair) for pair in model["merges"]],
        "tokenizer.ggml.token_type": [3 if token in CHATML.control else 1 for token in tokens],
        "tokenizer.ggml.eos_token_id": tokens.index("<|im_end|>"),
        "tokenizer.chat_template": CHATML.template,
    }
    return {key: value for key, value in (values | changes).items() if value is not None}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_saved_folder_gives_transformers_the_same_ids_and_settings(family: Family, tmp_path: Path) -> None:
    transformers = reference(family, tmp_path)
    tokens = tokenizer(family)
    again = Tokenizer.from_folder(tmp_path)
    for text in TEXTS:
        ids = transformers(text, add_special_tokens=False)["input_ids"]
        assert tokens.encode_text(text) == ids
        assert again.encode_text(text) == ids
    assert transformers.eos_token_id == tokens.eos_id == again.eos_id
    assert transformers.bos_token_id == tokens.bos_id == again.bos_id
    assert transformers.chat_template == tokens.chat_template == again.chat_template
    assert len(transformers) == tokens.vocabulary_size == again.vocabulary_size


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=60))
def test_bytes_come_back_as_they_were(text: str) -> None:
    tokens = tokenizer(CHATML)
    assert tokens.decode(tokens.encode_text(text)) == text


def test_special_tokens_are_left_out_when_decoding_unless_wanted() -> None:
    tokens = tokenizer(CHATML)
    ids = [*tokens.encode_text("hello"), tokens.added_tokens["<|im_end|>"]]
    assert tokens.decode(ids) == "hello"
    assert tokens.decode(ids, skip_special=False) == "hello<|im_end|>"


def test_ids_outside_the_vocabulary_are_refused() -> None:
    tokens = tokenizer(CHATML)
    assert tokens.token(0)
    for id in (-1, tokens.vocabulary_size, 2**40):
        with pytest.raises(InputError, match="there is no token"):
            tokens.token(id)


def test_a_folder_names_its_end_tokens_in_the_generation_config(tmp_path: Path) -> None:
    tokens = tokenizer(HEADERS)
    tokens.save(tmp_path)
    end, turn = tokens.added_tokens["<|end|>"], tokens.added_tokens["<|eot_id|>"]
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [end, turn]}))
    assert Tokenizer.from_folder(tmp_path).end_ids == {end, turn}
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": "x"}))
    with pytest.raises(InputError, match="eos_token_id"):
        Tokenizer.from_folder(tmp_path)


def test_a_chat_template_may_stand_in_the_configuration(tmp_path: Path) -> None:
    tokenizer(CHATML).save(tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    path = tmp_path / "tokenizer_config.json"
    config = json.loads(path.read_text())
    assert Tokenizer.from_folder(tmp_path).chat_template is None
    path.write_text(json.dumps(config | {"chat_template": "one"}))
    assert Tokenizer.from_folder(tmp_path).chat_template == "one"
    named = [{"name": "tool_use", "template": "two"}, {"name": "default", "template": "three"}]
    path.write_text(json.dumps(config | {"chat_template": named}))
    assert Tokenizer.from_folder(tmp_path).chat_template == "three"


def test_added_tokens_that_only_the_configuration_lists_are_known(tmp_path: Path) -> None:
    tokens = tokenizer(CHATML)
    tokens.save(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    extra = {str(tokens.vocabulary_size): {"content": "<|extra|>", "special": True}}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"added_tokens_decoder": extra}))
    loaded = Tokenizer.from_folder(tmp_path)
    assert loaded.added_tokens["<|extra|>"] == tokens.vocabulary_size
    assert "<|extra|>" in loaded.control.by_text


def test_damaged_folders_are_refused_with_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        Tokenizer.from_folder(tmp_path / "absent")
    with pytest.raises(InputError, match=r"tokenizer.json: the file is missing"):
        Tokenizer.from_folder(tmp_path)
    for content in (b"", b"{", b"[]", b"{}", b'{"model": {"type": "BPE"}}', b'{"added_tokens": [1]}', b"\xff"):
        (tmp_path / "tokenizer.json").write_bytes(content)
        with pytest.raises(InputError, match=r"tokenizer.json"):
            Tokenizer.from_folder(tmp_path)


def test_saving_where_a_file_stands_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LuthierError, match="cannot be saved"):
        tokenizer(CHATML).save(tmp_path / "file")


def test_the_real_model_s_gguf_file_gives_transformers_ids(gguf_file: Path, gguf_metadata: dict[str, Any]) -> None:
    from transformers import AutoTokenizer

    transformers = AutoTokenizer.from_pretrained(gguf_file.parent, gguf_file=gguf_file.name)
    as_transformers = Tokenizer.from_gguf_metadata(gguf_metadata, split_digits=False)
    own = Tokenizer.from_gguf_metadata(gguf_metadata)
    for text in TEXTS:
        ids = transformers(text, add_special_tokens=False)["input_ids"]
        assert as_transformers.encode_text(text) == ids
        if "\n\n1" not in text:
            assert own.encode_text(text) == ids
    assert own.vocabulary_size == len(transformers) == 49152
    assert own.end_ids == {transformers.eos_token_id}
    assert own.chat_template == transformers.chat_template


def test_the_real_model_s_digits_stand_alone(gguf_metadata: dict[str, Any]) -> None:
    own = Tokenizer.from_gguf_metadata(gguf_metadata)
    spelled = [own.token(id) for id in own.encode_text("a\n\n1. b  23")]
    assert spelled == ["a", "ĊĊ", "1", ".", "Ġb", "ĠĠ", "2", "3"]


def test_a_gguf_tokenizer_is_saved_for_transformers(gguf_metadata: dict[str, Any], tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    own = Tokenizer.from_gguf_metadata(gguf_metadata)
    own.save(tmp_path)
    transformers = AutoTokenizer.from_pretrained(tmp_path)
    for text in TEXTS:
        assert transformers(text, add_special_tokens=False)["input_ids"] == own.encode_text(text)
    messages = [{"role": "user", "content": "a\n\n1. b"}]
    again = Tokenizer.from_folder(tmp_path)
    assert transformers.apply_chat_template(messages, tokenize=False) == again.template().render(messages).text
    assert (again.bos_id, again.eos_id, again.unk_id, again.pad_id) == (1, 2, 0, 2)


def test_gguf_metadata_gives_the_ids_of_the_tokenizer_it_came_from() -> None:
    tokens = Tokenizer.from_gguf_metadata(metadata())
    for text in TEXTS:
        assert tokens.encode_text(text) == tokenizer(CHATML).encode_text(text)
    assert tokens.control.by_text.keys() == set(CHATML.control)


def test_an_end_token_that_the_file_does_not_mark_is_a_control_token() -> None:
    tokens = Tokenizer.from_gguf_metadata(metadata(**{"tokenizer.ggml.token_type": None}))
    assert "<|im_end|>" in tokens.control.by_text
    assert tokens.eos_id not in tokens.encode_text("a<|im_end|>")


@pytest.mark.parametrize("pre", ["llama-bpe", "qwen2", "tekken", "smollm", "default"])
def test_known_pre_tokenizers_keep_every_byte(pre: str) -> None:
    tokens = Tokenizer.from_gguf_metadata(metadata(**{"tokenizer.ggml.pre": pre}))
    for text in TEXTS:
        assert tokens.decode(tokens.encode_text(text)) == text


def test_pre_tokenizers_cut_numbers_as_the_models_do() -> None:
    def cuts(pre: str, text: str) -> list[str]:
        tokens = Tokenizer.from_gguf_metadata(metadata(**{"tokenizer.ggml.pre": pre}))
        return [piece for piece, _ in tokens._backend._first.pre_tokenizer.pre_tokenize_str(text)]

    assert cuts("llama-bpe", "a 12345") == ["a", "Ġ", "123", "45"]
    assert cuts("qwen2", "a 123") == ["a", "Ġ", "1", "2", "3"]
    assert cuts("smollm", "a 12") == ["a", "Ġ", "1", "2"]
    assert cuts("gpt-2", "a 12345") == ["a", "Ġ12345"]
    assert cuts("llama-bpe", "I'LL go\n\n x") == ["I", "'LL", "Ġgo", "ĊĊ", "Ġx"]
    assert cuts("gpt-2", "I'LL") == ["I", "'", "LL"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tokenizer.ggml.model": None}, "tokenizer.ggml.model is missing"),
        ({"tokenizer.ggml.model": "rwkv"}, "'rwkv' is not supported"),
        ({"tokenizer.ggml.tokens": None}, "tokenizer.ggml.tokens is missing"),
        ({"tokenizer.ggml.merges": None}, "tokenizer.ggml.merges is missing"),
        ({"tokenizer.ggml.merges": ["abc"]}, "not two tokens"),
        ({"tokenizer.ggml.merges": ["zz qq"]}, "GGUF: not a tokenizer that can be read"),
        ({"tokenizer.ggml.tokens": ["a", "a"], "tokenizer.ggml.token_type": None}, "stands twice"),
        ({"tokenizer.ggml.tokens": [1, 2]}, "not a list of strings"),
        ({"tokenizer.ggml.token_type": [1]}, "tokenizer.ggml.token_type"),
        ({"tokenizer.ggml.pre": "unheard-of"}, "'unheard-of' is not known"),
        ({"tokenizer.ggml.eos_token_id": 10**6}, "eos_token_id is 1000000"),
        ({"tokenizer.ggml.bos_token_id": -1}, "bos_token_id is -1"),
    ],
)
def test_damaged_gguf_metadata_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words.replace("'", ".")):
        Tokenizer.from_gguf_metadata(metadata(**changes))


def test_words_that_do_not_start_a_row_get_no_space_mark() -> None:
    tokens = tokenizer(WORDS)
    assert tokens.token(tokens.encode_pieces(["hello"], first=True)[0][0][0]).startswith("▁")
    assert not tokens.token(tokens.encode_pieces(["hello"], first=False)[0][0][0]).startswith("▁")
