"""Two processes under torchrun train as one does, and stop together. Time limits only keep a hang from lasting."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fit_case import PYTHON_FOLDER, FitCase, adapter_bytes, write_rows
from luthier.errors import InputError
from luthier.training.interrupts import StopRequest
from luthier.training.ranks import Ranks, is_first_process, open_ranks
from tiny_model import chat

LIMIT = 300


def start(*arguments: str, processes: int = 2) -> subprocess.Popen[str]:
    """Starts `luthier`, or with a path first a script, in several processes."""
    program = arguments if arguments[0].endswith(".py") else ("-m", "luthier", *arguments)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *program]
    environment = {**os.environ, "PYTHONPATH": str(PYTHON_FOLDER), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        out, error = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.terminate()
        raise
    return process.returncode, out, error


def torchrun(*arguments: str, processes: int = 2) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a whole run."""
    return finish(start(*arguments, processes=processes))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def tensors(out: Path) -> dict[str, Any]:
    from luthier.formats import read_safetensors

    return dict(read_safetensors(out / "adapter" / "adapter_model.safetensors"))


def workers(process: subprocess.Popen[str]) -> Iterator[tuple[int, int]]:
    """(rank, process id) of the processes that a torchrun has started."""
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        environment = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        ranks = [int(entry[5:]) for entry in environment if entry.startswith(b"RANK=")]
        yield from ((rank, int(child)) for rank in ranks)


def wait_for_steps(process: subprocess.Popen[str], metrics: Path, steps: int) -> None:
    deadline = time.monotonic() + LIMIT
    while process.poll() is None and time.monotonic() < deadline:
        if metrics.exists() and metrics.read_bytes().count(b"\n") >= steps:
            return
        time.sleep(0.01)
    raise AssertionError("the run ended before it could be stopped: " + process.communicate()[1])


def test_two_processes_give_the_losses_adapter_and_files_of_one(case: FitCase) -> None:
    write_rows(case.train, 33)
    changes = {"epochs": None, "steps": 20, "batch_size": 5, "save_every": 6, "micro_tokens": 4096}
    one = case.fit("one", **changes)
    status, out, error = torchrun(*case.flags("two", **changes))
    assert status == 0, error
    assert out.count("status") == 1, "only the first process should print the result"
    assert error.count("step 20/20") == 1
    two = case.folder / "two"
    losses = [line["loss"] for line in one.metrics]
    assert losses[-1] < 0.8 * losses[0]
    for single, line in zip(one.metrics, lines(two / "metrics.jsonl"), strict=True):
        assert list(line) == list(single)
        assert line["loss"] == pytest.approx(single["loss"], rel=1e-5)
        assert line["grad_norm"] == pytest.approx(single["grad_norm"], rel=1e-4)
        assert line.get("valid_loss", 0) == pytest.approx(single.get("valid_loss", 0), rel=1e-5)
        assert [line[key] for key in ("step", "learning_rate", "rows", "tokens", "supervised_tokens")] == [
            single[key] for key in ("step", "learning_rate", "rows", "tokens", "supervised_tokens")
        ]
        assert single["computed_tokens"] <= line["computed_tokens"] <= line["tokens"]
    assert lines(two / "ledger.jsonl") == one.ledger
    for name, tensor in tensors(one.folder).items():
        assert (tensors(two)[name].double() - tensor.double()).norm() <= 1e-3 * tensor.double().norm(), name
    record = json.loads((two / "run.json").read_text())
    assert record["status"] == "done"
    assert record["machine"]["processes"] == 2
    assert record["rows"] == one.record["rows"]
    names = [path.name for path in sorted((one.folder / "checkpoints").iterdir())]
    assert [path.name for path in sorted((two / "checkpoints").iterdir())] == names


def test_a_process_without_rows_takes_part(case: FitCase) -> None:
    changes = {"epochs": 1, "batch_size": 1, "valid": None}
    one = case.fit("one", **changes)
    status, _, error = torchrun(*case.flags("two", **changes), processes=3)
    assert status == 0, error
    metrics = lines(case.folder / "two" / "metrics.jsonl")
    assert [line["loss"] for line in metrics] == pytest.approx([line["loss"] for line in one.metrics], rel=1e-5)
    assert [line["computed_tokens"] for line in metrics] == [line["computed_tokens"] for line in one.metrics]


