"""The sandbox of chat templates: what it offers, and what it stops."""

from __future__ import annotations

import datetime
import time
from contextlib import suppress

import pytest
from luthier.errors import InputError
from luthier.text.template import ChatTemplate

MESSAGES = [{"role": "user", "content": "<b>"}]


def rendered(source: str, **variables: str) -> str:
    return ChatTemplate(source, variables).render(MESSAGES).text


def test_blocks_are_trimmed_as_transformers_does() -> None:
    assert rendered("a\n  {% if true %}\nb\n  {% endif %}\nc") == "a\nb\nc"


def test_loop_controls_variables_and_filters_are_there() -> None:
    assert rendered("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}") == "01"
    assert rendered("{{ eos_token }}|{{ bos_token }}", eos_token="<end>") == "<end>|"
    assert rendered("{{ messages[0] | tojson }}") == '{"role": "user", "content": "<b>"}'
    assert rendered("{{ strftime_now('%Y') }}") in {
        str(datetime.date.today().year),
        str(datetime.date.today().year - 1),
    }
    assert rendered("{{ tools is none }}{{ add_generation_prompt }}") == "TrueFalse"


def test_templates_see_whether_a_prompt_is_wanted() -> None:
    template = ChatTemplate("{{ 'p' if add_generation_prompt else 'r' }}")
    assert template.render(MESSAGES, add_generation_prompt=True).text == "p"
    assert template.render(MESSAGES).text == "r"


def test_generation_blocks_are_found() -> None:
    template = ChatTemplate("a{% generation %}bc{% endgeneration %}d{% generation %}e{% endgeneration %}")
    rendering = template.render(MESSAGES)
    assert (rendering.text, rendering.generation_spans) == ("abcde", ((1, 3), (4, 5)))


def test_the_template_s_own_refusal_is_the_message() -> None:
    with pytest.raises(InputError, match="roles must take turns"):
        rendered("{{ raise_exception('roles must take turns') }}")


@pytest.mark.parametrize("source", ["{% if %}", "{{ ", "{% endfor %}", "{{ 'a' | nofilter }}", "{% for x in y %}"])
def test_what_is_no_template_is_refused(source: str) -> None:
    with pytest.raises(InputError, match="chat template"):
        ChatTemplate(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages.__class__.__mro__ }}",
        "{{ ''.__class__.__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ raise_exception.__globals__ }}",
        "{{ '%s' | attr('__class__') | attr('__base__') }}",
        "{{ nothing.there }}",
        "{{ 1 // 0 }}",
        "{% include 'other' %}",
    ],
)
def test_the_sandbox_keeps_templates_away_from_python(source: str) -> None:
    with suppress(InputError):  # refused, or
        assert rendered(source) == "", "an attribute that is not allowed is undefined"


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% for a in range(99999) %}{{ f(n) }}{% endfor %}{% endmacro %}{{ f(1) }}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{{ 'xxxxxxxxxxxxxxxx' }}{% endfor %}{% endfor %}",
        "{{ 'x' * 1000000000 }}",
        "{{ [1] * 1000000000 }}",
        "{{ 1000000000 * 'x' }}",
        "{{ 9 ** 999999999 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 'x'.ljust(1000000000) }}",
        "{{ 'x' | center(1000000000) }}",
        "{{ 'x' | indent(1000000000) }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ '%*d' % (1000000000, 1) }}",
        "{{ '{:{}}'.format(1, 1000000000) }}",
        "{{ ('x' * 9999999).replace('x', 'x' * 9999999) }}",
        "{{ ('x' * 9999999) | replace('x', 'x' * 9999999) }}",
        "{{ ('x' * 9999999).join(['a', 'b', 'c']) }}",
        "{{ ['a', 'b', 'c'] | join('x' * 9999999) }}",
        "{{ 'x' * 10000000 ~ 'x' }}",
    ],
)
def test_templates_without_end_are_stopped(source: str) -> None:
    start = time.monotonic()
    with pytest.raises(InputError, match="chat template"):
        rendered(source)
    assert time.monotonic() - start < 10


def test_a_stopped_template_can_be_used_again() -> None:
    template = ChatTemplate(
        "{% for a in range(messages | length * 50000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}"
    )
    with pytest.raises(InputError, match="more than 1 second"):
        template.render(MESSAGES)
    assert template.render([]).text == ""
