"""Ctrl-C and SIGTERM: once, a checkpoint and 130; twice, at once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fit_case import PYTHON_FOLDER, FitCase, adapter_bytes, luthier, start_luthier
from luthier.training.interrupts import stop_on_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_for_a_stop_and_the_old_handler_comes_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_on_signals() as stop:
        assert not stop
        signal.raise_signal(number)
        assert stop
    assert signal.getsignal(number) is before


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    found: list[bool] = []

    def work() -> None:
        with stop_on_signals() as stop:
            found.append(bool(stop))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]


def test_a_second_signal_ends_the_process_although_native_code_is_running() -> None:
    # A sleep inside libc holds the main thread, without the GIL, as a native step does.
    code = (
        "import ctypes, time\n"
        "from luthier.training.interrupts import stop_on_signals\n"
        "libc = ctypes.CDLL(None)\n"
        "with stop_on_signals():\n"
        "    print('ready', flush=True)\n"
        "    while True: libc.poll(None, 0, 120_000)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(PYTHON_FOLDER)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert "finishing this step" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert "stopped at once" in process.stderr.readline()
    assert process.wait(timeout=60) == 130
    process.communicate()


def wait_for_steps(process: subprocess.Popen[str], metrics: Path, steps: int) -> None:
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if metrics.exists() and metrics.read_bytes().count(b"\n") >= steps:
            return
        time.sleep(0.01)
    raise AssertionError("the run ended before it could be stopped: " + process.communicate()[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_fit_exits_with_130_and_says_how_to_go_on(case: FitCase, number: signal.Signals) -> None:
    changes = {"epochs": 100, "valid": None, "save_every": 1000}
    process = start_luthier(*case.flags("run", **changes))
    wait_for_steps(process, case.folder / "run" / "metrics.jsonl", 3)
    process.send_signal(number)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130, error
    assert f"continue with: luthier fit --resume --out {case.folder / 'run'}" in error
    assert "Traceback" not in error
    assert json.loads((case.folder / "run" / "run.json").read_text())["status"] == "interrupted"
    status, _, error = luthier("fit", "--resume", "--out", str(case.folder / "run"))
    assert status == 0, error
    whole = case.fit("whole", **changes)
    assert adapter_bytes(case.folder / "run") == adapter_bytes(whole.folder)
