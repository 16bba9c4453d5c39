"""Answers to a file of prompts, written beside them."""

from luthier.generation.file import GenerationStats, generate_file

__all__ = ["GenerationStats", "generate_file"]
