"""`Model`: a loaded decoder with its tokenizer, to look into, to take gradients of, and to answer with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Protocol, overload

from luthier.errors import InputError
from luthier.models.conversations import Conversation, is_batch, to_record, training_records
from luthier.models.locate import ModelSource
from luthier.records import Record, Records
from luthier.text.encode import ChatEncoder

if TYPE_CHECKING:
    import torch

    from luthier import _core
    from luthier.export.adapter import AdapterConfig
    from luthier.text.tokenizer import Tokenizer

_MICRO_TOKENS = 4096


class Constraint(Protocol):
    """What answers may be: `luthier.generation.Labels` or `Schema`."""

    def longest(self, model: Model, records: Sequence[Record]) -> int | None:
        """The most tokens that an answer to one of `records` can have, where that is known."""

    def start(self, model: Model, records: Sequence[Record], max_new_tokens: int) -> Any:
        """What `_core.generate` takes as its constraint, for one call on `records`."""


class Model:
    """A decoder, its tokenizer and perhaps an adapter. Make one with `luthier.load`.

    `source` says where the weights came from; `adapter` is the configuration of the attached adapter or None; `encoder`
    turns Records into token ids. Without a tokenizer only `logits` and `generate_ids` can be used.
    """

    def __init__(
        self,
        decoder: _core.Decoder,
        tokenizer: Tokenizer | None,
        source: ModelSource,
        adapter: AdapterConfig | None = None,
    ) -> None:
        self.decoder = decoder
        self.source = source
        self.adapter = adapter
        self._encoder = None if tokenizer is None else ChatEncoder(tokenizer)

    @property
    def encoder(self) -> ChatEncoder:
        """Turns Records into token ids. Raises InputError where the model's folder has no tokenizer."""
        if self._encoder is None:
            raise InputError(
                f"{self.source.path}: there is no tokenizer in this folder, so that the model takes token ids only "
                "(Model.logits, Model.generate_ids); for texts put its tokenizer.json or tokenizer.model there"
            )
        return self._encoder

    @property
    def tokenizer(self) -> Tokenizer:
        """Raises InputError where the model's folder has none."""
        return self.encoder.tokenizer

    def logits(self, ids: Sequence[int]) -> torch.Tensor:
        """The logits after each token of `ids`: [tokens, vocabulary], fp32. Raises InputError for ids out of range."""
        tokens = [int(token) for token in ids]
        count = int(self.decoder.config["vocabulary_size"])
        if not tokens:
            raise InputError("[logits] there are no tokens")
        for index, token in enumerate(tokens):
            if not 0 <= token < count:
                raise InputError(
                    f"[logits] token {token} at index {index} is out of range; the vocabulary is 0 to {count - 1}"
                )
        logits: torch.Tensor = self.decoder.logits(tokens)
        return logits

    def loss_and_gradients(
        self, rows: str | PathLike[str] | Records | Sequence[Conversation], max_length: int | None = None
    ) -> tuple[float, dict[str, torch.Tensor]]:
        """The mean loss over the supervised tokens of `rows` and its gradient for each parameter, in fp32.

        With an adapter, gradients of its tensors under their PEFT names; without, of every weight under its
        Transformers name. `rows` are a file, Records, or conversations that end with an answer. Nothing is updated.
        Rows longer than `max_length` tokens (default: what the model can hold) are cut.
        Raises InputError when a row cannot be used or has nothing to learn from.
        """
        from luthier import _core

        records = training_records(rows)
        dataset = _core.Dataset(max_length or int(self.decoder.config["max_positions"]))
        for index, (record, row) in enumerate(zip(records, self.encoder.encode_rows(records), strict=True)):
            dropped = dataset.add(index, row.tokens, row.weights, row.ends)
            if dropped:
                raise InputError(f"{record.where}: {dropped}")
        if len(dataset) == 0:
            raise InputError("[loss_and_gradients] there are no rows")
        mode = "full" if self.adapter is None else "lora"
        trainer = _core.Trainer(self.decoder, mode, _MICRO_TOKENS, 0.0, 0.0)
        loss, gradients = trainer.loss_and_gradients(dataset, list(range(len(dataset))))
        return loss, gradients

    def generate_ids(
        self,
        prompts: Sequence[Sequence[int]],
        max_new_tokens: int = 40,
        ends: Sequence[int] = (),
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[list[int]]:
        """The token ids that follow each prompt's: at most `max_new_tokens`, up to the first of `ends` and without it.

        Needs no tokenizer. Raises InputError for ids out of range and prompts without room for `max_new_tokens`.
        """
        from luthier import _core

        answers: list[list[int]] = _core.generate(
            self.decoder, [list(prompt) for prompt in prompts], max_new_tokens, list(ends), temperature, seed
        )
        return answers

    @overload
    def generate(
        self,
        prompts: str | Record,
        max_new_tokens: int = ...,
        temperature: float = ...,
        seed: int = ...,
        constraint: Constraint | None = ...,
    ) -> str: ...
    @overload
    def generate(
        self,
        prompts: Sequence[Any],
        max_new_tokens: int = ...,
        temperature: float = ...,
        seed: int = ...,
        constraint: Constraint | None = ...,
    ) -> str | list[str]: ...
    def generate(
        self,
        prompts: Conversation | Sequence[Conversation],
        max_new_tokens: int = 40,
        temperature: float = 0.0,
        seed: int = 0,
        constraint: Constraint | None = None,
    ) -> str | list[str]:
        """The model's answer to a text or a list of messages, or the answers to a list of these, in order.

        A text is one user message. An answer ends at the model's end token or after `max_new_tokens`. Temperature 0 is
        greedy; above it, answers are sampled and the same seed gives the same ones. `constraint` says what answers may
        be: `luthier.generation.Labels` or `Schema`.
        """
        if is_batch(prompts):
            batch: Sequence[Conversation] = prompts  # type: ignore[assignment]
            records = [to_record(prompt, index) for index, prompt in enumerate(batch)]
            return self.answer(records, max_new_tokens, temperature, seed, constraint=constraint)
        record = to_record(prompts)  # type: ignore[arg-type]
        return self.answer([record], max_new_tokens, temperature, seed, constraint=constraint)[0]

    def answer(
        self,
        records: Sequence[Record],
        max_new_tokens: int = 40,
        temperature: float = 0.0,
        seed: int = 0,
        on_done: Callable[[int], None] | None = None,
        constraint: Constraint | None = None,
    ) -> list[str]:
        """The answers to Records, as text. `on_done` hears now and then how many are finished."""
        tokens = self.answer_tokens(records, max_new_tokens, temperature, seed, on_done, constraint)
        return [self.tokenizer.decode(answer) for answer in tokens]

    def answer_tokens(
        self,
        records: Sequence[Record],
        max_new_tokens: int = 40,
        temperature: float = 0.0,
        seed: int = 0,
        on_done: Callable[[int], None] | None = None,
        constraint: Constraint | None = None,
    ) -> list[list[int]]:
        """The answers to Records, as token ids without the end token. Prompts that begin alike are computed once.

        `constraint` says what answers may be; one that is cut at `max_new_tokens` is the beginning of such an answer.
        Raises InputError for settings out of range, for a prompt that leaves no room for `max_new_tokens`, and for a
        constraint that this model cannot keep.
        """
        from luthier import _core

        if max_new_tokens < 1:
            raise InputError(f"max_new_tokens is {max_new_tokens}; it must be 1 at least")
        if not temperature >= 0:
            raise InputError(f"temperature is {temperature}; it must be 0 (greedy) or above")
        if not records:
            return []
        limit = int(self.decoder.config["max_positions"])
        allowed = None
        if constraint is not None:
            allowed = constraint.start(self, records, max_new_tokens)
            max_new_tokens = min(max_new_tokens, max(constraint.longest(self, records) or max_new_tokens, 1))
        prompts = self.encoder.encode_prompts(records)
        for record, prompt in zip(records, prompts, strict=True):
            if len(prompt) + max_new_tokens > limit:
                raise InputError(
                    f"{record.where}: the prompt has {len(prompt)} tokens, and {max_new_tokens} more would pass the "
                    f"{limit} positions of the model; shorten the prompt or lower max-new-tokens"
                )
        ends = sorted(self.encoder.end_ids)
        answers: list[list[int]] = _core.generate(
            self.decoder, prompts, max_new_tokens, ends, temperature, seed, on_done=on_done, constraint=allowed
        )
        return answers

    def __repr__(self) -> str:
        config = self.decoder.config
        adapter = f", {self.adapter.summary}" if self.adapter is not None else ""
        return (
            f"Model({self.source.name}: {config['family']}, {self.decoder.parameter_count / 1e6:,.1f} M parameters, "
            f"{config['layers']} layers of {config['hidden_size']}, {self.decoder.dtype}{adapter})"
        )
