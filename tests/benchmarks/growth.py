"""How speed and memory grow with the model, the tokens of a step and the length of a row.

python tests/benchmarks/growth.py [--only models,tokens,length,rows]

models   tokens/s x parameters, from 135 M to 1.1 B parameters, random weights of the Llama shape
tokens   peak memory over the tokens that are computed at once
length   one row of 1,024 to 8,192 tokens
rows     10,000 chat rows read, checked, tokenised and cut into forests
Each is measured in processes of their own, one after the other. Prints tables; writes results/<cpu>.growth.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from machine import this_machine

HERE = Path(__file__).resolve().parent
# (hidden, intermediate, layers, heads, key heads): SmolLM2-135M, SmolLM2-360M, TinyLlama-1.1B
SHAPES = {
    "135 M": (576, 1536, 30, 9, 3),
    "360 M": (960, 2560, 32, 15, 5),
    "1.1 B": (2048, 5632, 22, 32, 4),
}
VOCABULARY = 32000


def main() -> None:
    """Measures what was chosen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="models,tokens,length,rows", help="what to measure, with commas between")
    parser.add_argument("--threads", type=int, default=2, help="processor threads (2)")
    options = parser.parse_args()
    parts = {"models": models, "tokens": tokens, "length": length, "rows": rows}
    with tempfile.TemporaryDirectory(prefix="luthier-growth-") as temporary:
        tables = [parts[name](Path(temporary), options.threads) for name in options.only.split(",")]
    machine = this_machine()
    text = f"# {machine.cpu}: growth\n\n{options.threads} threads, bf16, LoRA rank 16 on all linear layers.\n\n"
    text += "\n".join(tables)
    path = HERE / "results" / f"{machine.slug}.growth.md"
    path.write_text(text, encoding="utf-8")
    print(f"{text}\nwritten: {path}")


def models(folder: Path, threads: int) -> str:
    """Rows of 512 tokens with 64 supervised, two a step."""
    head = "| model | parameters | tokens/s | tokens/s x parameters | peak GB |"
    lines = ["## The model\n", head, "|---|---|---|---|---|"]
    for name in SHAPES:
        done = call(folder, threads, shape=SHAPES[name], rows=2, row_tokens=512, supervised=64, micro_tokens=4096)
        product = done["tokens_per_second"] * done["parameters"]
        lines.append(
            f"| {name} | {done['parameters'] / 1e6:,.0f} M | {done['tokens_per_second']:,.0f} | {product:.3g} | "
            f"{done['peak_bytes'] / 1e9:.2f} |"
        )
    return "\n".join(lines) + "\n"


def tokens(folder: Path, threads: int) -> str:
    """One shared prompt, so that the forest is not cut, and more and more answers."""
    lines = ["## Tokens computed at once (135 M)\n", "| tokens | peak GB | tokens/s |", "|---|---|---|"]
    for count in (1024, 2048, 4096, 8192):
        done = call(
            folder,
            threads,
            shape=SHAPES["135 M"],
            rows=count // 128 - 4,
            row_tokens=640,
            shared=512,
            supervised=16,
            micro_tokens=1 << 20,
        )
        lines.append(f"| {done['computed']:,} | {done['peak_bytes'] / 1e9:.2f} | {done['computed_per_second']:,.0f} |")
    return "\n".join(lines) + "\n"


def length(folder: Path, threads: int) -> str:
    """One row a step."""
    lines = ["## The length of a row (135 M)\n", "| tokens | peak GB | tokens/s |", "|---|---|---|"]
    for count in (1024, 2048, 4096, 8192):
        done = call(
            folder, threads, shape=SHAPES["135 M"], rows=1, row_tokens=count, supervised=64, micro_tokens=1 << 20
        )
        lines.append(f"| {count:,} | {done['peak_bytes'] / 1e9:.2f} | {done['tokens_per_second']:,.0f} |")
    return "\n".join(lines) + "\n"


def rows(folder: Path, threads: int) -> str:
    """Chat rows of about 100 tokens under one system prompt."""
    done = call(folder, threads, file_rows=10_000)
    return (
        "## Rows\n\n"
        f"10,000 rows read and checked in {done['read']:.2f} s, tokenised in {done['encode']:.2f} s, "
        f"cut into forests of 16 rows in {done['pack']:.2f} s: {600_000 / sum(done.values()):,.0f} rows a minute.\n"
    )


def call(folder: Path, threads: int, **job: Any) -> dict[str, Any]:
    """What growth_worker.py measures in a process of its own."""
    specification, result = folder / "specification.json", folder / "result.json"
    given = job | {"folder": str(folder), "threads": threads, "vocabulary": VOCABULARY, "result": str(result)}
    specification.write_text(json.dumps(given), encoding="utf-8")
    command = [sys.executable, str(HERE / "growth_worker.py"), str(specification)]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": str(threads)})
    value: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return value


if __name__ == "__main__":
    main()
