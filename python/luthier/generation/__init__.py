"""Answers to a file of prompts, written beside them, and what answers may be constrained to."""

from luthier.generation.constraint import Constraint, Labels, Schema
from luthier.generation.file import GenerationStats, generate_file

__all__ = ["Constraint", "GenerationStats", "Labels", "Schema", "generate_file"]
