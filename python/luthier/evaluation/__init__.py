"""How good a model's answers are on held-out rows.

evaluation = evaluate(model, "test.jsonl", out="runs/a")
evaluation.exact_match; evaluation                      # prints a table
"""

from luthier.evaluation.evaluate import evaluate
from luthier.evaluation.result import ClassFigures, Classification, Evaluation, JsonFigures, Prediction

__all__ = ["ClassFigures", "Classification", "Evaluation", "JsonFigures", "Prediction", "evaluate"]
