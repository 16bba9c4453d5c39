"""The conversation in a terminal and from a pipe."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import select
import shutil
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fit_case import COMMAND, PYTHON_FOLDER, FitCase, luthier, make_case
from luthier.chat import Conversation, Terminal, talk
from luthier.report.plain import visible
from safetensors.torch import load_file, save_file
from tiny_model import TinyShape, make_tiny_model


class Output(io.StringIO):
    """What was written, on something that is no terminal."""


def said_and_shown(
    conversations: Sequence[Conversation], lines: Sequence[str | type[BaseException]], interactive: bool = False
) -> str:
    """What talking shows when these lines are read; an exception is raised where one stands."""
    left = list(lines)

    def read() -> str:
        line = left.pop(0) if left else EOFError
        if isinstance(line, str):
            return line
        raise line

    out = Output()
    talk(conversations, Terminal(read, out, interactive))
    return out.getvalue()


def test_lines_from_a_pipe_are_answered_one_by_one(model: Any) -> None:
    first = model.generate("read the file", max_new_tokens=12)
    history = [
        {"role": "user", "content": "read the file"},
        {"role": "assistant", "content": first},
        {"role": "user", "content": "and the mail"},
    ]
    second = model.generate(history, max_new_tokens=12)
    mark = " … (the most tokens; --max-new-tokens allows more)"
    with Conversation(model, max_new_tokens=12) as conversation:
        shown = said_and_shown([conversation], ["read the file", "", "  ", "and the mail"])
        assert shown.replace(mark, "") == f"{visible(first)}\n{visible(second)}\n"
        assert mark in shown


def test_commands_reset_and_end(model: Any) -> None:
    with Conversation(model, max_new_tokens=12) as conversation:
        shown = said_and_shown([conversation], ["read", "/reset", "read", " /quit ", "never read"]).splitlines()
        again = said_and_shown([conversation], ["/help"])
    middle = shown.index("(a new conversation)")
    assert shown[:middle] == shown[middle + 1 :]
    assert "/reset" in again and "Ctrl-D" in again


def test_a_message_that_cannot_be_answered_ends_nothing(model: Any) -> None:
    with Conversation(model, max_new_tokens=12) as conversation:
        shown = said_and_shown([conversation], ["word " * 9000, "a\0b", "read"])
    assert "room for" in shown and "NUL" in shown
    assert visible(model.generate("read", max_new_tokens=12)) in shown


def test_two_models_answer_side_by_side(model: Any, folder: Path, tmp_path: Path) -> None:
    from luthier.models import load

    other = load(make_tiny_model(tmp_path / "other", TinyShape(layers=1), seed=7), dtype="float32")
    with (
        Conversation(model, "untuned", max_new_tokens=8) as one,
        Conversation(other, "runs-a", max_new_tokens=8) as two,
    ):
        shown = said_and_shown([one, two], ["read the file", "/reset", "read the file"])
        assert len(one.messages) == len(two.messages) == 2
        assert one.messages[1] != two.messages[1]
    lines = shown.splitlines()
    head = next(line for line in lines if "untuned" in line)
    assert "runs-a" in head
    assert lines.count(head) == 2
    left, right = head.index("untuned"), head.index("runs-a")
    answers = lines[lines.index(head) + 2 :]
    assert visible(model.generate("read the file", max_new_tokens=8)).split()[0][:10] in answers[0][left:right]
    assert max(map(len, lines)) <= 100


def test_ctrl_c_stops_an_answer_and_not_the_program(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from luthier.chat.conversation import Turn

    wait = Turn.wait
    waited = []

    def interrupted(self: Turn) -> str:
        waited.append(self)
        if len(waited) == 4:
            raise KeyboardInterrupt
        return wait(self)

    monkeypatch.setattr(Turn, "wait", interrupted)
    with Conversation(model, max_new_tokens=6000) as conversation:
        shown = said_and_shown([conversation], ["read the file", KeyboardInterrupt, "/quit"], interactive=True)
        assert " … (stopped)\n" in shown
        assert shown.count("Ctrl-D ends") == 2, "at the start, and where Ctrl-C was pressed at the prompt"
        assert [one.role for one in conversation.messages] == ["user", "assistant"]
    waited.clear()
    with Conversation(model, max_new_tokens=6000) as conversation, pytest.raises(KeyboardInterrupt):
        said_and_shown([conversation], ["read the file"])


def test_what_cannot_be_seen_is_shown_as_a_sign(model: Any) -> None:
    with Conversation(model, "a\x1b[31m", max_new_tokens=200, temperature=2.0) as conversation:
        shown = said_and_shown([conversation], ["read the file"])
    assert not any(ord(sign) < 0x20 and sign not in "\n\t" for sign in shown)


def test_a_pipe_is_answered_by_the_command(folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(PYTHON_FOLDER), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "chat", "--model", str(folder), "--max-new-tokens", "6", "--dtype", "float32"],
        input=b"read the file\n\xff\xfe\n/quit\nmore\n",
        capture_output=True,
        env=environment,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    from luthier.models import load

    wanted = load(folder, dtype="float32").generate("read the file", max_new_tokens=6)
    assert done.stdout.decode().startswith(visible(wanted))
    assert done.stderr == b""


class Screen:
    """A process on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self._own, other = pty.openpty()
        attributes = termios.tcgetattr(other)
        attributes[3] |= termios.NOFLSH  # Ctrl-C would discard what was shown just before it was read here
        termios.tcsetattr(other, termios.TCSANOW, attributes)
        environment = {**os.environ, "PYTHONPATH": str(PYTHON_FOLDER), "OMP_NUM_THREADS": "1", "TERM": "dumb"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments],
            stdin=other,
            stdout=other,
            stderr=other,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(other)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self._own, text.encode())

    def wait_for(self, text: str) -> None:
        """Reads until the text was shown; what comes after it is looked at next."""
        while text not in self.seen:
            self._read(text)
        self.seen = self.seen.partition(text)[2]

    def wait_for_more(self) -> None:
        """Reads until anything was shown."""
        while not self.seen:
            self._read("more")

    def _read(self, text: str) -> None:
        assert select.select([self._own], [], [], 240)[0], f"{text!r} did not come: {self.seen!r}"
        try:
            part = os.read(self._own, 4096)
        except OSError:
            part = b""
        assert part, f"{text!r} did not come: {self.seen!r}"
        self.seen += part.decode("utf-8", "replace")

    def close(self) -> None:
        os.close(self._own)
        self.process.kill()
        self.process.wait()


