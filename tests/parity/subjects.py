"""The models that are compared, each with rows, prompts and a way to the same weights in Transformers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from our_side import Adapter, Row
from tiny_model import TinyShape, chat, make_tiny_model

TINY_SHAPES = {
    "tied": TinyShape(),
    "untied_biases": TinyShape(tied=False, biases=True, layers=2),
    "grouped_wide": TinyShape(hidden=36, heads=6, key_heads=2, head_dim=14, intermediate=50, layers=2),
    "one_key_head": TinyShape(hidden=24, heads=3, key_heads=1, head_dim=8, intermediate=33, layers=1, tied=False),
}


@dataclass
class Subject:
    """A model on disk. `rows` are for gradients, `forest_rows` share prefixes of prefixes, `many_rows` are 32."""

    name: str
    path: Path
    rows: list[Row]
    forest_rows: list[Row]
    many_rows: list[Row]
    tokens: list[int]
    _made: dict[str, Any] = field(default_factory=dict)

    @property
    def tiny(self) -> bool:
        return self.name != "smollm2"

    def peer(self, dtype: torch.dtype = torch.float32) -> Any:
        """A new copy of the same weights in Transformers."""
        import copy

        if "model" not in self._made:
            self._made["model"] = load_peer(self.path)
        return copy.deepcopy(self._made["model"]).to(dtype)

    def once(self, key: str, make: Any) -> Any:
        """What `make` returns, computed once for all instruction sets."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def adapter(self, rank: int = 5, targets: Sequence[str] = ("all-linear",), rslora: bool = False) -> Adapter:
        """Random matrices, B too: with B zero, the gradient of A would be zero."""
        from luthier import _core

        def make() -> dict[str, torch.Tensor]:
            decoder = _core.Decoder.load(str(self.path), "float32")
            decoder.attach_lora(rank, 2.0 * rank, list(targets), rslora, 0)
            generator = torch.Generator().manual_seed(1)
            tensors: dict[str, torch.Tensor] = {}
            for name, tensor in sorted(decoder.adapter_tensors().items()):
                values = torch.randn(tensor.shape, generator=generator)
                tensors[name] = tensor if ".lora_A." in name else 0.2 * rank**-0.5 * values
            return tensors

        key = f"adapter {rank} {targets} {rslora}"
        return Adapter(self.once(key, make), rank, 2.0 * rank, list(targets), rslora)


def load_peer(path: Path) -> Any:
    """A Transformers model in fp32 from a folder or a GGUF file.

    Its embedding forgets which token is for padding: torch withholds that one's gradient, though here it is the end of
    turn, which rows hold.
    """
    from transformers import AutoModelForCausalLM

    place = {"pretrained_model_name_or_path": path}
    if not path.is_dir():
        place = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name}
    model = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32).eval()
    model.model.embed_tokens.padding_idx = None
    return model


def encode(path: Path, conversations: Sequence[Any]) -> list[Row]:
    """Conversations as rows of tokens, through the model's own tokenizer and template."""
    from luthier.models.conversations import training_records
    from luthier.models.load import load_tokenizer
    from luthier.models.locate import locate
    from luthier.text.encode import ChatEncoder

    encoder = ChatEncoder(load_tokenizer(locate(path)))
    return [Row(row.tokens, row.weights) for row in encoder.encode_rows(training_records(conversations))]


def random_row(generator: torch.Generator, length: int, vocabulary: int = 300) -> Row:
    """Random tokens; about a third of them supervised, with weights that differ."""
    tokens = torch.randint(3, vocabulary, (length,), generator=generator).tolist()
    choice = torch.randint(0, 6, (length,), generator=generator).tolist()
    weights = [{0: 0.5, 1: 1.0, 2: 2.0}.get(value, 0.0) for value in choice]
    return Row(tokens, [*weights[:-1], 1.0])