def test_full_fine_tuning_too(case: FitCase) -> None:
    changes = {"adapter": "full", "rank": None, "learning_rate": 1e-3, "epochs": 1, "valid": None}
    one = case.fit("one", **changes)
    status, _, error = torchrun(*case.flags("two", **changes))
    assert status == 0, error
    losses = [line["loss"] for line in lines(case.folder / "two" / "metrics.jsonl")]
    assert losses == pytest.approx([line["loss"] for line in one.metrics], rel=1e-5)


def test_bad_input_is_said_once_and_ends_all(case: FitCase) -> None:
    case.train.write_text("no json\n" * 5)
    status, _, error = torchrun(*case.flags("run"))
    assert status != 0
    assert error.count(f"luthier: {case.train}") == 1, error
    assert not (case.folder / "run").exists()


def test_a_folder_that_the_first_process_may_not_use_ends_all(case: FitCase) -> None:
    case.fit("run", epochs=1)
    status, _, error = torchrun(*case.flags("run"))
    assert status != 0
    assert error.count("already holds a run") == 1, error


NOT_FINITE = """
import sys
from luthier.cli.main import main
from luthier.errors import LuthierError
from luthier.training.ranks import Ranks

row, part_of = int(sys.argv.pop(1)), Ranks.part

def part(ranks, dataset, examples):
    mine = part_of(ranks, dataset, examples)
    if row in [dataset.row(example) for example in mine]:
        raise LuthierError(f"[train] the loss is not finite at row {row}")  # as the core says it
    return mine

Ranks.part = part
main()
"""


@pytest.mark.parametrize("row", [0, 3])
def test_a_loss_that_is_not_finite_in_one_process_ends_all_and_names_the_row(case: FitCase, row: int) -> None:
    # Rows are sorted by their tokens and divided: the first and the last are in different processes.
    texts = [f"{letter} the file at the path" for letter in "abcd"]
    case.train.write_text("".join(json.dumps({"messages": chat(text, "read")}) + "\n" for text in texts))
    script = case.folder / "script.py"
    script.write_text(NOT_FINITE)
    status, _, error = torchrun(str(script), str(row), *case.flags("run", valid=None))
    assert status != 0
    assert error.count(f"luthier: {case.train}:{row + 1}: ") == 1, error
    record = json.loads((case.folder / "run" / "run.json").read_text())
    assert record["status"] == "failed"
    assert f"{case.train}:{row + 1}: " in record["error"]


@pytest.mark.parametrize("rank", [0, 1, None])
def test_a_signal_to_one_process_or_to_torchrun_stops_all_and_the_run_can_be_continued(
    case: FitCase, rank: int | None
) -> None:
    changes = {"epochs": 60, "save_every": 1000, "valid_every": 9}
    process = start(*case.flags("run", **changes))
    wait_for_steps(process, case.folder / "run" / "metrics.jsonl", 3)
    if rank is None:
        process.send_signal(signal.SIGINT)
    else:
        os.kill(dict(workers(process))[rank], signal.SIGINT)
    status, _, error = finish(process)
    assert status != 0
    assert error.count("continue with: torchrun --nproc-per-node 2 -m luthier fit --resume") == 1, error
    assert json.loads((case.folder / "run" / "run.json").read_text())["status"] == "interrupted"
    with pytest.raises(InputError, match="was started with 2 processes and not 1"):
        case.fit("run", resume=True, **changes)
    status, _, error = torchrun("fit", "--resume", "--out", str(case.folder / "run"))
    assert status == 0, error
    status, _, error = torchrun(*case.flags("whole", **changes))
    assert status == 0, error
    assert adapter_bytes(case.folder / "run") == adapter_bytes(case.folder / "whole")
    assert lines(case.folder / "run" / "ledger.jsonl") == lines(case.folder / "whole" / "ledger.jsonl")


