"""A forest computes what its rows compute one by one: shared prefixes change nothing but the work."""

from __future__ import annotations

import pytest
from our_side import Adapter, Answer, Gradients, OurSide, Row
from peers import largest_errors
from subjects import Subject

TOLERANCE = 1e-5
ALONE = 1  # micro-tokens: every row is a batch of its own


def shared_and_alone(
    subject: Subject, ours: OurSide, rows: list[Row], adapter: Adapter | None
) -> tuple[Answer, Answer]:
    together, alone = ours.ask(subject.path, [Gradients(rows, adapter), Gradients(rows, adapter, ALONE)])
    return together, alone


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_branching_of_depth_three_equals_the_rows_one_by_one(subject: Subject, ours: OurSide, kind: str) -> None:
    adapter = subject.adapter() if kind == "lora" else None
    together, alone = shared_and_alone(subject, ours, subject.forest_rows, adapter)
    assert together.loss == pytest.approx(alone.loss, rel=TOLERANCE)
    assert largest_errors(together.gradients, alone.gradients)[0] <= (TOLERANCE, "")
    if adapter is not None:
        assert together.computed_tokens < 0.7 * alone.computed_tokens, "the rows should share their prefixes"


def test_a_batch_of_32_rows_equals_32_micro_batches(subject: Subject, ours: OurSide) -> None:
    assert len(subject.many_rows) == 32
    together, alone = shared_and_alone(subject, ours, subject.many_rows, subject.adapter())
    assert together.loss == pytest.approx(alone.loss, rel=TOLERANCE)
    assert largest_errors(together.gradients, alone.gradients)[0] <= (TOLERANCE, "")
