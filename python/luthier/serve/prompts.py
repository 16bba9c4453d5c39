"""From a request to the token ids of its prompt. Roles and contents go through the model's own template, in which no
content can forge a control token."""

from __future__ import annotations

from typing import Any

from luthier.errors import InputError
from luthier.models.model import Model
from luthier.records import Record
from luthier.records.rows import BadRowError, record_from_object
from luthier.serve.errors import RequestError
from luthier.serve.requests import ChatRequest, CompletionRequest

__all__ = ["chat_prompt", "completion_prompt"]


def chat_prompt(model: Model, request: ChatRequest, system: str | None) -> list[int]:
    """The ids of a chat up to the header of the answer; `system` goes first where the chat has no system message.

    Raises RequestError for messages that make no chat, and where the template refuses them.
    """
    row: dict[str, Any] = {"messages": request.messages}
    if request.tools and request.tool_choice != "none":
        if not model.encoder.writes_calls:
            raise RequestError(400, "tools: the model's chat template knows no tools", "tools", "unsupported_value")
        row["tools"] = request.tools
    try:
        record: Record = record_from_object(
            row, file="messages", line=0, purpose="prompt", system=system, fields="chat"
        )
    except BadRowError as error:
        raise RequestError(400, str(error), "messages") from None
    if record.reference is not None:
        raise RequestError(400, "messages: the last one is the assistant's, so nothing is asked", "messages")
    try:
        return model.encoder.encode_prompt(record)
    except InputError as error:
        raise RequestError(400, str(error).removeprefix(f"{record.where}: "), "messages") from None


def completion_prompt(model: Model, request: CompletionRequest) -> list[int]:
    """The ids of a text, without a template, or the ids themselves. Raises RequestError for ids that are none."""
    text = request.text
    if isinstance(text, list):
        count = int(model.decoder.config["vocabulary_size"])
        wrong = next((token for token in text if not 0 <= token < count), None)
        if wrong is not None:
            raise RequestError(400, f"prompt: there is no token {wrong}; there are {count:,}", "prompt")
        ids = text
    else:
        if "\0" in text:
            raise RequestError(400, "prompt: holds a NUL character", "prompt")
        tokenizer = model.tokenizer
        start = [tokenizer.bos_id] if tokenizer.adds_bos and tokenizer.bos_id is not None else []
        ids = start + tokenizer.encode_text(text)
    if not ids:
        raise RequestError(400, "prompt: is empty", "prompt")
    return ids
