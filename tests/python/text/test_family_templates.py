"""Templates in the shapes of the families: ids of Transformers, turns found without marks, tools, refused roles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tool_templates
from chats import Family, as_dicts, record, reference, tokenizer
from family_templates import (
    GEMMA_2,
    GRANITE,
    LLAMA_2,
    OLMO,
    PHI_4,
    PHI_4_MINI,
    QWEN_3,
    SHAPES,
    SMOLLM_3,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from luthier.errors import InputError
from luthier.records import Record
from luthier.text.encode import ChatEncoder, EncodedRow
from luthier.text.tokenizer import Tokenizer
from tool_templates import WEATHER, answer, call, called, said

ROWS = (
    record("hello", "world"),
    record("one", "two", "three", "four"),
    record("yes", "yes", "yes", "yes", "user", "assistant"),
    record("a <b> c", "x < y | z > w\n\n  def f(x):\n    return x"),
    record("日本語 🙂", "déjà vu", "1 2 3", "\tnaïve"),
    record("[INST] is it? [/INST]", "<<SYS>> no <</SYS>>", "<|user|>", "<|assistant|>"),
)
# What is supervised in a chat of two turns with a system message, where the template takes one.
WRITTEN = {
    LLAMA_2: " assistant </s> two words </s>",
    GEMMA_2: "assistant<end_of_turn>two words<end_of_turn>",
    QWEN_3: "assistant<|im_end|><think>\n\n</think>\n\ntwo words<|im_end|>",
    PHI_4: "assistant<|im_end|>two words<|im_end|>",
    PHI_4_MINI: "assistant<|end|>two words<|end|>",
    GRANITE: "assistant<|end_of_text|>two words<|end_of_text|>",
    SMOLLM_3: "<|im_start|>assistant\nassistant<|im_end|>\n<|im_start|>assistant\ntwo words<|im_end|>\n",
    OLMO: "assistant<|endoftext|>two words<|endoftext|>",
}
TAKES_SYSTEM = [family for family in SHAPES if family is not GEMMA_2]
WITH_TOOLS = [QWEN_3, PHI_4_MINI, GRANITE, SMOLLM_3]
WITH_CALLS = {
    QWEN_3: '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call><|im_end|>',
    GRANITE: '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Oslo"}}]<|end_of_text|>',
}


def named(family: Family) -> str:
    return family.name


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {family.name: reference(family, tmp_path_factory.mktemp("family")) for family in SHAPES}


def supervised(encoded: EncodedRow, tokens: Tokenizer) -> str:
    written = zip(encoded.tokens, encoded.weights, strict=True)
    return tokens.decode([id for id, weight in written if weight], skip_special=False)


def spells_control(family: Family, row: Record) -> bool:
    return any(spelling in message.content for spelling in family.control for message in row.messages)


@pytest.mark.parametrize("family", SHAPES, ids=named)
def test_chats_and_prompts_have_the_ids_of_transformers(family: Family, references: dict[str, Any]) -> None:
    encoder = ChatEncoder(tokenizer(family))
    theirs = references[family.name]
    for row in ROWS:
        if spells_control(family, row):
            continue
        assert encoder.encode_row(row).tokens == theirs.apply_chat_template(as_dicts(row), return_dict=False)
        prompt = Record(row.prompt, file="rows.jsonl", line=1)
        wanted = theirs.apply_chat_template(as_dicts(prompt), add_generation_prompt=True, return_dict=False)
        assert encoder.encode_prompt(row) == wanted


@pytest.mark.parametrize("family", SHAPES, ids=named)
def test_each_turn_is_found_with_its_end(family: Family) -> None:
    tokens = tokenizer(family)
    row = record("user", "assistant", "one", "two words", system=None if family is GEMMA_2 else "be brief")
    encoded = ChatEncoder(tokens).encode_row(row)
    assert supervised(encoded, tokens) == WRITTEN[family]
    assert sum(encoded.ends) == 2 and encoded.end_supervised
    assert encoded.supervised_tokens == sum(weight == 1 for weight in encoded.weights)


@pytest.mark.parametrize("family", SHAPES, ids=named)
def test_one_turn_of_several_can_be_left_out(family: Family) -> None:
    tokens = tokenizer(family)
    row = record("user", "assistant", "one", "two words", weights=(0.0, 1.0))
    shown = supervised(ChatEncoder(tokens).encode_row(row), tokens)
    assert "two words" in shown and "assistant" not in shown.replace("<|im_start|>assistant", "")


@pytest.mark.parametrize("family", TAKES_SYSTEM, ids=named)
def test_the_system_message_reaches_the_model(family: Family) -> None:
    tokens = tokenizer(family)
    encoded = ChatEncoder(tokens).encode_row(record("user", "assistant", system="be brief"))
    assert "be brief" in tokens.decode(encoded.tokens, skip_special=False)
    assert "be brief" not in supervised(encoded, tokens)


def test_a_refused_system_message_is_reported_with_the_row_and_the_template_s_words() -> None:
    encoder = ChatEncoder(tokenizer(GEMMA_2))
    with pytest.raises(InputError, match=r"^rows.jsonl:1: the chat template refuses the chat: no system role, please"):
        encoder.encode_row(record("user", "assistant", system="be brief"))


def test_a_thought_is_learned_where_the_template_keeps_it(references: dict[str, Any]) -> None:
    tokens = tokenizer(QWEN_3)
    row = record("a", "<think>\nhm\n</think>\n\nfirst", "b", "<think>\nso\n</think>\n\nsecond")
    encoded = ChatEncoder(tokens).encode_row(row)
    assert encoded.tokens == references["qwen 3"].apply_chat_template(as_dicts(row), return_dict=False)
    assert supervised(encoded, tokens) == "first<|im_end|><think>\nso\n</think>\n\nsecond<|im_end|>"


def test_a_switch_in_the_system_message_works_through_the_sandbox(references: dict[str, Any]) -> None:
    tokens = tokenizer(SMOLLM_3)
    for system in ("/no_think be brief", "be brief"):
        row = record("a", "first", system=system)
        encoded = ChatEncoder(tokens).encode_row(row)
        assert encoded.tokens == references["smollm 3"].apply_chat_template(as_dicts(row), return_dict=False)
        assert ("<think>" in supervised(encoded, tokens)) is ("/no_think" in system)


def test_marks_of_the_template_count_where_it_has_them(references: dict[str, Any]) -> None:
    row = record("one", "two", "three", "four")
    encoded = ChatEncoder(tokenizer(SMOLLM_3)).encode_row(row)
    theirs = references["smollm 3"]
    both = theirs.apply_chat_template(as_dicts(row), return_dict=True, return_assistant_tokens_mask=True)
    assert [int(weight) for weight in encoded.weights] == both["assistant_masks"]


@pytest.mark.parametrize("family", WITH_TOOLS, ids=named)
def test_tools_are_written_as_transformers_writes_them(family: Family, references: dict[str, Any]) -> None:
    row = tool_templates.record(said("system", "Be brief."), said("user", "Wet?"), said("assistant", "Yes."))
    tokens = tokenizer(family)
    encoded = ChatEncoder(tokens).encode_row(row)
    wanted = references[family.name].apply_chat_template(row.raw["messages"], tools=[WEATHER], return_dict=False)
    assert encoded.tokens == wanted
    assert "get_weather" in tokens.decode(encoded.tokens)
    assert "get_weather" not in supervised(encoded, tokens)


@pytest.mark.parametrize("family", WITH_CALLS, ids=named)
def test_calls_are_learned_and_what_tools_say_is_not(family: Family, references: dict[str, Any]) -> None:
    row = tool_templates.record(
        said("user", "Wet in Oslo?"), called(call(city="Oslo")), answer('{"wet": true}'), said("assistant", "Yes.")
    )
    tokens = tokenizer(family)
    encoded = ChatEncoder(tokens).encode_row(row)
    messages = json.loads(json.dumps(row.raw["messages"]))
    assert encoded.tokens == references[family.name].apply_chat_template(messages, tools=[WEATHER], return_dict=False)
    shown = supervised(encoded, tokens)
    assert shown.startswith(WITH_CALLS[family]) or WITH_CALLS[family] in shown
    assert shown.endswith(f"Yes.{family.end or family.eos}") and "wet" not in shown.replace("get_weather", "")
    assert sum(encoded.ends) == 2


@pytest.mark.parametrize("family", [f for f in SHAPES if f not in WITH_CALLS], ids=named)
def test_templates_that_write_no_calls_refuse_rows_that_make_them(family: Family) -> None:
    row = tool_templates.record(said("user", "Wet in Oslo?"), called(call(city="Oslo")))
    with pytest.raises(InputError, match=r"rows.jsonl:1: .*does not write tool calls"):
        ChatEncoder(tokenizer(family)).encode_row(row)


SPELLED = sorted({text for family in SHAPES for text in family.control} | {"x", " ", "\n", "<|", "|>", "<think>"})
CONTENTS = st.lists(st.lists(st.sampled_from(SPELLED), min_size=1, max_size=5).map("".join), min_size=4, max_size=4)


@pytest.mark.parametrize("family", SHAPES, ids=named)
@settings(max_examples=40, deadline=None)
@given(contents=CONTENTS)
def test_no_content_yields_a_control_token(family: Family, contents: list[str]) -> None:
    tokens = tokenizer(family)
    encoder = ChatEncoder(tokens)
    row = record(*(text if text.strip() else text + "x" for text in contents))
    encoded = encoder.encode_row(row)
    harmless = encoder.encode_row(record("x", "x", "x", "x"))
    control = tokens.control.ids - {tokens.unk_id}
    assert [id for id in encoded.tokens if id in control] == [id for id in harmless.tokens if id in control]
    assert sum(encoded.ends) == sum(harmless.ends) == 2


def test_templates_of_all_shapes_are_read_from_a_saved_folder(tmp_path: Path) -> None:
    for family in SHAPES:
        tokenizer(family).save(tmp_path / family.name)
        again = ChatEncoder(Tokenizer.from_folder(tmp_path / family.name))
        row = record("one", "two")
        assert again.encode_row(row) == ChatEncoder(tokenizer(family)).encode_row(row)
