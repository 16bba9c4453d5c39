"""A row's tokens on a page, with the supervised ones marked."""

from __future__ import annotations

from rich.console import Group
from rich.text import Text

from luthier.records.record import Record
from luthier.text.encode import EncodedRow
from luthier.text.tokenizer import Tokenizer

__all__ = ["show_row", "show_row_plain"]

_SUPERVISED = "bold green"
_READ = "dim"
_CONTROL = "cyan"
_CONTROL_SUPERVISED = "bold magenta"


def show_row(record: Record, encoded: EncodedRow, tokenizer: Tokenizer) -> Group:
    """The row for a rich console: supervised tokens green, control tokens cyan (magenta where supervised)."""
    body = Text()
    for tokens, weight, control in _runs(encoded, tokenizer):
        read, supervised = (_CONTROL, _CONTROL_SUPERVISED) if control else (_READ, _SUPERVISED)
        body.append(_spelled(tokens, tokenizer, control), style=supervised if weight else read)
    return Group(Text(_summary(record, encoded), style="bold"), body)


def show_row_plain(record: Record, encoded: EncodedRow, tokenizer: Tokenizer) -> str:
    """The row as plain text: supervised tokens between the marks [[ and ]]."""
    parts = [_summary(record, encoded), "\n"]
    supervised = False
    for tokens, weight, control in _runs(encoded, tokenizer):
        if (weight != 0) != supervised:
            parts.append("]]" if supervised else "[[")
            supervised = not supervised
        parts.append(_spelled(tokens, tokenizer, control))
    if supervised:
        parts.append("]]")
    return "".join(parts)


def _summary(record: Record, encoded: EncodedRow) -> str:
    weights = sorted({weight for weight in encoded.weights if weight not in (0.0, 1.0)})
    other = f", weights {', '.join(f'{weight:g}' for weight in weights)}" if weights else ""
    if not any(encoded.ends):
        end = "no end-of-turn token"
    else:
        end = "end of turn supervised" if encoded.end_supervised else "end of turn not supervised"
    return f"{record.where}: {len(encoded.tokens)} tokens, {encoded.supervised_tokens} supervised, {end}{other}"


def _runs(encoded: EncodedRow, tokenizer: Tokenizer) -> list[tuple[list[int], float, bool]]:
    """Neighbouring tokens of one kind together, so that characters of several tokens come out whole."""
    runs: list[tuple[list[int], float, bool]] = []
    for id, weight in zip(encoded.tokens, encoded.weights):
        control = id in tokenizer.control.ids
        if runs and not control and not runs[-1][2] and runs[-1][1] == weight:
            runs[-1][0].append(id)
        else:
            runs.append(([id], weight, control))
    return runs


def _spelled(tokens: list[int], tokenizer: Tokenizer, control: bool) -> str:
    return tokenizer.token(tokens[0]) if control else tokenizer.decode(tokens, skip_special=False)
