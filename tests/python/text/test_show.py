"""A row's tokens on a page."""

from __future__ import annotations

import io

from chats import CHATML, record, tokenizer
from luthier.text.encode import ChatEncoder
from luthier.text.show import show_row, show_row_plain
from rich.console import Console


def test_plain_pages_mark_the_supervised_tokens() -> None:
    tokens = tokenizer(CHATML)
    row = record("2 + 2", "日本 4", "and", "no", weights=(1.0, 0.0))
    shown = show_row_plain(row, ChatEncoder(tokens).encode_row(row), tokens)
    head, body = shown.split("\n", 1)
    assert head.startswith("rows.jsonl:1: ") and "end of turn supervised" in head
    assert body.count("[[") == 1
    assert "<|im_start|>assistant\n[[日本 4<|im_end|>]]\n" in body


def test_rich_pages_hold_the_whole_row_even_where_it_looks_like_markup() -> None:
    tokens = tokenizer(CHATML)
    row = record("[bold]q[/bold]", "[red]a")
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(show_row(row, ChatEncoder(tokens).encode_row(row), tokens))
    assert "[bold]q[/bold]" in console.export_text(clear=False)
    assert "[red]a<|im_end|>" in console.export_text()


def test_other_weights_are_named() -> None:
    tokens = tokenizer(CHATML)
    row = record("a", "b", weights=(0.25,))
    assert "weights 0.25" in show_row_plain(row, ChatEncoder(tokens).encode_row(row), tokens)
