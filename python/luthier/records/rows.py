"""From one parsed row to a Record. A row that cannot be used raises BadRowError with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.records.fields import Columns, fields_of, messages_from, read_keys
from luthier.records.messages import Purpose, check_order
from luthier.records.record import Message, Record
from luthier.records.tools import tools
from luthier.records.values import BadRowError, kind, text, weight

__all__ = ["BadRowError", "Purpose", "record_from_object"]


def record_from_object(
    row: object,
    *,
    file: str,
    line: int,
    purpose: Purpose = "train",
    system: str | None = None,
    fields: str | None = None,
    columns: Columns = ("text", "label"),
) -> Record:
    """A record from an object of keys and values.

    `fields` is one of `fields.FIELDS`; None guesses it from the keys. `columns` are those of the text and the answer
    where the keys are columns. `system` is put first where the row has no system message. Raises BadRowError.
    """
    if not isinstance(row, dict):
        raise BadRowError(f"the row is {kind(row)}, not a JSON object with `messages` or `prompt`")
    fields = fields or fields_of(row, purpose)
    messages = messages_from(fields, row, purpose, columns)
    known = read_keys(fields, columns)
    extra = {key: value for key, value in row.items() if key not in known}
    has_system = messages[0].role in ("system", "developer")
    described: tuple[Mapping[str, Any], ...] = ()
    row_weight = 1.0
    if fields != "columns":
        described, row_weight = tools(row), weight(row.get("weight"), "`weight`")
        if row.get("system"):
            if has_system:
                raise BadRowError("both `system` and a system message among the messages")
            system = text(row["system"], "`system`")
    if system is not None and not has_system:
        messages.insert(0, Message("system", system, 0.0))
    check_order(messages, purpose)
    return Record(tuple(messages), file=file, line=line, weight=row_weight, extra=extra, raw=row, tools=described)
