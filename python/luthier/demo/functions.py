"""Rows of the main demo: from a function's signature line and docstring to one JSON object of a fixed schema.

    {"name":"walk","summary":"Directory tree generator.","parameters":[{"name":"top","default":null},...],"required":1}

Each row names its top-level module, by which `luthier split --group module` keeps whole modules on one side: the
held-out rows come from modules never trained on.
"""

from __future__ import annotations

import ast
import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from luthier.demo.library import FunctionNode, Module, docstring, functions, walk_modules

MAX_PARAMETERS = 6
MAX_DOCUMENTATION = 200  # characters of the docstring in the prompt
MAX_SUMMARY = 120  # characters; a longer first line is prose, not a summary
MAX_DEFAULT = 40  # characters of the source of a default
MOST_PER_MODULE = 20  # rows of one top-level module, so that no large one is the whole of a test file
SEED = 0

SYSTEM = (
    "You turn a Python function into one line of JSON. "
    "Answer with the JSON object only, without spaces after commas and colons:\n"
    '{"name":string,"summary":string,"parameters":[{"name":string,"default":string or null}],"required":integer}\n'
    '"name" is the name of the function and "summary" the first line of its documentation, unchanged. '
    '"parameters" are in order; "default" is the source of the default value, or null if there is none; '
    "*args and **kwargs keep their stars. "
    '"required" counts the parameters with neither default nor star.\n'
    "For example, from\n"
    "def scale(values, factor=2.0, *, unit='mm'):\n"
    "Multiply each value.\n"
    "comes\n"
    '{"name":"scale","summary":"Multiply each value.","parameters":[{"name":"values","default":null},'
    '{"name":"factor","default":"2.0"},{"name":"unit","default":"\'mm\'"}],"required":1}'
)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "summary": {"type": "string"},
        "parameters": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "default": {"type": ["string", "null"]}},
                "required": ["name", "default"],
                "additionalProperties": False,
            },
        },
        "required": {"type": "integer", "minimum": 0},
    },
    "required": ["name", "summary", "parameters", "required"],
    "additionalProperties": False,
}
"""The JSON Schema of every answer."""


@dataclass(frozen=True)
class Parameter:
    """A parameter as it is written: `name` with its stars, the source of its default or None."""

    name: str
    default: str | None

    @property
    def required(self) -> bool:
        """Whether a call must give it."""
        return self.default is None and not self.name.startswith("*")


def function_rows(
    modules: Iterable[Module] | None = None, most_per_module: int | None = MOST_PER_MODULE
) -> list[dict[str, Any]]:
    """The rows in the order of the library, each with its top-level module: {"module": "os", "messages": [...]}.

    A function counts when it has 1 to 6 parameters (self and cls apart) and a docstring that opens with a summary line.
    No prompt occurs twice. Of a module with more than `most_per_module` rows as many are drawn at random, always the
    same ones; None takes all.
    """
    rows: list[dict[str, Any]] = []
    places: dict[str, list[int]] = {}
    seen: set[str] = set()
    for module in walk_modules() if modules is None else modules:
        for node, bound in functions(module):
            pair = _prompt_and_answer(node, bound)
            if pair is None or pair[0] in seen:
                continue
            seen.add(pair[0])
            messages = [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": pair[0]},
                {"role": "assistant", "content": pair[1]},
            ]
            places.setdefault(module.top, []).append(len(rows))
            rows.append({"module": module.top, "messages": messages})
    if most_per_module is None:
        return rows
    generator = random.Random(SEED)
    kept = [
        index
        for _, members in sorted(places.items())
        for index in (members if len(members) <= most_per_module else generator.sample(members, most_per_module))
    ]
    return [rows[index] for index in sorted(kept)]


def _prompt_and_answer(node: FunctionNode, bound: bool) -> tuple[str, str] | None:
    documentation = docstring(node)
    summary, _, rest = documentation.partition("\n")
    if not summary or len(summary) > MAX_SUMMARY or (rest and not rest.startswith("\n")):
        return None
    parts = list(_parameters(node.args, bound))
    named = [part for part in parts if isinstance(part, Parameter)]
    if not 1 <= len(named) <= MAX_PARAMETERS or any(len(part.default or "") > MAX_DEFAULT for part in named):
        return None
    written = ", ".join(part if isinstance(part, str) else _written(part) for part in parts)
    kind = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    answer = {
        "name": node.name,
        "summary": summary.rstrip(),
        "parameters": [{"name": part.name, "default": part.default} for part in named],
        "required": sum(part.required for part in named),
    }
    prompt = f"{kind} {node.name}({written}):\n{cut(documentation, MAX_DOCUMENTATION)}"
    return prompt, json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def _written(parameter: Parameter) -> str:
    return parameter.name if parameter.default is None else f"{parameter.name}={parameter.default}"


def _parameters(arguments: ast.arguments, bound: bool) -> Iterator[Parameter | str]:
    """The parameters in order without annotations, and the bare marks "/" and "*" where the signature has them."""
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + [ast.unparse(item) for item in arguments.defaults]
    for index, (argument, default) in enumerate(zip(positional, defaults, strict=True)):
        if not (bound and index == 0):
            yield Parameter(argument.arg, default)
        if index + 1 == len(arguments.posonlyargs) and not (bound and index == 0):
            yield "/"
    if arguments.vararg is not None:
        yield Parameter("*" + arguments.vararg.arg, None)
    elif arguments.kwonlyargs:
        yield "*"
    for argument, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield Parameter(argument.arg, None if value is None else ast.unparse(value))
    if arguments.kwarg is not None:
        yield Parameter("**" + arguments.kwarg.arg, None)


def cut(text: str, limit: int) -> str:
    """`text` up to `limit` characters: whole paragraphs while they fit, else whole lines, else words; never empty."""
    if len(text) <= limit:
        return text
    for separator in ("\n\n", "\n", " "):
        end = text.rfind(separator, 0, limit + 1)
        if end > limit // 2:
            return text[:end].rstrip()
    return text[:limit].rstrip()
