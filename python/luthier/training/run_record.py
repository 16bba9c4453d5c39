"""run.json: what a run was made of and what became of it, so that it can be repeated, continued and trusted."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from luthier import durable
from luthier.errors import InputError, LuthierError
from luthier.native import package_version

RUN_FILE = "run.json"
FORMAT = 1
Status = Literal["running", "done", "interrupted", "failed"]


def new_record(settings: dict[str, Any], hashes: dict[str, Any], threads: int) -> dict[str, Any]:
    """The record of a run that is about to start. `settings` are flat; `hashes` as `fit_inputs.input_hashes` gives
    them.
    """
    return {
        "format": FORMAT,
        "status": "running",
        "started": _now(),
        "settings": {**settings, "threads": threads},
        "sha256": hashes,
        "versions": versions(),
        "machine": {**machine(), "threads": threads},
        "test_opened": {},
    }


def read_record(out: Path) -> dict[str, Any]:
    """The record in an output folder.

    Raises InputError when the folder holds no run or its run.json is damaged.
    """
    path = out / RUN_FILE
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{out}: no run here ({RUN_FILE} is missing); give the folder that 'luthier fit --out' wrote"
        ) from None
    except NotADirectoryError:
        raise InputError(f"{out}: this is a file, not the folder of a run") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged ({error}); start the run anew with --overwrite") from None
    if not _is_record(record):
        raise InputError(f"{path}: not the record of a Luthier run of this version")
    return record


def _is_record(value: Any) -> bool:
    """Whether a value has what every reader of a record relies on."""
    if not isinstance(value, dict) or value.get("format") != FORMAT or not isinstance(value.get("status"), str):
        return False
    settings = value.get("settings")
    return isinstance(settings, dict) and all(isinstance(settings.get(key), str) for key in ("model", "adapter"))


def write_record(out: Path, record: dict[str, Any]) -> None:
    """Replaces run.json in one step. Raises OSError."""
    durable.write_json(out / RUN_FILE, record)


def count_test_opening(out: Path, path: Path) -> int:
    """Notes in run.json that a test file was opened; gives how often that content has been opened by now, this time
    included.

    Counted by content, so that a renamed file is the same file; `also` are its further names. Raises InputError without
    a run or without the file, LuthierError where run.json cannot be written.
    """
    record = read_record(out)
    try:
        digest = durable.path_sha256(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    entry = record.setdefault("test_opened", {}).setdefault(digest, {"file": str(path), "times": 0})
    if str(path) not in (entry["file"], *entry.get("also", ())):
        entry["also"] = [*entry.get("also", ()), str(path)]
    entry["times"] += 1
    try:
        write_record(out, record)
    except OSError as error:
        raise LuthierError(
            f"{out / RUN_FILE}: the opening of {path} cannot be noted: {error.strerror or error}"
        ) from error
    times: int = entry["times"]
    return times


def finish(record: dict[str, Any], status: Status, **values: Any) -> dict[str, Any]:
    """A copy of the record with its new status, the time and further values."""
    return {**record, "status": status, "ended": _now(), **values}


def reading_options(settings: Mapping[str, Any]) -> dict[str, Any]:
    """How a run read its rows, as options for `luthier.read`: its columns, system message and format, where given."""
    return {key: settings[key] for key in ("text", "label", "system", "format") if settings.get(key) is not None}


def versions() -> dict[str, str]:
    """Versions of what computed the run."""
    packages = {package: package_version(package) for package in ("luthier", "torch", "tokenizers")}
    return {"python": platform.python_version()} | packages


def machine() -> dict[str, str]:
    """Processor name, architecture, and the instruction set that the core has chosen where it says so."""
    from luthier import _core

    name = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    found = {"processor": name, "architecture": platform.machine(), "system": platform.system()}
    if hasattr(_core, "instruction_set"):
        found["instruction_set"] = str(_core.instruction_set())
    return found


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
