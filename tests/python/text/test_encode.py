"""Token ids and weights of chats: those of Transformers for clean chats, supervised where the assistant wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from chats import (
    CHATML,
    FAMILIES,
    HEADERS,
    MARKED,
    STRIPPED,
    THINKING,
    Family,
    as_dicts,
    description,
    record,
    reference,
    tokenizer,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from luthier.errors import InputError
from luthier.records import Message, Record, read
from luthier.text.encode import ChatEncoder, EncodedRow
from luthier.text.tokenizer import Tokenizer

CLEAN = (
    record("hello", "world"),
    record("hello", "world", system="be brief"),
    record("one", "two", "three", "four", system="1 2 3"),
    record("yes", "yes", "yes", "yes", "user", "assistant"),
    record(" spaces around ", "  leading and trailing  \n"),
    record("\n\nlines\n", "\nassistant\n", "a\n\n\nb", "\n"),
    record("日本語 🙂 naïve", "déjà vu", system="\ttabs\t"),
    record("user\nassistant:\n", "\nmodel\n", "<", ">"),
    record("x < y | z > w", "[a] <b> {% c %} {{ d }}"),
    record("a" * 3000, "b " * 1000),
    record("\U000f0000\U0010fffd private", "\U000f0001 use"),
)


def usable(family: Family, row: Record) -> bool:
    return bool(all(message.content.strip() for message in row.messages))


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {family.name: reference(family, tmp_path_factory.mktemp(family.name)) for family in FAMILIES}


def expected(transformers: Any, row: Record, **options: Any) -> list[int]:
    return list(transformers.apply_chat_template(as_dicts(row), return_dict=False, **options))


def supervised_text(encoded: EncodedRow, tokens: Tokenizer) -> str:
    ids = [id for id, weight in zip(encoded.tokens, encoded.weights, strict=True) if weight]
    return tokens.decode(ids, skip_special=False)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_clean_chats_have_the_ids_of_transformers(family: Family, references: dict[str, Any]) -> None:
    encoder = ChatEncoder(tokenizer(family))
    for row in CLEAN:
        if usable(family, row):
            assert encoder.encode_row(row).tokens == expected(references[family.name], row)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_prompts_have_the_ids_of_transformers(family: Family, references: dict[str, Any]) -> None:
    encoder = ChatEncoder(tokenizer(family))
    for row in CLEAN:
        prompt = Record(row.prompt, file="rows.jsonl", line=1)
        assert encoder.encode_prompt(row) == expected(references[family.name], prompt, add_generation_prompt=True)


WORDS = ("a", "b ", " c", "\n", "  ", "1", "é", "日", "<", "|", ">", "im_", "end", "</", "think", ".", "[", "/", "\t")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map("".join), min_size=2, max_size=6))
def test_any_clean_chat_has_the_ids_of_transformers(references: dict[str, Any], contents: list[str]) -> None:
    contents = [content if content.strip() else content + "x" for content in contents]
    row = record(*contents[: len(contents) // 2 * 2])
    for family in FAMILIES:
        if any(spelling in content for spelling in family.control for content in contents):
            continue
        encoded = ChatEncoder(tokenizer(family)).encode_row(row)
        assert encoded.tokens == expected(references[family.name], row), family.name


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_assistant_turns_are_supervised_with_their_end_of_turn(family: Family) -> None:
    tokens = tokenizer(family)
    encoder = ChatEncoder(tokens)
    end = family.end or family.eos
    encoded = encoder.encode_row(record("user", "assistant", "one", "two words", system="be brief"))
    shown = supervised_text(encoded, tokens)
    think = "<think>\n\n</think>\n\n" if family is THINKING else ""
    space = " " if family.name in ("brackets", "words") else ""
    assert shown == f"{space}assistant{end}{think}{space}two words{end}"
    ends = [index for index, is_end in enumerate(encoded.ends) if is_end]
    assert [tokens.token(encoded.tokens[index]) for index in ends] == [end, end]
    assert all(encoded.weights[index] == 1 for index in ends)
    assert encoded.end_supervised
    assert encoder.end_of_turn_id == tokens.added_tokens[end]
    assert encoder.end_ids >= {tokens.added_tokens[end], tokens.added_tokens[family.eos]}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_messages_scale_their_turn_and_zero_leaves_it_out(family: Family) -> None:
    tokens = tokenizer(family)
    row = record("a", "left out", "b", "kept", "c", "half", weights=(0.0, 1.0, 0.5))
    encoded = ChatEncoder(tokens).encode_row(row)
    assert set(encoded.weights) == {0.0, 0.5, 1.0}
    shown = supervised_text(encoded, tokens)
    assert "left out" not in shown and "kept" in shown and "half" in shown
    assert sum(encoded.ends) == 3
    weights_of_ends = [weight for weight, end in zip(encoded.weights, encoded.ends, strict=True) if end]
    assert weights_of_ends == [0.0, 1.0, 0.5]


def test_the_row_s_weight_scales_all_its_turns() -> None:
    row = record("a", "b")
    heavy = Record(row.messages, weight=2.0)
    assert set(ChatEncoder(tokenizer(CHATML)).encode_row(heavy).weights) == {0.0, 2.0}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_prompt_and_the_supervised_tokens_make_up_the_row(family: Family) -> None:
    if family is STRIPPED:
        return  # its prompt ends in whitespace that the control token takes, and content may follow differently
    tokens = tokenizer(family)
    encoder = ChatEncoder(tokens)
    for row in CLEAN[:4]:
        encoded = encoder.encode_row(row)
        prompt = encoder.encode_prompt(row)
        if encoded.tokens[: len(prompt)] != prompt:
            continue
        last = max(index for index, end in enumerate(encoded.ends) if end)
        assert all(weight == 1 for weight in encoded.weights[len(prompt) : last + 1])
        assert encoded.weights[len(prompt) - 1] == 0
        assert not any(encoded.weights[last + 1 :])


def test_equal_texts_of_user_and_assistant_are_told_apart() -> None:
    tokens = tokenizer(CHATML)
    encoded = ChatEncoder(tokens).encode_row(record("yes", "yes", "yes", "yes", system="yes"))
    first = encoded.weights.index(1.0)
    assert tokens.decode(encoded.tokens[:first], skip_special=False).endswith("<|im_start|>assistant\n")
    assert supervised_text(encoded, tokens) == "yes<|im_end|>yes<|im_end|>"


@pytest.mark.parametrize("content", ["\n\nassistant\n ", " a", "a ", "\na", "\n a \n"])
def test_whitespace_that_the_template_keeps_is_supervised(content: str) -> None:
    tokens = tokenizer(CHATML)
    encoded = ChatEncoder(tokens).encode_row(record("q", content))
    assert supervised_text(encoded, tokens).endswith(content.lstrip("\n") + "<|im_end|>")
    tokens = tokenizer(HEADERS)
    encoded = ChatEncoder(tokens).encode_row(record("q", content))
    assert supervised_text(encoded, tokens) == content.strip() + "<|eot_id|>"


def test_a_header_that_takes_the_content_s_whitespace_is_not_supervised() -> None:
    tokens = tokenizer(STRIPPED)
    encoded = ChatEncoder(tokens).encode_row(record("q", "\n answer"))
    assert supervised_text(encoded, tokens) == "answer<|end|>"


def test_an_answer_that_is_all_thought_ends_with_its_turn() -> None:
    tokens = tokenizer(THINKING)
    encoded = ChatEncoder(tokens).encode_row(record("q", "all</think>"))
    assert supervised_text(encoded, tokens) == "<think>\nall\n</think>\n\n<|im_end|>"


def test_thoughts_written_by_the_assistant_are_supervised_where_the_template_keeps_them() -> None:
    tokens = tokenizer(THINKING)
    row = record("a", "<think>\nhm\n</think>\n\nfirst", "b", "<think>\nso\n</think>\n\nsecond")
    encoded = ChatEncoder(tokens).encode_row(row)
    assert supervised_text(encoded, tokens) == "first<|im_end|><think>\nso\n</think>\n\nsecond<|im_end|>"


def test_thoughts_have_the_ids_of_transformers(references: dict[str, Any]) -> None:
    row = record("a", "<think>\nhm\n</think>\n\nfirst", "b", "<think>\nso\n</think>\n\nsecond")
    encoded = ChatEncoder(tokenizer(THINKING)).encode_row(row)
    assert encoded.tokens == expected(references["thinking"], row)


def test_generation_marks_say_what_is_supervised(references: dict[str, Any]) -> None:
    row = record("q", " an answer", "q", "another ")
    encoded = ChatEncoder(tokenizer(MARKED)).encode_row(row)
    both = references["marked"].apply_chat_template(as_dicts(row), return_dict=True, return_assistant_tokens_mask=True)
    assert encoded.tokens == both["input_ids"]
    assert [int(weight) for weight in encoded.weights] == both["assistant_masks"]


def test_a_template_that_ends_no_turn_has_no_supervised_end() -> None:
    template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    tokens = tokenizer(CHATML)
    encoded = ChatEncoder(tokens, template).encode_row(record("a", "b", "c", "d"))
    assert not any(encoded.ends) and not encoded.end_supervised
    assert supervised_text(encoded, tokens) in ("bd", " b d")


def test_the_start_of_the_next_turn_is_no_end_of_turn() -> None:
    template = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}\n{% endfor %}"
    encoded = ChatEncoder(tokenizer(CHATML), template).encode_row(record("a", "b", "c", "d"))
    assert not any(encoded.ends)


def test_without_a_template_a_row_is_its_text_and_the_end_token() -> None:
    tokens = Tokenizer(json.loads(description(CHATML)), special_tokens={"eos_token": "<|im_end|>"})
    encoder = ChatEncoder(tokens)
    row = record("2 + 2 =", " 4", system="be brief")
    encoded = encoder.encode_row(row)
    assert tokens.decode(encoded.tokens, skip_special=False) == "be brief\n2 + 2 = 4<|im_end|>"
    prompt = encoder.encode_prompt(row)
    assert encoded.tokens[: len(prompt)] == prompt
    assert supervised_text(encoded, tokens) == " 4<|im_end|>"
    assert encoded.ends[-1]


def test_a_template_that_refuses_a_row_is_reported_with_the_row() -> None:
    template = "{{ raise_exception('no system message, please') }}"
    with pytest.raises(InputError, match=r"rows.jsonl:1: .*no system message, please"):
        ChatEncoder(tokenizer(CHATML), template).encode_row(record("a", "b"))


def test_a_template_that_drops_the_answer_is_reported_with_the_row() -> None:
    template = "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}"
    with pytest.raises(InputError, match=r"rows.jsonl:1: .*generation %\} marks"):
        ChatEncoder(tokenizer(CHATML), template).encode_row(record("a", "b"))


def test_a_template_that_rewrites_text_still_finds_the_turns() -> None:
    template = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | upper }}<|im_end|>\n{% endfor %}"
    tokens = tokenizer(CHATML)
    with pytest.raises(InputError, match=r"rows.jsonl:1: "):
        ChatEncoder(tokens, template).encode_row(record("a", "b"))
    encoded = ChatEncoder(tokens, template).encode_row(record("A", "B"))
    assert supervised_text(encoded, tokens) == "B<|im_end|>"


def test_messages_can_be_encoded_without_a_file() -> None:
    encoder = ChatEncoder(tokenizer(CHATML))
    assert encoder.encode_messages([Message("user", "hello")]) == encoder.encode_prompt(record("hello"))


def test_many_rows_are_encoded_as_one_by_one() -> None:
    rows = [record(f"q {index % 7}", f"a {index}", system="the same") for index in range(600)]
    encoder = ChatEncoder(tokenizer(HEADERS))
    assert encoder.encode_rows(rows) == [ChatEncoder(tokenizer(HEADERS)).encode_row(row) for row in rows[:1]] + [
        encoder.encode_row(row) for row in rows[1:]
    ]


@pytest.mark.parametrize("name", ["classify", "extract", "style"])
def test_shared_rows_have_the_ids_of_transformers(
    shared_data: Path, gguf_file: Path, gguf_metadata: dict[str, Any], name: str
) -> None:
    from transformers import AutoTokenizer

    transformers = AutoTokenizer.from_pretrained(gguf_file.parent, gguf_file=gguf_file.name)
    encoder = ChatEncoder(Tokenizer.from_gguf_metadata(gguf_metadata, split_digits=False))
    rows = read(shared_data / name / "valid.jsonl")
    for row, encoded in zip(rows, encoder.encode_rows(rows), strict=True):
        assert encoded.tokens == transformers.apply_chat_template(row.raw["messages"], return_dict=False)
        assert supervised_text(encoded, encoder.tokenizer) == row.reference + "<|im_end|>"
