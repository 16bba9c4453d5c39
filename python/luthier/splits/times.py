"""When a row is from: a number, or a date in ISO 8601."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from luthier.errors import InputError
from luthier.records.record import Record

__all__ = ["row_times"]


def row_times(records: Sequence[Record], column: str) -> list[float]:
    """The time of each row under a key of the row, as a number to sort by; dates without a zone count as UTC.

    Raises InputError where a row has none, it cannot be read, or numbers and dates are mixed.
    """
    times: list[float] = []
    kinds: dict[str, Record] = {}
    for record in records:
        kind, time = _time(record.raw.get(column), column, record)
        kinds.setdefault(kind, record)
        times.append(time)
    if len(kinds) > 1:
        numbers, dates = kinds["number"].where, kinds["date"].where
        raise InputError(f"{numbers}: a number under {column!r}, but a date at {dates}; write all of them in one way")
    return times


def _time(value: object, column: str, record: Record) -> tuple[str, float]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number", float(value)
    if isinstance(value, str):
        text = value.strip()
        try:
            return "number", float(text)
        except ValueError:
            pass
        try:
            # Python 3.10 does not read the Z of UTC.
            moment = datetime.fromisoformat(text[:-1] + "+00:00" if text[-1:] in ("Z", "z") else text)
            return "date", (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
        except (ValueError, OverflowError):
            pass
    raise InputError(
        f"{record.where}: {value!r} under {column!r} is no time; write a number, or a date such as 2026-01-31 or "
        "2026-01-31T12:00:00"
    )
