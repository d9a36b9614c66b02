from __future__ import annotations

import math

import pandas as pd
import pytest

from fairvision.auditing.verdict import judge
from fairvision.results.figures import COLUMNS
from fairvision.results.registry import unit_of

A, B = "baseline", "equalizer"
UP, DOWN, ACROSS = (0.2, 0.1, 0.3), (-0.2, -0.3, -0.1), (0.02, -0.1, 0.1)
CELLS = (
    "right for the right reasons",
    "right for the wrong reasons",
    "wrong, evidence on the person",
    "wrong, evidence elsewhere",
)


def row(model, metric, figure, *, task="", group="", label="", n=100, attribute="gender"):
    value, low, high = figure
    unit = "difference" if " - " in model else unit_of(metric)
    return (model, metric, attribute, task, group, label, value, low, high, n, unit)


def table(*rows):
    return pd.DataFrame(rows, columns=list(COLUMNS))


def reasons(model, right, wrong):
    figures = [right, wrong, (0.1, 0.05, 0.15), (0.1, 0.05, 0.15)]
    return [row(model, "reasons", f, label=cell) for f, cell in zip(figures, CELLS)]


def evidence(model, lift):
    return [
        row(model, "pointing_game", (0.5, 0.4, 0.6)),
        row(model, "pointing_game_lift", lift),
        row(model, "chance_level", (0.3, 0.3, 0.3)),
    ]


def answer(verdict, words):
    found = [a for a in verdict.answers if words in a.question]
    assert len(found) == 1, verdict.answers
    return found[0]


@pytest.mark.parametrize(
    ("figure", "status", "words"),
    [
        (UP, "yes", "amplified"),
        (DOWN, "no", "weaker than in the truth"),
        (ACROSS, "unclear", "the interval includes zero"),
        ((0.1, 0.0, 0.2), "unclear", "the interval includes zero"),
        ((0.0, 0.0, 0.0), "unclear", "the interval includes zero"),
        ((-0.4, -0.4, -0.4), "unclear", "every resample gave the same"),
        ((0.4, math.nan, math.nan), "unclear", "nothing was shown"),
    ],
)
def test_amplification_is_said_only_where_the_interval_shows_it(figure, status, words):
    said = answer(
        judge(table(row(A, "directional T->A", figure, task="sport")), [A]),
        "Does baseline amplify",
    )
    assert said.status == status
    assert words in said.answer
    assert "n = 100" in said.answer


def test_no_is_said_only_where_every_direction_weakens():
    rows = [
        row(A, "directional T->A", DOWN, task="sport"),
        row(A, "directional A->T", ACROSS, task="sport"),
    ]
    assert answer(judge(table(*rows), [A]), "amplify").status == "unclear"


def test_mals_alone_does_not_decide_because_other_proportions_move_it():
    said = answer(judge(table(row(A, "bias_amplification_mals", UP, task="sport")), [A]), "amplify")
    assert said.status == "unclear"
    assert "+0.200" in said.answer


@pytest.mark.parametrize(
    ("apart", "words"),
    [(UP, "more where"), (DOWN, "less where"), (ACROSS, "the interval includes zero")],
)
def test_amplification_by_evidence_is_told_but_does_not_decide(apart, words):
    whole = [row(A, "directional T->A", ACROSS, task="sport")]
    parts = [
        row(A, "directional T->A, evidence inside", ACROSS, task="sport"),
        row(A, "directional T->A, evidence outside", UP, task="sport"),
        row(A, "directional T->A, outside minus inside", apart, task="sport"),
    ]
    said = answer(judge(table(*whole, *parts), [A]), "amplify")
    assert said.status == "unclear"
    assert words in said.answer.partition("elsewhere minus on the person")[2]
    without = answer(judge(table(*whole, *parts[:2]), [A]), "amplify")
    assert "elsewhere" not in without.answer


def test_undefined_figures_give_no_answer():
    nan = (math.nan, math.nan, math.nan)
    verdict = judge(table(row(A, "directional T->A", nan, task="sport", n=0)), [A])
    assert verdict.answers == ()
    assert "not measured" in verdict.headline


@pytest.mark.parametrize(
    ("right", "wrong", "lift", "status"),
    [
        ((0.7, 0.6, 0.8), (0.1, 0.05, 0.2), UP, "yes"),
        ((0.7, 0.6, 0.8), (0.1, 0.05, 0.2), ACROSS, "unclear"),
        ((0.4, 0.3, 0.5), (0.4, 0.3, 0.5), UP, "unclear"),
        ((0.1, 0.05, 0.2), (0.7, 0.6, 0.8), UP, "no"),
        ((0.7, 0.6, 0.8), (0.1, 0.05, 0.2), DOWN, "no"),
    ],
)
def test_right_reasons_need_evidence_beyond_chance_and_more_right_than_wrong(
    right, wrong, lift, status
):
    verdict = judge(table(*reasons(A, right, wrong), *evidence(A, lift)), [A])
    said = answer(verdict, "for the right reasons")
    assert said.status == status
    assert "by chance it would be 30.0%" in said.answer
    assert all(cell in said.answer for cell in CELLS)


def hidden(figure, counts=(40, 60)):
    groups = zip(("female", "male"), counts)
    return [
        row(A, "hidden_accuracy", figure),
        *(row(A, "hidden_accuracy", (0.5, 0.4, 0.6), group=g, n=n) for g, n in groups),
        row(A, "hidden_accuracy", (0.5, 0.4, 0.6), group="unknown", n=900),
    ]


