"""The output folder: refused when it is not ours, cleared with care, and failures while saving."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fit_case import COMMAND, PYTHON_FOLDER, FitCase, adapter_bytes
from luthier.errors import InputError, LuthierError
from luthier.training import output_folder
from luthier.training.settings import StartSettings


def test_a_folder_that_holds_a_run_is_refused_without_resume_or_overwrite(case: FitCase) -> None:
    first = case.fit(epochs=1)
    before = adapter_bytes(first.folder)
    with pytest.raises(InputError, match="already holds a run; continue it with --resume, replace it with --overwrite"):
        case.fit(epochs=1, seed=1)
    assert adapter_bytes(first.folder) == before


def test_overwrite_replaces_the_run_and_nothing_else(case: FitCase) -> None:
    run = case.fit(epochs=1)
    (run.folder / "notes.txt").write_text("mine")
    (run.folder / "evaluation.json").write_text("{}")
    before = adapter_bytes(run.folder)
    again = case.fit(epochs=1, seed=1, overwrite=True)
    assert (run.folder / "notes.txt").read_text() == "mine"
    assert not (run.folder / "evaluation.json").exists()
    assert adapter_bytes(again.folder) != before


def test_overwrite_with_wrong_input_leaves_the_old_run(case: FitCase) -> None:
    run = case.fit(epochs=1)
    before = adapter_bytes(run.folder)
    case.train.write_text("no rows\n")
    with pytest.raises(InputError):
        case.fit(epochs=1, overwrite=True)
    assert adapter_bytes(run.folder) == before
    assert run.status == "done"


def test_a_folder_with_other_files_is_refused_even_with_overwrite(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    for start in (StartSettings(), StartSettings(overwrite=True)):
        with pytest.raises(InputError, match="holds files but no run"):
            output_folder.check_output(tmp_path, start)
    assert (tmp_path / "thesis.tex").exists()


def test_a_file_as_output_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="this is a file"):
        output_folder.check_output(tmp_path / "file", StartSettings())


def test_overwrite_refuses_to_remove_what_it_reads(case: FitCase) -> None:
    run = case.fit(epochs=1)
    with pytest.raises(InputError, match="belongs to the one that --overwrite would remove"):
        case.fit(rank=None, overwrite=True, adapter_init=str(run.folder / "adapter"))


def test_two_processes_cannot_write_one_run(tmp_path: Path) -> None:
    with (
        output_folder.locked(tmp_path / "run"),
        pytest.raises(InputError, match="another process is writing this run"),
        output_folder.locked(tmp_path / "run"),
    ):
        pass
    with output_folder.locked(tmp_path / "run"):
        pass


def test_an_output_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LuthierError, match="cannot write there"), output_folder.locked(tmp_path / "file" / "run"):
        pass


def test_a_full_disk_while_saving_keeps_the_last_checkpoint(case: FitCase) -> None:
    """The limit on file size fails writes as a full disk does, from the outside of the process."""
    whole = case.fit("whole")
    checkpoint = next((whole.folder / "checkpoints").iterdir()) / "trainer.safetensors"
    limit = checkpoint.stat().st_size // 2
    code = f"import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n{COMMAND}"
    # The first checkpoints are written without the limit: it is set once the checkpoint of step 3 is there.
    watch = (
        "import luthier.training.checkpoint as c\n"
        "save = c.Checkpoints.save\n"
        "def limited(self, state, tensors):\n"
        f"    if state.step > 3: resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))\n"
        "    save(self, state, tensors)\n"
        "c.Checkpoints.save = limited\n"
    )
    code = code.replace("\n", f"\n{watch}", 1)
    environment = {**os.environ, "PYTHONPATH": str(PYTHON_FOLDER), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *case.flags("run")], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 1, done.stderr
    assert "cannot save the checkpoint" in done.stderr
    assert "the checkpoint of step 3 is untouched" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads((case.folder / "run" / "run.json").read_text())["status"] == "failed"
    from luthier.training.run import run_fit

    continued = run_fit({"out": str(case.folder / "run"), "resume": True}, quiet=True)
    assert adapter_bytes(continued.folder) == adapter_bytes(whole.folder)
