"""What a user meets, planted: for each the verdict that must come out, and the reason or finding that must be named.

Every model here is really trained, by Luthier, on rows made in `scenarios.tasks`: a Llama of two layers that learned
some English and four skills, and is then tuned to a task. Every verdict is given as `luthier evaluate` gives it: the
test rows answered, the baselines run, the training rows checked, forgetting measured on the general material.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import luthier as lu
import pytest
from fit_case import need_core
from luthier.cli.main import run as luthier
from luthier.errors import InputError
from luthier.splits import open_sealed
from luthier.training.run import Run
from scenarios.lab import Lab, judged, make_lab
from scenarios.tasks import (
    DESKS,
    FORM_SCHEMA,
    STYLES,
    WORDS,
    answer,
    answered,
    asked,
    forms,
    letters,
    press,
    question,
    questions,
    relabelled,
    repeated,
    rows_of,
    styled,
    write,
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The small model; what it answers to general questions is kept in a cache of its own."""
    need_core()
    folder = tmp_path_factory.mktemp("lab")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUTHIER_CACHE", str(folder / "cache"))
        yield make_lab(folder, int(os.environ.get("LUTHIER_SCENARIO_SEED", "0")))


@pytest.fixture(scope="module")
def sorter(lab: Lab) -> Run:
    """A sorter of letters with which nothing is wrong."""
    return lab.fit("sorter", letters(800, seed=1), valid=letters(100, seed=3))


@pytest.fixture(scope="module")
def unseen(lab: Lab) -> Path:
    """200 letters that the sorter has not seen."""
    return lab.file("test", letters(200, seed=2))


