"""The test rows and how they are judged, and the baselines that were run on them so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from luthier.baselines import simple
from luthier.baselines.few_shot import few_shot_records
from luthier.baselines.result import BaselineResult, Kind, Skipped
from luthier.baselines.retrieval import EmbeddingIndex, RowIndex, TfidfIndex
from luthier.errors import InputError
from luthier.evaluation import judge
from luthier.evaluation.answers import Progress, answer_rows, longest_answer
from luthier.evaluation.json_answers import is_value, parse
from luthier.evaluation.rules import Rule
from luthier.evaluation.tasks import Task
from luthier.generation.constraint import Constraint, Schema, constrained_name
from luthier.records import Record

if TYPE_CHECKING:
    from luthier.baselines.encoder import SentenceEncoder
    from luthier.evaluation import Evaluation
    from luthier.models.model import Model

MOST_FREQUENT = "most frequent answer"
CLASSIFIER = "TF-IDF + logistic regression"
NEIGHBOUR = "nearest training row"
PROMPT = "untuned, prompt alone"
TUNED = "tuned"


@dataclass
class Bench:
    """`rows` are judged as `task`; `train` is what may be learned from, its rows found by the vectors of `encoder` or,
    without one, by their words. With a `constraint` a model is asked twice, first for free answers. `on_start` hears
    the name of each baseline, `on_progress` (rows finished, rows) of those that ask a model. `results` and `skipped`
    grow."""

    rows: Sequence[Record]
    train: Sequence[Record]
    test: str
    task: Task
    schema: Mapping[str, Any] | None = None
    rules: Sequence[Rule] = ()
    on_start: Callable[[str], None] | None = None
    on_progress: Progress | None = None
    encoder: SentenceEncoder | None = None
    constraint: Constraint | None = None
    results: list[BaselineResult] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    _index: RowIndex | None = None

    def run_simple(self) -> None:
        """The baselines without a language model; one that cannot learn from the rows is skipped."""
        self._run_simple(MOST_FREQUENT, "constant", lambda: simple.most_frequent(self.train, self.rows))
        if self.task == "classify":
            self._run_simple(CLASSIFIER, "classifier", lambda: simple.classifier(self.train, self.rows))
        self._run_simple(NEIGHBOUR, "neighbour", lambda: simple.nearest_answer(self.train, self.rows, self.index()))

    def run_prompt(self, model: Model, max_new_tokens: int | None) -> None:
        """The model with the prompt of each row as it is."""
        self._ask(model, PROMPT, "prompt", self.rows, max_new_tokens or self._longest(model), [])

    def run_few_shot(self, model: Model, k: int, max_new_tokens: int | None, max_length: int | None) -> None:
        """The model with the `k` most similar training rows before each row; `max_length` bounds prompt and answer."""
        name = f"untuned, {k} similar example{'s' if k > 1 else ''}"
        try:
            index = self.index()
        except InputError as error:
            self._start(name)
            self.skipped.append(Skipped(name, str(error)))
            return
        new_tokens = max_new_tokens or self._longest(model)
        holds = int(model.decoder.config["max_positions"])
        room = min(max_length or holds, holds) - new_tokens

        def too_long(records: Sequence[Record]) -> list[bool]:
            return [len(prompt) > room for prompt in model.encoder.encode_prompts(records)]

        found = few_shot_records(self.rows, self.train, index, k, too_long)
        notes = []
        wanted = min(k, len(self.train))
        if fewer := sum(count < wanted for count in found.examples):
            notes.append(
                f"{fewer:,} of {len(self.rows):,} prompts hold fewer than {wanted} examples, "
                f"{sum(found.examples) / len(self.rows):.1f} on average: with all they would pass {room:,} tokens"
            )
        self._ask(model, name, "few_shot", found.records, new_tokens, notes)

    def add_free(self, free: Evaluation) -> None:
        """The tuned model with free answers, beside its constrained ones."""
        costs = (1000 * free.seconds / free.n, free.prompt_tokens / free.n, free.new_tokens / free.n)
        self.results.append(BaselineResult(TUNED, "tuned", free, *costs))

    def add(self, name: str, outputs: Sequence[str]) -> None:
        """Judges answers that something else gave; what they took is not known."""
        self._start(name)
        self._judge(name, "predictions", outputs, [], (None, None, None), model=name)

    def index(self) -> RowIndex:
        """The training rows' prompts, made once. Raises InputError when they hold no word to find them by."""
        if self._index is None:
            texts = [row.question for row in self.train]
            self._index = TfidfIndex(texts) if self.encoder is None else EmbeddingIndex(texts, self.encoder)
        return self._index

    def _run_simple(self, name: str, kind: Kind, answer: Callable[[], simple.SimpleAnswers]) -> None:
        self._start(name)
        try:
            found = answer()
        except InputError as error:
            self.skipped.append(Skipped(name, str(error)))
            return
        costs = (1000 * found.seconds / len(self.rows), 0.0, 0.0)
        self._judge(name, kind, found.outputs, found.notes, costs, model=name, seconds=found.seconds)

    def _ask(
        self, model: Model, name: str, kind: Kind, records: Sequence[Record], max_new_tokens: int, notes: list[str]
    ) -> None:
        """Freely, and where there is a constraint once more with it."""
        constraints: list[Constraint | None] = [None]
        if self.constraint is not None:
            constraints.append(self.constraint)
        for constraint in constraints:
            called = constrained_name(name, constraint)
            self._start(called)
            answers = answer_rows(model, records, max_new_tokens, self.on_progress, constraint)
            count = len(records)
            costs = (1000 * answers.seconds / count, answers.prompt_tokens / count, answers.new_tokens / count)
            own = [*notes, *_cut(answers.outputs, max_new_tokens, constraint)]
            self._judge(called, kind, answers.outputs, own, costs, constraint=constraint, **answers.facts())

    def _longest(self, model: Model) -> int:
        return longest_answer(model, self.rows, self.constraint)

    def _judge(
        self,
        name: str,
        kind: Kind,
        outputs: Sequence[str],
        notes: list[str],
        costs: tuple[float | None, float | None, float | None],
        **facts: Any,
    ) -> None:
        known: dict[str, Any] = {"seconds": 0.0, "new_tokens": 0, "max_new_tokens": 0, "test": self.test} | facts
        evaluation = judge(self.rows, outputs, self.schema, task=self.task, rules=self.rules, **known)
        self.results.append(BaselineResult(name, kind, evaluation, *costs, notes=notes))

    def _start(self, name: str) -> None:
        if self.on_start is not None:
            self.on_start(name)


def _cut(outputs: Sequence[str], max_new_tokens: int, constraint: Constraint | None) -> list[str]:
    """Says how many answers constrained to JSON are none, as they were not finished."""
    cut = sum(not is_value(parse(output)) for output in outputs) if isinstance(constraint, Schema) else 0
    return [f"{cut:,} of {len(outputs):,} answers were cut at {max_new_tokens:,} tokens"] if cut else []
