"""Who may ask, how much, and for how long; and clients that go away."""

from __future__ import annotations

import json
from typing import Any

import pytest
from serve_case import NAME, client_of, connect, messages, post, request_bytes, wait_until

BODY = json.dumps({"model": NAME, "messages": messages("read"), "max_tokens": 2})


def test_a_key_must_be_right(make_server: Any) -> None:
    from openai import AuthenticationError

    server = make_server(key="sk-made-up-for-this-test")
    answer = client_of(server, "sk-made-up-for-this-test").chat.completions.create(model=NAME, messages=messages("a"))
    assert answer.choices
    for wrong in ("none", "sk-made-up-for-this-tesT", "sk-made-up-for-this-test "[:-2]):
        with pytest.raises(AuthenticationError) as caught:
            client_of(server, wrong).models.list()
        assert caught.value.code == "invalid_api_key"
    assert post(server, BODY)[0] == 401
    assert post(server, BODY, Authorization="Basic sk-made-up-for-this-test")[0] == 401
    assert post(server, BODY, Authorization="Bearer sk-made-up-for-this-test", Host="example.org")[0] == 200


def test_without_a_key_only_this_machine_is_answered(server: Any) -> None:
    assert post(server, BODY)[0] == 200
    for host in ("localhost", "localhost:1", "127.0.0.1", "[::1]:8000"):
        assert post(server, BODY, Host=host)[0] == 200, host
    for host in ("example.org", "example.org:8000", "127.0.0.1.example.org", "localhost.example.org:80", ""):
        status, body = post(server, BODY, Host=host)
        assert (status, body["error"]["type"]) == (403, "permission_error"), host


def test_a_body_must_be_said_to_be_json(server: Any) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        assert post(server, BODY, Content_Type=kind)[0] == 415
    assert post(server, BODY, Content_Type="application/json; charset=utf-8")[0] == 200


def test_a_large_body_is_refused_before_it_is_read(make_server: Any) -> None:
    server = make_server(max_request_bytes=2000)
    large = json.dumps({"model": NAME, "messages": messages("a" * 5000)})
    status, body = post(server, large)
    assert (status, body["error"]["code"]) == (413, "request_too_large")
    status, _ = post(server, iter([large.encode()[at : at + 500] for at in range(0, len(large), 500)]))
    assert status == 413
    assert post(server, BODY)[0] == 200
    # Of what is announced nothing has to come.
    with connect(server) as bare:
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        bare.sendall(f"{head}Content-Length: 999999999\r\n\r\n".encode())
        assert b" 413 " in bare.recv(1000)


def test_a_request_that_takes_too_long_is_refused(make_server: Any) -> None:
    from openai import APIStatusError

    client = client_of(make_server(time_limit=0.0))
    for stream in (False, True):
        with pytest.raises(APIStatusError) as caught:
            client.chat.completions.create(model=NAME, messages=messages("a"), stream=stream)
        assert caught.value.status_code == 504
        assert caught.value.code == "timeout"


def test_a_stream_that_takes_too_long_ends_with_the_error(
    make_server: Any, monkeypatch: pytest.MonkeyPatch, endless: list[int]
) -> None:
    from luthier.serve.live_answer import LiveAnswer
    from openai import APIError

    server = make_server()
    begun = LiveAnswer.__init__

    def late(self: LiveAnswer, worker: Any, prompt: Any, sampling: Any, deadline: float, mask: Any) -> None:
        begun(self, worker, prompt, sampling, deadline, mask)
        self._deadline = 0.0  # long ago

    monkeypatch.setattr(LiveAnswer, "__init__", late)
    with pytest.raises(APIError, match="time limit"):
        list(client_of(server).completions.create(model=NAME, prompt=endless, stream=True, max_tokens=20000))
    wait_until(lambda: server.open_answers == 0)


def test_more_than_can_wait_is_refused(make_server: Any, endless: list[int]) -> None:
    from openai import RateLimitError

    server = make_server(max_rows=1, max_waiting=0)
    client = client_of(server)
    stream = client.completions.create(model=NAME, prompt=endless, stream=True, max_tokens=20000)
    next(iter(stream))
    with pytest.raises(RateLimitError):
        client.chat.completions.create(model=NAME, messages=messages("a"))
    stream.close()
    wait_until(lambda: server.open_answers == 0)
    assert client.chat.completions.create(model=NAME, messages=messages("a")).choices


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_stops_its_answer(
    make_server: Any, endless: list[int], stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from luthier.generation.running_answer import RunningAnswer

    most = []
    take = RunningAnswer.take
    monkeypatch.setattr(RunningAnswer, "take", lambda self, token: most.append(self.tokens) or take(self, token))
    server = make_server()
    body = json.dumps({"model": NAME, "prompt": endless, "max_tokens": 20000, "stream": stream})
    bare = connect(server)
    bare.sendall(request_bytes("/v1/completions", body))
    wait_until(lambda: len(most) > 3)
    bare.close()
    wait_until(lambda: server.open_answers == 0)
    assert max(most) < 19990


def test_a_stopped_server_cuts_its_answers_off(folder: Any, endless: list[int]) -> None:
    from luthier.models import load
    from luthier.serve import Server, ServeSettings

    server = Server(load(folder, dtype="float32"), ServeSettings(name=NAME, port=0))
    server.start()
    stream = client_of(server).completions.create(model=NAME, prompt=endless, stream=True, max_tokens=20000)
    next(iter(stream))
    server.stop()
    server.stop()
    with pytest.raises(OSError):  # noqa: PT011  (nobody listens any more)
        connect(server)


def test_an_address_that_is_taken_is_said(server: Any, model: Any) -> None:
    from luthier.errors import LuthierError
    from luthier.serve import Server, ServeSettings

    port = int(server.url.removesuffix("/v1").rpartition(":")[2])
    with pytest.raises(LuthierError, match=r"cannot be had: .*choose another --port"):
        Server(model, ServeSettings(port=port))
    with pytest.raises(LuthierError, match="no-such-host"):
        Server(model, ServeSettings(host="no-such-host.invalid"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "},
        {"port": 70000},
        {"key": ""},
        {"key": "schlüssel"},
        {"max_rows": 0},
        {"cache_tokens": 0},
        {"max_waiting": -1},
        {"time_limit": float("nan")},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    from luthier.errors import InputError
    from luthier.serve import ServeSettings

    with pytest.raises(InputError):
        ServeSettings(**wrong)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, model: Any) -> None:
    import sys

    from luthier.errors import InputError
    from luthier.serve import Server, ServeSettings

    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(InputError, match=r"pip install 'luthier\[serve\]'"):
        Server(model, ServeSettings(port=0))
