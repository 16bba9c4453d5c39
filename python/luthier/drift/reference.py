"""reference.npz: how the rows of a fit were distributed, so that later rows can be compared. It holds no text.

Lengths, hashed words, TF-IDF directions and places of at most 4,000 training rows; answers as hashes with their counts
where they are few, else their lengths. Words and directions are learnt from one half of the rows, and the places are
those of the other half: rows look more usual than they are to what was learnt from them.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier import durable
from luthier.drift.features import row_features, system_text, text_hash
from luthier.drift.vocabulary import Vocabulary, learn_vocabulary
from luthier.errors import InputError
from luthier.records.record import Record

if TYPE_CHECKING:
    from luthier.text.tokenizer import Tokenizer

REFERENCE_FILE = "reference.npz"
FORMAT = 1
MOST_ROWS = 4000
LEAST_ROWS = 40
"""With fewer different rows, halves are too small to learn words from."""
_MOST_SYSTEMS = 1000
_ARRAYS = ("characters", "tokens", "answer_characters", "surprise", "unseen", "places")
_VOCABULARY = ("counts", "rows_with", "components")


@dataclass(frozen=True)
class Reference:
    """The distribution of `rows` training rows. `vocabulary`, `surprise`, `unseen` and `places` are None for few rows.

    `answers` counts the hashes of the right answers where these are classes, else it is None. `longest_answer` is in
    tokens.
    """

    rows: int
    characters: Any
    tokens: Any
    answer_characters: Any
    longest_answer: int
    answers: dict[str, int] | None
    systems: frozenset[str]
    vocabulary: Vocabulary | None = None
    surprise: Any = None
    unseen: Any = None
    places: Any = None

    def save(self, path: Path) -> None:
        """Writes the file in one step. Raises OSError."""
        import numpy

        facts = {
            "format": FORMAT,
            "rows": self.rows,
            "longest_answer": self.longest_answer,
            "answers": self.answers,
            "systems": sorted(self.systems),
            "vocabulary_rows": self.vocabulary.rows if self.vocabulary is not None else None,
        }
        arrays = {name: getattr(self, name) for name in _ARRAYS if getattr(self, name) is not None}
        if self.vocabulary is not None:
            arrays |= {name: getattr(self.vocabulary, name) for name in _VOCABULARY}
        stream = io.BytesIO()
        numpy.savez_compressed(stream, facts=numpy.array(json.dumps(facts)), **arrays)
        durable.write_bytes(path, stream.getvalue())

    @classmethod
    def load(cls, path: Path) -> Reference:
        """Reads the file. Raises InputError when there is none or it is damaged."""
        import numpy

        try:
            with numpy.load(path, allow_pickle=False) as file:
                facts = json.loads(str(file["facts"]))
                if facts["format"] != FORMAT:
                    raise InputError(f"{path}: written by another version of Luthier; fit again to have a reference")
                found = {name: file[name] for name in (*_ARRAYS, *_VOCABULARY) if name in file.files}
            vocabulary = None
            if facts["vocabulary_rows"] is not None:
                vocabulary = Vocabulary(
                    rows=int(facts["vocabulary_rows"]), **{name: found.pop(name) for name in _VOCABULARY}
                )
            answers = facts["answers"]
            return cls(
                rows=int(facts["rows"]),
                longest_answer=int(facts["longest_answer"]),
                answers=None if answers is None else {str(key): int(count) for key, count in answers.items()},
                systems=frozenset(facts["systems"]),
                vocabulary=vocabulary,
                **found,
            )
        except FileNotFoundError:
            raise InputError(
                f"{path}: the run has no reference to compare with; runs that Luthier fits from now on keep one"
            ) from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
        except InputError:
            raise
        except Exception as error:  # zipfile, zlib and numpy raise nearly anything on damaged bytes
            raise InputError(f"{path}: damaged ({error}); fit again to have a reference") from None


def build_reference(records: Sequence[Record], tokenizer: Tokenizer) -> Reference:
    """The reference of training rows, which are sampled down to 4,000 where there are more."""
    import numpy

    from luthier.evaluation.classes import is_classification

    sample = sample_records(records)
    references = [record.reference.strip() for record in sample if record.reference is not None]
    features = row_features(sample, tokenizer)
    longest = max((len(tokenizer.encode_text(answer)) for answer in references), default=0)
    different = list({record.question: index for index, record in enumerate(sample)}.values())
    vocabulary = surprise = unseen = places = None
    if len(different) >= LEAST_ROWS:
        vocabulary = learn_vocabulary(features.words[different[0::2]])
        other = features.words[different[1::2]]
        surprise = vocabulary.surprise(other).astype(numpy.float32)
        unseen = vocabulary.unseen(other).astype(numpy.float32)
        places = vocabulary.places(other).astype(numpy.float32)
    return Reference(
        rows=len(sample),
        characters=features.characters,
        tokens=features.tokens,
        answer_characters=numpy.array([len(answer) for answer in references], dtype=numpy.int32),
        longest_answer=longest,
        answers=dict(Counter(map(text_hash, references))) if is_classification(references) else None,
        systems=frozenset(map(text_hash, list({system_text(record) for record in sample})[:_MOST_SYSTEMS])),
        vocabulary=vocabulary,
        surprise=surprise,
        unseen=unseen,
        places=places,
    )


def sample_records(records: Sequence[Record]) -> list[Record]:
    """At most 4,000 records in a random order that is always the same for the same number of records."""
    import random

    chosen = random.Random(0).sample(range(len(records)), min(len(records), MOST_ROWS))
    return [records[index] for index in chosen]