def test_nothing_is_wrong_from_the_file_of_rows_to_the_verdict(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, parts, out = lab.file("data", letters(1100, seed=4)), tmp_path / "parts", tmp_path / "run"
    assert luthier(["check", str(data), "--strict"]) == 0
    assert luthier(["split", str(data), "--out", str(parts), "--test", "0.2", "--valid", "0.1"]) == 0
    settings = lab.settings("", out=None, valid=parts / "valid.jsonl")
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in settings.items()]
    assert luthier(["fit", str(parts / "train.jsonl"), "--out", str(out), *flags]) == 0
    capsys.readouterr()
    assert luthier(["evaluate", str(out), "--test", str(parts / "test.jsonl"), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["verdict"] == "SHIP"
    assert set(values["reason_codes"]) == {
        "leakage", "rows", "better", "class-floor", "format", "forgetting", "overfitting"
    }  # fmt: skip
    assert values["reasons"][0] == "none of the 220 test rows stands among the training rows"
    assert luthier(["verdict", str(out)]) == 0
    assert "SHIP  Use the tuned model." in capsys.readouterr().out
    assert luthier(["report", str(out)]) == 0 and "SHIP" in (out / "report.html").read_text()


def test_several_seeds_agree(lab: Lab, unseen: Path, tmp_path: Path) -> None:
    run = lab.fit("seeds", letters(800, seed=1), valid=letters(100, seed=3), seeds=2)
    found = judged(run, unseen, tmp_path)
    assert found.outcome == "SHIP" and "seeds" in found.codes
    assert found.reason("seeds").startswith("over 2 seeds the accuracy reaches from ")
    assert "always above TF-IDF + logistic regression" in found.reason("seeds")


@pytest.mark.parametrize("shape", ["as they are", "in other case and spacing"])
def test_training_rows_among_the_test_rows(sorter: Run, unseen: Path, tmp_path: Path, shape: str) -> None:
    train, test = rows_of(sorter.settings["train"]), rows_of(unseen)
    leaked = [asked(one, question(one).upper().replace(" ", "  ")) for one in train[:20]]
    planted = (train[:20] if shape == "as they are" else leaked) + test[20:]
    found = judged(sorter, write(tmp_path / "test.jsonl", planted), tmp_path)
    assert found.outcome == "HOLD" and found.codes[0] == "leakage"
    assert "20 of 200 test rows stand in the training rows too" in found.reason("leakage")
    finding = found.finding("leakage")
    assert (finding["severity"], finding["count"]) == ("error", 20)
    assert sorted(one["other"]["line"] for one in finding["rows"]) == list(range(1, 21))


def test_one_leaked_row_is_one_too_many(sorter: Run, unseen: Path, tmp_path: Path) -> None:
    test = [rows_of(sorter.settings["train"])[0], *rows_of(unseen)[1:]]
    found = judged(sorter, write(tmp_path / "test.jsonl", test), tmp_path)
    assert found.outcome == "HOLD" and "1 of 200 test rows stands in the training rows too" in found.reason("leakage")


def test_training_rows_with_a_word_changed_among_the_test_rows(sorter: Run, unseen: Path, tmp_path: Path) -> None:
    train, test = rows_of(sorter.settings["train"]), rows_of(unseen)
    near = [asked(one, " ".join([*question(one).split()[:-1], "soon"])) for one in train[:12]]
    found = judged(sorter, write(tmp_path / "test.jsonl", near + test[12:]), tmp_path)
    assert found.outcome == "HOLD" and found.codes == ["near-leakage"]
    assert "12 of 200 test rows stand nearly in the training rows" in found.reason("near-leakage")
    assert found.finding("near-leakage")["count"] == 12 and found.finding("leakage")["count"] == 0


def test_duplicates_that_the_users_own_cut_puts_on_both_sides(lab: Lab, tmp_path: Path) -> None:
    rows = letters(900, seed=5)
    rows += rows[:150]
    random.Random(0).shuffle(rows)
    own = lab.fit("own-cut", rows[:850], epochs=1)
    found = judged(own, lab.file("own-cut-test", rows[850:]), tmp_path / "own")
    both = {question(one) for one in rows[:850]} & {question(one) for one in rows[850:]}
    count = sum(question(one) in both for one in rows[850:])
    assert found.outcome == "HOLD" and found.codes[0] == "leakage" and count > 20
    assert found.finding("leakage")["count"] == count

    parts = lu.split(lab.file("duplicates", rows), tmp_path / "parts", test=0.2, valid=0.1)
    run = lu.fit(parts.train, valid=parts.valid, quiet=True, **lab.settings("cut"))
    found = judged(run, parts.test, tmp_path / "cut")
    assert found.outcome == "SHIP" and found.finding("leakage")["count"] == 0
    assert found.finding("duplicate")["severity"] == "warning"


def test_too_few_test_rows_to_tell_anything(sorter: Run, unseen: Path, tmp_path: Path) -> None:
    found = judged(sorter, write(tmp_path / "test.jsonl", rows_of(unseen)[:40]), tmp_path)
    assert found.outcome == "HOLD" and found.codes[0] == "too-few-rows"
    assert "40 test rows are too few to tell anything; hold out 50 rows or more" in found.reason("too-few-rows")


def test_too_few_test_rows_to_tell_a_small_gain_from_none(sorter: Run, tmp_path: Path) -> None:
    test = [*letters(46, seed=30, mixed=0.0), *letters(6, seed=80, mixed=1.0)]
    found = judged(sorter, write(tmp_path / "test.jsonl", test), tmp_path)
    assert found.outcome == "HOLD" and found.codes == ["undecided"]
    assert "test rows do not tell whether the tuned model is better than TF-IDF" in found.reason("undecided")
    assert "test rows would, if the difference stays what it seems" in found.reason("undecided")


def test_the_validation_rows_as_test_rows(sorter: Run, tmp_path: Path) -> None:
    found = judged(sorter, Path(sorter.settings["valid"]), tmp_path)
    assert found.outcome == "HOLD" and found.codes == ["test-reused"]
    assert "the test file is that of the validation rows" in found.reason("test-reused")


def test_the_training_rows_as_test_rows(sorter: Run, tmp_path: Path) -> None:
    found = judged(sorter, Path(sorter.settings["train"]), tmp_path)
    assert found.outcome == "HOLD" and set(found.codes[:2]) == {"leakage", "test-reused"}
    assert "800 of 800 test rows" in found.reason("leakage")


def test_a_test_file_that_changed_after_it_was_sealed(sorter: Run, tmp_path: Path) -> None:
    parts = lu.split(write(tmp_path / "data.jsonl", letters(300, seed=8)), tmp_path / "parts", test=0.4, valid=0)
    with parts.test.open("a", encoding="utf-8") as file:
        file.write(json.dumps(letters(1, seed=9)[0]) + "\n")
    with pytest.raises(InputError, match="changed since it was sealed"):
        judged(sorter, parts.test, tmp_path / "out")
    assert not (tmp_path / "out" / "evaluation.json").exists()


@pytest.mark.parametrize("sealed", [True, False])
def test_a_test_file_that_was_opened_many_times(sorter: Run, tmp_path: Path, sealed: bool) -> None:
    parts = lu.split(
        write(tmp_path / "data.jsonl", letters(500, seed=10 + sealed)), tmp_path / "parts", test=0.4, valid=0
    )
    test = parts.test
    if sealed:
        for _ in range(4):
            open_sealed(test, by="evaluate", run=tmp_path / "another run")
    else:
        test = test.rename(tmp_path / "unsealed.jsonl")
        for _ in range(4):
            sorter.evaluate(test, out=tmp_path / "before", limit=2, calibration_rows=0)
    found = judged(sorter, test, tmp_path / "out")
    assert found.outcome == "SHIP" and "openings" in found.remarks
    assert ("by this run" in found.reason("openings")) is not sealed
    assert "the test rows were opened 5 times" in found.reason("openings")


def test_test_rows_that_are_unlike_the_training_rows(sorter: Run, tmp_path: Path) -> None:
    test = write(tmp_path / "test.jsonl", letters(200, seed=11, mixed=1.0, place=6))
    found = judged(sorter, test, tmp_path)
    assert found.outcome != "SHIP" and "overfitting" in found.codes
    assert "the test rows are unlike the others" in found.reason("overfitting")


def test_one_label_in_twenty_is_wrong(lab: Lab, tmp_path: Path) -> None:
    rows, wrong = relabelled(letters(1000, seed=12, mixed=0.3), 0.05, seed=0)
    run = lab.fit("wrong-5", rows[:800])
    found = judged(run, lab.file("wrong-5-test", rows[800:]), tmp_path)
    assert found.outcome == "SHIP"
    finding = found.finding("suspect-label")
    assert finding["severity"] == "warning"
    listed = [one["line"] - 1 for one in finding["rows"]]
    planted = {index for index in wrong if index < 800}
    assert len(planted & set(listed[:80])) >= 0.7 * len(planted)
    errors = {item.line - 1 for item in lu.find_errors(run, results=tmp_path).of("label")}
    assert len(errors & {index - 800 for index in wrong if index >= 800}) >= 0.5 * len(errors) > 0


def test_one_label_in_five_is_wrong(lab: Lab, tmp_path: Path) -> None:
    rows, _ = relabelled(letters(1000, seed=12, mixed=0.3), 0.2, seed=0)
    run = lab.fit("wrong-20", rows[:800])
    found = judged(run, lab.file("wrong-20-test", rows[800:]), tmp_path)
    assert found.outcome == "HOLD" and found.codes == ["suspect-label"]
    assert "of the training labels look wrong, more than 15%" in found.reason("suspect-label")


def test_all_labels_are_shuffled(lab: Lab, tmp_path: Path) -> None:
    rows = letters(1000, seed=13)
    desks = [answer(one) for one in rows]
    random.Random(0).shuffle(desks)
    rows = [answered(one, desk) for one, desk in zip(rows, desks, strict=True)]
    found = judged(lab.fit("shuffled", rows[:600]), lab.file("shuffled-test", rows[600:]), tmp_path)
    assert found.outcome == "RETHINK" and "as-good:constant" in found.codes
    assert "the model has learned nothing that helps" in found.reason("as-good:constant")


def test_inputs_with_two_labels_copies_and_spelling_variants_are_found_and_do_not_hold(
    lab: Lab, unseen: Path, tmp_path: Path
) -> None:
    rows = letters(800, seed=14)
    variants = [index for index, one in enumerate(rows) if answer(one) == "billing"][:15]
    for index in variants:
        rows[index] = answered(rows[index], "Billing")
    conflicts = [answered(one, DESKS[(DESKS.index(answer(one)) + 1) % 4]) for one in rows[700:720]]
    rows += [*conflicts, *rows[600:640]]
    found = judged(lab.fit("untidy", rows), unseen, tmp_path)
    assert found.outcome == "SHIP"
    assert found.finding("conflict")["count"] == 40
    assert {one["line"] for one in found.finding("conflict")["rows"]} == {*range(701, 721), *range(801, 821)}
    assert {one["line"] for one in found.finding("duplicate")["rows"]} == set(range(821, 861))
    assert {one["line"] - 1 for one in found.finding("label-variant")["rows"]} == set(variants)


def test_a_class_that_is_almost_missing_from_the_training_rows(lab: Lab, unseen: Path, tmp_path: Path) -> None:
    run = lab.fit("press", [*letters(780, seed=15), *press(3, seed=0)])
    tested = press(20, seed=1)
    found = judged(run, write(tmp_path / "many.jsonl", rows_of(unseen) + tested), tmp_path / "many")
    assert found.outcome == "HOLD" and found.codes[0] == "class-floor"
    assert set(found.codes) <= {"class-floor", "format"}  # it may answer to 'press' with what is no desk at all
    assert "1 class below the floor" in found.reason("class-floor") and "'press'" in found.reason("class-floor")
    assert "class 'press': 3 rows" in {one["note"] for one in found.finding("small-class")["rows"]}

    found = judged(run, write(tmp_path / "few.jsonl", rows_of(unseen) + tested[:5]), tmp_path / "few")
    assert found.outcome == "SHIP" and "1 class with fewer than 10 test rows: not judged" in found.reason("small-class")


def test_a_rare_class_that_cannot_be_told(lab: Lab, tmp_path: Path) -> None:
    generator = random.Random(16)
    rows = [answered(one, "drop" if generator.random() < 0.08 else "keep") for one in letters(800, seed=16)]
    found = judged(lab.fit("rare", rows[:500]), lab.file("rare-test", rows[500:]), tmp_path)
    assert found.tuned.figure > 0.85  # which looks good
    assert found.outcome == "RETHINK" and "as-good:constant" in found.codes


def test_a_task_that_a_bag_of_words_solves(lab: Lab, tmp_path: Path) -> None:
    run = lab.fit("easy", letters(600, seed=17, mixed=0.0), epochs=2)
    found = judged(run, lab.file("easy-test", letters(200, seed=18, mixed=0.0)), tmp_path)
    assert found.outcome == "RETHINK" and "as-good:classifier" in found.codes
    words = found.reason("as-good:classifier")
    assert words.startswith("a bag of words (TF-IDF + logistic regression), which learns in seconds")
    assert "use that, do not fine-tune" in words


def test_a_task_that_a_search_solves(lab: Lab, tmp_path: Path) -> None:
    run = lab.fit("questions", questions(5, seed=0), epochs=2, replay=None, replay_share=None)
    found = judged(run, lab.file("questions-test", questions(2, seed=1)), tmp_path)
    assert found.outcome == "RETHINK" and "as-good:neighbour" in found.codes
    assert "a search does the job, do not fine-tune" in found.reason("as-good:neighbour")


def test_a_task_that_examples_in_the_prompt_solve(lab: Lab, tmp_path: Path) -> None:
    style = STYLES[0]
    run = lab.fit("style", [styled(word, style) for word in WORDS[:60] * 4], epochs=2)
    found = judged(run, lab.file("style-test", [styled(word, style) for word in WORDS[60:]]), tmp_path)
    assert found.tuned.figure > 0.9
    assert found.outcome == "RETHINK" and found.codes[0] == "as-good:few_shot"
    assert {code for code in found.codes if code.startswith("as-good")} == {"as-good:few_shot"}
    assert "prompting with 4 similar examples is within the noise: do not fine-tune" in found.reason("as-good:few_shot")


def test_a_task_that_the_prompt_alone_solves(lab: Lab, tmp_path: Path) -> None:
    run = lab.fit("repeat", [repeated(word) for word in WORDS[:60] * 2], epochs=1)
    found = judged(run, lab.file("repeat-test", [repeated(word) for word in WORDS[60:]]), tmp_path)
    assert found.outcome == "RETHINK" and "as-good:prompt" in found.codes
    assert "prompting without examples is within the noise: do not fine-tune" in found.reason("as-good:prompt")


def test_a_model_that_learned_for_two_steps_only(lab: Lab, unseen: Path, tmp_path: Path) -> None:
    found = judged(lab.fit("untrained", letters(200, seed=19), steps=2, epochs=None), unseen, tmp_path)
    assert found.outcome == "RETHINK" and "as-good:classifier" in found.codes
    assert "is better: use that, do not fine-tune" in found.reason("as-good:classifier")


@pytest.mark.parametrize(("share", "outcome"), [(1.0, "RETHINK"), (0.7, "SHIP")])
def test_answers_of_another_system(sorter: Run, unseen: Path, tmp_path: Path, share: float, outcome: str) -> None:
    generator = random.Random(0)
    rows = rows_of(unseen)
    lines = [{"output": answer(one) if generator.random() <= share else "billing, I think"} for one in rows]
    answers = tmp_path / "hosted.jsonl"
    answers.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    found = judged(sorter, unseen, tmp_path, predictions={"hosted": answers})
    assert found.outcome == outcome
    if outcome == "RETHINK":
        assert found.codes[0] == "as-good:predictions"
        assert "'hosted' is as good: the tuned model brings no measurable gain" in found.reason("as-good:predictions")
    else:
        assert "better than all 6 baselines" in found.reason("better")


def test_a_model_that_forgot(lab: Lab, unseen: Path, tmp_path: Path) -> None:
    keep = lab.file("keep", [repeated(word) for word in WORDS])
    run = lab.fit("forgot", letters(800, seed=1), replay=None, replay_share=None)
    found = judged(run, unseen, tmp_path, keep=keep)
    assert found.outcome == "HOLD" and found.codes == ["forgetting"]
    assert "more than 3%" in found.reason("forgetting") and "fit --replay FILE" in found.reason("forgetting")
    kept = json.loads((tmp_path / "forgetting.json").read_text(encoding="utf-8"))
    assert kept["general"]["change"] > 0.03 and kept["keep"] is not None


def test_one_answer_in_ten_breaks_the_schema(lab: Lab, tmp_path: Path) -> None:
    rows = forms(900, seed=20)
    urgent = [index for index, one in enumerate(rows[:700]) if question(one).startswith("urgent")]
    learned = list(rows[:700])
    for index in urgent:
        learned[index] = answered(learned[index], json.dumps({"note": "urgent"}))
    run = lab.fit("forms", learned, epochs=6, learning_rate=3e-3)
    found = judged(run, lab.file("forms-test", rows[700:]), tmp_path, schema=FORM_SCHEMA)
    assert found.outcome == "HOLD" and found.codes == ["format"]
    assert "of the answers keep the schema, below the floor of 95%" in found.reason("format")
    finding = lu.check(run.settings["train"], schema=FORM_SCHEMA)["schema"]
    assert finding.severity == "error" and [one.place.line - 1 for one in finding.rows] == urgent


def test_a_model_that_learned_its_few_rows_by_heart(lab: Lab, unseen: Path, tmp_path: Path) -> None:
    rows, _ = relabelled(letters(48, seed=21), 0.5, seed=0)  # half of it is nothing that could be understood
    run = lab.fit("by-heart", rows, epochs=60, learning_rate=1e-2, replay=None, replay_share=None)
    found = judged(run, unseen, tmp_path)
    assert found.outcome != "SHIP" and "overfitting" in found.codes
    assert "the loss on the test rows is far above that of training" in found.reason("overfitting")


def test_a_key_in_the_training_rows(lab: Lab, unseen: Path, tmp_path: Path) -> None:
    rows = letters(800, seed=22)
    rows[7] = asked(rows[7], question(rows[7]) + " AKIA" + "QZJ7XK3MWP5TRN2H")
    run = lab.fit("secret", rows)
    assert run.record["check"]["secret"] == {"severity": "error", "count": 1}
    found = judged(run, unseen, tmp_path)
    assert found.outcome == "HOLD" and found.codes == ["secret"]
    assert found.finding("secret")["rows"][0]["line"] == 8


def test_the_training_file_changed_after_the_fit(lab: Lab, unseen: Path, tmp_path: Path) -> None:
    run = lab.fit("changed", letters(200, seed=23), steps=2, epochs=None)
    lab.file("changed-train", letters(200, seed=24))
    run.evaluate(unseen, out=tmp_path)
    with pytest.raises(InputError, match="is gone or has changed"):
        run.baselines(run.evaluate(unseen, out=tmp_path), unseen, out=tmp_path)
    found = lu.give_verdict(run, unseen, results=tmp_path)
    assert found.outcome == "HOLD"
    assert {"no-baselines", "leakage"} <= {reason.code for reason in found.deciding}


def test_test_labels_in_another_spelling(sorter: Run, unseen: Path, tmp_path: Path) -> None:
    rows = [answered(one, answer(one).upper()) for one in rows_of(unseen)]
    found = judged(sorter, write(tmp_path / "test.jsonl", rows), tmp_path)
    assert found.tuned.figure == 0
    assert found.outcome == "HOLD" and found.codes[0] == "test-labels"
