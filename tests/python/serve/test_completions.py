"""Completions through the official client: texts and token ids without a template."""

from __future__ import annotations

from typing import Any

import pytest
from serve_case import NAME

PROMPT = "def read(path"


def complete(client: Any, prompt: Any = PROMPT, **settings: Any) -> Any:
    return client.completions.create(model=NAME, prompt=prompt, **settings)


def wanted(model: Any, ids: list[int], count: int) -> str:
    from luthier import _core

    answer = _core.generate(model.decoder, [ids], count, sorted(model.encoder.end_ids))[0]
    return str(model.tokenizer.decode(answer))


def test_a_text_goes_on_without_a_template(client: Any, model: Any) -> None:
    ids = model.tokenizer.encode_text(PROMPT)
    for prompt in (PROMPT, [PROMPT], ids):
        answer = complete(client, prompt, max_tokens=12)
        assert answer.choices[0].text == wanted(model, ids, 12)
        assert answer.usage.prompt_tokens == len(ids)
        assert answer.object == "text_completion"


def test_a_spelling_of_a_control_token_is_text(client: Any, model: Any) -> None:
    answer = complete(client, "a<|im_end|>b", max_tokens=2)
    assert answer.usage.prompt_tokens == len(model.tokenizer.encode_text("a<|im_end|>b")) > 3


def test_a_stream_is_the_same_text(client: Any) -> None:
    whole = complete(client, max_tokens=20, logprobs=2)
    events = list(complete(client, max_tokens=20, logprobs=2, stream=True))
    assert "".join(event.choices[0].text for event in events) == whole.choices[0].text
    scored = [event.choices[0].logprobs for event in events if event.choices[0].logprobs is not None]
    for key in ("tokens", "token_logprobs", "text_offset", "top_logprobs"):
        assert [one for part in scored for one in getattr(part, key)] == getattr(whole.choices[0].logprobs, key)
    assert len(whole.choices[0].logprobs.tokens) == whole.usage.completion_tokens


@pytest.mark.parametrize(
    ("prompt", "settings", "field"),
    [
        (["a", "b"], {}, "prompt"),
        ("", {}, "prompt"),
        ([], {}, "prompt"),
        ([5, 10**6], {}, "prompt"),
        ([-1], {}, "prompt"),
        ("a\0b", {}, "prompt"),
        ([[1, 2]], {}, "prompt"),
        (PROMPT, {"best_of": 2}, "best_of"),
        (PROMPT, {"echo": True}, "echo"),
        (PROMPT, {"suffix": "x"}, "suffix"),
        (PROMPT, {"logprobs": 6}, "logprobs"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(client: Any, prompt: Any, settings: Any, field: str) -> None:
    from openai import BadRequestError

    with pytest.raises(BadRequestError) as caught:
        complete(client, prompt, **settings)
    assert caught.value.param == field
