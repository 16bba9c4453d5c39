"""The routes: models, chats and completions."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from luthier.errors import InputError
from luthier.generation import DecodingWorker, Mask, TokenScore
from luthier.models.model import Model
from luthier.serve.answer_format import schema_of
from luthier.serve.errors import RequestError
from luthier.serve.guard import check_sender, read_body
from luthier.serve.live_answer import LiveAnswer, out_of_time
from luthier.serve.prompts import chat_prompt, completion_prompt
from luthier.serve.requests import ChatRequest, CompletionRequest, parse, sampling
from luthier.serve.responses import ChatForm, CompletionForm, Form, usage
from luthier.serve.schemas import AnswerSchemas
from luthier.serve.settings import ServeSettings

__all__ = ["make_app"]

Result = TypeVar("Result")


def make_app(model: Model, worker: DecodingWorker, settings: ServeSettings) -> FastAPI:
    """The application over a worker that decodes with the model. A request reaches the tokenizer and the worker, and no
    file."""
    app = FastAPI(title="Luthier", docs_url=None, redoc_url=None, openapi_url=None)
    described = {"id": settings.name, "object": "model", "created": int(time.time()), "owned_by": "luthier"}
    # The encoder is for one thread at a time, and a long prompt must not hold up the event loop.
    encoding = ThreadPoolExecutor(max_workers=1, thread_name_prefix="luthier-encoding")
    schemas = AnswerSchemas(model)

    async def encoded(encode: Callable[[], list[int]]) -> list[int]:
        return await asyncio.get_running_loop().run_in_executor(encoding, encode)

    async def started(
        request: ChatRequest | CompletionRequest, encode: Callable[[], list[int]], deadline: float
    ) -> LiveAnswer:
        mask: Mask | None = None
        if request.model != settings.name:
            raise _no_model(request.model, settings)
        prompt = await encoded(encode)
        if isinstance(request, ChatRequest) and (schema := schema_of(request.response_format)) is not None:
            mask = await schemas.mask(schema)
        try:
            length = worker.room(len(prompt), request.length, settings.max_new_tokens)
        except InputError as error:
            raise RequestError(400, str(error), code="context_length_exceeded") from None
        return LiveAnswer(worker, prompt, sampling(request, length), deadline, mask)

    async def chat(http: Request, deadline: float) -> Response:
        request = parse(ChatRequest, await read_body(http, settings.max_request_bytes))
        form = ChatForm(settings.name, model.tokenizer, request.scores is not None)
        answer = await started(request, lambda: chat_prompt(model, request, settings.system), deadline)
        return await _respond(http, request, answer, form)

    async def completion(http: Request, deadline: float) -> Response:
        request = parse(CompletionRequest, await read_body(http, settings.max_request_bytes))
        form = CompletionForm(settings.name, model.tokenizer, request.scores is not None)
        answer = await started(request, lambda: completion_prompt(model, request), deadline)
        return await _respond(http, request, answer, form)

    async def guarded(http: Request, respond: Callable[[Request, float], Awaitable[Response]]) -> Response:
        """The response, or the error that it ends in; within the time limit."""
        deadline = asyncio.get_running_loop().time() + settings.time_limit
        try:
            check_sender(http, settings)
            return await _until(deadline, respond(http, deadline))
        except RequestError as error:
            return _error(error)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as error:  # nothing of it goes to the client
            print(f"luthier: {http.url.path}: internal error: {type(error).__name__}: {error}", file=sys.stderr)
            return _error(RequestError(500, "the request could not be answered", code="internal_error"))

    @app.post("/v1/chat/completions")
    async def chat_completions(http: Request) -> Response:
        return await guarded(http, chat)

    @app.post("/v1/completions")
    async def completions(http: Request) -> Response:
        return await guarded(http, completion)

    @app.get("/v1/models")
    async def models(http: Request) -> Response:
        async def respond(http: Request, deadline: float) -> Response:
            return JSONResponse({"object": "list", "data": [described]})

        return await guarded(http, respond)

    @app.get("/v1/models/{name:path}")
    async def one_model(http: Request, name: str) -> Response:
        async def respond(http: Request, deadline: float) -> Response:
            if name != settings.name:
                raise _no_model(name, settings)
            return JSONResponse(described)

        return await guarded(http, respond)

    @app.exception_handler(HTTPException)
    async def no_route(http: Request, error: HTTPException) -> Response:
        return _error(RequestError(error.status_code, f"{http.method} {http.url.path}: {error.detail}"))

    return app


async def _respond(http: Request, request: ChatRequest | CompletionRequest, answer: LiveAnswer, form: Form) -> Response:
    if request.stream:
        return _EventStream(_events(answer, form, request.usage_wanted), answer)
    try:
        return await _unless_gone(http, _whole(answer, form))
    finally:
        answer.close()


async def _whole(answer: LiveAnswer, form: Form) -> Response:
    text, tokens, finish = [], 0, ""
    scores: list[TokenScore] = []
    async for piece in answer.pieces():
        text.append(piece.text)
        scores += piece.scores
        tokens, finish = piece.tokens, piece.finish
    return JSONResponse(form.whole("".join(text), scores, finish, usage(answer.prompt_tokens, tokens)))


async def _events(answer: LiveAnswer, form: Form, with_usage: bool) -> AsyncIterator[str]:
    tokens = 0
    try:
        for event in form.first():
            yield _event(event)
        async for piece in answer.pieces():
            tokens = piece.tokens
            yield _event(form.piece(piece))
        if with_usage:
            yield _event(form.counts(usage(answer.prompt_tokens, tokens)))
    except RequestError as error:  # the status is sent long since
        yield _event(error.body)
        return
    yield "data: [DONE]\n\n"


class _EventStream(StreamingResponse):
    """Server-sent events of an answer, which is closed when they end or the client is gone."""

    def __init__(self, events: AsyncIterator[str], answer: LiveAnswer) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._answer.close()


async def _until(deadline: float, result: Awaitable[Result]) -> Result:
    """The result, unless it takes until the deadline. Raises RequestError."""
    try:
        return await asyncio.wait_for(result, max(0.0, deadline - asyncio.get_running_loop().time()))
    except asyncio.TimeoutError:
        raise out_of_time() from None


async def _unless_gone(http: Request, result: Awaitable[Response]) -> Response:
    """The response, unless the client goes away first. Raises ClientDisconnect."""
    answering = asyncio.ensure_future(result)
    gone = asyncio.ensure_future(_gone(http))
    try:
        await asyncio.wait((answering, gone), return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            return answering.result()
        raise ClientDisconnect
    finally:
        for task in (answering, gone):
            task.cancel()


async def _gone(http: Request) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n"


def _error(error: RequestError) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
    return JSONResponse(error.body, status_code=error.status, headers=headers)


def _no_model(name: str, settings: ServeSettings) -> RequestError:
    return RequestError(404, f"there is no model '{name}' here, but '{settings.name}'", "model", "model_not_found")
