"""Languages mixed unexpectedly, and words of two alphabets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from luthier.checks.context import Context
from luthier.checks.finding import Finding, FindingRow, fine
from luthier.checks.languages import foreign_script, mixed_alphabets, text_language
from luthier.checks.texts import answer, conversation
from luthier.records.record import Record

CODE = "language"

# Where a tenth of the rows is in another language, the data is meant to be in several.
USUAL = 0.9
FEWEST = 20
_PARTS: tuple[tuple[str, Callable[[Record], str]], ...] = (("input", conversation), ("answer", answer))


def look(context: Context) -> Finding:
    """Where 90 % of the inputs (or of the answers) are in one language: the rows that are clearly in another."""
    rows: dict[int, FindingRow] = {}
    words: list[str] = []
    for part, text_of in _PARTS:
        languages = [text_language(text_of(record)) for record in context.data.rows]
        counts = Counter(language for language in languages if language is not None)
        known = sum(counts.values())
        if known < FEWEST:
            continue
        usual, most = counts.most_common(1)[0]
        if most < USUAL * known:
            words.append(f"{part}s in {', '.join(name for name, _ in counts.most_common(4))}")
            continue
        words.append(f"{part}s in {usual}")
        for index, language in enumerate(languages):
            if language is None:
                language = foreign_script(text_of(context.data.rows[index]), usual)
            if language not in (None, usual):
                note = f"{part} in {language}, where {most / known:.1%} are in {usual}"
                rows.setdefault(index, FindingRow(context.data.place(index), note))
    for index, record in enumerate(context.data.rows):
        for _, text_of in _PARTS:
            piece = mixed_alphabets(text_of(record))
            if piece is not None:
                note = f"Latin and Cyrillic letters in one word: {piece!a}"
                rows.setdefault(index, FindingRow(context.data.place(index), note))
    if not rows:
        return fine(CODE, "; ".join(words) or "too little running text to tell the language")
    message = (
        f"rows in another language than the rest (under {1 - USUAL:.0%} of the rows; more are taken to be meant), by "
        "script and function words; short texts and code are left out"
    )
    return Finding(CODE, "warning", message, len(rows), [rows[i] for i in sorted(rows)], context.all_rows(CODE))
