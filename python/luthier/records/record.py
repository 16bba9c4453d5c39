"""What a row of the user's file becomes: a record of typed messages that knows its file and line."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, overload

from luthier.records.shortened import shortened

__all__ = ["BadKind", "BadRow", "Format", "Message", "Record", "Records", "ToolCall"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that an assistant message makes: the tool's name, its arguments, and the call's id where it has one."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=lambda: _NOTHING, hash=False)
    id: str | None = None

    @property
    def text(self) -> str:
        """The call as JSON: {"name": ..., "arguments": {...}}."""
        return json.dumps({"name": self.name, "arguments": dict(self.arguments)}, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat.

    `role` is system, developer, user, assistant or tool. `weight` scales the loss of an assistant message: 0 leaves it
    unsupervised, 1 is the usual value; it is 0 for the other roles, which are never supervised. An assistant message
    may make `tool_calls`; its content is then often "". A tool message holds a tool's answer: `name` is that of the
    tool and `tool_call_id` that of the call, where the row says so.
    """

    role: str
    content: str
    weight: float = 1.0
    tool_calls: tuple[ToolCall, ...] = ()
    name: str | None = None
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """The content and, each on a line of its own, the tool calls as JSON."""
        if not self.tool_calls:
            return self.content
        return "\n".join([*([self.content] if self.content else []), *(call.text for call in self.tool_calls)])


@dataclass(frozen=True, slots=True)
class Record:
    """One row: its messages, where it stood, and the row itself so that it can be written back.

    `line` is the 1-based line of the file on which the row starts; in Parquet and Arrow files, which have no lines, the
    1-based number of the row. `weight` scales the loss of the whole row. `tools` describe the tools that the model may
    call, each as {"type": "function", "function": {"name", "description", "parameters"}}. `extra` holds the row's keys
    that Luthier does not read; `raw` is the parsed row, unchanged.
    """

    messages: tuple[Message, ...]
    file: str = ""
    line: int = 0
    weight: float = 1.0
    extra: Mapping[str, Any] = field(default_factory=lambda: _NOTHING, compare=False)
    raw: Mapping[str, Any] = field(default_factory=lambda: _NOTHING, compare=False, repr=False)
    tools: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)

    @property
    def where(self) -> str:
        """`file:line`, as error messages name the row."""
        return f"{self.file}:{self.line}"

    @property
    def prompt(self) -> tuple[Message, ...]:
        """The messages up to the point where the model is to answer: all but a trailing assistant message."""
        return self.messages[:-1] if self.reference is not None else self.messages

    @property
    def question(self) -> str:
        """The contents of the prompt's messages, without a system message, which is the same for all rows of a task."""
        return "\n".join(message.content for message in self.prompt if message.role not in ("system", "developer"))

    @property
    def reference(self) -> str | None:
        """The text of a trailing assistant message, the answer to compare with; None where there is none.

        Tool calls are in it as JSON, one per line. A model writes them as its template does: see
        `ChatEncoder.reference`.
        """
        if self.messages and self.messages[-1].role == "assistant":
            return self.messages[-1].text
        return None


BadKind = Literal["unreadable", "encoding", "empty-answer"]
"""What is wrong with a bad row: `encoding` where it is not UTF-8, `empty-answer` where only the answer is missing."""


@dataclass(frozen=True)
class BadRow:
    """A row that could not be used: where it starts, why, and of which kind the fault is."""

    file: str
    line: int
    reason: str
    kind: BadKind = "unreadable"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


@dataclass(frozen=True)
class Format:
    """What a file was taken for. `file` is how rows are stored (jsonl, json, csv, tsv, parquet, arrow, datasets);
    `fields` how a row's keys are read (chat, prompt, alpaca, sharegpt, columns), several with a comma between them
    where rows differ; `columns` which of the keys present make up what: {"prompt": "instruction + input", ...}.
    """

    file: str = "memory"
    fields: str = ""
    columns: Mapping[str, str] = field(default_factory=lambda: _NOTHING, hash=False)

    def __str__(self) -> str:
        named = ", ".join(f"{what} from {column}" for what, column in self.columns.items())
        return f"{self.file}/{self.fields}" + (f" ({named})" if named else "")


@dataclass(frozen=True, repr=False)
class Records(Sequence[Record]):
    """The usable rows of one file, in its order.

    `bad` lists the rows that were left out, `sha256` is that of the file's bytes, in hexadecimal; for a folder, over
    those of its files. `format` is what the file was taken for.
    """

    rows: tuple[Record, ...]
    path: Path
    sha256: str = ""
    bad: list[BadRow] = field(default_factory=list)
    format: Format = Format()

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Records: ...
    def __getitem__(self, index: int | slice) -> Record | Records:
        if isinstance(index, slice):
            return Records(self.rows[index], self.path, self.sha256, self.bad, self.format)
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.rows)

    def _summary(self) -> str:
        turns = sum(message.role == "assistant" for row in self.rows for message in row.messages)
        bad = f", {len(self.bad)} bad" if self.bad else ""
        return f"{len(self.rows):,} rows, {turns:,} assistant turns{bad}"

    def __repr__(self) -> str:
        lines = [f"Records({str(self.path)!r}: {self._summary()})"]
        for row in self.rows[:3]:
            shown = " | ".join(f"{message.role}: {shortened(message.text, 40)}" for message in row.messages)
            lines.append(f"  {row.line:>6}  {shortened(shown, 110)}")
        if len(self.rows) > 3:
            lines.append(f"  ... and {len(self.rows) - 3:,} more")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        cells = []
        for row in self.rows[:5]:
            shown = "<br>".join(
                f"<b>{html.escape(message.role)}</b> {html.escape(shortened(message.text, 160))}"
                for message in row.messages
            )
            cells.append(f"<tr><td>{row.line}</td><td style='text-align:left'>{shown}</td></tr>")
        title = f"{html.escape(str(self.path))}: {html.escape(self._summary())}"
        return f"<table><caption>{title}</caption>{''.join(cells)}</table>"
