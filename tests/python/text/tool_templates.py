"""Chat templates that write tools and tool calls, in the manners of well-known model families, and rows for them."""

from __future__ import annotations

from typing import Any

from chats import Family
from luthier.records import Record
from luthier.records.rows import record_from_object

TAGS = Family(
    "tags",  # tools in the system message, calls as JSON between tags, answers of tools in a user turn
    "{%- if tools %}<|im_start|>system\n"
    "{% if messages[0].role == 'system' %}{{ messages[0].content + '\n\n' }}{% endif %}"
    "You may call these tools:\n<tools>{% for tool in tools %}\n{{ tool | tojson }}{% endfor %}\n</tools><|im_end|>\n"
    "{% elif messages[0].role == 'system' %}<|im_start|>system\n{{ messages[0].content }}<|im_end|>\n{% endif %}"
    "{% for m in messages %}"
    "{% if m.role == 'user' or (m.role == 'assistant' and not m.tool_calls) %}"
    "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
    "{% elif m.role == 'assistant' %}<|im_start|>assistant{% if m.content %}\n{{ m.content }}{% endif %}"
    "{% for tool_call in m.tool_calls %}{% if tool_call.function is defined %}{% set tool_call = tool_call.function %}"
    '{% endif %}\n<tool_call>\n{"name": "{{ tool_call.name }}", "arguments": {{ tool_call.arguments | tojson }}}\n'
    "</tool_call>{% endfor %}<|im_end|>\n"
    "{% elif m.role == 'tool' %}"
    "{% if loop.index0 == 0 or messages[loop.index0 - 1].role != 'tool' %}<|im_start|>user{% endif %}"
    "\n<tool_response>\n{{ m.content }}\n</tool_response>"
    "{% if loop.last or messages[loop.index0 + 1].role != 'tool' %}<|im_end|>\n{% endif %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    ("<|im_start|>", "<|im_end|>"),
    eos="<|im_end|>",
    plain=("<tool_call>", "</tool_call>"),
)
TAG_TOKENS = Family(
    "tag tokens",  # the same with tags that are control tokens
    TAGS.template,
    ("<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"),
    eos="<|im_end|>",
)
IPYTHON = Family(
    "ipython",  # one call a message, ended by another token; what tools say is written as JSON
    "{{ bos_token }}{% if messages[0].role == 'system' %}{% set lead = messages[0].content | trim %}"
    "{% set messages = messages[1:] %}{% else %}{% set lead = '' %}{% endif %}"
    "<|start_header_id|>system<|end_header_id|>\n\n{% if tools is not none %}Environment: ipython\n{% endif %}"
    "{{ lead }}<|eot_id|>"
    "{% if tools is not none %}{% set first = messages[0].content | trim %}{% set messages = messages[1:] %}"
    "<|start_header_id|>user<|end_header_id|>\n\nCall one of these:\n\n"
    "{% for t in tools %}{{ t | tojson(indent=4) }}\n\n{% endfor %}{{ first }}<|eot_id|>{% endif %}"
    "{% for m in messages %}"
    "{% if not (m.role == 'ipython' or m.role == 'tool' or 'tool_calls' in m) %}"
    "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>"
    "{% elif 'tool_calls' in m %}"
    "{% if m.tool_calls | length != 1 %}{{ raise_exception('one call at once!') }}{% endif %}"
    "{% set call = m.tool_calls[0].function %}<|start_header_id|>assistant<|end_header_id|>\n\n"
    '{{ \'{"name": "\' + call.name + \'", "parameters": \' }}{{ call.arguments | tojson }}{{ "}" }}<|eom_id|>'
    "{% else %}<|start_header_id|>ipython<|end_header_id|>\n\n"
    "{% if m.content is mapping or m.content is iterable %}{{ m.content | tojson }}{% else %}{{ m.content }}{% endif %}"
    "<|eot_id|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}",
    ("<|begin|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>", "<|end|>"),
    eos="<|end|>",
    bos="<|begin|>",
    end="<|eot_id|>",
)
PREFIX = Family(
    "prefix",  # no header; a token before the calls; tools stand before the last question; roles are counted
    "{{ bos_token }}{% if messages[0].role == 'system' %}{% set rules = messages[0].content %}"
    "{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}"
    "{% set asked = rest | selectattr('role', 'equalto', 'user') | list %}"
    "{% set ns = namespace(index=0) %}{% for m in rest %}"
    "{% if m.role == 'user' or (m.role == 'assistant' and not m.tool_calls) %}"
    "{% if (m.role == 'user') != (ns.index % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% set ns.index = ns.index + 1 %}{% endif %}{% endfor %}"
    "{% for m in rest %}{% if m.role == 'user' %}{% if tools and m == asked[-1] %}[AVAILABLE_TOOLS] ["
    "{% for tool in tools %}{{ tool | tojson }}{{ ', ' if not loop.last else '' }}{% endfor %}]"
    "[/AVAILABLE_TOOLS]{% endif %}"
    "[INST] {{ rules + '\n\n' if loop.last and rules is defined else '' }}{{ m.content }}[/INST]"
    "{% elif m.tool_calls %}[TOOL_CALLS] [{% for call in m.tool_calls %}{% set out = call.function | tojson %}"
    "{% if call.id is not defined or call.id | length != 9 %}{{ raise_exception('nine letters!') }}{% endif %}"
    "{{ out[:-1] }}"
    '{{ \', "id": "\' + call.id + \'"}\' }}{{ ", " if not loop.last else "]" + eos_token }}{% endfor %}'
    "{% elif m.role == 'assistant' %} {{ m.content | trim }}{{ eos_token }}"
    '{% elif m.role == \'tool\' %}[TOOL_RESULTS] {"content": {{ m.content }}, "call_id": "{{ m.tool_call_id }}"}'
    "[/TOOL_RESULTS]{% endif %}{% endfor %}",
    (
        *("<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"),
        *("[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"),
    ),
    eos="</s>",
    bos="<s>",
)
PARAMETERS = Family(
    "parameters",  # looks into the schemas and writes every argument on its own
    "{% for t in tools or [] %}{% set f = t.function %}<|im_start|>tool\n{{ f.name }}:"
    "{% for key, p in f.parameters.properties | items %} {{ key }}"
    "{% if p.type == 'string' %} (text){% elif p.type == 'array' %} (list){% else %} ({{ p.type }}){% endif %}"
    "{% endfor %}"
    "<|im_end|>\n{% endfor %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content if m.content is string else '' }}"
    "{% for call in m.tool_calls or [] %}<function={{ call.function.name }}>\n"
    "{% for key, value in call.function.arguments | items %}<parameter={{ key }}>\n"
    "{{ value if value is string else value | tojson }}\n</parameter>\n{% endfor %}</function>{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    ("<|im_start|>", "<|im_end|>"),
    eos="<|im_end|>",
)
TEXT_ARGUMENTS = Family(
    "text arguments",  # wants arguments as JSON text, and no null
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content + '' }}{% for call in m.tool_calls or [] %}"
    "<|call|>{{ call['function']['name'] + '\n' + call['function']['arguments'] }}<|end_call|>{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    ("<|im_start|>", "<|im_end|>", "<|call|>", "<|end_call|>"),
    eos="<|im_end|>",
)
MARKED_CALLS = Family(
    "marked calls",
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% generation %}"
    "{{ m.content or '' }}"
    "{% for call in m.tool_calls or [] %}{{ call.function | tojson }}{% endfor %}<|im_end|>{% endgeneration %}"
    "{% else %}{{ m.content }}<|im_end|>{% endif %}\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    ("<|im_start|>", "<|im_end|>"),
    eos="<|im_end|>",
)
TOOL_FAMILIES = (TAGS, TAG_TOKENS, IPYTHON, PREFIX, PARAMETERS, TEXT_ARGUMENTS, MARKED_CALLS)

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": 'The weather of a city, "as is".',
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Its name"},
                "days": {"type": "array", "items": {"type": "integer"}},
            },
            "required": ["city"],
        },
    },
}


def call(name: str = "get_weather", id: str = "call00001", **arguments: Any) -> dict[str, Any]:
    """A call as a row writes it."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def called(*calls: dict[str, Any], content: str | None = None) -> dict[str, Any]:
    """An assistant message that calls tools."""
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


def said(role: str, content: str, **more: Any) -> dict[str, Any]:
    """Any other message."""
    return {"role": role, "content": content, **more}


def answer(content: str, id: str = "call00001") -> dict[str, Any]:
    """What a tool says."""
    return said("tool", content, name="get_weather", tool_call_id=id)


def record(*messages: dict[str, Any], tools: Any = (WEATHER,)) -> Record:
    """The row as it is read."""
    row = {"messages": list(messages), "tools": list(tools)}
    return record_from_object(row, file="rows.jsonl", line=1, purpose="prompt")
