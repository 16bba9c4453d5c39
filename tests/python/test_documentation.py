"""README and docs: command lines parse, options exist, rows that are shown are rows, links lead somewhere."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from luthier.records.rows import record_from_object

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
OF_OTHER_TOOLS = {"--gtest_filter", "--nproc-per-node", "--enable-lora", "--lora", "--max-lora-rank"}
ROW_KEYS = ("messages", "prompt", "conversations", "instruction", "tools")

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:(?<=\n\n)|\A)((?: {4}.*\n+)+)", re.MULTILINE)
_COMMAND = re.compile(r"(?:^|[\s/])luthier ((?!=)[a-z][^|]*)$")
_SPAN = re.compile(r"`([^`\n]+)`")
_OPTIONAL = re.compile(r"(?<=\s)\[(--[^\]]*|options [^\]]*)\]")
_INTO_FILE = re.compile(r"\s>\s*\S+\s*$")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def blocks(text: str) -> Iterator[str]:
    """The code blocks of a page, fenced or indented, without those of other languages."""
    for language, body in _FENCE.findall(text):
        if language in ("", "sh", "bash", "console", "text"):
            yield body
    yield from _INDENTED.findall(_FENCE.sub("", text))


def command_lines(text: str) -> list[str]:
    """What follows `luthier` in each line of the code blocks of a page."""
    lines = [line for block in blocks(text) for line in re.sub(r"\\\n\s*", "", block).splitlines()]
    return [_INTO_FILE.sub("", found[1]) for line in lines if (found := _COMMAND.search(line.strip()))]


def spans(text: str) -> list[str]:
    """The code within the prose of a page."""
    prose = _FENCE.sub("", text)
    for block in _INDENTED.findall(prose):
        prose = prose.replace(block, "\n")
    return list(_SPAN.findall(prose))


def rows(text: str) -> Iterator[dict[str, Any]]:
    """The rows of data that the code blocks of a page show, perhaps over several lines each."""
    for block in blocks(text):
        rest = block.strip()
        while rest.startswith("{"):
            try:
                value, end = json.JSONDecoder().raw_decode(rest)
            except ValueError:
                break
            if isinstance(value, dict) and any(key in value for key in ROW_KEYS):
                yield value
            rest = rest[end:].strip()


@pytest.fixture(scope="module")
def commands() -> dict[str, Any]:
    """The commands of the command line, as its parser knows them."""
    import typer.main
    from luthier.cli.main import app

    group: Any = typer.main.get_command(app)
    return dict(group.commands)


def options_of(command: Any) -> set[str]:
    """The spellings of a command's options."""
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}


def complaint(commands: dict[str, Any], line: str) -> str | None:
    """Why a command line does not parse; None where it does."""
    words = shlex.split(_OPTIONAL.sub(lambda found: found[1] if found[1].startswith("-") else "", line), comments=True)
    command = commands.get(words[0])
    if command is None:
        return f"there is no command {words[0]}"
    if "--help" in words:
        return None
    try:
        command.make_context(words[0], words[1:])
    except Exception as error:  # the parser's errors, of a library that the package does not import by name
        return str(error.format_message()) if hasattr(error, "format_message") else repr(error)
    return None


def test_every_command_line_parses(commands: dict[str, Any]) -> None:
    seen, wrong = 0, []
    for page in PAGES:
        for line in command_lines(page.read_text(encoding="utf-8")):
            seen += 1
            if (said := complaint(commands, line)) is not None:
                wrong.append(f"{page.name}: luthier {line}: {said}")
    assert wrong == []
    assert seen > 60


def test_every_command_and_option_in_the_prose_exists(commands: dict[str, Any]) -> None:
    known = set().union(*map(options_of, commands.values())) | OF_OTHER_TOOLS
    wrong = []
    for page in PAGES:
        for span in spans(page.read_text(encoding="utf-8")):
            words = span.split()
            own = words[0] == "luthier" and len(words) > 1 and words[1].isalpha() and words[1].islower()
            if own and words[1] not in commands:
                wrong.append(f"{page.name}: `{span}`: there is no such command")
                continue
            if not own and words[0] not in commands and not words[0].startswith("--"):
                continue
            name = words[1] if own else words[0]
            options = options_of(commands[name]) if name in commands else known
            named = {found for word in words if (found := re.match(r"--[a-z][a-z_-]*", word))}
            wrong += [f"{page.name}: `{span}`: {one[0]}" for one in named if one[0] not in options]
    assert wrong == []


def test_every_row_that_is_shown_is_a_row() -> None:
    shown = [(page.name, row) for page in PAGES for row in rows(page.read_text(encoding="utf-8"))]
    for page, row in shown:
        assert record_from_object(row, file=page, line=1, purpose="train").reference is not None
    assert len(shown) >= 8


def test_links_between_pages_lead_to_files() -> None:
    wrong = [
        f"{page.name}: {link}"
        for page in PAGES
        for link in _LINK.findall(page.read_text(encoding="utf-8"))
        if not link.startswith(("http://", "https://", "mailto:")) and not (page.parent / link).exists()
    ]
    assert wrong == []


def test_what_does_not_parse_is_found(commands: dict[str, Any]) -> None:
    page = "See:\n\n    luthier evaluate runs/a --general      # no such option\n    -> luthier nothing\n"
    assert command_lines(page) == ["evaluate runs/a --general      # no such option", "nothing"]
    assert [complaint(commands, line) is None for line in command_lines(page)] == [False, False]
    assert complaint(commands, "show --model m [--json]") is not None
    assert complaint(commands, "show rows.jsonl:1 --model m [--json] [options of luthier fit]  # a row") is None
    fenced = "```\nluthier fetch \\\n    name\n```\n\n```python\nimport luthier as lu\n```\n"
    assert command_lines(fenced) == ["fetch name"]
    assert spans("a `--x` and `b`\n\n    `c`\n") == ["--x", "b"]
    assert list(rows('\n\n    {"prompt": "a",\n     "completion": "b"}\n    {"x": 1}\n')) == [
        {"prompt": "a", "completion": "b"}
    ]
