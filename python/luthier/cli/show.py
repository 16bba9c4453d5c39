"""`luthier show`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from luthier.cli import options


def command(
    place: Annotated[str, typer.Argument(metavar="FILE:LINE", help="A row of a file; without :LINE its first row.")],
    model: Annotated[str, typer.Option("--model", help="The model whose tokenizer and chat template are used.")],
    text: options.TextColumn = None,
    label: options.LabelColumn = None,
    system: options.SystemFile = None,
    format: options.Format = None,
    json_output: options.Json = False,
) -> None:
    """Print the tokens of a row with the supervised ones marked.

    Example: luthier show train.jsonl:7 --model smollm2-135m-instruct
    """
    from luthier.errors import InputError
    from luthier.models.load import load_tokenizer
    from luthier.models.locate import locate
    from luthier.records import read
    from luthier.text.encode import ChatEncoder

    file, line = _split(place)
    records = read(file, text=text, label=label, system=system, skip_bad=True, purpose="prompt", format=format)
    for bad in records.bad:
        if bad.line == line:
            raise InputError(str(bad))
    record = next((record for record in records if line is None or record.line == line), None)
    if record is None:
        raise InputError(f"{file}: no row starts on line {line}; the last one starts on line {records[-1].line}")
    tokenizer = load_tokenizer(locate(model))
    encoded = ChatEncoder(tokenizer).encode_row(record)

    def show() -> None:
        from luthier.text.show import show_row, show_row_plain

        if sys.stdout.isatty():
            from rich.console import Console

            Console().print(show_row(record, encoded, tokenizer))
        else:
            print(show_row_plain(record, encoded, tokenizer))

    value = {
        "file": record.file,
        "line": record.line,
        "tokens": encoded.tokens,
        "weights": encoded.weights,
        "ends": encoded.ends,
    }
    options.print_result(value, json_output, show)


def _split(place: str) -> tuple[str, int | None]:
    """`file:7` as file and line; a file whose own name ends that way is taken as it is."""
    file, colon, number = place.rpartition(":")
    if colon and number.isdigit() and not Path(place).exists():
        return file, int(number)
    return place, None
