"""Answers to a file of prompts, written beside them, to prompts that come one by one, and what answers may be
constrained to."""

from luthier.generation.constraint import Constraint, Labels, Schema
from luthier.generation.file import GenerationStats, generate_file
from luthier.generation.running_answer import Mask, Piece, RunningAnswer, Sampling, TokenScore
from luthier.generation.worker import BusyError, DecodingWorker

__all__ = [
    "BusyError",
    "Constraint",
    "DecodingWorker",
    "GenerationStats",
    "Labels",
    "Mask",
    "Piece",
    "RunningAnswer",
    "Sampling",
    "Schema",
    "TokenScore",
    "generate_file",
]
