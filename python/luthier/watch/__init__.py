"""After the release: are new rows still like those of the fit, and is a new run at least as good as the last?

watch_run(lu.Run("runs/a"), "new.jsonl", labels=True)                       # keep, look or retrain
gate_run(lu.Run("runs/b"), lu.Run("runs/a"), "golden.jsonl")                # passes, or fails with the rows
"""

from luthier.watch.gate import gate_run
from luthier.watch.gate_result import Gate, GateRow
from luthier.watch.result import Watch
from luthier.watch.shifts import Shift
from luthier.watch.watch import watch_run

__all__ = ["Gate", "GateRow", "Shift", "Watch", "gate_run", "watch_run"]
