"""A tiny random BERT as a sentence encoder's folder, made through Transformers.

folder = make_tiny_encoder(tmp_path / "encoder")
"""

from __future__ import annotations

from pathlib import Path

WORDS = "open close path folder disk save send read letter inbox reply post day month year clock hour week the number"
HIDDEN = 32


def make_tiny_encoder(folder: Path, seed: int = 0) -> Path:
    """Writes a BERT of two layers with a vocabulary of words, and gives the folder back."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = folder / "vocab.txt"
    digits = [part for digit in "0123456789" for part in (digit, f"##{digit}")]
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split(), *digits]) + "\n")
    tokenizer = BertTokenizerFast(str(vocabulary), model_max_length=40)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=48,
        initializer_range=0.5,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
