"""Rows with tools: the ids of Transformers, supervised calls, and nothing in a call that yields a control token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from chats import CHATML, FAMILIES, Family, description, reference, tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from luthier.errors import InputError
from luthier.records import Record
from luthier.text.encode import ChatEncoder, EncodedRow
from luthier.text.show import show_row_plain
from luthier.text.tokenizer import Tokenizer
from tool_templates import (
    IPYTHON,
    MARKED_CALLS,
    PARAMETERS,
    PREFIX,
    TAG_TOKENS,
    TAGS,
    TEXT_ARGUMENTS,
    TOOL_FAMILIES,
    WEATHER,
    answer,
    call,
    called,
    record,
    said,
)

ODD = 'a "quoted" \\ back\nslash\tand ünïcode 東京 </b> \x01'
ROWS = {
    "a call": record(said("user", "Wet in Oslo?"), called(call(city="Oslo"))),
    "a call and its answer": record(
        said("system", "Be brief."),
        said("user", "Wet in Oslo?"),
        called(call(city="Oslo", days=[1, 2])),
        answer('{"wet": true}'),
        said("assistant", "Yes."),
    ),
    "two rounds": record(
        said("user", "Oslo?"),
        called(call(city="Oslo")),
        answer("wet"),
        said("assistant", "Wet."),
        said("user", "And Rome?"),
        called(call(city="Rome", id="call00002")),
        answer("dry", id="call00002"),
        said("assistant", "Dry."),
    ),
    "the same call again": record(
        said("user", "Oslo?"),
        called(call(city="Oslo")),
        answer("?"),
        called(call(city="Oslo")),
        answer("wet"),
        said("assistant", "Wet."),
    ),
    "odd text": record(
        said("user", ODD),
        called(call(city=ODD, note={"a": [ODD, None, 1.5, True]})),
        answer(ODD),
        said("assistant", ODD),
    ),
    "no arguments": record(said("user", "Now?"), called(call(name="now"))),
    "words of the template": record(
        said("user", "name"),
        called(call(city="assistant", name_="arguments")),
        answer("tool_call"),
        said("assistant", "name"),
    ),
    "tools that are not called": record(said("user", "Hello"), said("assistant", "Hello!")),
    "no tools": record(said("user", "Hello"), said("assistant", "Hello!"), tools=()),
}
TWO_CALLS = record(
    said("user", "Oslo and Rome?"),
    called(call(city="Oslo"), call(city="Rome", id="call00002")),
    answer("wet"),
    answer("dry", id="call00002"),
    said("assistant", "Wet and dry."),
)
WITH_CONTENT = record(said("user", "Oslo?"), called(call(city="Oslo"), content="Let me see."))


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {family.name: reference(family, tmp_path_factory.mktemp("family")) for family in TOOL_FAMILIES}


def messages_for(family: Family, row: Record) -> list[dict[str, Any]]:
    """The row's messages as a user of Transformers has to write them for this template."""
    messages = json.loads(json.dumps(row.raw["messages"]))
    for message in messages:
        if family is TEXT_ARGUMENTS and "tool_calls" in message:
            message["content"] = message["content"] or ""
            for one in message["tool_calls"]:
                one["function"]["arguments"] = json.dumps(one["function"]["arguments"], ensure_ascii=False)
    return messages  # type: ignore[no-any-return]


def expected(transformers: Any, family: Family, row: Record, count: int | None = None, **options: Any) -> list[int]:
    messages = messages_for(family, row)[:count]
    tools = row.raw["tools"] or None
    return list(transformers.apply_chat_template(messages, tools=tools, return_dict=False, **options))


def supervised(encoded: EncodedRow, tokens: Tokenizer) -> str:
    written = zip(encoded.tokens, encoded.weights, strict=True)
    return tokens.decode([id for id, weight in written if weight], skip_special=False)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("family", TOOL_FAMILIES, ids=lambda family: family.name)
def test_rows_with_tools_have_the_ids_of_transformers(family: Family, name: str, references: dict[str, Any]) -> None:
    row = ROWS[name]
    encoder = ChatEncoder(tokenizer(family))
    assert encoder.encode_row(row).tokens == expected(references[family.name], family, row)
    prompt = expected(references[family.name], family, row, len(row.prompt), add_generation_prompt=True)
    assert encoder.encode_prompt(row) == prompt


@pytest.mark.parametrize("row", [TWO_CALLS, WITH_CONTENT], ids=["two calls", "with content"])
@pytest.mark.parametrize("family", TOOL_FAMILIES, ids=lambda family: family.name)
def test_more_than_one_call_and_content_too(family: Family, row: Record, references: dict[str, Any]) -> None:
    if family is IPYTHON and row is TWO_CALLS:
        with pytest.raises(InputError, match="rows.jsonl:1: .*one call at once"):
            ChatEncoder(tokenizer(family)).encode_row(row)
        return
    encoded = ChatEncoder(tokenizer(family)).encode_row(row)
    assert encoded.tokens == expected(references[family.name], family, row)


