"""Tiny random Llama models of odd sizes, made through Transformers, for tests that need a whole model in milliseconds.

    folder = make_tiny_model(tmp_path / "tiny")                     # tied head, no biases, one safetensors file
    folder = make_tiny_model(tmp_path / "tiny", TinyShape(tied=False, biases=True), shards=3)

The tokenizer is a byte-level BPE trained here on sentences written here, with a ChatML-like template; the end-of-turn
token is also the end token of generation. Needs `transformers`, `tokenizers` and torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

END_OF_TURN = "<|im_end|>"
START_OF_TURN = "<|im_start|>"
CONTROL_TOKENS = ("<|endoftext|>", START_OF_TURN, END_OF_TURN)

TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a tiny test model.<|im_end|>\n' }}"
    "{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

SENTENCES = [
    "You are a tiny test model. Answer with the name of one section and nothing else.",
    "system user assistant: the quick brown fox jumps over the lazy dog, 0123456789 times.",
    '{"name": "value", "parameters": [{"name": "path", "default": null}], "required": 2}',
    "def read(path, mode='r', *, encoding=None): return the text of the file at the path.",
    "Sorting, searching, reading and writing; mail, files, dates and the network.",
    "Ärger über Öl, naïve café, 東京, emoji 🙂 and tabs\tbetween words.",
]


@dataclass(frozen=True)
class TinyShape:
    """Sizes of a tiny model. The defaults are odd on purpose: no power of two, grouped keys, head_dim x heads = hidden.

    Set `head_dim` so that heads x head_dim differs from hidden for the decoupled layout.
    """

    hidden: int = 40
    layers: int = 3
    heads: int = 4
    key_heads: int = 2
    head_dim: int = 10
    intermediate: int = 56
    max_positions: int = 256
    rope_theta: float = 10000.0
    tied: bool = True
    biases: bool = False


def make_tiny_tokenizer(vocabulary: int = 300) -> Any:
    """A Transformers tokenizer: byte-level BPE of at most `vocabulary` tokens, control tokens at ids 0 to 2, chat
    template set."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(CONTROL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=START_OF_TURN,
        eos_token=END_OF_TURN,
        pad_token=END_OF_TURN,
        unk_token=CONTROL_TOKENS[0],
    )
    fast.chat_template = TEMPLATE
    return fast


def make_tiny_model(
    folder: Path,
    shape: TinyShape | None = None,
    *,
    shards: int = 1,
    seed: int = 0,
    dtype: str = "float32",
    rows: int | None = None,
) -> Path:
    """Writes a random Llama with its tokenizer to `folder` as Transformers does, and gives the folder back.

    `shards` > 1 writes at least two safetensors files with their index. Weights and biases are random and large enough
    that greedy answers of different prompts differ. `dtype` is the type in the file. `rows` are those of the embedding,
    by default as many as there are tokens.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = shape or TinyShape()
    tokenizer = make_tiny_tokenizer()
    config = LlamaConfig(
        vocab_size=rows or len(tokenizer),
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_heads,
        head_dim=shape.head_dim,
        max_position_embeddings=shape.max_positions,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
        rms_norm_eps=1e-5,
        tie_word_embeddings=shape.tied,
        attention_bias=shape.biases,
        mlp_bias=shape.biases,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    generator = torch.Generator().manual_seed(seed)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = torch.randn(parameter.shape, generator=generator)
            if name.endswith("norm.weight"):
                parameter.copy_(1.0 + 0.1 * values)
            elif name.endswith(".bias"):
                parameter.copy_(0.1 * values)
            else:
                parameter.copy_(values * (0.5 if parameter.dim() < 2 else 1.5 * parameter.shape[1] ** -0.5))
    model = model.to(getattr(torch, dtype))
    folder.mkdir(parents=True, exist_ok=True)
    size = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    largest = max(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    model.save_pretrained(folder, max_shard_size=max(size // shards, largest) + 1 if shards > 1 else size * 2)
    tokenizer.save_pretrained(folder)
    return folder


def chat(user: str, answer: str | None = None, system: str | None = None) -> list[dict[str, str]]:
    """One conversation as a list of messages; without `answer` it ends with the user's turn."""
    messages = [{"role": "system", "content": system}] if system is not None else []
    messages.append({"role": "user", "content": user})
    if answer is not None:
        messages.append({"role": "assistant", "content": answer})
    return messages
