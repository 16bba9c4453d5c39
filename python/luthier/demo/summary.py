"""A verdict in words for somebody who decides and has not followed the figures: what was tried, what came out, what to
do."""

from __future__ import annotations

from luthier.baselines import BaselineResult, Baselines
from luthier.evaluation import Evaluation
from luthier.training.progress import duration
from luthier.verdict import Verdict

_CHEAPER = {
    "constant": "Giving everybody the same answer, which takes no model at all,",
    "classifier": "A bag of words (TF-IDF with logistic regression, a few lines of scikit-learn), which needs no "
    "language model, learns in seconds and answers in less than a millisecond,",
    "neighbour": "Looking up the most similar example and giving its answer, which is a search and no model,",
    "prompt": "The same model as it was before, asked in the same words,",
    "few_shot": "The same model as it was before, shown a few similar examples with each question,",
    "predictions": "What you have already",
}
_ADVICE = {
    "constant": "Do not fine-tune for this: look at the answers in your rows first, they hold nothing to learn.",
    "classifier": "Do not fine-tune for this: use the bag of words.",
    "neighbour": "Do not fine-tune for this: use the search.",
    "prompt": "Do not fine-tune for this: use the model as it is.",
    "few_shot": "Do not fine-tune for this: put examples into the prompt.",
    "predictions": "Keep it, unless the tuned model is cheaper to run.",
}


def in_short(tuned: Evaluation, baselines: Baselines, verdict: Verdict, rows: int, fit_seconds: float) -> str:
    """One paragraph. `rows` is how many the model learned from, in `fit_seconds`."""
    tried = (
        f"A small language model was taught this task by {rows:,} examples in {duration(fit_seconds)} minutes on this "
        f"machine. Of {tuned.n:,} tasks that it had never seen it does {tuned.exact_match:.0%} exactly right."
    )
    as_good = _as_good(baselines, verdict)
    if verdict.outcome == "RETHINK" and as_good is not None:
        return f"{tried} {_compared(tuned, baselines, as_good)} {_ADVICE[as_good.kind]}"
    best = max(baselines.results, key=lambda one: one.evaluation.exact_match)
    beside = f"The best of the cheaper ways ({best.name}) does {best.evaluation.exact_match:.0%}."
    if verdict.outcome == "SHIP":
        todo = "Nothing that was measured speaks against it: use the tuned model."
    else:
        codes = {reason.code for reason in verdict.deciding}
        todo = f"Do not use it yet: {verdict.deciding[0].text}."
        if codes == {"forgetting"}:
            todo += " Where it does nothing but this task, that loss may be of no matter; that is for you to decide."
    return f"{tried} {beside} {todo}"


def _as_good(baselines: Baselines, verdict: Verdict) -> BaselineResult | None:
    """The best of the baselines that the verdict names as good."""
    kinds = {reason.code.partition(":")[2] for reason in verdict.deciding if reason.effect == "rethink"}
    found = [one for one in baselines.results if one.kind in kinds]
    return max(found, key=lambda one: one.evaluation.exact_match, default=None)


def _compared(tuned: Evaluation, baselines: Baselines, cheaper: BaselineResult) -> str:
    compared = baselines.comparison(cheaper.name)
    figure = f"does {cheaper.evaluation.exact_match:.0%} of the same tasks exactly right"
    if compared is not None and compared.primary.high < 0:
        return f"{_CHEAPER[cheaper.kind]} {figure}, which is clearly more."
    return f"{_CHEAPER[cheaper.kind]} {figure}: as good, as far as {tuned.n:,} tasks can tell."
