"""Luthier fits a small open-weights language model to one narrow job, and proves what that gained.

import luthier as lu
run = lu.fit(lu.read("train.jsonl"), model="smollm2-135m-instruct", adapter=lu.Lora(rank=16), out="runs/a")
run.evaluate("test.jsonl")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luthier import _core as _core
    from luthier.baselines.run import baseline as baseline
    from luthier.checks.cleaning import clean as clean
    from luthier.checks.run import check as check
    from luthier.errors import InputError as InputError
    from luthier.errors import LuthierError as LuthierError
    from luthier.generation.constraint import Labels as Labels
    from luthier.generation.constraint import Schema as Schema
    from luthier.models.load import load as load
    from luthier.models.model import Model as Model
    from luthier.records.reader import read as read
    from luthier.report.errors import find_errors as find_errors
    from luthier.report.run import write_report as write_report
    from luthier.splits.split import split as split
    from luthier.training.run import Run as Run
    from luthier.training.run import fit as fit
    from luthier.training.run_plan import RunPlan as RunPlan
    from luthier.training.run_plan import plan as plan
    from luthier.training.settings import Full as Full
    from luthier.training.settings import Lora as Lora
    from luthier.verdict.give import give_verdict as give_verdict
    from luthier.verdict.judge import judge_run as judge_run
    from luthier.verdict.run import run_verdict as run_verdict
    from luthier.verdict.thresholds import Thresholds as Thresholds

__version__ = "0.1.0"

# Where each public name lives. They are imported when first asked for, so that `import luthier` costs nothing.
_HOMES = {
    "InputError": "luthier.errors",
    "LuthierError": "luthier.errors",
    "check": "luthier.checks.run",
    "clean": "luthier.checks.cleaning",
    "Full": "luthier.training.settings",
    "Labels": "luthier.generation.constraint",
    "Lora": "luthier.training.settings",
    "Model": "luthier.models.model",
    "Run": "luthier.training.run",
    "Schema": "luthier.generation.constraint",
    "Thresholds": "luthier.verdict.thresholds",
    "RunPlan": "luthier.training.run_plan",
    "baseline": "luthier.baselines.run",
    "find_errors": "luthier.report.errors",
    "fit": "luthier.training.run",
    "give_verdict": "luthier.verdict.give",
    "judge_run": "luthier.verdict.judge",
    "load": "luthier.models.load",
    "plan": "luthier.training.run_plan",
    "read": "luthier.records.reader",
    "split": "luthier.splits.split",
    "run_verdict": "luthier.verdict.run",
    "write_report": "luthier.report.run",
}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "_core":
        from luthier.native import load_core

        return load_core()
    if name not in _HOMES:
        raise AttributeError(f"module 'luthier' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