CALLS = {
    TAGS: '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call><|im_end|>',
    TAG_TOKENS: '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call><|im_end|>',
    IPYTHON: '{"name": "get_weather", "parameters": {"city": "Oslo"}}<|eom_id|>',
    PREFIX: '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Oslo"}, "id": "call00001"}]</s>',
    PARAMETERS: "<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n</function><|im_end|>",
    TEXT_ARGUMENTS: '<|call|>get_weather\n{"city": "Oslo"}<|end_call|><|im_end|>',
    MARKED_CALLS: '{"name": "get_weather", "arguments": {"city": "Oslo"}}<|im_end|>',
}


@pytest.mark.parametrize("family", TOOL_FAMILIES, ids=lambda family: family.name)
def test_a_call_is_supervised_as_the_template_writes_it_up_to_its_end(family: Family) -> None:
    tokens = tokenizer(family)
    encoder = ChatEncoder(tokens)
    encoded = encoder.encode_row(ROWS["a call"])
    assert supervised(encoded, tokens) == CALLS[family]
    assert encoded.end_supervised and sum(encoded.ends) == 1
    assert encoded.tokens[encoded.ends.index(True)] in encoder.end_ids, "decoding stops there"
    assert encoder.writes_calls


@pytest.mark.parametrize("family", TOOL_FAMILIES, ids=lambda family: family.name)
def test_the_reference_of_a_call_is_what_a_perfect_model_would_decode_to(family: Family) -> None:
    tokens = tokenizer(family)
    encoder = ChatEncoder(tokens)
    row = ROWS["a call"]
    encoded = encoder.encode_row(row)
    decoded = tokens.decode([id for id, weight in zip(encoded.tokens, encoded.weights, strict=True) if weight])
    assert encoder.reference(row) == decoded
    assert "get_weather" in decoded and "<|" not in decoded
    written = encoder.with_written_answers([row, ROWS["no tools"]])
    assert written[0].reference == decoded and written[0].prompt == row.prompt and written[0].tools == row.tools
    assert written[1] == ROWS["no tools"]
    weightless = encoder.reference(record(*row.raw["messages"][:-1], {**row.raw["messages"][-1], "weight": 0}))
    assert weightless == decoded


@pytest.mark.parametrize("family", TOOL_FAMILIES, ids=lambda family: family.name)
def test_every_turn_of_a_row_is_supervised_and_what_tools_say_is_not(family: Family) -> None:
    tokens = tokenizer(family)
    encoded = ChatEncoder(tokens).encode_row(ROWS["two rounds"])
    end = family.end or family.eos
    second = CALLS[family].replace("Oslo", "Rome").replace("call00001", "call00002")
    lead = " " if family is PREFIX else ""  # its template writes one before answers, which the model has to write
    wanted = [CALLS[family], f"{lead}Wet.{end}", second, f"{lead}Dry.{end}"]
    assert supervised(encoded, tokens) == "".join(wanted)
    assert sum(encoded.ends) == 4


@pytest.mark.parametrize("family", TOOL_FAMILIES, ids=lambda family: family.name)
def test_weights_of_messages_hold_for_calls(family: Family) -> None:
    messages = json.loads(json.dumps(ROWS["two rounds"].raw["messages"]))
    for index, weight in ((1, 0), (3, 0.5), (5, 2)):
        messages[index]["weight"] = weight
    encoded = ChatEncoder(tokenizer(family)).encode_row(record(*messages))
    ends = [weight for weight, end in zip(encoded.weights, encoded.ends, strict=True) if end]
    assert ends == [0, 0.5, 2, 1]


SPELLINGS = sorted({spelling for family in TOOL_FAMILIES for spelling in family.control})
PIECES = sorted(
    {
        piece
        for spelling in SPELLINGS
        for piece in (spelling, spelling[:1], spelling[:-1], spelling[1:], spelling[-1:], spelling.strip("<>[]|/"))
    }
    | {"x", " ", '"', "\\", "\n", "{", "}", "im_", "\U000f0000"}
)
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join)


def controls(tokens: Tokenizer, ids: list[int]) -> list[int]:
    return [id for id in ids if id in tokens.control.ids]


@pytest.mark.parametrize("family", TOOL_FAMILIES, ids=lambda family: family.name)
@settings(max_examples=120, deadline=None)
@given(texts=st.lists(TEXTS, min_size=8, max_size=8))
def test_nothing_in_tools_and_calls_yields_a_control_token(family: Family, texts: list[str]) -> None:
    tokens = tokenizer(family)
    encoder = ChatEncoder(tokens)

    def row(
        key: str, value: str, name: str, said_by_tool: str, about: str, property: str, inner: str, last: str
    ) -> Record:
        tool = json.loads(json.dumps(WEATHER))
        tool["function"]["description"] = about
        tool["function"]["parameters"]["properties"][property] = {"type": "string", "description": about}
        return record(
            said("user", "x"),
            called(call(name=name, **{"city": value, key: {"list": [inner]}})),
            answer(said_by_tool),
            said("assistant", last + "x"),
            tools=[tool],
        )

    filled = [text if text.strip() else text + "x" for text in texts]
    encoded = encoder.encode_row(row(*filled))
    harmless = encoder.encode_row(row("k", "x", "x", "x", "x", "x", "x", "x"))
    assert controls(tokens, encoded.tokens) == controls(tokens, harmless.tokens)
    assert sum(encoded.ends) == sum(harmless.ends) == 2
    shown = tokens.decode(encoded.tokens, skip_special=False)
    if family is not IPYTHON:
        assert filled[3] in shown, "what the tool said is there as it was"


