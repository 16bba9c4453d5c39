"""The checks in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from luthier.checks.context import Context
from luthier.checks.finding import Finding, Skipped
from luthier.checks.rules import (
    boundary,
    conflict,
    control_token,
    duplicate,
    empty_answer,
    encoding,
    label_variant,
    language,
    leakage,
    near_duplicate,
    near_leakage,
    pii,
    rare_system,
    schema,
    secret,
    small_class,
    suspect_label,
    too_few,
    truncated,
    unreadable,
)

__all__ = ["CHECKS", "CODES", "Check"]


@dataclass(frozen=True)
class Check:
    """One check. `slow`: on many rows it takes seconds, so that a fit leaves it out there."""

    code: str
    look: Callable[[Context], Finding | Skipped]
    slow: bool = False


CHECKS: tuple[Check, ...] = (
    Check(unreadable.CODE, unreadable.look),
    Check(encoding.CODE, encoding.look),
    Check(truncated.CODE, truncated.look),
    Check(empty_answer.CODE, empty_answer.look),
    Check(duplicate.CODE, duplicate.look),
    Check(near_duplicate.CODE, near_duplicate.look, slow=True),
    Check(conflict.CODE, conflict.look),
    Check(label_variant.CODE, label_variant.look),
    Check(small_class.CODE, small_class.look),
    Check(leakage.CODE, leakage.look),
    Check(near_leakage.CODE, near_leakage.look, slow=True),
    Check(suspect_label.CODE, suspect_label.look, slow=True),
    Check(schema.CODE, schema.look),
    Check(control_token.CODE, control_token.look),
    Check(pii.CODE, pii.look, slow=True),
    Check(secret.CODE, secret.look),
    Check(language.CODE, language.look, slow=True),
    Check(rare_system.CODE, rare_system.look),
    Check(boundary.CODE, boundary.look),
    Check(too_few.CODE, too_few.look),
)
CODES = tuple(check.code for check in CHECKS)
