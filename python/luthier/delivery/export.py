"""A finished export: its folder, what is in it, and how it was verified."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from luthier.delivery.disk import size_text
from luthier.delivery.formats import Choice
from luthier.delivery.loader_result import LoaderResult
from luthier.delivery.replay import Verification

EXPORT_FILE: Final = "export.json"
FORMAT: Final = 1


@dataclass(frozen=True, repr=False)
class Export:
    """An export in its folder; a path like any other to `open`, `load` and `Path`.

    `files` gives bytes and SHA-256 by name, without export.json itself. `verification` is None where it was left out,
    `checks` are the loaders that were tried.
    """

    folder: Path
    choice: Choice
    facts: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]
    warnings: tuple[str, ...] = ()
    verification: Verification | None = None
    checks: tuple[LoaderResult, ...] = ()

    def __fspath__(self) -> str:
        return str(self.folder)

    def to_json(self) -> dict[str, Any]:
        """The content of export.json."""
        verification = self.verification
        return {
            "format": FORMAT,
            "export": self.choice.format,
            "numbers": self.choice.gguf_type if self.choice.format.startswith("gguf") else self.choice.numbers,
            **self.facts,
            "files": dict(self.files),
            "warnings": list(self.warnings),
            "verified": verification is not None,
            "verification": "left out with --no-verify" if verification is None else verification.to_json(),
            "checks": [check.to_json() for check in self.checks],
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """(what, how it is) for people, one line each."""
        size = sum(int(file["bytes"]) for file in self.files.values())
        yield "files", f"{len(self.files)}, {size_text(size)}"
        if self.verification is None:
            yield "verified", "no: it was left out with --no-verify"
        else:
            yield from _verified(self.verification)
        for check in self.checks:
            yield check.loader, check.said
        for warning in self.warnings:
            yield "note", warning

    def __str__(self) -> str:
        rows = list(self.lines())
        width = max(len(name) for name, _ in rows)
        return "\n".join(
            [f"{self.folder}: {self.choice.label}", *(f"  {name:<{width}}  {said}" for name, said in rows)]
        )

    def __repr__(self) -> str:
        state = "not verified" if self.verification is None else "verified"
        return f"Export({str(self.folder)!r}: {self.choice.label}, {state})"

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(said)}</td></tr>"
            for name, said in self.lines()
        )
        return f"<table><caption>{html.escape(f'{self.folder}: {self.choice.label}')}</caption>{cells}</table>"


def _verified(found: Verification) -> Iterator[tuple[str, str]]:
    prompts = found.prompts
    tokens = sum(len(ids) for ids in prompts.ids)
    yield "replayed", f"{len(prompts.ids)} prompts of {prompts.file} ({prompts.kind} rows), {tokens:,} tokens"
    if found.ids_differ is None:
        yield "token ids", "those of the base model: no tokenizer is in the files"
    else:
        yield "token ids", f"equal in all {len(prompts.ids)} rows"
    figures = found.agreement
    if figures is None:
        return
    yield (
        "logits",
        (
            f"largest difference {figures.largest_difference:.3g}; divergence {figures.kl:.2g} nats a token "
            f"(at most {found.floor.kl:g}: {found.floor.reason})"
        ),
    )
    answers = "" if figures.answers is None else f", {figures.answers:.0%} of the answers the same throughout"
    yield (
        "greedy tokens",
        f"{figures.greedy:.1%} of {figures.positions:,} the same (at least {found.floor.greedy:.0%}){answers}",
    )
    if figures.carried is not None:
        yield "the fit", f"{figures.carried:.1%} of what it changed is there ({figures.fit_kl:.2g} nats a token)"
