"""Whether a tuned model should be used: SHIP, HOLD or RETHINK, with the reasons.

verdict = run_verdict("runs/a")          # from the files of a run that was evaluated with its baselines
verdict.outcome, verdict.reasons; verdict.thresholds
judge_run(evidence, Thresholds(class_recall=0.7))       # the same from figures in memory
"""

from luthier.verdict.evidence import CheckFinding, Evidence, Forgot, Losses, LossRise, Rival, TestUse
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
    "judge_run",
    "run_verdict",
]
