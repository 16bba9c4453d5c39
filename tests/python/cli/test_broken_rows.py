"""Files of rows that are damaged, places that cannot be written, and a stop while reading: one sentence, an exit status
of 1 or 2, and nothing half written."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fit_case import start_luthier
from luthier.cli.main import run
from run_folder import question, write_rows

NOBODY = 65534


def chat_line(text: str) -> bytes:
    """One good row."""
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": "files"}]
    return json.dumps({"messages": messages}, ensure_ascii=False).encode() + b"\n"


GOOD = b"".join(chat_line(f"open the path {index}") for index in range(20))
UNUSABLE = {
    "empty": b"",
    "blank": b"\n \n\n",
    "null bytes": b"\0" * 500,
    "utf-16": GOOD.decode().encode("utf-16"),
    "cut off": GOOD[: len(GOOD) // 19 - 30],
    "deep": b"[" * 200_000,
    "a number": b"7\n",
    "no messages": b'{"messages": []}\n',
    "a long line that is not JSON": b'{"messages": "' + b"x" * 3_000_000,
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20,
    "a zip named csv": b"PK\x03\x04" + bytes(range(256)) * 20,
    "latin-1": "".join(f'{{"prompt": "Grüße {index}", "completion": "ä"}}\n' for index in range(30)).encode("latin-1"),
}
ODD = {
    "one row": chat_line("open the path"),
    "one class": GOOD,
    "the same row": chat_line("open the path") * 30,
    "no words": b"".join(chat_line("?!") for _ in range(30)),
    "no line end": GOOD.rstrip(b"\n"),
    "a long row": GOOD + chat_line("the path " * 300_000),
    "surrogates": GOOD + b'{"prompt": "\\ud800", "completion": "\\udfff"}\n' * 3,
}

COMMANDS = {
    "check": ["check", "FILE"],
    "check beside": ["check", "GOOD", "--test", "FILE"],
    "clean": ["clean", "FILE", "--drop", "duplicates,conflicts", "--out", "out.jsonl"],
    "split": ["split", "FILE", "--out", "out", "--near-duplicates", "0"],
    "baseline": ["baseline", "FILE", "--test", "GOOD", "--out", "out"],
    "baseline beside": ["baseline", "GOOD", "--test", "FILE", "--out", "out"],
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with good rows beside it."""
    write_rows(tmp_path / "good.jsonl", [question(index) for index in range(60)])
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def arguments(name: str, file: Path) -> list[str]:
    """The command line of a command."""
    places = {"FILE": str(file), "GOOD": str(file.parent / "good.jsonl")}
    return [places.get(word, word) for word in COMMANDS[name]]


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed as an error, which must be a sentence of Luthier's."""
    text = capsys.readouterr().err
    assert "internal error" not in text and "Traceback" not in text
    return text[text.find("luthier: ") :] if "luthier: " in text else ""


