"""Run as a script by `with_llama_cpp`: JOB OUT. Loads a GGUF file into llama.cpp and writes what it answers to OUT.

The job: model and lora (paths, lora may be null), prompts (token ids), new_tokens, chats (messages to be rendered).
Found: answers, for each prompt [[token, log-probability or null], ...], greedy; rendered, the token ids of each chat.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

_SECONDS = 600  # for one request


def main(job_file: str, out_file: str) -> None:
    """Answers the job in one file and writes the findings to the other."""
    import xllamacpp

    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    parameters = xllamacpp.CommonParams()
    parameters.model.path = job["model"]
    longest = max((len(prompt) for prompt in job["prompts"]), default=0)
    parameters.n_ctx = longest + job["new_tokens"] + 8
    parameters.n_parallel = 1
    parameters.port = 0
    parameters.hostnames = ["127.0.0.1"]
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = job["threads"]
    if job["lora"]:
        parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(job["lora"], 1.0)]
    server = xllamacpp.Server(parameters)
    address = server.listening_address
    answers = [_answer(address, prompt, job["new_tokens"]) for prompt in job["prompts"]]
    rendered = [_render(address, messages) for messages in job["chats"]]
    Path(out_file).write_text(json.dumps({"answers": answers, "rendered": rendered}), encoding="utf-8")


def _answer(address: str, prompt: list[int], new_tokens: int) -> list[tuple[int, float | None]]:
    request = {"prompt": prompt, "n_predict": new_tokens, "temperature": 0, "n_probs": 1, "cache_prompt": False}
    found = _post(f"{address}/completion", request | {"return_tokens": True})
    return with_scores(found["tokens"], found.get("completion_probabilities") or [])


def with_scores(tokens: list[int], scored: list[dict[str, Any]]) -> list[tuple[int, float | None]]:
    """The tokens with their log-probabilities. llama.cpp's server leaves tokens out of `scored` at which the text ends
    within a character; these have None."""
    rest = list(scored)
    answer: list[tuple[int, float | None]] = []
    for token in tokens:
        known = bool(rest) and rest[0]["id"] == token
        answer.append((token, float(rest.pop(0)["logprob"]) if known else None))
    return answer


def _render(address: str, messages: list[dict[str, str]]) -> list[int]:
    text = _post(f"{address}/apply-template", {"messages": messages})["prompt"]
    ids: list[int] = _post(f"{address}/tokenize", {"content": text, "parse_special": True})["tokens"]
    return ids


def _post(address: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy is not asked for our own machine
    with opener.open(request, timeout=_SECONDS) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)  # the server's threads need no farewell
