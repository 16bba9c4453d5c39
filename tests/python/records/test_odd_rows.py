"""Values of any type under any key make a record, or a reason why not."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from luthier.records.messages import Purpose
from luthier.records.rows import BadRowError, record_from_object

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["user", "assistant"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "content",
                    "from",
                    "value",
                    "tool_calls",
                    "function",
                    "name",
                    "arguments",
                    "weight",
                    "type",
                    "text",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
KEYS = ["messages", "conversations", "prompt", "completion", "instruction", "input", "output", "history", "system"]
KEYS += ["tools", "functions", "weight", "text", "label"]
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system"])},
    optional={"content": VALUES, "tool_calls": VALUES, "function_call": VALUES, "name": VALUES, "tool_call_id": VALUES},
)


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(st.sampled_from(KEYS), VALUES | st.lists(MESSAGE, max_size=4), max_size=5),
    st.sampled_from(["train", "prompt"]),
)
def test_odd_values_everywhere_make_a_record_or_a_reason(row: dict[str, Any], purpose: Purpose) -> None:
    try:
        record = record_from_object(row, file="rows.jsonl", line=1, purpose=purpose)
    except BadRowError as error:
        assert str(error)
        return
    assert record.messages and all(isinstance(message.content, str) for message in record.messages)
    assert isinstance(record.reference, str) or purpose == "prompt"
    assert isinstance(repr(record), str)
