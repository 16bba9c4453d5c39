"""Small tokenizers and chat templates in the styles of well-known model families, for the tests of this folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from luthier.records import Message, Record
from luthier.text.tokenizer import Tokenizer
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

CORPUS = [
    "the quick brown fox jumps over the lazy dog",
    "system user assistant model answer question end of turn start header",
    "hello world, how are you? I am fine: thanks! 1 2 3 42 2024",
    "<|im_start|> <|im_end|> <start_of_turn> <end_of_turn> [INST] [/INST] </s> <think> </think>",
    "def f(x):\n    return x + 1\n\n\n  - one\n  - two\n",
    "déjà vu, naïve, 日本語, emoji 🙂",
]


@dataclass(frozen=True)
class Family:
    """A template, the control tokens it writes, and how an assistant turn begins and ends in it."""

    name: str
    template: str
    control: tuple[str, ...]
    eos: str
    bos: str | None = None
    end: str | None = None
    rstrip: frozenset[str] = frozenset()
    plain: tuple[str, ...] = ()
    style: str = "bytes"


CHATML = Family(
    "chatml",
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    ("<|im_start|>", "<|im_end|>"),
    eos="<|im_end|>",
)
HEADERS = Family(
    "headers",
    "{{ bos_token }}{% for m in messages %}"
    "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>"
    "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}",
    ("<|begin|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|end|>"),
    eos="<|end|>",
    bos="<|begin|>",
    end="<|eot_id|>",
)
TURNS = Family(
    "turns",
    "{{ bos_token }}{% if messages[0].role == 'system' %}{% set lead = messages[0].content + '\\n\\n' %}"
    "{% set rest = messages[1:] %}{% else %}{% set lead = '' %}{% set rest = messages %}{% endif %}"
    "{% for m in rest %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turns!') }}{% endif %}"
    "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ lead if loop.first else '' }}{{ m.content | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}",
    ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
    eos="<eos>",
    bos="<bos>",
    end="<end_of_turn>",
    plain=("\n\n",),
)
BRACKETS = Family(
    "brackets",
    "{{ bos_token }}{% if messages[0].role == 'system' %}{% set rules = messages[0].content %}"
    "{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}"
    "{% for m in rest %}{% if m.role == 'user' %}[INST] "
    "{{ rules + '\\n\\n' if rules is defined and loop.revindex <= 2 else '' }}{{ m.content }} [/INST]"
    "{% else %} {{ m.content | trim }}{{ eos_token }}{% endif %}{% endfor %}",
    ("<s>", "</s>", "[INST]", "[/INST]"),
    eos="</s>",
    bos="<s>",
)
STRIPPED = Family(
    "stripped",
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}",
    ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|endoftext|>"),
    eos="<|endoftext|>",
    end="<|end|>",
    rstrip=frozenset({"<|system|>", "<|user|>", "<|assistant|>", "<|end|>"}),
)
THINKING = Family(
    "thinking",
    "{% for m in messages %}{% set text = m.content %}"
    "{% if m.role == 'assistant' and '</think>' in text %}"
    "{% set thought = text.split('</think>')[0].split('<think>')[-1].strip('\\n') %}"
    "{% set text = text.split('</think>')[-1].lstrip('\\n') %}{% else %}{% set thought = '' %}{% endif %}"
    "<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and loop.last %}<think>\n{{ thought }}\n</think>\n\n{% endif %}"
    "{{ text }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    ("<|im_start|>", "<|im_end|>"),
    eos="<|im_end|>",
    plain=("<think>", "</think>"),
)
WORDS = Family(
    "words",
    "{{ bos_token }}{% for m in messages %}{{ m.role | upper }}: {{ m.content }}"
    "{{ eos_token if m.role == 'assistant' else '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}",
    ("<s>", "</s>", "<unk>"),
    eos="</s>",
    bos="<s>",
    style="words",
)
MARKED = Family(
    "marked",
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}{% else %}{{ m.content }}<|im_end|>{% endif %}\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    ("<|im_start|>", "<|im_end|>"),
    eos="<|im_end|>",
)
FAMILIES = (CHATML, HEADERS, TURNS, BRACKETS, STRIPPED, THINKING, WORDS, MARKED)


@cache
def description(family: Family) -> str:
    """A tokenizer.json for the family: byte-level BPE, or BPE over words with a space mark and byte fallback."""
    added = [AddedToken(text, special=True, normalized=False, rstrip=text in family.rstrip) for text in family.control]
    if family.style == "bytes":
        backend = Backend(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        backend = Backend(models.BPE(unk_token="<unk>", byte_fallback=True))
        backend.normalizer = normalizers.NFC()
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
        alphabet = []
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)] if family.style == "words" else []
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=[*added, *bytes_], initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(CORPUS * 3, trainer)
    if family.plain:
        backend.add_tokens([AddedToken(text, special=False, normalized=False) for text in family.plain])
    described = json.loads(backend.to_str())
    described["added_tokens"] = [token for token in described["added_tokens"] if token["content"] not in bytes_]
    return json.dumps(described)


@cache
def tokenizer(family: Family) -> Tokenizer:
    """The family's tokenizer with its template, one for all tests."""
    special = {"eos_token": family.eos} | ({} if family.bos is None else {"bos_token": family.bos})
    return Tokenizer(json.loads(description(family)), special_tokens=special, chat_template=family.template)


def reference(family: Family, folder: Path) -> Any:
    """The same through Transformers, from the folder that our tokenizer saves."""
    from transformers import AutoTokenizer

    tokenizer(family).save(folder)
    return AutoTokenizer.from_pretrained(folder)


def record(*contents: str, system: str | None = None, weights: tuple[float, ...] = ()) -> Record:
    """A chat: contents of user and assistant in turn, after a system message if there is one."""
    messages = [] if system is None else [Message("system", system, 0.0)]
    for index, content in enumerate(contents):
        if index % 2 == 0:
            messages.append(Message("user", content, 0.0))
        else:
            turn = index // 2
            messages.append(Message("assistant", content, weights[turn] if turn < len(weights) else 1.0))
    return Record(tuple(messages), file="rows.jsonl", line=1)


def as_dicts(row: Record) -> list[dict[str, str]]:
    """The messages as Transformers takes them."""
    return [{"role": message.role, "content": message.content} for message in row.messages]
