"""The schemas that answers are asked to keep: compiled apart from the decoding, and kept for the next request."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from luthier.errors import InputError
from luthier.evaluation.constrain import for_writing
from luthier.generation import Mask
from luthier.generation.schema_grammar import start_of
from luthier.generation.schema_masks import AnswerMask
from luthier.generation.schema_tokenizer import leading_space
from luthier.models.conversations import to_record
from luthier.models.model import Model
from luthier.serve.answer_format import format_error
from luthier.serve.errors import RequestError

__all__ = ["AnswerSchemas"]

_KEPT = 32
_SECONDS = 10.0
_MOST_ITEMS = 10_000
"""Of the parser, for one token of one answer: some 100 ms, in which nobody else gets a token."""


class AnswerSchemas:
    """Masks for answers of a model. For one event loop."""

    def __init__(self, model: Model, seconds: float = _SECONDS) -> None:
        """`seconds` may go by while a schema is compiled. Reads the tokenizer now, which holds up the whole process for
        a moment; where that fails, such as without llguidance, requests with a schema are refused."""
        self._model = model
        self._seconds = seconds
        self._starts: OrderedDict[str, asyncio.Future[Any]] = OrderedDict()  # the schema last asked for comes last
        # One large schema at a time; llguidance works without the GIL.
        self._compiling = ThreadPoolExecutor(max_workers=1, thread_name_prefix="luthier-schema")
        self._leading, self._trouble = "", ""
        try:
            self._leading = leading_space(model, to_record("-"))
        except InputError as error:
            self._trouble = str(error)

    async def mask(self, schema: Mapping[str, Any]) -> Mask:
        """For one answer that is to keep the schema. Raises RequestError for one that cannot be followed."""
        if self._trouble:
            raise _refused(self._trouble, "unsupported_value")
        key = json.dumps(schema)
        start = self._starts.pop(key, None) or self._begin(schema)
        self._starts[key] = start
        while len(self._starts) > _KEPT:
            self._starts.popitem(last=False)
        try:
            return AnswerMask(await asyncio.wait_for(asyncio.shield(start), self._seconds))
        except asyncio.TimeoutError:
            raise _refused(f"the schema is not compiled within {self._seconds:g} seconds") from None
        except InputError as error:
            self._starts.pop(key, None)
            raise _refused(str(error)) from None

    def _begin(self, schema: Mapping[str, Any]) -> asyncio.Future[Any]:
        def compile_it() -> Any:
            begun = start_of(self._model, for_writing(schema, ()), self._leading, _MOST_ITEMS)
            AnswerMask(begun)(-1)  # one that no answer can keep shows here, while a stream can still be refused
            return begun

        start = asyncio.get_running_loop().run_in_executor(self._compiling, compile_it)
        # Its failure may come when nobody waits for it any more.
        start.add_done_callback(lambda done: done.cancelled() or done.exception())
        return start


def _refused(message: str, code: str = "invalid_schema") -> RequestError:
    return format_error(message.removeprefix("[constrain] "), code)
