"""The general material: enough of it, varied, and every reference answer right by its own rule."""

from __future__ import annotations

from collections import Counter

from luthier.forgetting.material import instructions, material_sha256, prose


def test_every_reference_answer_keeps_its_own_rule_and_an_empty_one_does_not() -> None:
    for task in instructions():
        assert task.checker.is_right(task.answer), task
        assert not task.checker.is_right(""), task


def test_an_answer_to_another_question_is_rarely_right() -> None:
    tasks = instructions()
    lucky = Counter(
        task.id
        for task in tasks
        for other in tasks
        if task.topic != other.topic and task.checker.is_right(other.answer)
    )
    assert all(count <= 12 for count in lucky.values()), lucky.most_common(3)
    assert sum(lucky.values()) < 0.01 * len(tasks) ** 2


def test_an_echo_of_the_question_is_rarely_right() -> None:
    echoed = [task.id for task in instructions() if task.checker.is_right(task.prompt)]
    allowed = ("copying", "reading", "plurals", "counting", "sentiment", "grouping", "yes-no", "arithmetic", "sorting")
    assert len(echoed) < 30 and all(name.rpartition("-")[0] in allowed for name in echoed), echoed


def test_the_material_is_large_and_varied_enough() -> None:
    tasks = instructions()
    assert len(tasks) >= 200 and len({task.prompt for task in tasks}) == len(tasks) == len({task.id for task in tasks})
    assert len({task.topic for task in tasks}) >= 15 and len({task.checker.kind for task in tasks}) == 6
    assert len(prose()) == 30 and all(60 <= len(text.split()) <= 120 for text in prose())
    assert len(material_sha256()) == 64
