"""The cheapest things that could do the job, on the same rows with the same scorer.

found = baseline("train.jsonl", test="test.jsonl", model="smollm2-135m-instruct", tuned=run.evaluate("test.jsonl"))
found.comparisons[0].primary.interval; found            # prints a table
"""

from luthier.baselines.earlier import compare_earlier
from luthier.baselines.result import BaselineResult, Baselines, Skipped
from luthier.baselines.run import baseline

__all__ = ["BaselineResult", "Baselines", "Skipped", "baseline", "compare_earlier"]
