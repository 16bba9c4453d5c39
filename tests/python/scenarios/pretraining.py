"""What the small model of the scenarios knows before it is tuned.

It has read some English (documentation of the standard library) and learned four skills: to continue a list of examples
in their style, to repeat a word, to name the desk of a word, and to pick a word out of a letter. So prompting can solve
a task, tuning is quick, and there is something to forget.
"""

from __future__ import annotations

import argparse
import collections
import decimal
import json
import logging
import os
import random
import subprocess
import tarfile
import textwrap

from scenarios.tasks import (
    DECIDES,
    DESK_OF,
    DESKS,
    FILE_THE_LETTER,
    NAME_THE_DESK,
    STYLES,
    WORDS,
    WRITE,
    Row,
    Rows,
    letter,
    letters,
    repeated,
    row,
    styled,
)

_MODULES = (argparse, collections, decimal, logging, os, subprocess, tarfile, textwrap)
_LONGEST = 240


def english() -> Rows:
    """Questions about functions of the standard library with the beginning of their documentation."""
    rows = []
    for module in _MODULES:
        for name in dir(module):
            text = getattr(getattr(module, name), "__doc__", None)
            if isinstance(text, str) and len(text) > 60:
                rows.append(row(f"Explain {module.__name__}.{name}.", " ".join(text.split())[:_LONGEST]))
    return rows


def pretraining_rows() -> Rows:
    """All that the model learns, shuffled."""
    generator = random.Random(7)
    rows = english()
    rows += [_examples(generator) for _ in range(2800)]
    rows += [repeated(generator.choice(WORDS)) for _ in range(300)]
    rows += [_desk(generator.choice(list(DESK_OF))) for _ in range(600)]
    rows += [_form(generator.choice(list(DESK_OF))) for _ in range(300)]
    rows += [_fifth_word(generator) for _ in range(1200)]
    generator.shuffle(rows)
    return rows


def tokenizer_texts() -> list[str]:
    """Texts in which every word of the scenarios is frequent enough to become one token."""
    texts = [message["content"] for one in english() + letters(400, seed=99) for message in one["messages"]]
    texts += [f"{WRITE} {word}" for word in WORDS] * 60
    texts += [f"{word} {style}" for word in WORDS for style in STYLES] * 15
    texts += [*WORDS, *DESK_OF, *DESKS, "urgent"] * 60
    texts += [f" {word}" for word in [*DESK_OF, *DESKS, "press", "urgent", "Billing", "keep", "drop"]] * 40
    texts += [json.dumps({"desk": desk, "word": word}) for word, desk in DESK_OF.items()] * 10
    return texts + ["system\n", "user\n", "assistant\n", NAME_THE_DESK, FILE_THE_LETTER, "Repeat."] * 40


def skill_rows() -> dict[str, Rows]:
    """Rows of each skill, made as the model's own were but not among them."""
    generator = random.Random(8)
    return {
        "examples": [_examples(generator, turns=5) for _ in range(40)],
        "desk": [_desk(word) for word in DESK_OF],
        "fifth word": [_fifth_word(generator) for _ in range(40)],
    }


def _examples(generator: random.Random, turns: int | None = None) -> Row:
    """Up to four examples and a question, all answered in one style."""
    style = generator.choice(STYLES)
    words = generator.sample(WORDS, turns or generator.choice((1, 2, 3, 5, 5)))
    chats = [styled(word, style) for word in words]
    return {"messages": [message for chat in chats for message in chat["messages"]]}


def _desk(word: str) -> Row:
    return row(word, DESK_OF[word], "Name the desk.")


def _form(word: str) -> Row:
    return row(word, json.dumps({"desk": DESK_OF[word], "word": word}), "Fill in the form.")


def _fifth_word(generator: random.Random) -> Row:
    first, second = generator.choice(list(DESK_OF)), generator.choice(list(DESK_OF))
    text = letter(generator, first, second)
    return row(text, text.split()[DECIDES], "Say the fifth word.")