def files(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("kind", UNUSABLE)
@pytest.mark.parametrize("name", COMMANDS)
def test_rows_that_cannot_be_used_are_an_error_and_nothing_is_written(
    place: Path, name: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = place.parent / "rows.jsonl"
    file.write_bytes(UNUSABLE[kind])
    status = run(arguments(name, file))
    error = said(capsys)
    # check says what is wrong with rows that nothing else would read, and clean copies what it was not asked about.
    assert status in ((0, 2) if name.startswith(("check", "clean")) else (2,))
    if status:
        assert "rows.jsonl" in error
        assert max(map(len, error.splitlines())) < 500
        assert files(place) == []
    elif name == "clean":
        assert (place / "out.jsonl").read_bytes() == UNUSABLE[kind]
    assert file.read_bytes() == UNUSABLE[kind]


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", COMMANDS)
def test_odd_rows_are_taken_or_refused_in_a_sentence(
    place: Path, name: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = place.parent / "rows.jsonl"
    file.write_bytes(ODD[kind])
    status = run(arguments(name, file))
    error = said(capsys)
    assert status in (0, 2)
    assert bool(error) == bool(status)
    if status:
        assert files(place) == []
    assert not [name for name in files(place) if "writing" in name]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_and_a_missing_file_are_named(place: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder, missing = place.parent / "folder", place.parent / "missing.jsonl"
    folder.mkdir()
    for file in (folder, missing):
        assert run(arguments(name, file)) == 2
        error = said(capsys)
        assert file.name in error and len(error.strip().splitlines()) == 1
    assert files(place) == []


@pytest.mark.parametrize("name", ["clean", "split", "baseline"])
def test_a_full_disk_leaves_what_was_there(place: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    good = place.parent / "good.jsonl"
    line = arguments(name, good) + (["--overwrite"] if name == "split" else [])
    assert run(line) == 0
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    more = write_rows(place.parent / "more.jsonl", [question(index) for index in range(90)])
    with full_disk():
        status = run([str(more) if word == str(good) else word for word in line])
    assert status == 1
    assert "cannot write" in said(capsys)
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["clean", "split", "baseline"])
def test_a_folder_that_must_not_be_written_is_named(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with tempfile.TemporaryDirectory() as shared:
        folder = Path(shared)
        folder.chmod(0o755)
        good = write_rows(folder / "good.jsonl", [question(index) for index in range(60)])
        locked = folder / "locked"
        for to in (folder / "open", locked):  # the first loads every library, which another user may not read
            to.mkdir()
            line = [word.replace("out", str(to / "out")) if word.startswith("out") else word for word in COMMANDS[name]]
            line = [str(good) if word in ("FILE", "GOOD") else word for word in line]
            if to == locked:
                to.chmod(0o555)
                with no_rights():
                    status = run(line)
            else:
                assert run(line) == 0
        error = said(capsys)
        assert status in (1, 2)
        assert "locked" in error and "ermission" in error
        assert files(locked) == []
        locked.chmod(0o755)


def test_a_file_that_must_not_be_read_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with tempfile.TemporaryDirectory() as shared:
        folder = Path(shared)
        folder.chmod(0o777)
        secret = write_rows(folder / "good.jsonl", [question(index) for index in range(60)])
        lines = [arguments(name, secret) for name in ("check", "split", "baseline", "clean")]
        lines.append(["clean", str(secret), "--encoding", "cp1252", "--out", "out.jsonl"])
        for line in lines:
            line = [str(folder / word) if word.startswith("out") else word for word in line]
            secret.chmod(0o644)
            run(line)
            for path in files(folder):
                if path.startswith("out") and (folder / path).is_file():
                    (folder / path).unlink()
            secret.chmod(0)
            capsys.readouterr()
            with no_rights():
                assert run(line) == 2
            error = said(capsys)
            assert "good.jsonl" in error and ("ermission" in error or "not readable" in error)


@pytest.mark.parametrize("name", ["check", "clean", "split", "baseline"])
def test_ctrl_c_ends_quietly_and_leaves_nothing(place: Path, name: str) -> None:
    pipe = place.parent / "rows.jsonl"
    os.mkfifo(pipe)
    process = start_luthier(*arguments(name, pipe), cwd=place)
    with pipe.open("wb", buffering=0) as stream:  # opens as soon as the command does
        stream.write(GOOD)
        error = interrupted(process)
    assert process.returncode == 130
    assert "Traceback" not in error
    assert files(place) == []


def test_a_wrong_model_is_named_before_any_work(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = str(place.parent / "good.jsonl")
    folder = place.parent / "no-model"
    folder.mkdir()
    (place.parent / "model.gguf").write_bytes(b"GGUF")
    for model in (str(folder), "smollm", str(place.parent / "missing"), str(place.parent / "model.gguf"), good):
        for line in (
            ["check", good, "--model", model],
            ["baseline", good, "--test", good, "--model", model, "--out", "out"],
            ["clean", good, "--drop", "truncated", "--model", model, "--out", "out.jsonl"],
        ):
            assert run(line) in (1, 2), line
            assert len(said(capsys).strip().splitlines()) == 1
    assert files(place) == []


def interrupted(process: subprocess.Popen[str]) -> str:
    """Presses Ctrl-C until the process has ended, and gives what it said. Python does not see a signal that comes just
    before it waits for a pipe, until the next one."""
    while True:
        process.send_signal(signal.SIGINT)
        try:
            return process.communicate(timeout=20)[1]
        except subprocess.TimeoutExpired:
            continue


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond 300 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def no_rights() -> Iterator[None]:
    """The superuser is nobody for a while; anyone else stays who they are."""
    if os.geteuid() != 0:
        yield
        return
    os.setresgid(NOBODY, NOBODY, 0)
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
