"""`luthier serve`."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Annotated

import typer

from luthier.cli import options


def command(
    run: options.RunArgument = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen at; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes any that is free.")] = 8000,
    key: Annotated[
        str | None,
        typer.Option(
            "--key", envvar="LUTHIER_KEY", show_envvar=False, help="Key that requests must carry (also: LUTHIER_KEY)."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="What requests call the model [default: the run's folder, or MODEL]")
    ] = None,
    model: options.ModelOption = None,
    adapter: options.AdapterFolder = None,
    system: options.SystemFile = None,
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", min=1, help="Longest answer where a request does not say.")
    ] = 256,
    max_rows: Annotated[int, typer.Option("--max-rows", min=1, help="Requests that are answered at a time.")] = 64,
    max_waiting: Annotated[
        int, typer.Option("--max-waiting", min=0, help="Further requests that wait; beyond, they are refused.")
    ] = 256,
    cache_tokens: Annotated[
        int | None,
        typer.Option(
            "--cache-tokens",
            min=2,
            help="Tokens whose keys and values are held [default: what 1 GiB holds, 32,768 at most]",
        ),
    ] = None,
    max_request_bytes: Annotated[
        int, typer.Option("--max-request-bytes", min=1, help="Largest body of a request.")
    ] = 1_000_000,
    time_limit: Annotated[
        float, typer.Option("--time-limit", min=0.001, help="Seconds that a request may take in all.")
    ] = 300.0,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print address and model as one JSON object.")] = False,
) -> None:
    """Answer requests of OpenAI's clients on this machine.

    Example: luthier serve runs/a

    Serves /v1/chat/completions, /v1/completions and /v1/models until Ctrl-C. Needs the packages fastapi and uvicorn:
    pip install 'luthier[serve]'.
    """
    from luthier.serve import Server, ServeSettings

    options.check_choice(run, model, adapter)
    settings = ServeSettings(
        name=name or (run.resolve().name if run is not None else str(model)),
        host=host,
        port=port,
        key=key,
        system=options.system_message(run, system),
        max_new_tokens=max_new_tokens,
        max_rows=max_rows,
        max_waiting=max_waiting,
        cache_tokens=cache_tokens,
        max_request_bytes=max_request_bytes,
        time_limit=time_limit,
    )
    options.set_threads(threads)
    loaded = options.load_model(str(model), adapter, dtype) if run is None else options.open_run(run, dtype).model()
    server = Server(loaded, settings)
    if not settings.is_local and key is None:
        print(f"warning: anybody who reaches {host} can use the model; set a key with LUTHIER_KEY", file=sys.stderr)
    # Whoever reads the line may press Ctrl-C at once.
    with suppress(KeyboardInterrupt):
        if json_output:
            print(json.dumps({"url": server.url, "model": settings.name}), flush=True)
        else:
            print(f"{settings.name} at {server.url}; Ctrl-C stops", flush=True)
        server.run()
