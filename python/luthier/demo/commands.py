"""The commands that do what a demo does, as they can be typed in its folder."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from luthier.demo.recipe import Recipe

ROWS, SCHEMA_FILE, BASELINES, RUN = "rows.jsonl", "schema.json", "baselines", "run"


def stage_commands(recipe: Recipe, model: str, has_schema: bool) -> dict[str, list[str]]:
    """The arguments of `luthier` for each stage, by its name, in order."""
    schema = ["--schema", SCHEMA_FILE] if has_schema else []
    group = [] if recipe.group is None else ["--group", recipe.group]
    shares = ["--test", f"{recipe.test:g}", "--valid", f"{recipe.valid:g}"]
    test = ["--test", "test.jsonl"]
    fit = [part for name, value in recipe.fit.items() for part in (f"--{name.replace('_', '-')}", _written(value))]
    return {
        "check": ["check", ROWS, *schema, "--model", model],
        "split": ["split", ROWS, *group, *shares, "--out", "."],
        "baseline": ["baseline", "train.jsonl", *test, *schema, "--model", model, "--out", BASELINES],
        "fit": ["fit", "train.jsonl", "--valid", "valid.jsonl", "--model", model, *fit, "--out", RUN],
        "evaluate": ["evaluate", RUN, *test, *schema, "--baselines-from", BASELINES],
        "verdict": ["verdict", RUN],
        "report": ["report", RUN],
    }


def typed(arguments: list[str]) -> str:
    """The command line of these arguments."""
    return shlex.join(["luthier", *arguments])


def how_to_type(folder: Path) -> str:
    """What brings a shell to where the commands can be typed."""
    beside = Path(sys.executable).parent
    go = f"cd {shlex.quote(str(folder))}"
    if str(beside) in os.environ.get("PATH", "").split(os.pathsep) or not (beside / "luthier").exists():
        return go
    relative = os.path.relpath(beside)
    place = shlex.quote(str(beside)) if relative.startswith("..") else f'"$PWD"/{shlex.quote(relative)}'
    return f"export PATH={place}:$PATH; {go}"


def _written(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
