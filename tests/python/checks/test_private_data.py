"""Personal data and secrets: what counts, what only looks like it, and that hostile text takes no time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from luthier.checks.private_data import find_pii, find_secrets, masked

PII = [
    ("e-mail address", "write to jane.doe+shop@mail.example.org."),
    ("e-mail address", "(<a_b@c-d.example>)"),
    ("telephone number", "tel: 030 1234567"),
    ("telephone number", "ring +1 (212) 555-0143 today"),
    ("telephone number", "ring (212) 555-0143"),
    ("telephone number", "ring 212-555-0143"),
    ("telephone number", "+49 30 901820"),
    ("card number", "4111-1111-1111-1111"),
    ("card number", "5555555555554444"),
    ("card number", "4111 1111 1111 1111 12/29 123"),
    ("card number", "amex 3782 822463 10005"),
    ("bank account (IBAN)", "IBAN DE89 3704 0044 0532 0130 00"),
    ("bank account (IBAN)", "GB82WEST12345698765432"),
    ("bank account (IBAN)", "NO93 8601 1117 947."),
]
NO_PII = [
    "order 4111 1111 1111 1112",  # no checksum
    "DE88 3704 0044 0532 0130 00",
    "ISBN 978-3-16-148410-0",
    "on 2024-05-17 at 12:30:55, version 10.2.33.4",
    "commit 1234567890123456789012345678901234567890",
    "@decorator and user@localhost, a @ b",
    "pi is 3.14159265358979",
    "192.168.100.200 and 10,000,000.00",
    "the years 1914-1918 1939-1945",
    "0000 0000 0000 0000",
    "AB12 CDEF",
]
SECRETS = [
    ("AWS key", "AKIA" + "QZJ7XK3MWP5TRN2H"),
    ("GitHub token", "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"),
    ("GitLab token", "glpat-" + "a1B2c3D4e5F6g7H8i9J0"),
    ("Slack token", "xoxb-" + "2345678901-abcdefGHIJK"),
    ("Google key", "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q"),
    ("Stripe key", "sk_live_" + "a1B2c3D4e5F6g7H8i9"),
    ("Hugging Face token", "hf_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7"),
    ("API key", "sk-" + "proj-a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7"),
    ("private key", "-----BEGIN " + "OPENSSH PRIVATE KEY-----\nb3BlbnNz\n-----END " + "OPENSSH PRIVATE KEY-----"),
    ("web token", "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N"),
    ("password in a URL", "postgres://app:" + "h7Gq2kLm@db.example/main"),
]
NO_SECRETS = [
    "AKIA" + "IOSFODNN7EXAMPLE",
    "ghp_" + "x" * 36,
    "-----BEGIN CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----",
    "task-management-of-a-very-long-kebab-case-name-in-a-page",
    "https://user:password@host/",
    "https://$USER:$PASS@host/",
    "eyJub3QganNvbg.eyJub3Q.abcdefghijklmnopqrst",
]


@pytest.mark.parametrize(("kind", "text"), PII)
def test_personal_data_is_found(kind: str, text: str) -> None:
    assert [span.kind for span in find_pii(text)] == [kind]


@pytest.mark.parametrize("text", NO_PII)
def test_figures_that_are_something_else_are_left_alone(text: str) -> None:
    assert find_pii(text) == []


@pytest.mark.parametrize(("kind", "text"), SECRETS)
def test_secrets_are_found(kind: str, text: str) -> None:
    assert [span.kind for span in find_secrets(f'key = "{text}"')] == [kind]


@pytest.mark.parametrize("text", NO_SECRETS)
def test_examples_and_public_parts_are_no_secrets(text: str) -> None:
    assert find_secrets(text) == []


def test_a_mask_leaves_the_rest_of_the_text() -> None:
    text = "a@b.example, then GB82 WEST 1234 5698 7654 32; end"
    assert masked(text, find_pii(text)) == "[EMAIL], then [IBAN]; end"
    key = SECRETS[8][1]
    assert masked(f"x {key} y", find_secrets(f"x {key} y")) == "x [PRIVATE KEY] y"


@given(st.text(alphabet="a1@.+- ()\nGB82eyJ:/-_", max_size=200))
def test_spans_are_in_order_within_the_text_and_do_not_overlap(text: str) -> None:
    for find in (find_pii, find_secrets):
        end = 0
        for span in find(text):
            assert end <= span.start < span.end <= len(text)
            end = span.end


@pytest.mark.parametrize(
    "piece",
    ["a", "1", "a.", "1 ", "a@", "+1 ", "4111 ", "GB82 ", "eyJ", "-----BEGIN ", "://a:", "@a.", "(1) ", "sk-", "x-"],
)
def test_long_repetitive_text_is_searched_to_its_end(piece: str) -> None:
    # A search that starts anew at each character would not come to the end of this within hours.
    text = piece * 300_000 + " a@b.example " + "AKIA" + "QZJ7XK3MWP5TRN2H"
    assert [span.kind for span in find_pii(text)][-1:] == ["e-mail address"]
    assert [span.kind for span in find_secrets(text)][-1:] == ["AWS key"]
