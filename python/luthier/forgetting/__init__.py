"""What a fit costs beyond its own job: losses and answers on general material, before and after.

before, after = measure_general(base), measure_general(tuned)
compare_general(before, after)                        # prints a table; .within, .right_to_wrong
run_forgetting(lu.Run("runs/a"), keep="keep.jsonl")   # the same for a run
"""

from luthier.forgetting.cache import cached_general
from luthier.forgetting.checker import Checker, checker_from
from luthier.forgetting.compare import LIMIT, AnswerChange, Forgetting, LossChange, compare_general
from luthier.forgetting.figures import GeneralAnswer, GeneralFigures
from luthier.forgetting.losses import TextLosses
from luthier.forgetting.material import instructions, material_sha256, prose
from luthier.forgetting.measure import measure_general
from luthier.forgetting.run import run_forgetting

__all__ = [
    "LIMIT",
    "AnswerChange",
    "Checker",
    "Forgetting",
    "GeneralAnswer",
    "GeneralFigures",
    "LossChange",
    "TextLosses",
    "cached_general",
    "checker_from",
    "compare_general",
    "instructions",
    "material_sha256",
    "measure_general",
    "prose",
    "run_forgetting",
]
