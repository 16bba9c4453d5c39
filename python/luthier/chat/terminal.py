"""A conversation in a terminal, line by line; from a pipe, a message a line."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TextIO

from luthier.chat.conversation import Conversation, Turn
from luthier.errors import InputError
from luthier.report.plain import visible

__all__ = ["Terminal", "talk"]

_HELP = "/reset forgets what was said, /quit or Ctrl-D ends, Ctrl-C stops an answer"
_WIDTH = 100  # of two columns where the output is no terminal


@dataclass(frozen=True)
class Terminal:
    """Where messages are read from and answers are written to. `read` raises EOFError at the end."""

    read: Callable[[], str]
    out: TextIO
    interactive: bool

    @classmethod
    def standard(cls) -> Terminal:
        """Standard input and output. What they cannot write is written as an escape, and bytes that are no text are
        read as signs."""
        for stream, errors in ((sys.stdin, "replace"), (sys.stdout, "backslashreplace")):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors=errors)
        interactive = sys.stdin.isatty()
        if interactive:
            with suppress(ImportError):
                import readline  # noqa: F401  (line editing in input())
        return cls((lambda: input("> ")) if interactive else _next_line, sys.stdout, interactive)

    def write(self, text: str) -> None:
        """Writes at once."""
        self.out.write(text)
        self.out.flush()


def talk(conversations: Sequence[Conversation], terminal: Terminal) -> None:
    """Reads messages and shows the answers until the end of the input or /quit.

    With two conversations and more the answers stand side by side. In a terminal Ctrl-C stops an answer, what came of
    it is kept, and at the prompt it discards the line; from a pipe it is raised.
    """
    if terminal.interactive:
        names = " | ".join(conversation.name for conversation in conversations)
        terminal.write(f"{names}\n{_HELP}\n")
    while True:
        try:
            said = terminal.read()
        except EOFError:
            if terminal.interactive:
                terminal.write("\n")
            return
        except KeyboardInterrupt:
            if not terminal.interactive:
                raise
            terminal.write(f"\n({_HELP})\n")
            continue
        command = said.strip()
        if command == "/quit":
            return
        if command == "/reset":
            for conversation in conversations:
                conversation.reset()
            terminal.write("(a new conversation)\n")
        elif command == "/help":
            terminal.write(f"{_HELP}\n")
        elif command:
            try:
                _answer(conversations, said, terminal)
            except KeyboardInterrupt:  # before the answer had begun
                if not terminal.interactive:
                    raise
                terminal.write(" … (stopped)\n")
            except InputError as error:
                terminal.write(f"({error}; {_HELP})\n")


def _answer(conversations: Sequence[Conversation], said: str, terminal: Terminal) -> None:
    if len(conversations) == 1:
        _stream(conversations[0], said, terminal)
    else:
        _side_by_side(conversations, said, terminal)


def _stream(conversation: Conversation, said: str, terminal: Terminal) -> None:
    turn = conversation.begin(said)
    stopped = False
    try:
        while not turn.finished:
            terminal.write(visible(turn.wait()))
    except KeyboardInterrupt:
        if not terminal.interactive:
            raise
        stopped = True
    finally:
        conversation.end(said, turn)
    terminal.write(f"{_mark(turn, stopped)}\n")


def _side_by_side(conversations: Sequence[Conversation], said: str, terminal: Terminal) -> None:
    turns: list[Turn] = []
    stopped = False
    try:
        for conversation in conversations:
            turns.append(conversation.begin(said))
        for turn in turns:
            while not turn.finished:
                turn.wait()
    except KeyboardInterrupt:
        if not terminal.interactive:
            raise
        stopped = True
    finally:
        for conversation, turn in zip(conversations, turns):
            conversation.end(said, turn)
    if len(turns) == len(conversations):
        _show_columns(conversations, turns, stopped, terminal)


def _show_columns(
    conversations: Sequence[Conversation], turns: Sequence[Turn], stopped: bool, terminal: Terminal
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=terminal.out, width=None if terminal.out.isatty() else _WIDTH, highlight=False)
    table = Table(box=SIMPLE_HEAD, expand=True, pad_edge=False)
    for conversation in conversations:
        table.add_column(Text(conversation.name), ratio=1, overflow="fold")
    table.add_row(*(Text(visible(turn.text) + _mark(turn, stopped)) for turn in turns))
    console.print(table)
    terminal.out.flush()


def _mark(turn: Turn, stopped: bool) -> str:
    """What stands behind an answer that did not come to its end."""
    if not turn.cut:
        return ""
    return " … (stopped)" if stopped else " … (the most tokens; --max-new-tokens allows more)"


def _next_line() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\r\n")
