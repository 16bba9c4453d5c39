"""What a demo prints: its steps, the figures before and after, answers side by side, and what to type next."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from luthier.evaluation import Evaluation, Prediction

_ANSWERS = 3
_SHOWN = 400


class Say:
    """Prints to stdout, with colour on a terminal; `quiet` prints nothing."""

    def __init__(self, quiet: bool = False) -> None:
        from rich.console import Console

        self.quiet = quiet
        self.console = Console(quiet=quiet, highlight=False)

    def step(self, text: str) -> None:
        """A heading."""
        self.console.print(f"\n{text}", style="bold", markup=False)

    def line(self, text: str) -> None:
        """A plain line."""
        self.console.print(text, markup=False, soft_wrap=True)


def show_figures(say: Say, untuned: Evaluation, tuned: Evaluation, baseline: float | None) -> None:
    """The figures of both models on the held-out rows, and the baseline's accuracy beside them."""
    from rich.table import Table

    columns = ["untuned", "tuned"] + (["TF-IDF + logistic regression"] if baseline is not None else [])
    table = Table(f"{tuned.n} held-out rows")
    for column in columns:
        table.add_column(column, justify="right")
    for name, before, after, other in _figures(untuned, tuned, baseline):
        table.add_row(name, before, after, *([other] if baseline is not None else []))
    say.console.print()
    say.console.print(table)
    if baseline is not None and baseline >= tuned.exact_match:
        say.line(
            "The bag of words is as good as the tuned model or better here, and far cheaper: "
            "for sorting texts with plenty of examples, try it first."
        )


def _figures(untuned: Evaluation, tuned: Evaluation, baseline: float | None) -> list[tuple[str, str, str, str]]:
    rows = []
    if untuned.json_figures is not None and tuned.json_figures is not None:
        for name, key in (("valid JSON", "valid_json"), ("schema kept", "schema_kept")):
            before, after = getattr(untuned.json_figures, key), getattr(tuned.json_figures, key)
            rows.append((name, f"{before:.1%}", f"{after:.1%}", ""))
        rows.append(("exact match", f"{untuned.exact_match:.1%}", f"{tuned.exact_match:.1%}", ""))
    else:
        other = "" if baseline is None else f"{baseline:.1%}"
        rows.append(("accuracy", f"{untuned.exact_match:.1%}", f"{tuned.exact_match:.1%}", other))
    return rows


def show_answers(say: Say, untuned: Evaluation, tuned: Evaluation) -> None:
    """Three answers of both models beside their reference: two that the tuned model has right and one that it has not,
    as far as there are such."""
    pairs = list(zip(untuned.predictions, tuned.predictions, strict=True))
    right = [pair for pair in pairs if pair[1].correct]
    wrong = [pair for pair in pairs if not pair[1].correct]
    chosen = right[: max(_ANSWERS - 1, _ANSWERS - len(wrong))]
    chosen += wrong[: _ANSWERS - len(chosen)]
    for before, after in chosen:
        say.step(f"{Path(after.file).name}:{after.line}")
        say.line(f"  expected  {_shortened(after.expected)}")
        say.line(f"  untuned   {_marked(before)}")
        say.line(f"  tuned     {_marked(after)}")


def show_next(say: Say, paths: Mapping[str, Path], run: Path, model: str) -> None:
    """The commands to go on with."""
    luthier = command()
    train, valid, test = (shlex.quote(str(paths[name])) for name in ("train", "valid", "test"))
    place, name = shlex.quote(str(run)), shlex.quote(model)
    answers, merged = (shlex.quote(str(run.parent / name)) for name in ("answers.jsonl", "merged"))
    say.step("Next")
    for text in (
        f"{luthier} fit {train} --valid {valid} --model {name} --out runs/a     # or your own rows",
        f"{luthier} evaluate {place} --test {test}",
        f"{luthier} generate {place} --in {test} --out {answers}",
        f"{luthier} export {place} --to {merged}",
    ):
        say.line(f"  {text}")


def command() -> str:
    """The command `luthier` as the user can type it here: the one beside this Python."""
    beside = Path(sys.executable).parent / "luthier"
    if not beside.exists() or str(beside.parent) in os.environ.get("PATH", "").split(os.pathsep):
        return "luthier"
    relative = os.path.relpath(beside)
    return shlex.quote(relative if len(relative) < len(str(beside)) else str(beside))


def _marked(prediction: Prediction) -> str:
    mark = "right" if prediction.correct else "wrong"
    return f"{_shortened(prediction.output)}  [{mark}]"


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
