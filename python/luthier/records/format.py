"""Which format a file of rows has: told by its name and its first bytes, or named by the user."""

from __future__ import annotations

from pathlib import Path

from luthier.errors import InputError
from luthier.records.fields import FIELDS

__all__ = ["FILES", "file_format", "parse_format"]

FILES = ("jsonl", "json", "csv", "tsv", "parquet", "arrow", "datasets")
"""How rows are stored: lines of JSON, a JSON array, tables as text, Parquet, Arrow, a saved folder of datasets."""

_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}
_MAGIC = {b"PAR1": "parquet", b"ARRO": "arrow"}


def parse_format(given: str | None) -> tuple[str | None, str | None]:
    """What `--format` says: how rows are stored, how their keys are read, or both with a stroke between them.

    Raises InputError for other words.
    """
    file: str | None = None
    fields: str | None = None
    for word in [] if given is None else given.split("/"):
        if word in FILES and file is None:
            file = word
        elif word in FIELDS and fields is None:
            fields = word
        else:
            raise InputError(
                f"--format {given}: must be one of {', '.join(FILES)} (how rows are stored), "
                f"one of {', '.join(FIELDS)} "
                "(how their keys are read), or both, such as csv/alpaca"
            )
    return file, fields


def file_format(path: Path, head: bytes, *, columns_named: bool) -> str:
    """How the rows of a file are stored. `head` are its first bytes; `columns_named` says whether --text or --label
    was given, which makes a table of a file whose name says nothing."""
    suffix = path.suffix.lower()
    if suffix == ".json":
        return "json" if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[") else "jsonl"
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    if head[:4] in _MAGIC:
        return _MAGIC[head[:4]]
    return "csv" if columns_named else "jsonl"
