"""Rows of Parquet and Arrow files, and of folders that Hugging Face datasets saved, read with pyarrow alone.

pyarrow is not among Luthier's own requirements: where it is missing, the message says how to get it.
"""

from __future__ import annotations

import base64
import datetime
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import InputError
from luthier.records.values import BadRowError

if TYPE_CHECKING:
    import pyarrow

__all__ = ["arrow_rows"]

_ROWS = 1000


def arrow_rows(path: Path, format: str) -> Iterator[tuple[int, dict[str, Any] | BadRowError]]:
    """Each row of a file with its 1-based number. `format` is parquet or arrow.

    Keys that are null inside a value are left out, since such files fill in all keys that any row has; numbers that
    stand for the names of classes (ClassLabel) become those names; dates become ISO text and bytes base64. Raises
    InputError where pyarrow is missing or the file is damaged.
    """
    try:
        import pyarrow
    except ImportError:
        raise InputError(f"{path}: reading {format} files needs pyarrow: pip install 'luthier[parquet]'") from None
    number = 0
    try:
        for batch in _batches(path, format):
            names = _class_names(batch.schema)
            if len(set(batch.schema.names)) < len(batch.schema.names):
                raise InputError(f"{path}: two columns have the same name; rename one of the two")
            for row in _rows(batch):
                number += 1
                yield number, row if isinstance(row, BadRowError) else _row(row, names)
    except (pyarrow.ArrowException, OSError, ValueError, MemoryError, RecursionError, OverflowError) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not a {format} file that can be read: {what}") from None


def _batches(path: Path, format: str) -> Iterator[pyarrow.RecordBatch]:
    import pyarrow

    if format == "parquet":
        import pyarrow.parquet

        with pyarrow.parquet.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=_ROWS)
        return
    with pyarrow.OSFile(str(path), "rb") as source:
        is_file = source.read(6) == b"ARROW1"
        source.seek(0)
        if is_file:
            reader = pyarrow.ipc.open_file(source)
            yield from (reader.get_batch(index) for index in range(reader.num_record_batches))
        else:
            yield from pyarrow.ipc.open_stream(source)


def _rows(batch: pyarrow.RecordBatch) -> Iterator[dict[str, Any] | BadRowError]:
    try:
        batch.validate(full=True)
        yield from _listed(batch)
    except (ValueError, OverflowError):  # somewhere in it; find out where
        for index in range(batch.num_rows):
            one = batch.slice(index, 1)
            try:
                one.validate(full=True)
                yield from _listed(one)
            except (ValueError, OverflowError) as error:
                if "utf8" in str(error).lower().replace("-", ""):
                    yield BadRowError("not UTF-8", "encoding")
                else:
                    yield BadRowError(f"cannot be read: {str(error).splitlines()[0]}")


def _listed(batch: pyarrow.RecordBatch) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = batch.to_pylist(maps_as_pydicts="lossy")
    return rows


def _class_names(schema: pyarrow.Schema) -> dict[str, list[str]]:
    """The names of classes by column, as datasets notes them in the schema."""
    try:
        noted = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = noted.get("info", {}).get("features", {})
        return {
            name: [str(one) for one in feature["names"]]
            for name, feature in features.items()
            if isinstance(feature, dict) and isinstance(feature.get("names"), list)
        }
    except (ValueError, AttributeError, TypeError):
        return {}


def _row(row: Mapping[str, Any], names: Mapping[str, list[str]]) -> dict[str, Any]:
    plain = {str(key): _plain(value) for key, value in row.items()}
    for column, classes in names.items():
        number = plain.get(column)
        if isinstance(number, int) and not isinstance(number, bool):
            plain[column] = classes[number] if 0 <= number < len(classes) else None
    return plain


def _plain(value: Any) -> Any:
    """A value that JSON has, for one that Arrow has."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        # Tables often write "no value" as NaN, which JSON lacks.
        return None if math.isnan(value) else value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)
