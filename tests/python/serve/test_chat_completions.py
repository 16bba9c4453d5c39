"""Chats through the official client: the answers of the model alone, whole and in pieces."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from serve_case import NAME, client_of, messages

QUESTION = "read the file at 3 and the mail"


def ask(client: Any, content: str = QUESTION, **settings: Any) -> Any:
    return client.chat.completions.create(model=NAME, messages=messages(content), **settings)


def streamed(client: Any, content: str = QUESTION, **settings: Any) -> tuple[str, list[Any]]:
    """The text of a streamed answer, and the events."""
    events = list(ask(client, content, stream=True, **settings))
    return "".join(event.choices[0].delta.content or "" for event in events if event.choices), events


def test_sixty_four_requests_at_once_get_the_answers_of_the_model_alone(client: Any, model: Any) -> None:
    questions = [f"read the file at {index} " * (1 + index % 4) for index in range(64)]
    wanted = model.generate(questions, max_new_tokens=24)
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda question: ask(client, question, max_tokens=24), questions))
    assert [answer.choices[0].message.content for answer in answers] == wanted
    assert len(set(wanted)) > 20


def test_an_answer_has_its_counts_and_its_reason(client: Any, model: Any) -> None:
    answer = ask(client, max_tokens=7)
    prompt = len(model.encoder.encode_prompt(record(QUESTION)))
    assert (answer.object, answer.model) == ("chat.completion", NAME)
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "length"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (
        prompt,
        7,
        prompt + 7,
    )
    assert ask(client).usage.completion_tokens <= 24, "where a request names no length, the server's holds"


def record(content: Any) -> Any:
    from luthier.models.conversations import to_record

    return to_record(content)


def test_a_conversation_goes_through_the_template(client: Any, model: Any) -> None:
    said = [{"role": "system", "content": "Answer with a word."}, *messages("one", "two", "three <|im_end|> four")]
    answer = client.chat.completions.create(model=NAME, messages=said, max_tokens=20)
    assert answer.choices[0].message.content == model.generate(said, max_new_tokens=20)
    assert answer.usage.prompt_tokens == len(model.encoder.encode_prompt(record({"messages": said})))


def test_contents_may_be_parts_of_text(client: Any) -> None:
    parts = [{"type": "text", "text": "read the file "}, {"type": "text", "text": "at 3 and the mail"}]
    answer = client.chat.completions.create(model=NAME, messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].message.content == ask(client).choices[0].message.content


def test_a_stream_is_the_same_answer(client: Any) -> None:
    for question in (QUESTION, "Ärger", "naïve 🙂 café", "the date of the mail"):
        whole = ask(client, question, max_tokens=40)
        text, events = streamed(client, question, max_tokens=40, stream_options={"include_usage": True})
        assert text == whole.choices[0].message.content
        assert events[-1].usage == whole.usage
        assert events[-1].choices == []
        reasons = [event.choices[0].finish_reason for event in events[:-1]]
        assert reasons[-1] == whole.choices[0].finish_reason
        assert set(reasons[:-1]) <= {None}
        assert len(events) > 4
        assert len({event.id for event in events}) == 1


def test_a_stop_string_ends_an_answer_before_it(client: Any) -> None:
    whole = ask(client, max_tokens=24).choices[0].message.content
    for start, end in ((3, 5), (2, 9), (0, 1), (8, 9)):
        stop = whole[start:end]
        answer = ask(client, max_tokens=24, stop=[stop, "never to be found"])
        assert answer.choices[0].message.content == whole[: whole.index(stop)]
        assert answer.choices[0].finish_reason == "stop"
        text, _ = streamed(client, max_tokens=24, stop=stop)
        assert text == answer.choices[0].message.content


def test_the_same_seed_gives_the_same_answer(client: Any, model: Any) -> None:
    settings: dict[str, Any] = {"temperature": 1.0, "max_tokens": 24}
    first = ask(client, seed=5, **settings).choices[0].message.content
    assert ask(client, seed=5, **settings).choices[0].message.content == first
    assert streamed(client, seed=5, **settings)[0] == first
    assert first == model.generate(QUESTION, max_new_tokens=24, temperature=1.0, seed=5)
    assert ask(client, seed=-6, **settings).choices[0].message.content != first
    greedy = ask(client, max_tokens=24).choices[0].message.content
    assert ask(client, seed=5, top_p=1e-9, **settings).choices[0].message.content == greedy


def test_log_probabilities_are_the_models_and_sum_to_at_most_one(client: Any, model: Any) -> None:
    answer = ask(client, max_tokens=10, logprobs=True, top_logprobs=20)
    content = answer.choices[0].logprobs.content
    assert len(content) == answer.usage.completion_tokens
    prompt = model.encoder.encode_prompt(record(QUESTION))
    from luthier import _core

    tokens = _core.generate(model.decoder, [prompt], 10, sorted(model.encoder.end_ids))[0]
    rows = model.logits([*prompt, *tokens]).log_softmax(-1)[len(prompt) - 1 :]
    for index, token in enumerate(tokens):
        assert content[index].logprob == pytest.approx(float(rows[index][token]), abs=1e-4)
        likely = content[index].top_logprobs
        assert len(likely) == 20
        assert likely[0].logprob == content[index].logprob
        assert 0.05 < sum(math.exp(one.logprob) for one in likely) <= 1 + 1e-6
    assert ask(client, max_tokens=3).choices[0].logprobs is None
    assert ask(client, max_tokens=3, logprobs=True).choices[0].logprobs.content[0].top_logprobs == []


def test_streamed_scores_are_those_of_the_whole_answer(client: Any) -> None:
    for stop in (None, ask(client).choices[0].message.content[4:6]):
        settings = {"max_tokens": 24, "logprobs": True, "top_logprobs": 2, "stop": stop}
        whole = ask(client, **settings).choices[0].logprobs.content
        _, events = streamed(client, **settings)
        pieces = [event.choices[0].logprobs for event in events if event.choices[0].logprobs is not None]
        assert [score for piece in pieces for score in piece.content] == whole
    assert len(whole) < 24


def test_scores_spell_the_answer(client: Any) -> None:
    answer = ask(client, "naïve 🙂 café", max_tokens=24, logprobs=True)
    content = answer.choices[0].logprobs.content
    known = [score for score in content if score.bytes is not None]
    assert all(bytes(score.bytes).decode() == score.token for score in known)
    assert known


def test_the_system_message_of_the_run_holds_where_a_chat_has_none(make_server: Any, model: Any) -> None:

    client = client_of(make_server(system="Answer with a word."))
    said = [{"role": "system", "content": "Answer with a word."}, *messages(QUESTION)]
    assert ask(client).choices[0].message.content == model.generate(said, max_new_tokens=24)
    own = [{"role": "system", "content": "You are someone else."}, *messages(QUESTION)]
    answer = client.chat.completions.create(model=NAME, messages=own)
    assert answer.choices[0].message.content == model.generate(own, max_new_tokens=24)


def test_values_that_change_nothing_are_taken(client: Any) -> None:
    answer = ask(
        client,
        n=1,
        presence_penalty=0,
        frequency_penalty=0.0,
        logit_bias={},
        user="someone",
        response_format={"type": "text"},
        tools=[],
        tool_choice="none",
        store=False,
        metadata={"a": "b"},
        max_completion_tokens=24,
    )
    assert answer.choices[0].message.content == ask(client).choices[0].message.content


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"n": 2}, "n"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": 2.5}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
        ({"stop": ""}, "stop"),
        ({"stop": ["a"] * 17}, "stop"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"seed": 2**64}, "seed"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"extra_body": {"temprature": 1}}, "temprature"),
        ({"extra_body": {"temperature": "1"}}, "temperature"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(client: Any, settings: dict[str, Any], field: str) -> None:
    from openai import BadRequestError

    with pytest.raises(BadRequestError) as caught:
        ask(client, **settings)
    assert caught.value.param == field
    assert field in caught.value.body["message"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([], "messages"),
        (messages("a", "b"), "the last one is the assistant's"),
        ([{"role": "user", "content": ""}], "is empty"),
        ([{"role": "robot", "content": "a"}], "robot"),
        ([{"role": "user"}], "no `content`"),
        ([{"role": "system", "content": "a"}], "no user message"),
        ([*messages("a"), *messages("b")], "take turns"),
        ([{"role": "user", "content": "a\0b"}], "NUL"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///x"}}]}], "only text"),
    ],
)
def test_messages_that_make_no_chat_are_refused(client: Any, said: list[Any], words: str) -> None:
    from openai import BadRequestError

    with pytest.raises(BadRequestError) as caught:
        client.chat.completions.create(model=NAME, messages=said)
    assert words in caught.value.body["message"]  # type: ignore[index]
    assert caught.value.param == "messages"


def test_other_models_are_not_there(client: Any) -> None:
    from openai import NotFoundError

    assert [one.id for one in client.models.list()] == [NAME]
    assert client.models.retrieve(NAME).owned_by == "luthier"
    with pytest.raises(NotFoundError) as caught:
        client.chat.completions.create(model="gpt", messages=messages("a"))
    assert caught.value.code == "model_not_found"
    with pytest.raises(NotFoundError):
        client.models.retrieve("other/" + NAME)


def test_a_prompt_without_room_is_refused(client: Any) -> None:
    from openai import BadRequestError

    with pytest.raises(BadRequestError) as caught:
        ask(client, max_tokens=30000)
    assert caught.value.code == "context_length_exceeded"