def test_a_terminal_takes_a_command_and_ends_with_ctrl_d(folder: Path) -> None:
    screen = Screen("chat", "--model", str(folder), "--max-new-tokens", "8", "--dtype", "float32")
    try:
        screen.wait_for("Ctrl-D ends")
        screen.wait_for("> ")
        screen.type("/reset\n")
        screen.wait_for("(a new conversation)")
        screen.wait_for("> ")
        screen.type("\x04")
        assert screen.process.wait(timeout=120) == 0
    finally:
        screen.close()


@pytest.fixture
def endless(folder: Path, tmp_path: Path) -> Path:
    """The model without an end: the row of the token that ends an answer is zero, and another's logit is larger."""
    shutil.copytree(folder, tmp_path / "endless")
    end = json.loads((folder / "config.json").read_text())["eos_token_id"]
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"][end] = 0
    save_file(weights, tmp_path / "endless" / "model.safetensors", metadata={"format": "pt"})
    return tmp_path / "endless"


def test_ctrl_c_in_a_terminal_stops_the_answer_and_not_the_program(endless: Path) -> None:
    # What a terminal holds unread is less than this answer, so that it cannot have ended when Ctrl-C is typed.
    screen = Screen("chat", "--model", str(endless), "--max-new-tokens", "8000", "--dtype", "float32")
    try:
        screen.wait_for("> ")
        screen.type("read the file\n")
        screen.wait_for("read the file\r\n")
        screen.wait_for_more()
        screen.type("\x03")
        screen.wait_for("… (stopped)")
        screen.wait_for("> ")
        screen.type("/quit\n")
        assert screen.process.wait(timeout=120) == 0
    finally:
        screen.close()


@pytest.fixture
def case(tmp_path: Path, folder: Path) -> FitCase:
    """Rows and settings of a small fit."""
    return make_case(tmp_path, folder)


def test_a_run_is_compared_with_its_model(case: FitCase) -> None:
    case.fit(epochs=1)
    run = str(case.folder / "run")
    environment = {**os.environ, "PYTHONPATH": str(PYTHON_FOLDER), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", COMMAND, "chat", run, "--compare", "--max-new-tokens", "5"]
    done = subprocess.run(
        command, input="the file at 3\n", capture_output=True, text=True, env=environment, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "untuned" in done.stdout and "run" in done.stdout


def test_comparing_needs_two_models(folder: Path) -> None:
    status, _, err = luthier("chat", "--model", str(folder), "--compare")
    assert status == 2
    assert "--compare needs two models" in err