@pytest.mark.parametrize(
    ("figure", "status"), [((0.8, 0.7, 0.9), "yes"), ((0.6, 0.5, 0.7), "unclear")]
)
def test_leaning_is_measured_against_always_naming_the_largest_group(figure, status):
    said = answer(judge(table(*hidden(figure)), [A]), "lean on the context")
    assert said.status == status
    assert "largest group gives 60.0%" in said.answer


@pytest.mark.parametrize(("gap", "status"), [(UP, "yes"), (ACROSS, "unclear"), (DOWN, "no")])
def test_leaning_by_context_that_agrees_or_disagrees(gap, status):
    rows = [
        row(A, "accuracy_context_agrees", (0.9, 0.8, 1.0), task="sport"),
        row(A, "accuracy_context_disagrees", (0.7, 0.6, 0.8), task="sport"),
        row(A, "context_gap", gap, task="sport"),
    ]
    assert answer(judge(table(*rows), [A]), "lean").status == status


def test_a_change_is_told_as_shown_or_not_shown():
    rows = [
        row(f"{B} - {A}", "directional T->A", DOWN, task="sport"),
        row(f"{B} - {A}", "accuracy", ACROSS),
    ]
    said = answer(judge(table(*rows), [A, B]), "What did equalizer change")
    assert said.status == "yes"
    shown, unshown = said.answer.split("For these nothing was shown")
    assert "T->A (sport) is lower" in shown
    assert "accuracy on gender" in unshown


def test_without_any_change_shown_the_answer_is_unclear():
    said = answer(judge(table(row(f"{B} - {A}", "accuracy", ACROSS)), [A, B]), "change")
    assert said.status == "unclear"
    assert said.answer.startswith("No change was shown.")


def test_the_headline_answers_both_questions_for_each_model():
    rows = [
        row(A, "directional T->A", ACROSS, task="sport"),
        row(A, "directional A->T", UP, task="sport"),
        row(B, "directional T->A", ACROSS, task="sport"),
        *reasons(A, (0.3, 0.2, 0.4), (0.5, 0.4, 0.6)),
        *reasons(B, (0.7, 0.6, 0.8), (0.1, 0.0, 0.2)),
    ]
    headline = judge(table(*rows), [A, B]).headline
    first, second, *_ = headline.splitlines()
    assert first.startswith(
        "baseline amplifies the bias between gender and sport (A->T, predicting "
    )
    assert "right about gender for the right reasons in 30.0% (95% interval 20.0% to" in first
    assert second.startswith("equalizer: no amplification between gender and sport was shown")
    assert "right about gender for the right reasons in 70.0%" in second


def test_without_an_attribute_the_headline_says_that_nothing_can_be_said():
    verdict = judge(table(row(A, "accuracy", UP, task="sport", attribute="")), [A])
    assert "no attribute" in verdict.headline
    assert verdict.answers == ()


def test_every_attribute_and_model_gets_its_answers_and_names_are_raw_text():
    rows = [
        row(model, "directional T->A", UP, task="<b>", attribute=attribute)
        for model in (A, B)
        for attribute in ("gender", "age & more")
    ]
    verdict = judge(table(*rows), [A, B], left_out=["x"], warnings=["y"])
    assert [a.question for a in verdict.answers] == [
        "Does baseline amplify the bias of gender?",
        "Does equalizer amplify the bias of gender?",
        "Does baseline amplify the bias of age & more?",
        "Does equalizer amplify the bias of age & more?",
    ]
    assert "<b>" in verdict.answers[0].answer
    assert (verdict.left_out, verdict.warnings) == (("x",), ("y",))


def test_no_verdict_ever_calls_a_model_fair():
    text = str(judge(table(*reasons(A, UP, DOWN), *evidence(A, UP)), [A]))
    assert "fair" not in text


def test_many_intervals_are_said_to_miss_zero_by_chance():
    rows = [row(A, "directional T->A", UP, task=f"task{i}") for i in range(3)]
    said = answer(judge(table(*rows), [A]), "amplify").answer
    assert "3 directional intervals: 5% of such intervals miss zero by chance" in said


def test_the_headline_tells_what_changed():
    change = "equalizer - baseline"
    rows = [
        row(A, "directional T->A", UP, task="sport"),
        row(B, "directional T->A", UP, task="sport"),
        row(change, "directional T->A", ACROSS, task="sport"),
        row(change, "accuracy_context_disagrees", UP, task="sport"),
    ]
    last = judge(table(*rows), [A, B]).headline.splitlines()[-1]
    assert last.startswith("From baseline to equalizer: amplification T->A")
    assert "not shown; accuracy where sport disagrees +0.200 (+0.100 to" in last


def test_an_interval_without_width_shows_nothing():
    verdict = judge(table(row(A, "directional T->A", (0.2, 0.2, 0.2), task="sport")), [A])
    assert verdict.answers[0].status == "unclear"


def test_evidence_on_the_person_is_no_yes_for_a_model_that_leans_on_the_context():
    rows = [
        *reasons(A, (0.9, 0.8, 0.95), (0.1, 0.05, 0.2)),
        row(A, "chance_level", (0.2, 0.2, 0.2)),
        row(A, "pointing_game", (0.9, 0.8, 0.95)),
        row(A, "pointing_game_lift", (0.7, 0.6, 0.75)),
    ]
    (said,) = [a for a in judge(table(*rows), [A]).answers if "reasons" in a.question]
    assert said.status == "yes"
    rows += [
        row(A, metric, UP, task="sport")
        for metric in ("accuracy_context_agrees", "accuracy_context_disagrees", "context_gap")
    ]
    (said,) = [a for a in judge(table(*rows), [A]).answers if "reasons" in a.question]
    assert said.status == "unclear"
    assert "lean on the context" in said.answer
