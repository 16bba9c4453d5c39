"""What `--write-compatibility` makes of the outcomes of the parity tests: docs/reference/compatibility.md.

A table takes its outcomes from the names of tests: `columns` says which tests stand for a column, and the parameter in
brackets which row it is.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from compatibility_text import EXPORTS, FAMILIES, HEAD, TEMPLATES, TOKENIZERS

PATH = Path(__file__).resolve().parents[1] / "docs" / "reference" / "compatibility.md"
INSTRUCTION_SETS = ("reference", "avx2", "avx512", "amx")


@dataclass
class Table:
    """A table of the page. `columns` are regular expressions of a test's name with its parameters; the group `row` is
    the row it belongs to, and what `only` says where there is no such group."""

    text: str
    first: str
    columns: Mapping[str, str]
    only: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    outcomes: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))

    def take(self, name: str, outcome: str) -> None:
        """Notes the outcome of a test, if it stands in this table."""
        for column, pattern in self.columns.items():
            if found := re.search(pattern, name):
                row = found.groupdict().get("row") or self.only[found[0]]
                self.outcomes[row, column].add(outcome)

    def lines(self) -> list[str]:
        """The text and the table; rows in the order of `labels`, the others as they came."""
        seen = dict.fromkeys(row for row, _ in self.outcomes)
        rows = [row for row in self.labels if row in seen] + [row for row in seen if row not in self.labels]
        first = self.first.count("|") + 1
        lines = [
            self.text,
            f"| {self.first} | {' | '.join(self.columns)} |",
            "|" + "---|" * (first + len(self.columns)),
        ]
        for row in rows:
            cells = [_cell(self.outcomes.get((row, column), set())) for column in self.columns]
            lines.append(f"| {self.labels.get(row, row)} | {' | '.join(cells)} |")
        return [*lines, ""]


class CompatibilityPage:
    """Collects outcomes, and writes the page when the session ends."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._tables = _tables()
        self._sets: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes one outcome; of a test that fails before it begins, that of its setup."""
        if report.when != "call" and (report.passed or report.skipped):
            return
        name = report.nodeid.rpartition("::")[2]
        if "test_families.py" in report.nodeid:
            self._sets.update(used for used in INSTRUCTION_SETS if re.search(rf"[\[-]{used}[\]-]", name))
        for table in self._tables:
            table.take(name, report.outcome)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Writes the page, or says which of its tables nothing was tested of."""
        missing = [table.text.partition("\n")[0].lstrip("# ") for table in self._tables if not table.outcomes]
        if missing:
            terminalreporter.write_line(f"{PATH.name} is not written: nothing was tested of {', '.join(missing)}")
            return
        sets = ", ".join(name for name in INSTRUCTION_SETS if name in self._sets)
        lines = [HEAD.format(sets=sets), *(line for table in self._tables for line in table.lines())]
        PATH.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
        terminalreporter.write_line(f"written: {PATH}")


def _cell(outcomes: set[str]) -> str:
    if "failed" in outcomes:
        return "**no**"
    return "yes" if "passed" in outcomes else "-"


def _tables() -> list[Table]:
    from parity.families import CASES

    row = r"\[(?P<row>[^\]]+)\]"
    case = rf"\[(?:.+-)?(?P<row>{'|'.join(sorted(CASES, key=len, reverse=True))})(?:-.+)?\]"
    return [
        Table(
            FAMILIES,
            "model type | what the case shows",
            {
                "logits": rf"^test_logits_equal_those_of_transformers_and_peft{case}",
                "gradients": rf"^test_gradients_equal_those_of_transformers_and_peft{case}",
                "greedy tokens": rf"^test_greedy_tokens_equal_those_of_transformers{case}",
                "forest": rf"^test_a_forest_gives_what_its_rows_give_one_by_one{case}",
                "bf16": rf"^test_bf16_stays_near_fp32{case}",
                "GGUF": rf"^test_a_gguf_file\w*{case}",
            },
            labels={name: f"{found.model_type} | {found.shown}" for name, found in CASES.items()},
        ),
        Table(
            TOKENIZERS,
            "tokenizer",
            {
                "sentencepiece": rf"^test_a_model_file_gives_the_ids_and_the_text_of_sentencepiece{row}",
                "Transformers": rf"^test_a_model_file_gives_the_ids_of_transformers{row}"
                r"|^test_tokenizer_json_gives_the_ids_and_the_text_of_transformers"
                r"|^test_gemma_3_gives_the_ids_of_transformers_from_the_same_gguf_file",
                "GGUF": rf"^test_a_gguf_file_gives_the_ids_of_the_model_that_it_was_made_from{row}",
            },
            only={
                "test_tokenizer_json_gives_the_ids_and_the_text_of_transformers": "byte-level BPE",
                "test_gemma_3_gives_the_ids_of_transformers_from_the_same_gguf_file": "Gemma 3 270M, its own GGUF file",
            },
        ),
        Table(
            TEMPLATES,
            "template",
            {
                "ids": rf"^test_chats_and_prompts_have_the_ids_of_transformers{row}",
                "turns": rf"^test_each_turn_is_found_with_its_end{row}",
                "tools": rf"^test_tools_are_written_as_transformers_writes_them{row}",
                "calls": rf"^test_calls_are_learned_and_what_tools_say_is_not{row}",
                "control tokens": rf"^test_no_content_yields_a_control_token{row}",
            },
        ),
        Table(
            EXPORTS,
            "export",
            {
                "replay": rf"^test_every_format_is_written_and_passes{row}",
                "Transformers, PEFT": rf"^test_transformers_and_peft_answer_as_the_trained_model{row}",
                "llama.cpp": rf"^test_llama_cpp_answers_as_the_trained_model{row}",
                "vLLM's rules": rf"^test_the_rules_of_vllm_hold{row}",
            },
        ),
    ]
