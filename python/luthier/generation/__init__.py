"""Answers to a file of prompts, written beside them, and to prompts that come one by one."""

from luthier.generation.file import GenerationStats, generate_file
from luthier.generation.running_answer import Piece, RunningAnswer, Sampling, TokenScore
from luthier.generation.worker import BusyError, DecodingWorker

__all__ = [
    "BusyError",
    "DecodingWorker",
    "GenerationStats",
    "Piece",
    "RunningAnswer",
    "Sampling",
    "TokenScore",
    "generate_file",
]
