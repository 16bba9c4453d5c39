"""Which of the ways to cut text before merging, that GGUF files name under tokenizer.ggml.pre, a tokenizer has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from luthier.errors import InputError

if TYPE_CHECKING:
    from luthier.text.tokenizer import Tokenizer

# Those with the tokenizer's own rule come first. Of others the usual one does: a vocabulary too small to tell two apart
# gets the first that fits.
_NAMES = ("gpt-2", "smollm", "llama-bpe", "dbrx", "qwen2", "tekken")
# Texts that the ways cut differently: digits in runs, capitals in apostrophes, line ends behind signs, spaces in runs.
PROBES = (
    "1 12 123 1234 12345 1234567 3.14 1,000,000 x2y33 ٣٤٥ ½",
    "I'm you'RE he'LL we've it'S o'clock 'Twas rock'n'roll",
    "a  b   c    d\te\t\tf\n\ng \n h\r\ni\n\n\n  j   \n",
    "end.\nnext;\r\n\r\n{[(<>)]}\n\n== != <= -> :: // /* */ path/to/file\n/",
    "camelCase HTTPServer XMLHttpRequest snake_case ALLCAPS McDonald iPhone",
    "naïve Straße Ärger e\u0301 ñandú Ωmega ёлка 東京タワー 한국어 ไทย हिन्दी العربية",
    "🙂🙂 👩‍👩‍👧 ✅ … — “quoted” ‘single’ №5 €20 100% #tag @name",
    " leading and trailing  ",
    "\n1\n 2\n  3 \n\n4",
)


def pre_tokenizer_name(tokenizer: Tokenizer, keys: Mapping[str, Any]) -> str:
    """The name under which GGUF readers cut text as the tokenizer does: one with the same rule, and in any case one by
    which a few texts get the same ids.

    `keys` are the tokenizer's other keys. Raises InputError where none fits: readers would tokenise otherwise.
    """
    from luthier.text.tokenizer import Tokenizer

    wanted = [tokenizer.encode_text(probe) for probe in PROBES]
    readers = {name: Tokenizer.from_gguf_metadata({**keys, "tokenizer.ggml.pre": name}) for name in _NAMES}
    for name in sorted(_NAMES, key=lambda name: _likeness(tokenizer, readers[name]), reverse=True):
        if all(readers[name].encode_text(probe) == ids for probe, ids in zip(PROBES, wanted, strict=True)):
            return name
    raise InputError(
        f"[export] the tokenizer cuts text in none of the ways that can be named in a GGUF file ({', '.join(_NAMES)}), "
        "so its readers would tokenise otherwise; use --format merged or peft"
    )


def _likeness(one: Tokenizer, other: Tokenizer) -> tuple[bool, bool]:
    """Whether both cut by the same rule, and whether both take a whole piece that is in the vocabulary as it is."""
    rules = [_rule(tokenizer.description.get("pre_tokenizer")) for tokenizer in (one, other)]
    whole = [bool((tokenizer.description.get("model") or {}).get("ignore_merges")) for tokenizer in (one, other)]
    return rules[0] == rules[1], whole[0] == whole[1]


def _rule(described: Any) -> Any:
    """A description without what does not change where text is cut."""
    if isinstance(described, Mapping):
        return {key: _rule(value) for key, value in described.items() if key != "trim_offsets"}
    return [_rule(item) for item in described] if isinstance(described, list) else described
