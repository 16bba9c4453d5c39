"""`--resume`: the settings and inputs of a continued run must be those it was started with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luthier.errors import InputError
from luthier.training.run_record import RUN_FILE, read_record
from luthier.training.settings import FitSettings, canonical_key, compose, flatten, spell

_COMPARED_BY_CONTENT = ("train", "valid", "model", "adapter_init", "system", "replay")
_FREE = ("out", "test", "seeds", "skip_memory_check")
_NOT_COMPARED = (*_FREE, "resume", "overwrite", "no_check", *_COMPARED_BY_CONTENT)


def continued_settings(given: Mapping[str, Any]) -> FitSettings:
    """The settings of the run in `given["out"]`, which whatever else is given must repeat.

    Paths may have moved: those that are given replace the recorded ones, and their content is compared later, by
    `check_inputs`. Raises InputError naming the first key that changed.
    """
    values = {canonical_key(key): value for key, value in given.items() if value is not None}
    if "out" not in values:
        raise InputError("'out' is missing: --resume needs --out, the folder of the run to continue")
    record = read_record(Path(str(values["out"])))
    recorded: dict[str, Any] = record["settings"]
    for key in ("adapter", *values):  # one by one, so that the key that changed is the one that is named
        if key in values and key not in _NOT_COMPARED:
            same = values[key] == recorded.get(key) if key == "adapter" else _repeats(key, values[key], recorded)
            if not same:
                raise InputError(
                    f"'{spell(key)}' is {values[key]!r}, but the run in {values['out']} has {recorded.get(key)!r}; "
                    f"a continued run keeps its settings: leave '{spell(key)}' out, or start anew with --overwrite"
                )
    moved = {key: values[key] for key in (*_FREE, *_COMPARED_BY_CONTENT) if key in values}
    return compose({**recorded, **moved, "resume": True, "overwrite": False})


def _repeats(key: str, value: object, recorded: Mapping[str, Any]) -> bool:
    """Whether a value, however it is written, is the recorded one."""
    return bool(flatten(compose({**recorded, key: value})).get(key) == recorded.get(key))


def check_inputs(record: Mapping[str, Any], hashes: Mapping[str, Any], out: Path) -> None:
    """Compares the SHA-256 of data and model with those of the recorded run. Raises InputError naming what changed."""
    recorded = record.get("sha256", {})
    for name, found in hashes.items():
        if recorded.get(name) != found:
            raise InputError(
                f"{name} is not what the run in {out} was started with (its SHA-256 in {RUN_FILE} differs); "
                "restore it, or start anew with --overwrite"
            )


def check_processes(record: Mapping[str, Any], count: int, out: Path) -> None:
    """Compares the number of processes with that of the recorded run. Raises InputError when it changed: sums over
    another number of parts are rounded differently.
    """
    recorded = record.get("machine", {}).get("processes", 1)
    if recorded != count:
        raise InputError(
            f"the run in {out} was started with {recorded} processes and not {count}; "
            f"continue it with torchrun --nproc-per-node {recorded}, or start anew with --overwrite"
        )