SCRIPT = """
import os, sys
from luthier.errors import InputError
from luthier.training.ranks import open_ranks

where, mark = sys.argv[1], sys.argv[2] + os.environ["RANK"]
try:
    with open_ranks() as ranks:
        assert ranks.sum(1.0, ranks.rank) == (2.0, 1.0)
        assert ranks.gather([[ranks.rank, 7]]) == [[[0, 7]], [[1, 7]]]
        if ranks.rank == 1 and where == "input":
            raise InputError("row 1 is bad")
        if ranks.rank == 1 and where == "bug":
            raise ZeroDivisionError("oh")
        if ranks.rank == 1 and where == "killed":
            os.kill(os.getpid(), 9)
        if where == "differ":
            ranks.check_same("the rows", str(ranks.rank))
        ranks.check_same("the rows", "same")
        if ranks.rank == 0 and where == "late":
            raise OSError(28, "No space left", "runs/a")
    text = "done"
except BaseException as error:
    text = f"{type(error).__name__}: {error}"
    raise
finally:
    open(mark, "w").write(text)
"""


def test_a_group_that_was_left_can_be_opened_again(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from luthier.training.ranks import open_ranks\n"
        "for _ in range(3):\n"
        "    with open_ranks() as ranks:\n"
        "        assert ranks.sum(1.0, ranks.rank) == (2.0, 1.0)\n"
    )
    status, _, error = torchrun(str(script))
    assert status == 0, error


@pytest.mark.parametrize(
    ("where", "first", "second"),
    [
        ("nowhere", "done", "done"),
        ("input", "InputError: row 1 is bad (in process 2 of 2)", "SystemExit: 2"),
        ("bug", "FailedElsewhere: internal error: ZeroDivisionError: oh (in process 2 of 2)", "ZeroDivisionError: oh"),
        ("late", "OSError: [Errno 28] No space left: 'runs/a'", "SystemExit: 1"),
        ("differ", "LuthierError: the rows differ between the processes; start all", "SystemExit: 1"),
    ],
)
def test_wherever_a_process_fails_all_stop_with_its_error(tmp_path: Path, where: str, first: str, second: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    status, _, error = torchrun(str(script), where, str(tmp_path / "mark"))
    assert (status == 0) == (where == "nowhere"), error
    assert (tmp_path / "mark0").read_text().startswith(first)
    assert (tmp_path / "mark1").read_text() == second


def test_a_process_that_is_killed_ends_all(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    status, _, _ = torchrun(str(script), "killed", str(tmp_path / "mark"))
    assert status != 0
    assert not (tmp_path / "mark1").exists()


def test_a_single_process_is_a_group_that_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with open_ranks() as ranks:
        stop = StopRequest()
        assert (ranks.rank, ranks.count, ranks.first, ranks.threads) == (0, 1, True, None)
        assert ranks.sum(1.5, 2) == (1.5, 2)
        assert ranks.gather([[1, 2]]) == [[[1, 2]]]
        assert ranks.agreed(stop) is stop
        ranks.check_same("anything", "same")
    assert is_first_process()


def test_a_single_process_loads_nothing() -> None:
    code = (
        "import sys; from luthier.training.ranks import open_ranks\n"
        "with open_ranks() as ranks: ranks.sum(1.0); ranks.gather([[1]])\n"
        "assert 'torch' not in sys.modules"
    )
    environment = {key: value for key, value in os.environ.items() if key != "WORLD_SIZE"}
    subprocess.run([sys.executable, "-c", code], check=True, env={**environment, "PYTHONPATH": str(PYTHON_FOLDER)})


@pytest.mark.parametrize(("name", "value"), [("WORLD_SIZE", "two"), ("RANK", None), ("RANK", "-1")])
def test_an_environment_that_torchrun_did_not_make_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str | None
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=f"{name} is .* in the environment"), open_ranks():
        pass


def test_ranks_divide_examples_without_losing_one(case: FitCase) -> None:
    from luthier import _core

    dataset = _core.Dataset(100)
    for row in range(9):
        dataset.add(row, list(range(row, row + 4 + row)), [0.0] * (3 + row) + [1.0], [False] * (4 + row))
    parts = [Ranks(rank, 4).part(dataset, range(9)) for rank in range(4)]
    assert sorted(example for part in parts for example in part) == list(range(9))
    assert all(parts)
