"""How good a model's answers are on held-out rows.

evaluation = evaluate(model, "test.jsonl", out="runs/a")
evaluation.exact_match; evaluation                      # prints a table
compare(evaluation, other)                              # the difference, and whether it could be chance
"""

from luthier.evaluation.classes import ClassFigures, Classification
from luthier.evaluation.compare import Comparison, Difference, compare
from luthier.evaluation.evaluate import evaluate
from luthier.evaluation.files import read_evaluation
from luthier.evaluation.intervals import Interval
from luthier.evaluation.json_answers import JsonFigures
from luthier.evaluation.judge import judge
from luthier.evaluation.result import Evaluation, Prediction
from luthier.evaluation.seeds import SeedFigures
from luthier.evaluation.tasks import Task

__all__ = [
    "ClassFigures",
    "Classification",
    "Comparison",
    "Difference",
    "Evaluation",
    "Interval",
    "JsonFigures",
    "Prediction",
    "SeedFigures",
    "Task",
    "compare",
    "evaluate",
    "judge",
    "read_evaluation",
]
