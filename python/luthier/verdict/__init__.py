"""Whether a tuned model should be used: SHIP, HOLD or RETHINK, with the reasons.

tuned = run.evaluate("test.jsonl")
run.baselines(tuned, "test.jsonl")
verdict = give_verdict(run, "test.jsonl")               # measures what else is needed
verdict = run_verdict("runs/a")                         # again, from the files of the run
verdict.outcome, verdict.reasons; verdict.thresholds
judge_run(evidence, Thresholds(class_recall=0.7))       # the same from figures in memory
"""

from luthier.verdict.evidence import CheckFinding, Evidence, Forgot, Losses, LossRise, Rival, TestUse
from luthier.verdict.give import give_verdict
from luthier.verdict.judge import judge_run
from luthier.verdict.result import Reason, Verdict
from luthier.verdict.run import run_verdict
from luthier.verdict.thresholds import Thresholds

__all__ = [
    "CheckFinding",
    "Evidence",
    "Forgot",
    "LossRise",
    "Losses",
    "Reason",
    "Rival",
    "TestUse",
    "Thresholds",
    "Verdict",
    "give_verdict",
    "judge_run",
    "run_verdict",
]
