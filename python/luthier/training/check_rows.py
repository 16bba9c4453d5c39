"""The look at the rows before a fit: a line of tally, one for each warning and error. It never stops a fit."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from luthier.records.record import Record
from luthier.training.progress import Progress

if TYPE_CHECKING:
    from luthier.training.settings import DataSettings


def check_rows(
    data: DataSettings, train: Sequence[Record], valid: Sequence[Record] | None, progress: Progress
) -> dict[str, Any] | None:
    """Notes what `luthier check` says in short, and gives severity and count of each finding by code, for run.json.

    Of the test file only the inputs are compared with those of training. None where the check itself fails, which is
    noted too: a fault of it must not cost a fit.
    """
    from luthier.checks.checked_file import Reading
    from luthier.checks.run import quick_check
    from luthier.checks.show import short_lines

    reading = Reading(data.text, data.label, data.system)
    try:
        report = quick_check(train, reading, test=data.test, valid=valid)
    except Exception as error:
        progress.note(f"the rows could not be checked: {error}")
        return None
    encoding = (getattr(sys.stderr, "encoding", None) or "ascii").lower()
    for line in short_lines(report, plain=not encoding.startswith("utf")):
        progress.note(line)
    if report.errors or report.warnings:
        progress.note(f"  more: luthier check {report.name} (--no-check leaves this look out)")
    return report.counts()
