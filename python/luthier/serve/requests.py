"""The bodies of requests. A field that is not known, or has a value that is not supported, is refused by name: an
answer that silently leaves out what was asked for would be worse."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from luthier.generation import Sampling
from luthier.serve.answer_format import schema_of
from luthier.serve.errors import RequestError

__all__ = ["ChatRequest", "CompletionRequest", "parse", "sampling"]

_MOST_STOPS = 16
_FORM = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Stop = Annotated[str, Field(min_length=1, max_length=1000)]
Length = Annotated[int, Field(ge=1, le=2**31)]


class StreamOptions(BaseModel):
    """How an answer is streamed."""

    model_config = _FORM

    include_usage: bool | None = None
    include_obfuscation: bool | None = None  # nothing is added to pieces in any case


class AnswerFields(BaseModel):
    """The fields that chats and completions have in common."""

    model_config = _FORM

    model: str
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: Length | None = None
    seed: int | None = Field(None, ge=-(2**63), le=2**63 - 1)
    stop: Stop | Annotated[list[Stop], Field(max_length=_MOST_STOPS)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    # Supported with the value that changes nothing.
    n: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    # Read, and without a meaning here.
    user: str | None = None

    @property
    def usage_wanted(self) -> bool:
        """Whether a stream ends with the counts of tokens."""
        return bool(self.stream_options and self.stream_options.include_usage)


class ChatRequest(AnswerFields):
    """The body of a request to /v1/chat/completions."""

    messages: list[dict[str, Any]] = Field(min_length=1)
    max_completion_tokens: Length | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    store: bool | None = None
    # Read, and without a meaning here.
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None

    def check(self) -> None:
        """Raises RequestError for values that are not supported."""
        _check_common(self)
        if self.top_logprobs is not None and not self.logprobs:
            raise RequestError(400, "top_logprobs: goes with logprobs only", "top_logprobs")
        if self.max_tokens is not None and self.max_completion_tokens not in (None, self.max_tokens):
            raise RequestError(400, "max_completion_tokens: differs from max_tokens; give one of them", "max_tokens")
        if self.tool_choice not in (None, "auto", "none"):
            raise _unsupported("tool_choice", "an answer cannot be made to call a tool; give auto or none")
        if self.store:
            raise _unsupported("store", "answers are not kept; leave it out")
        schema_of(self.response_format)

    @property
    def length(self) -> int | None:
        """The most tokens of the answer, where the request says so."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def scores(self) -> int | None:
        """How many most probable tokens are told with the score of each token; None for no scores."""
        return (self.top_logprobs or 0) if self.logprobs else None


class CompletionRequest(AnswerFields):
    """The body of a request to /v1/completions."""

    prompt: str | list[str] | list[int]
    logprobs: int | None = Field(None, ge=0, le=5)
    best_of: int | None = None
    echo: bool | None = None
    suffix: str | None = None

    def check(self) -> None:
        """Raises RequestError for values that are not supported."""
        _check_common(self)
        if self.best_of not in (None, 1):
            raise _unsupported("best_of", "one answer is computed for a request")
        if self.echo:
            raise _unsupported("echo", "the prompt is not repeated; leave it out")
        if self.suffix:
            raise _unsupported("suffix", "text is not filled in; leave it out")
        if isinstance(self.prompt, list) and len(self.prompt) > 1 and isinstance(self.prompt[0], str):
            raise _unsupported("prompt", "one prompt is answered in a request; send a request for each")

    @property
    def text(self) -> str | list[int]:
        """The prompt as text or as token ids."""
        if isinstance(self.prompt, str):
            return self.prompt
        ids: list[int] = []
        for item in self.prompt:
            if isinstance(item, str):
                return item
            ids.append(item)
        return ids

    @property
    def length(self) -> int | None:
        """The most tokens of the answer, where the request says so."""
        return self.max_tokens

    @property
    def scores(self) -> int | None:
        """How many most probable tokens are told with the score of each token; None for no scores."""
        return self.logprobs


Request = TypeVar("Request", ChatRequest, CompletionRequest)


def parse(kind: type[Request], body: bytes) -> Request:
    """The request in a body. Raises RequestError that names the first field that is wrong."""
    try:
        request = kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        message = str(first["msg"])
        if first["type"] == "json_invalid":
            raise RequestError(400, f"the body is not JSON: {message}") from None
        if first["type"] == "extra_forbidden":
            message = "this field is not known"
        elif first["type"] == "missing":
            message = "this field is missing"
        # Behind the field's name the place has its items, and the kinds of value that were tried.
        field, *rest = first["loc"] or ("the body",)
        place = str(field) + "".join(f"[{part}]" for part in rest if isinstance(part, int))
        raise RequestError(400, f"{place}: {message}", str(field) if first["loc"] else None) from None
    request.check()
    return request


def sampling(request: ChatRequest | CompletionRequest, max_new_tokens: int) -> Sampling:
    """How a request is to be answered; greedily where it names no temperature."""
    stop = request.stop
    return Sampling(
        max_new_tokens=max_new_tokens,
        temperature=request.temperature or 0.0,
        top_p=1.0 if request.top_p is None else request.top_p,
        seed=(request.seed or 0) % 2**64,
        stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
        logprobs=request.scores,
    )


def _check_common(request: AnswerFields) -> None:
    if request.n not in (None, 1):
        raise _unsupported("n", "one answer is given to a request; send the request several times")
    for name in ("presence_penalty", "frequency_penalty"):
        if getattr(request, name):
            raise _unsupported(name, "penalties are not supported; leave it out or give 0")
    if request.logit_bias:
        raise _unsupported("logit_bias", "biases are not supported; leave it out")
    if request.stream_options is not None and not request.stream:
        raise RequestError(400, "stream_options: goes with stream only", "stream_options")


def _unsupported(field: str, message: str) -> RequestError:
    return RequestError(400, f"{field}: {message}", field, "unsupported_value")
