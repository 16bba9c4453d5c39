"""What a template does with chats made up here: its generation prompt, end of turn, and form of tool calls."""

from __future__ import annotations

from typing import Any

from luthier.text.control import ControlTokens
from luthier.text.given import CallStyle
from luthier.text.template import ChatTemplate, TemplateError

__all__ = ["calls_in_probe", "end_in_probe", "generation_header", "lead_in_probe"]

_TOOL = "probe_tool"
_CALLED = "probe_call"
_KEY = "probe_key"
_VALUE = "\ue001"
_ID = "probe0001"  # some templates want nine letters and digits


def generation_header(template: ChatTemplate) -> str:
    """What the template adds when the model is to answer, for example the assistant's header."""
    probe = [{"role": "user", "content": "question"}]
    try:
        without = template.render(probe).text
        with_prompt = template.render(probe, add_generation_prompt=True).text
    except TemplateError:
        return ""
    return with_prompt[len(without) :] if with_prompt.startswith(without) else ""


def lead_in_probe(template: ChatTemplate) -> str:
    """The whitespace that the template writes between the generation prompt and the answer, as Llama 2's does.

    The model has to write it, so it belongs to the assistant's turn.
    """
    probe = [{"role": "user", "content": "question"}, {"role": "assistant", "content": "\ue001"}]
    try:
        prompt = template.render(probe[:1], add_generation_prompt=True).text
        chat = template.render(probe).text
    except TemplateError:
        return ""
    lead = chat[len(prompt) : chat.rfind("\ue001")] if chat.startswith(prompt) else ""
    return "" if lead.strip() else lead


def end_in_probe(template: ChatTemplate, control: ControlTokens) -> int | None:
    """The control token that the template writes directly after the last assistant message."""
    probe = [{"role": "user", "content": "\ue000"}, {"role": "assistant", "content": "\ue001"}]
    try:
        text = template.render(probe).text
    except TemplateError:
        return None
    matches = control.find(text)
    return next(
        (
            match.token.id
            for match in matches
            if "\ue001" in text
            and match.end > text.rindex("\ue001") + 1
            and not text[text.rindex("\ue001") + 1 : match.start].strip()
        ),
        None,
    )


def calls_in_probe(
    template: ChatTemplate, control: ControlTokens, end_ids: frozenset[int]
) -> tuple[CallStyle | None, frozenset[int]]:
    """How the template wants tool calls, None where it writes none, and the token that ends them if it is not among
    `end_ids`.

    Tried in this order: no content as null, as Transformers' users write it, then as empty text; arguments as an
    object, then as JSON text. A rendering counts where the call is in it and no Python shows through.
    """
    for arguments_as_text in (False, True):
        for no_content in (None, ""):
            style = CallStyle(no_content, arguments_as_text)
            text = _calls(template, style)
            if text is None:
                continue
            after = text[text.rindex(_VALUE) + 1 :]
            found = [match.token.id for match in control.find(after)]
            ends = frozenset() if not found or not end_ids.isdisjoint(found) else frozenset(found[-1:])
            return style, ends
    return None, frozenset()


def _calls(template: ChatTemplate, style: CallStyle) -> str | None:
    """The probe with a tool call; None where the template refuses it, leaves it out, or writes it as Python would."""
    arguments: Any = f'{{"{_KEY}": "{_VALUE}"}}' if style.arguments_as_text else {_KEY: _VALUE}
    call = {"id": _ID, "type": "function", "function": {"name": _CALLED, "arguments": arguments}}
    schema = {"type": "object", "properties": {_KEY: {"type": "string", "description": "x"}}, "required": [_KEY]}
    tool = {"type": "function", "function": {"name": _TOOL, "description": "x", "parameters": schema}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "\ue000"},
        {"role": "assistant", "content": style.no_content, "tool_calls": [call]},
    ]
    try:
        text = template.render(messages, tools=[tool]).text
    except TemplateError:
        return None
    if _CALLED not in text or _KEY not in text or _VALUE not in text:
        return None
    if f"'{_KEY}'" in text or (style.no_content is None and "None" in text):
        return None
    # Text that is written as JSON once more comes out with its quotes escaped.
    return None if f'\\"{_KEY}' in text else text
