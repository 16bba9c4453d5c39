"""Luthier's side of a comparison, computed in a process of its own with a chosen instruction set.

    ours = OurSide("avx2", folder)
    [answer] = ours.ask(model, [Gradients(rows)])     # answer.loss, answer.gradients

The instruction set is read once per process, so each has a process of its own that answers what it is asked.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Row:
    """A training row: token ids, and the weight of predicting each of them."""

    tokens: list[int]
    weights: list[float]


@dataclass(frozen=True)
class Adapter:
    """LoRA matrices under their PEFT names, and what belongs to them."""

    tensors: dict[str, Tensor]
    rank: int
    alpha: float
    targets: list[str]
    rslora: bool = False


@dataclass(frozen=True)
class Logits:
    """Asks for the fp32 logits of a sequence."""

    tokens: list[int]
    adapter: Adapter | None = None


@dataclass(frozen=True)
class Gradients:
    """Asks for the mean loss of rows and its gradients: of the adapter, or without one of every weight."""

    rows: list[Row]
    adapter: Adapter | None = None
    micro_tokens: int = 1 << 20
    recompute: bool = False


@dataclass(frozen=True)
class Greedy:
    """Asks for greedy answers to prompts, which end after `new_tokens` tokens and not before."""

    prompts: list[list[int]]
    new_tokens: int
    adapter: Adapter | None = None


@dataclass
class Answer:
    """What was asked for, and how many tokens were computed for it."""

    loss: float = 0.0
    logits: Any = None
    gradients: dict[str, Any] = field(default_factory=dict)
    answers: list[list[int]] = field(default_factory=list)
    computed_tokens: int = 0
    instruction_set: str = ""


class OurSide:
    """Asks Luthier with one instruction set. `close` ends the process."""

    def __init__(self, instruction_set: str, folder: Path) -> None:
        self.instruction_set = instruction_set
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(folder)],
            env={**os.environ, "LUTHIER_ISA": instruction_set},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ask(
        self, model: Path, questions: Sequence[Logits | Gradients | Greedy], dtype: str = "float32"
    ) -> list[Answer]:
        """The answers to all questions about one model, whose weights have this type."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        (self._folder / "request").write_bytes(pickle.dumps((str(model), dtype, list(questions))))
        self._process.stdin.write(b"request\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == b"done\n", "Luthier's side has ended; its error stands above"
        answers: list[Answer] = pickle.loads((self._folder / "result").read_bytes())
        (self._folder / "result").unlink()
        assert {answer.instruction_set for answer in answers} == {self.instruction_set}
        return answers

    def close(self) -> None:
        self._process.communicate()


def serve(folder: Path) -> None:
    """Answers requests until the standard input ends."""
    from luthier import _core

    decoder, held = None, ("", "")
    for _ in sys.stdin:
        model, dtype, questions = pickle.loads((folder / "request").read_bytes())
        if (model, dtype) != held:
            decoder, held = _core.Decoder.load(model, dtype), (model, dtype)
        (folder / "result").write_bytes(pickle.dumps([_answer(decoder, question) for question in questions]))
        print("done", flush=True)


def _answer(decoder: Any, question: Logits | Gradients | Greedy) -> Answer:
    from luthier import _core

    answer = Answer(instruction_set=_core.instruction_set())
    decoder.detach()
    if question.adapter is not None:
        adapter = question.adapter
        decoder.attach_adapter(adapter.tensors, adapter.rank, adapter.alpha, adapter.targets, adapter.rslora)
    if isinstance(question, Logits):
        answer.logits = decoder.logits(question.tokens)
        return answer
    if isinstance(question, Greedy):
        answer.answers = _core.generate(decoder, question.prompts, question.new_tokens, [])
        return answer
    dataset = make_dataset(question.rows)
    mode = "full" if question.adapter is None else "lora"
    trainer = _core.Trainer(decoder, mode, question.micro_tokens, 0.0, 0.0, recompute=question.recompute)
    indices = list(range(len(dataset)))
    answer.loss, answer.gradients = trainer.loss_and_gradients(dataset, indices)
    # A step at rate zero says how many tokens were computed, and leaves the weights as they are.
    answer.computed_tokens = trainer.step(dataset, indices, 0.0).computed_tokens if question.adapter else 0
    return answer


def make_dataset(rows: Sequence[Row], max_length: int = 1 << 20) -> Any:
    """A dataset of the core; the last token of a row ends its turn."""
    from luthier import _core

    dataset = _core.Dataset(max_length)
    for index, row in enumerate(rows):
        ends = [False] * (len(row.tokens) - 1) + [True]
        dropped = dataset.add(index, row.tokens, row.weights, ends)
        assert not dropped, dropped
    return dataset


if __name__ == "__main__":
    import our_side  # the classes under the name that they are pickled with

    our_side.serve(Path(sys.argv[1]))
