"""Errors as bytes between processes."""

from __future__ import annotations

import pytest
from luthier.errors import InputError, LuthierError
from luthier.training.failures import LENGTH, FailedElsewhere, exit_status, is_internal, pack, unpack
from luthier.training.interrupts import Interrupted


@pytest.mark.parametrize(
    ("error", "kind", "text", "status"),
    [
        (InputError("a.jsonl:3: no JSON"), InputError, "a.jsonl:3: no JSON (there)", 2),
        (LuthierError("the loss is not finite"), FailedElsewhere, "the loss is not finite (there)", 1),
        (OSError(28, "No space left", "runs/a"), FailedElsewhere, "runs/a: No space left (there)", 1),
        (Interrupted("stopped after step 3"), Interrupted, "stopped after step 3", 130),
        (KeyboardInterrupt(), KeyboardInterrupt, "", 130),
        (ValueError("ä"), FailedElsewhere, "internal error: ValueError: ä (there)", 1),
    ],
)
def test_an_error_arrives_with_its_kind_text_and_exit_status(
    error: BaseException, kind: type[BaseException], text: str, status: int
) -> None:
    content = pack(error)
    found = unpack(content + b"\0" * (LENGTH - len(content)), "there")
    assert type(found) is kind
    assert str(found) == text
    assert exit_status(found) == exit_status(error) == status
    assert is_internal(error) == isinstance(error, ValueError)


def test_no_error_arrives_as_none() -> None:
    assert unpack(pack(None) + b"\0" * 9, "there") is None


def test_a_text_that_is_too_long_is_cut() -> None:
    content = pack(LuthierError("ü" * LENGTH))
    assert len(content) <= LENGTH
    assert str(unpack(content, "there")).startswith("üüü")
