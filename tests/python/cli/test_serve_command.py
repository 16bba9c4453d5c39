"""`luthier serve` as a process: its address, its key, and its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fit_case import COMMAND, PYTHON_FOLDER, FitCase, luthier, need_core


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `luthier serve` with arguments and variables; what still runs at the end is killed."""
    need_core()
    for package in ("fastapi", "uvicorn"):
        pytest.importorskip(package)
    processes = []

    def begin(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(PYTHON_FOLDER), "OMP_NUM_THREADS": "1", **variables}
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        command = [sys.executable, "-c", COMMAND, "serve", "--port", "0", *arguments]
        processes.append(subprocess.Popen(command, env=environment, **pipes))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def ask(url: str, model: str, key: str | None = None) -> dict[str, Any]:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "read 3"}], "max_tokens": 4})
    headers = {"Content-Type": "application/json"} | ({} if key is None else {"Authorization": f"Bearer {key}"})
    request = urllib.request.Request(f"{url}/chat/completions", body.encode(), headers)
    with urllib.request.urlopen(request, timeout=120) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def test_a_run_is_served_until_ctrl_c(case: FitCase, start: Callable[..., subprocess.Popen[str]]) -> None:
    system = case.folder / "system.txt"
    system.write_text("Answer with a word.\n")
    run = case.fit(epochs=1, system=str(system))
    process = start(str(case.folder / "run"), "--json")
    assert process.stdout is not None
    said = json.loads(process.stdout.readline())
    assert said["model"] == "run"
    assert said["url"].startswith("http://127.0.0.1:")
    chat = [{"role": "system", "content": "Answer with a word."}, {"role": "user", "content": "read 3"}]
    assert ask(said["url"], "run")["choices"][0]["message"]["content"] == run.generate(chat, max_new_tokens=4)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (0, "", "")


def test_a_model_is_served_with_a_key_from_the_environment(
    tiny_folder: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    process = start("--model", str(tiny_folder), "--name", "tiny", LUTHIER_KEY="sk-made-up")
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("tiny at http://127.0.0.1:")
    assert line.endswith("Ctrl-C stops\n")
    url = line.split()[2].rstrip(";")
    assert ask(url, "tiny", "sk-made-up")["choices"]
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(url, "tiny")
    assert caught.value.code == 401
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert err == ""


def test_an_open_address_without_a_key_is_warned_of(
    tiny_folder: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    process = start("--model", str(tiny_folder), "--host", "0.0.0.0")
    assert process.stdout is not None
    assert "at http://0.0.0.0:" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert "set a key with LUTHIER_KEY" in err
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give either the folder of a run or --model"),
        (("no-run",), "no run here"),
        (("--model", "m", "--key", ""), "the key must be printable ASCII"),
        (("--model", "m", "--port", "70000"), "--port"),
        (("--model", "m", "--system", "no-such-file"), "no-such-file"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    need_core()
    status, out, err = luthier("serve", *arguments, cwd=tmp_path)
    assert (status, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1