def branching_rows(generator: torch.Generator, vocabulary: int = 300) -> list[Row]:
    """A trunk of 19 tokens, two branches of 17 and 23, twigs of 16 on one of them, and leaves: depth three.

    Among the rows are one that ends where others part, one that is a prefix of another, and one that stands twice.
    """

    def some(length: int) -> list[int]:
        return torch.randint(3, vocabulary, (length,), generator=generator).tolist()

    trunk, left, right, twig, other = some(19), some(17), some(23), some(16), some(16)
    paths = [
        trunk + left + twig + some(3),
        trunk + left + twig + some(9),
        trunk + left + other + some(5),
        trunk + left + other,
        trunk + left + some(2),
        trunk + right + some(4),
        trunk + right,
        trunk + right + some(11),
        some(21),
    ]
    rows = []
    for path in [*paths, paths[0]]:
        drawn = torch.randint(0, 4, (len(path),), generator=generator).tolist()
        rows.append(Row(path, [*(float(value == 0) for value in drawn[:-1]), 1.0]))
    return rows


def tiny_subject(name: str, folder: Path) -> Subject:
    """A tiny random model."""
    path = make_tiny_model(folder / "model", TINY_SHAPES[name], seed=len(name))
    generator = torch.Generator().manual_seed(len(name))
    rows = [random_row(generator, length) for length in (2, 3, 17, 31, 64, 65, 130)]
    many = [*branching_rows(generator), *branching_rows(generator), *(random_row(generator, 5 + i) for i in range(12))]
    return Subject(name, path, rows, branching_rows(generator), many, rows[-1].tokens)


def smollm2_path() -> Path:
    """SmolLM2's GGUF file in the cache; the test is skipped if it is not there and cannot be fetched."""
    from luthier.errors import LuthierError
    from luthier.models.fetch import fetch_known
    from luthier.models.registry import find_known

    known = find_known("smollm2-135m-instruct")
    assert known is not None
    try:
        return fetch_known(known)
    except LuthierError as error:
        pytest.skip(f"SmolLM2 is not in the cache and cannot be fetched: {error}")


SYSTEM = "You describe Python functions. Answer with one JSON object with the keys name, summary and required."


SHORT_SYSTEM = "You are a calculator. Answer with a number and nothing else."


def function_row(name: str, parameters: Sequence[str], summary: str) -> list[dict[str, str]]:
    """A conversation that asks for a function's description as JSON."""
    question = f"def {name}({', '.join(parameters)})\n\n{summary}"
    required = sum("=" not in parameter for parameter in parameters)
    return chat(question, json.dumps({"name": name, "summary": summary, "required": required}), SYSTEM)


FUNCTIONS = [
    ("copyfile", ["src", "dst", "follow_symlinks=True"], "Copy data from src to dst in the most efficient way."),
    ("bisect_left", ["a", "x", "lo=0", "hi=None"], "Return the index where to insert item x in list a."),
    ("urlparse", ["url", "scheme=''"], "Parse a URL into six components and return a named tuple."),
    ("median", ["data"], "Return the median (middle value) of numeric data."),
]


def smollm2_subject() -> Subject:
    """SmolLM2 135M Instruct from its GGUF file, with chat rows as in the demo."""
    path = smollm2_path()
    rows = encode(path, [function_row(*function) for function in FUNCTIONS])
    levels = [
        function_row(name, FUNCTIONS[0][1], summary)
        for name, summary in (
            ("copy", "Copy a file with its permission bits, to a path that may be a folder, and return that path."),
            ("copy", "Copy a file with its permission bits, to a path that may be a folder, and return nothing."),
            ("copy", "Move a file."),
            ("move", "Move a file."),
        )
    ]
    many = encode(path, [chat(f"What is {i} + {i * i % 7}?", str(i + i * i % 7), SHORT_SYSTEM) for i in range(32)])
    return Subject("smollm2", path, rows, encode(path, levels), many, rows[0].tokens)