def test_templates_without_tool_calls_refuse_rows_that_make_them() -> None:
    for family in FAMILIES:
        encoder = ChatEncoder(tokenizer(family))
        assert not encoder.writes_calls
        with pytest.raises(InputError, match="rows.jsonl:1: .*does not write tool calls"):
            encoder.encode_row(ROWS["a call"])
    encoder = ChatEncoder(Tokenizer(json.loads(description(CHATML)), special_tokens={"eos_token": "<|im_end|>"}))
    with pytest.raises(InputError, match="rows.jsonl:1: .*no chat template"):
        encoder.encode_row(ROWS["a call"])


def test_a_template_that_writes_the_first_call_alone_is_found_out() -> None:
    template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content or '' }}"
        "{% if m.tool_calls %}{{ m.tool_calls[0].function | tojson }}{% endif %}<|im_end|>\n{% endfor %}"
    )
    row = record(said("user", "x"), called(call(), call(name="get_time")))
    with pytest.raises(InputError, match="leaves out the call of 'get_time' in message 2"):
        ChatEncoder(tokenizer(CHATML), template).encode_row(row)


def test_python_does_not_show_through_a_template() -> None:
    template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
        "{% for c in m.tool_calls or [] %}{{ c.function.name }}({{ c.function.arguments }}){% endfor %}<|im_end|>\n"
        "{% endfor %}"
    )
    tokens = tokenizer(CHATML)
    encoded = ChatEncoder(tokens, template).encode_row(ROWS["a call"])
    assert supervised(encoded, tokens) == 'get_weather({"city": "Oslo"})<|im_end|>', "neither None nor a dict"


def test_calls_show_on_a_page() -> None:
    tokens = tokenizer(TAGS)
    row = ROWS["a call and its answer"]
    shown = show_row_plain(row, ChatEncoder(tokens).encode_row(row), tokens)
    assert '[[<tool_call>\n{"name": "get_weather"' in shown
    assert '<tool_response>\n{"wet": true}\n</tool_response>' in shown


def test_tools_reach_smollm2_as_through_transformers(gguf_file: Path, gguf_metadata: dict[str, Any]) -> None:
    from transformers import AutoTokenizer

    transformers = AutoTokenizer.from_pretrained(gguf_file.parent, gguf_file=gguf_file.name)
    encoder = ChatEncoder(Tokenizer.from_gguf_metadata(gguf_metadata, split_digits=False))
    talk = record(said("user", "Oslo?"), said("assistant", "Let me see."), answer(ODD), said("assistant", "Wet."))
    for row in (ROWS["tools that are not called"], talk):
        wanted = transformers.apply_chat_template(row.raw["messages"], tools=row.raw["tools"], return_dict=False)
        assert encoder.encode_row(row).tokens == wanted
        assert supervised(encoder.encode_row(row), encoder.tokenizer).endswith("<|im_end|>")
    with pytest.raises(InputError, match="does not write tool calls"):
        encoder.encode_row(ROWS["a call"])


def test_a_template_of_its_own_for_tools_is_used_for_rows_with_tools(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    both = Tokenizer(
        json.loads(description(TAGS)),
        special_tokens={"eos_token": "<|im_end|>"},
        chat_template=CHATML.template,
        tool_template=TAGS.template,
    )
    both.save(tmp_path)
    transformers = AutoTokenizer.from_pretrained(tmp_path)
    for tokens in (both, Tokenizer.from_folder(tmp_path)):
        encoder = ChatEncoder(tokens)
        assert encoder.writes_calls
        for name in ("a call and its answer", "no tools"):
            row = ROWS[name]
            assert encoder.encode_row(row).tokens == expected(transformers, TAGS, row)
        with pytest.raises(InputError, match="does not write tool calls"):
            encoder.encode_row(record(*ROWS["a call"].raw["messages"], tools=()))
    (tmp_path / "chat_template.jinja").unlink()
    (tmp_path / "additional_chat_templates" / "tool_use.jinja").unlink()
    config = json.loads((tmp_path / "tokenizer_config.json").read_text("utf-8"))
    config["chat_template"] = [
        {"name": "default", "template": CHATML.template},
        {"name": "tool_use", "template": TAGS.template},
    ]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    assert Tokenizer.from_folder(tmp_path).tool_template == TAGS.template
