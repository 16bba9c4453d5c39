"""Answers that must be JSON, through the official client: alone and among free ones, whole and in pieces."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import jsonschema_rs
import pytest
from pydantic import BaseModel
from serve_case import NAME, client_of, messages, wait_until

pytest.importorskip("llguidance")

QUESTION = "read the file at 3 and the mail"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "size": {"type": "integer", "minimum": 0, "maximum": 99},
        "kind": {"enum": ["file", "mail", None]},
        "names": {"type": "array", "items": {"type": "string", "maxLength": 3}, "maxItems": 2},
    },
    "required": ["size", "kind"],
}


def named(schema: Any, **more: Any) -> dict[str, Any]:
    """A response_format with the schema."""
    return {"type": "json_schema", "json_schema": {"name": "order", "schema": schema, "strict": True} | more}


def ask(client: Any, content: str = QUESTION, **settings: Any) -> Any:
    return client.chat.completions.create(model=NAME, messages=messages(content), **settings)


def text_of(answer: Any) -> str:
    return str(answer.choices[0].message.content)


def test_answers_keep_their_schema_and_are_those_of_the_model_alone(client: Any, model: Any) -> None:
    from luthier.evaluation.constrain import for_writing
    from luthier.generation import Schema

    questions = [f"read the file at {index}" for index in range(6)]
    wanted = model.generate(questions, max_new_tokens=200, constraint=Schema(for_writing(SCHEMA, ())))
    for question, text in zip(questions, wanted, strict=True):
        answer = ask(client, question, response_format=named(SCHEMA), max_tokens=200)
        assert text_of(answer) == text
        assert answer.choices[0].finish_reason == "stop"
        jsonschema_rs.validate(SCHEMA, json.loads(text))
        assert set(json.loads(text)) <= set(SCHEMA["properties"]), "keys that it does not name are left out"


def test_sixty_four_requests_at_once_some_constrained_and_some_free(client: Any, model: Any) -> None:
    schemas = [None, SCHEMA, {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 2}, None]
    questions = [f"read the file at {index}" for index in range(64)]
    free = model.generate(questions, max_new_tokens=24)

    def answer(index: int) -> str:
        schema = schemas[index % len(schemas)]
        settings = {"max_tokens": 24} if schema is None else {"max_tokens": 200, "response_format": named(schema)}
        return text_of(ask(client, questions[index], **settings))

    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(answer, range(64)))
    for index, text in enumerate(answers):
        schema = schemas[index % len(schemas)]
        if schema is None:
            assert text == free[index]
        else:
            jsonschema_rs.validate(schema, json.loads(text))


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_a_stream_keeps_its_schema_too(client: Any, temperature: float) -> None:
    settings = {"response_format": named(SCHEMA), "temperature": temperature, "seed": 4, "max_tokens": 200}
    events = list(ask(client, stream=True, **settings))
    text = "".join(event.choices[0].delta.content or "" for event in events)
    assert text == text_of(ask(client, **settings))
    jsonschema_rs.validate(SCHEMA, json.loads(text))
    assert events[-1].choices[0].finish_reason == "stop"
    assert len(events) > 4


def test_a_class_of_pydantic_is_parsed_by_the_client(client: Any) -> None:
    class Item(BaseModel):
        count: Literal[1, 2, 3]
        name: str | None

    class Order(BaseModel):
        urgent: bool
        items: list[Item]

    for seed in range(3):
        found = client.chat.completions.parse(
            model=NAME, messages=messages(QUESTION), response_format=Order, max_tokens=2000, temperature=1.0, seed=seed
        )
        if found.choices[0].finish_reason == "stop":
            assert isinstance(found.choices[0].message.parsed, Order)
            break
    else:
        pytest.fail("no answer came to its end")


def test_json_object_gives_an_object(client: Any) -> None:
    for seed in range(3):
        answer = ask(client, response_format={"type": "json_object"}, max_tokens=400, temperature=1.0, seed=seed)
        text = text_of(answer)
        assert text.lstrip().startswith("{")
        if answer.choices[0].finish_reason == "stop":
            assert isinstance(json.loads(text), dict)


def test_an_answer_without_room_for_its_end_says_so(client: Any) -> None:
    answer = ask(client, response_format=named(SCHEMA), max_tokens=3)
    assert answer.choices[0].finish_reason == "length"


def test_scores_are_told_of_constrained_answers(client: Any) -> None:
    answer = ask(client, response_format=named(SCHEMA), max_tokens=200, logprobs=True, top_logprobs=2)
    content = answer.choices[0].logprobs.content
    assert "".join(score.token for score in content) == text_of(answer)
    assert len(content[0].top_logprobs) == 2


def chain(links: int) -> dict[str, Any]:
    """A schema of references that each lead to the next."""
    defined: dict[str, Any] = {f"d{index}": {"$ref": f"#/$defs/d{index + 1}"} for index in range(links)}
    return {"$ref": "#/$defs/d0", "$defs": defined | {f"d{links}": {"const": 7}}}


def test_a_long_chain_of_references_is_followed(client: Any) -> None:
    assert text_of(ask(client, response_format=named(chain(2500)))) == "7"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "type is None"),
        ({"type": ["text"]}, "must be one of"),
        ({"type": "json_object", "schema": {}}, "schema is not known"),
        ({"type": "json_schema"}, "json_schema is missing"),
        ({"type": "json_schema", "json_schema": {"schema": {}}}, "name is missing"),
        (named([]), "schema is missing"),
        (named({}, grammar="x"), "grammar is not known"),
        (named({"type": "banana"}), "banana"),
        (named({"not": {"type": "string"}}), "not"),
        (named({"type": "object", "properties": {"a": False}, "required": ["a"]}), "unsatisfiable"),
        (named({"$ref": "file:///etc/hostname"}), "not present"),
        (named({"$ref": "#/nowhere"}), "nowhere"),
        (named({"$ref": "#"}), "could not be followed"),
        (named({"type": "string", "pattern": "("}), "regex"),
        (named({"enum": ["a" * 200_000]}), "characters; 100,000 at most"),
        (named({"allOf": [{"anyOf": [{"properties": {f"{a}{b}": {}}} for a in "abcdef"]} for b in range(7)]}), "large"),
    ],
)
def test_what_cannot_be_followed_is_refused_and_disturbs_nobody(client: Any, given: Any, words: str) -> None:
    from openai import BadRequestError

    for stream in (False, True):
        with pytest.raises(BadRequestError) as caught:
            ask(client, response_format=given, stream=stream)
        assert words in caught.value.body["message"]  # type: ignore[index]
        assert caught.value.param == "response_format"
    assert ask(client, max_tokens=3).choices


def test_a_schema_that_grows_too_complex_ends_its_answer_alone(client: Any) -> None:
    from openai import APIError, BadRequestError

    links = {f"d{index}": {"anyOf": [{"$ref": f"#/$defs/d{index + 1}"}, {"type": "string"}]} for index in range(1200)}
    both = {"a": {"const": 1}, "b": {"$ref": "#/$defs/d0"}}
    many = {"type": "object", "properties": both, "required": ["a", "b"], "$defs": links | {"d1200": {"const": 2}}}
    with pytest.raises(BadRequestError) as caught:
        ask(client, response_format=named(many), max_tokens=400)
    assert "could not be followed to the end" in caught.value.body["message"]  # type: ignore[index]
    assert caught.value.param == "response_format"
    with pytest.raises(APIError, match="could not be followed to the end"):
        list(ask(client, response_format=named(many), max_tokens=400, stream=True))
    assert text_of(ask(client, response_format=named({"const": 5}))) == "5"


def test_a_schema_is_compiled_once(make_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from luthier.serve import schemas

    compiled = []
    start_of = schemas.start_of
    monkeypatch.setattr(schemas, "start_of", lambda *given: compiled.append(1) or start_of(*given))
    client = client_of(make_server())
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: text_of(ask(client, response_format=named({"const": "mail"}))), range(8)))
    assert answers == ['"mail"'] * 8
    assert len(compiled) == 1


def test_a_schema_that_takes_too_long_is_refused(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from threading import Event

    from luthier.serve import schemas
    from luthier.serve.errors import RequestError

    release = Event()
    start_of = schemas.start_of
    monkeypatch.setattr(schemas, "start_of", lambda *given: (release.wait(60), start_of(*given))[1])
    known = schemas.AnswerSchemas(model, seconds=0.05)

    async def ask_twice() -> None:
        with pytest.raises(RequestError, match=r"not compiled within 0\.05 seconds"):
            await known.mask({"const": 5})
        release.set()
        while not next(iter(known._starts.values())).done():
            await asyncio.sleep(0.01)
        assert await known.mask({"const": 5}), "it went on, and the next one has it"

    asyncio.run(ask_twice())


def test_without_the_package_a_schema_is_refused_and_the_rest_works(
    folder: Any, make_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from openai import BadRequestError

    monkeypatch.setitem(sys.modules, "llguidance", None)
    client = client_of(make_server())
    with pytest.raises(BadRequestError, match=r"pip install 'luthier\[constrain\]'"):
        ask(client, response_format={"type": "json_object"})
    assert ask(client, response_format={"type": "text"}, max_tokens=3).choices


def test_a_client_that_goes_away_stops_its_constrained_answer(make_server: Any) -> None:
    server = make_server()
    long = {"type": "array", "items": {"type": "integer"}, "minItems": 8000}
    stream = ask(client_of(server), response_format=named(long), stream=True, max_tokens=25000)
    next(iter(stream))
    stream.close()
    wait_until(lambda: server.open_answers == 0)
