"""What kind of task the reference answers show, which decides the figures that are computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from luthier.errors import InputError
from luthier.evaluation.calls import holds_calls
from luthier.evaluation.classes import is_classification
from luthier.evaluation.json_answers import are_json, is_json

Task = Literal["classify", "extract", "write", "call"]
"""classify: one of few answers; extract: JSON; call: a tool's name and arguments; write: any other text."""

TASKS: tuple[Task, ...] = get_args(Task)


def detect_task(expected: Sequence[str]) -> Task:
    """The first that holds: half of the references or more hold a tool call (`call`), all are JSON objects or arrays
    (`extract`), they are few distinct lines (`classify`, see `is_classification`); else `write`."""
    if holds_calls(expected):
        return "call"
    if are_json(expected):
        return "extract"
    return "classify" if is_classification(expected) else "write"


def checked_task(task: str | None, expected: Sequence[str]) -> Task:
    """The task that the user named, or the one the references show.

    Raises InputError for an unknown name, and for `extract` where no reference is JSON.
    """
    if task is None:
        return detect_task(expected)
    for known in TASKS:
        if task == known:
            if known == "extract" and not any(map(is_json, expected)):
                raise InputError("[evaluate] the task is extract, but no reference answer is a JSON object or array")
            return known
    raise InputError(f"[evaluate] there is no task '{task}'; there are {', '.join(TASKS)}")
