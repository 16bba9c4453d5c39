"""A file of rows cut into train, valid and test, with what belongs together on one side and the test file sealed.

found = split("rows.jsonl", "data", test=0.15, valid=0.1, seed=0)
found.test, found.counts                  # the path of the test file; rows by side
open_sealed(found.test, by="evaluate")    # notes the opening, refuses a changed file
"""

from luthier.splits.seal import SealState, open_sealed, seal_state
from luthier.splits.split import Split, split

__all__ = ["SealState", "Split", "open_sealed", "seal_state", "split"]
