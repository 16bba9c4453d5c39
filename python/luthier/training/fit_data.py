"""From the user's rows to the core's data set, with the way back from a row's number to its file and line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from luthier.errors import InputError
from luthier.records.record import Record, Records
from luthier.training.ledger_file import LedgerLine, bad_row
from luthier.training.settings import DataSettings

if TYPE_CHECKING:
    from luthier._core import Dataset
    from luthier.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class FitRows:
    """The rows of one file (or of memory) as they are trained or validated on.

    `places[row]` is the file and line of a row number of `dataset`; `bad` holds the ledger lines of unreadable rows.
    `sha256` is over the messages and weights, so it is the same whether the rows came from a file or from memory.
    """

    name: str
    path: str | None
    dataset: Dataset
    places: list[tuple[str, int]]
    bad: list[LedgerLine]
    sha256: str

    def dropped(self) -> dict[str, int]:
        """How many rows are not used, by reason; unreadable rows included."""
        counts: dict[str, int] = {}
        for line in (*self.dataset.ledger(), *self.bad):
            if line["dropped"] is not None:
                counts[line["dropped"]] = counts.get(line["dropped"], 0) + 1
        return counts


def read_records(path: str, data: DataSettings) -> Records:
    """The records of a training or validation file. Raises InputError as `luthier.records.read` does."""
    from luthier.records import read

    return read(path, text=data.text, label=data.label, system=data.system, skip_bad=data.skip_bad)


def encode_records(records: Sequence[Record], tokenizer: Tokenizer, max_length: int) -> FitRows:
    """Tokenises records into a data set of rows of at most `max_length` tokens.

    Raises InputError when no row is left with a supervised token.
    """
    from luthier import _core
    from luthier.text.encode import ChatEncoder

    path = str(records.path) if isinstance(records, Records) else None
    name = path or "the rows in memory"
    dataset = _core.Dataset(max_length)
    for number, row in enumerate(ChatEncoder(tokenizer).encode_rows(records)):
        dataset.add(number, row.tokens, row.weights, row.ends)
    places = [(record.file or name, record.line or number + 1) for number, record in enumerate(records)]
    bad = [bad_row(row.file, row.line, row.reason) for row in records.bad] if isinstance(records, Records) else []
    if len(dataset) == 0:
        raise InputError(_nothing_left(name, dataset, max_length))
    return FitRows(name, path, dataset, places, bad, rows_sha256(records))


def load_rows(
    data: DataSettings,
    tokenizer: Tokenizer,
    train_records: Sequence[Record] | None = None,
    valid_records: Sequence[Record] | None = None,
) -> tuple[FitRows, FitRows | None]:
    """The rows to train on and, where there are any, those to validate on; read from the settings' files unless given.

    Raises InputError as the functions above do, and when there is nothing to train on.
    """
    train_records, valid_records = read_rows(data, train_records, valid_records)
    train = encode_records(train_records, tokenizer, data.max_length)
    return train, encode_records(valid_records, tokenizer, data.max_length) if valid_records is not None else None


def read_rows(
    data: DataSettings,
    train_records: Sequence[Record] | None = None,
    valid_records: Sequence[Record] | None = None,
) -> tuple[Sequence[Record], Sequence[Record] | None]:
    """The records to train on and, where there are any, those to validate on; read from files unless given.

    Raises InputError as `read_records` does, and when there is nothing to train on.
    """
    if train_records is None:
        if data.train is None:
            raise InputError(
                "no training rows: name a file, such as luthier fit train.jsonl --model MODEL --out runs/a"
            )
        train_records = read_records(data.train, data)
    if valid_records is None and data.valid is not None:
        valid_records = read_records(data.valid, data)
    return train_records, valid_records


def rows_sha256(records: Sequence[Record]) -> str:
    """SHA-256 over what training sees of the records: roles, contents and weights, in order."""
    digest = hashlib.sha256()
    for record in records:
        messages = [(message.role, message.content, message.weight) for message in record.messages]
        digest.update(json.dumps([messages, record.weight], ensure_ascii=True).encode())
    return digest.hexdigest()


def _nothing_left(name: str, dataset: Dataset, max_length: int) -> str:
    ledger = dataset.ledger()
    if not ledger:
        return f"{name}: holds no rows"
    cut = [line["tokens"] + line["tokens_cut"] for line in ledger if line["tokens_cut"]]
    if cut:
        return (
            f"{name}: no supervised token left after truncation to {max_length} tokens in any of {len(ledger)} rows; "
            f"raise --max-length (rows have up to {max(cut)} tokens)"
        )
    return (
        f"{name}: no supervised token in any of {len(ledger)} rows; "
        "every row needs an assistant message whose weight is not 0"
    )
