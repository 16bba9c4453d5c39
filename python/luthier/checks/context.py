"""What every check gets to see."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from luthier.checks.checked_file import CheckedFile, Reading
from luthier.checks.texts import conversation, key

if TYPE_CHECKING:
    from luthier.checks.tokens import TokenSurvey
    from luthier.text.encode import ChatEncoder

__all__ = ["Context"]


@dataclass(frozen=True)
class Context:
    """The rows to check, those held out, and what else was given.

    `held_out` are the files that training must not see (test, validation). Without `encoder`, checks of tokens do not
    run. `model` is the name under which the user gave the model.
    """

    data: CheckedFile
    held_out: Sequence[CheckedFile] = ()
    schema: Mapping[str, Any] | bool | None = None
    encoder: ChatEncoder | None = None
    model: str | None = None
    max_length: int = 1024
    reading: Reading = field(default_factory=Reading)
    schema_file: str | None = None

    @cached_property
    def tokens(self) -> TokenSurvey | None:
        """Counts over the tokens of the rows; None without a tokenizer."""
        if self.encoder is None:
            return None
        from luthier.checks.tokens import survey_tokens

        return survey_tokens(self.data.rows, self.encoder, self.max_length)

    @cached_property
    def inputs(self) -> dict[bytes, list[int]]:
        """The rows by what they ask, case and spacing apart."""
        found: dict[bytes, list[int]] = {}
        for index, record in enumerate(self.data.rows):
            found.setdefault(key(conversation(record)), []).append(index)
        return found

    def files(self) -> list[CheckedFile]:
        """All files, the one to check first."""
        return [self.data, *self.held_out]

    def clean(self, *options: str) -> str:
        """The command that writes a repaired copy of the data."""
        name = self.data.path.name if self.data.path is not None else "train.jsonl"
        stem, dot, suffix = name.rpartition(".")
        out = f"{stem}.clean{dot}{suffix}" if dot else f"{name}.clean"
        if self.data.path is not None:
            out = str(self.data.path.with_name(out))
        return self._command("clean", *options, *self._held_out(options), "--out", out)

    def show(self, place: object) -> str:
        """The command that shows the tokens of a row."""
        return shlex.join(["luthier", "show", str(place), "--model", self.model or "MODEL", *self.reading.options()])

    def all_rows(self, code: str) -> str:
        """The command that lists every row of one finding."""
        options = ["--only", code, "--rows", "0", *self._held_out(["leakage"])]
        if code == "schema" and self.schema_file is not None:
            options += ["--schema", self.schema_file]
        if code in ("truncated", "boundary", "control-token") and self.model is not None:
            options += ["--model", self.model]
        return self._command("check", *options)

    def _held_out(self, options: Sequence[str]) -> list[str]:
        """The held-out files as options, where one of `options` is about leakage."""
        if not any("leakage" in option for option in options):
            return []
        paths = [str(file.path) for file in self.held_out if file.path is not None]
        return [part for name, path in zip(("--test", "--valid"), paths) for part in (name, path)]

    def _command(self, name: str, *options: str) -> str:
        data = "DATA" if self.data.path is None else self.data.name
        return shlex.join(["luthier", name, data, *options, *self.reading.options()])
