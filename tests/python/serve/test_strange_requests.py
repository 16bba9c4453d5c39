"""Requests of strangers: whatever they send is answered or refused, and opens no file."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serve_case import NAME, connect, messages, post, request_bytes

_PATHS = ["../../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "~/.ssh/id_rsa", "a\x00b", "%2e%2e%2f"]
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(_PATHS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_message = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "user", "assistant", "system", "tool", "x"])},
    optional={
        "content": st.text(max_size=9) | _values,
        "tool_calls": _values,
        "name": _values,
        "weight": _values,
        "from": _values,
    },
)
_FIELDS = (
    "temperature top_p max_tokens max_completion_tokens seed stop stream stream_options n logprobs top_logprobs tools "
    "tool_choice response_format prompt suffix user logit_bias messages metadata functions system conversations path"
).split()
_bodies = st.fixed_dictionaries(
    {"model": st.sampled_from([NAME, NAME, NAME, *_PATHS])},
    optional={"messages": st.lists(_message, max_size=3), "prompt": st.text(max_size=9) | st.lists(st.integers(0, 90))}
    | {name: _values for name in _FIELDS if name not in ("messages", "prompt")},
)
_few = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def check(server: Any, path: str, body: bytes) -> None:
    status, answer = post(server, body, path)
    assert status in (200, 400, 404), (status, answer)
    if status != 200:
        assert answer["error"]["message"]
        assert set(answer["error"]) == {"message", "type", "param", "code"}


@given(st.sampled_from(["/v1/chat/completions", "/v1/completions"]), _bodies)
@_few
def test_no_value_of_a_field_breaks_the_server(small_server: Any, path: str, body: dict[str, Any]) -> None:
    if body.get("stream") is True:
        body["stream"] = False  # its body is no JSON
    check(small_server, path, json.dumps(body).encode())


@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")))
@_few
def test_no_bytes_break_the_server(small_server: Any, body: bytes) -> None:
    check(small_server, "/v1/chat/completions", body)


@given(st.lists(_message, min_size=1, max_size=4), st.lists(_values, max_size=2))
@_few
def test_no_messages_break_the_server(small_server: Any, said: list[Any], tools: list[Any]) -> None:
    body = {"model": NAME, "messages": said, "max_tokens": 2, "tools": [one for one in tools if isinstance(one, dict)]}
    check(small_server, "/v1/chat/completions", json.dumps(body).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"model": "tiny-run", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"model": "tiny-run", "messages": [{"role": "user", "content": "a"}], "temperature": 1e999}',
        b'{"model": "tiny-run", "messages": [{"role": "user", "content": "a"}], "seed": ' + b"9" * 4000 + b"}",
        b'{"model": "tiny-run", "messages": [{"role": "user", "content": "a"}], "temperature": NaN}',
        b"null",
        b"",
        "{}".encode("utf-16"),
    ],
)
def test_hostile_json_is_refused(small_server: Any, body: bytes) -> None:
    assert post(small_server, body)[0] == 400


def test_no_request_opens_a_file(small_server: Any) -> None:
    opened: list[str] = []
    watching = False

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event in ("open", "os.listdir", "os.scandir", "socket.connect", "subprocess.Popen"):
            opened.append(f"{event} {arguments[0]!r}")

    bodies: list[dict[str, Any]] = [{"model": path, "messages": messages(path)} for path in _PATHS]
    for path in _PATHS:
        parts = [{"type": "image_url", "image_url": {"url": path}}, {"type": "file", "file": {"file_id": path}}]
        bodies += [
            {"model": NAME, "messages": messages(path), "stop": path, "user": path, "max_tokens": 3},
            {"model": NAME, "messages": messages("{% include '" + path + "' %}"), "max_tokens": 3},
            {"model": NAME, "messages": [{"role": "user", "content": parts}]},
            {"model": NAME, "messages": messages("a"), "system": path, "chat_template": path, "adapter": path},
            {"model": NAME, "messages": messages("a"), "tools": [{"type": "function", "function": {"name": path}}]},
        ]
    sys.addaudithook(hook)
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/../../etc/passwd", "/v1/models/../etc/passwd"):
        for body in bodies:
            encoded = json.dumps(body)
            post(small_server, encoded, path)  # whatever is imported only when it is needed
            with connect(small_server) as bare:
                watching = True
                bare.sendall(request_bytes(path, encoded))
                answer = b"".join(iter(lambda bare=bare: bare.recv(65536), b""))  # type: ignore[misc]
                watching = False
            assert answer.startswith(b"HTTP/1.1 ")
    assert opened == []
