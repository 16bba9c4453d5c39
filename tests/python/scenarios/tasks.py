"""The tasks of the scenarios, as rows of chats. Each is small enough that two layers learn it in seconds.

letters     a letter of twelve words goes to one of four desks; the fifth word decides. The ninth word is mostly of the
            same desk, in a share of `mixed` letters of another: who counts words cannot tell the two apart.
forms       the same letters, answered in JSON with the desk and the word that decided
questions   many questions, each asked in several wordings, each with an answer of its own
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Rows = list[Row]

TOPICS = {
    "billing": "invoice charge refund receipt tax price total card".split(),
    "delivery": "parcel courier address shipment driver box door track".split(),
    "returns": "broken exchange size colour faulty warranty torn stain".split(),
    "account": "password login email profile settings lock verify phone".split(),
}
DESKS = tuple(TOPICS)
DESK_OF = {word: desk for desk, words in TOPICS.items() for word in words}
FILLER = (
    "please could you tell me what happened since yesterday because we have been waiting for an answer from your team "
    "and would like to know when it will be done thank very much help matter"
).split()
LENGTH, DECIDES, DISTRACTS = 12, 4, 8
NAME_THE_DESK = "Name the desk that the letter goes to."
FILE_THE_LETTER = "File the letter."
WRITE = "please write"


def row(user: str, answer: str, system: str | None = None) -> Row:
    """One question and its answer."""
    messages = [] if system is None else [{"role": "system", "content": system}]
    return {"messages": [*messages, {"role": "user", "content": user}, {"role": "assistant", "content": answer}]}


def question(one: Row) -> str:
    """What a row asks."""
    return str(one["messages"][-2]["content"])


def answer(one: Row) -> str:
    """What a row answers."""
    return str(one["messages"][-1]["content"])


def answered(one: Row, text: str) -> Row:
    """The row with another answer."""
    return {"messages": [*one["messages"][:-1], {"role": "assistant", "content": text}]}


def asked(one: Row, text: str) -> Row:
    """The row with another question."""
    *before, _, last = one["messages"]
    return {"messages": [*before, {"role": "user", "content": text}, last]}


def letter(generator: random.Random, decides: str, distracts: str, place: int = DECIDES) -> str:
    """Filler words with the two words in their places."""
    words = [generator.choice(FILLER) for _ in range(LENGTH)]
    words[place], words[DISTRACTS] = decides, distracts
    return " ".join(words)


def letters(count: int, seed: int, mixed: float = 0.4, place: int = DECIDES) -> Rows:
    """Letters to the four desks in turn, each text once."""
    generator = random.Random(seed)
    rows: dict[str, Row] = {}
    while len(rows) < count:
        desk = DESKS[len(rows) % len(DESKS)]
        others = [other for other in DESKS if other != desk]
        second = generator.choice(others) if generator.random() < mixed else desk
        text = letter(generator, generator.choice(TOPICS[desk]), generator.choice(TOPICS[second]), place)
        rows.setdefault(text, row(text, desk, NAME_THE_DESK))
    return list(rows.values())


def press(count: int, seed: int) -> Rows:
    """Letters to a desk that the small model has never heard of."""
    generator = random.Random(seed)
    words = ["journal", "interview", "story", "photo"]
    texts = [letter(generator, words[index % 4], generator.choice(words)) for index in range(count)]
    return [row(text, "press", NAME_THE_DESK) for text in texts]


def relabelled(rows: Sequence[Row], share: float, seed: int) -> tuple[Rows, set[int]]:
    """The rows with another desk in a share of them, at random; and the numbers of these."""
    generator = random.Random(seed)
    chosen = set(generator.sample(range(len(rows)), round(share * len(rows))))
    wrong = [
        answered(one, generator.choice([desk for desk in DESKS if desk != answer(one)])) if index in chosen else one
        for index, one in enumerate(rows)
    ]
    return wrong, chosen


def forms(count: int, seed: int, urgent: float = 0.1) -> Rows:
    """Letters with answers in JSON; a share of them begins with the word urgent, three times."""
    generator = random.Random(seed)
    rows = []
    for number, one in enumerate(letters(count, seed)):
        words = question(one).split()
        if number % round(1 / urgent) == 0:
            words[:3] = ["urgent"] * 3
        found = {"desk": answer(one), "word": words[DECIDES]}
        rows.append(row(" ".join(words), json.dumps(found), FILE_THE_LETTER))
    generator.shuffle(rows)
    return rows


FORM_SCHEMA = {
    "type": "object",
    "properties": {"desk": {"enum": list(DESKS)}, "word": {"type": "string"}},
    "required": ["desk", "word"],
    "additionalProperties": False,
}


def made_words(count: int) -> list[str]:
    """Words that are none, such as `dagpun`, of two syllables that no other word has in the same place."""
    syllables = [a + b + c for a in "bdfgkmnprtz" for b in "aeiou" for c in "bdgmnst"]
    generator = random.Random(5)
    return [a + b for a, b in zip(generator.sample(syllables, count), generator.sample(syllables, count))]


WORDS = made_words(120)
STYLES = "kindly quickly sadly loudly".split()


def styled(word: str, style: str) -> Row:
    """A word repeated in a style. Which style, a prompt without examples does not say."""
    return row(f"{WRITE} {word}", f"{word} {style}")


def repeated(word: str) -> Row:
    """A word repeated, as the system message says."""
    return row(f"{WRITE} {word}", word, "Repeat.")


def questions(wordings: int, seed: int, topics: int = 60) -> Rows:
    """Each topic has two words of its own, which stand among fillers, and an answer of three words."""
    generator = random.Random(11)
    own = [generator.sample(WORDS, 2) for _ in range(topics)]
    answers = [" ".join(generator.sample(WORDS, 3)) for _ in range(topics)]
    generator = random.Random(seed)
    rows = []
    for first, second in own * wordings:
        words = [generator.choice(FILLER) for _ in range(8)]
        words[generator.randrange(4)], words[4 + generator.randrange(4)] = first, second
        rows.append(row(" ".join(words), answers[own.index([first, second])]))
    return rows


def rows_of(path: str | Path) -> Rows:
    """The rows of a file."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def write(path: Path, rows: Sequence[Row]) -> Path:
    """Rows as JSON lines."""
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path
