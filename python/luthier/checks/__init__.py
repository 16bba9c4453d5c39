"""What is wrong with the data, found before a model is fitted to it, and repaired where that was asked for.

report = check("train.jsonl", test="test.jsonl")     # CheckReport: findings by code, with rows by file and line
clean("train.jsonl", "train.clean.jsonl", drop=["duplicates", "leakage"], test="test.jsonl")
"""

from luthier.checks.cleaning import CleanReport, clean
from luthier.checks.finding import Finding, FindingRow, Place
from luthier.checks.report import CheckReport
from luthier.checks.run import check

__all__ = ["CheckReport", "CleanReport", "Finding", "FindingRow", "Place", "check", "clean"]
