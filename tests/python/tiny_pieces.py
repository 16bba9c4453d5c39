"""Tiny random models whose tokenizer is a sentencepiece model, trained here: BPE with byte fallback.

    folder = make_tiny_piece_model(tmp_path / "tiny")                   # a space before text, as in Llama 2
    folder = make_tiny_piece_model(tmp_path / "tiny", prefix=False)     # none, as in Gemma

The chat template and its control tokens are those of tiny_model. Needs the sentencepiece package.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from tiny_model import END_OF_TURN, SENTENCES, START_OF_TURN, TEMPLATE, TinyShape, make_tiny_model

ROWS = 500


def make_tiny_piece_model(folder: Path, shape: TinyShape | None = None, *, prefix: bool = True) -> Path:
    """Writes a random Llama with tokenizer.model and tokenizer_config.json to `folder`, and gives the folder back.

    The turns' tokens are added behind the model's pieces; the embedding has some rows more than there are tokens.
    """
    import sentencepiece

    make_tiny_model(folder, shape, rows=ROWS)
    for name in ("tokenizer.json", "generation_config.json"):  # the latter has the other tokenizer's end token
        (folder / name).unlink()
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 5),
        model_writer=model,
        model_type="bpe",
        vocab_size=ROWS - 20,
        byte_fallback=True,
        character_coverage=0.99,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=prefix,
        user_defined_symbols=["▁▁", "▁▁▁", "▁▁▁▁"],
        num_threads=1,
        minloglevel=2,
    )
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    config: dict[str, Any] = {
        "tokenizer_class": "LlamaTokenizer" if prefix else "GemmaTokenizer",
        "legacy": True,
        "eos_token": END_OF_TURN,
        "add_bos_token": False,
        "added_tokens_decoder": {
            str(ROWS - 20 + index): {"content": text, **flags}
            for index, text in enumerate((START_OF_TURN, END_OF_TURN))
        },
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder
