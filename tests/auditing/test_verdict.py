from __future__ import annotations

import math

import pandas as pd
import pytest

from fairvision.auditing.verdict import GUESSES_HOLD, NOT_MEASURED, NOTHING_CLAIMED, judge
from fairvision.metrics.causes import EVIDENCE_CELLS, REASONS
from fairvision.results.figures import COLUMNS
from fairvision.results.registry import unit_of

A, B = "baseline", "equalizer"
UP, DOWN, ACROSS = (0.2, 0.1, 0.3), (-0.2, -0.3, -0.1), (0.02, -0.1, 0.1)


def row(model, metric, figure, *, task="", group="", label="", n=100, attribute="gender"):
    value, low, high = figure
    unit = "difference" if " - " in model else unit_of(metric)
    return (model, metric, attribute, task, group, label, value, low, high, n, unit)


def table(*rows):
    return pd.DataFrame(rows, columns=list(COLUMNS))


def reasons(model, right, wrong, *, gap=ACROSS, elsewhere=(0.9, 0.9), holds=(0.8, 0.7, 0.9)):
    """Figures by cause; `elsewhere` is the accuracy of both groups in others' surroundings."""
    figures = [right, wrong, (0.1, 0.05, 0.15), (0.1, 0.05, 0.15)]
    recall = sum(elsewhere) / 2
    return [
        *(row(model, "reasons", f, label=label) for f, label in zip(figures, REASONS)),
        row(model, "swapped_recall", (recall, recall - 0.1, recall + 0.1)),
        row(model, "holds", holds),
        row(model, "background_gap", gap),
        *(
            row(model, "swapped_accuracy", (share, share, share), group=group)
            for share, group in zip(elsewhere, ("female", "male"))
        ),
    ]


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
    ("right", "wrong", "gap", "elsewhere", "status"),
    [
        ((0.7, 0.6, 0.8), (0.1, 0.05, 0.2), ACROSS, (0.9, 0.9), "yes"),
        ((0.7, 0.6, 0.8), (0.1, 0.05, 0.2), UP, (0.9, 0.9), "unclear"),
        ((0.7, 0.6, 0.8), (0.1, 0.05, 0.2), UP, (0.5, 0.5), "no"),
        ((0.7, 0.6, 0.8), (0.1, 0.05, 0.2), UP, (0.2, 0.2), "no"),
        ((0.4, 0.3, 0.5), (0.4, 0.3, 0.5), ACROSS, (0.9, 0.9), "unclear"),
        ((0.1, 0.05, 0.2), (0.7, 0.6, 0.8), UP, (0.9, 0.9), "no"),
        ((0.1, 0.05, 0.2), (0.7, 0.6, 0.8), ACROSS, (0.2, 0.2), "no"),
        ((0.1, 0.05, 0.2), (0.7, 0.6, 0.8), ACROSS, (0.9, 0.9), "unclear"),
        ((0.1, 0.05, 0.2), (0.4, 0.3, 0.5), ACROSS, (0.5, 0.5), "unclear"),
        ((0.7, 0.6, 0.8), (0.1, 0.05, 0.2), DOWN, (0.9, 0.9), "unclear"),
    ],
)
def test_right_reasons_need_answers_that_hold_and_people_who_are_named_elsewhere(
    right, wrong, gap, elsewhere, status
):
    verdict = judge(table(*reasons(A, right, wrong, gap=gap, elsewhere=elsewhere)), [A])
    said = answer(verdict, "for the right reasons")
    assert said.status == status
    assert "A right answer stays in 80.0%" in said.answer
    assert all(reason in said.answer for reason in REASONS)


def test_of_answers_that_do_not_depend_on_the_image_nothing_is_claimed():
    constant = reasons(
        A, (0.5, 0.4, 0.6), (0.0, 0.0, 0.0), gap=(0, 0, 0), elsewhere=(1, 0), holds=(1, 1, 1)
    )
    verdict = judge(table(row(A, "accuracy", (0.5, 0.4, 0.6)), *constant), [A])
    said = answer(verdict, "for the right reasons")
    assert said.status == "unclear"
    assert said.answer.endswith(NOTHING_CLAIMED)
    assert "for reasons of which nothing can be claimed" in verdict.headline
    assert "100.0%" not in verdict.headline


def test_of_answers_by_chance_nothing_is_claimed_however_many_turn():
    random = reasons(A, (0.1, 0.05, 0.2), (0.4, 0.3, 0.5), elsewhere=(0.5, 0.5))
    verdict = judge(table(row(A, "accuracy", (0.5, 0.4, 0.6)), *random), [A])
    assert answer(verdict, "for the right reasons").answer.endswith(NOTHING_CLAIMED)
    assert "for reasons of which nothing can be claimed" in verdict.headline
    assert "goes by" not in verdict.headline


def test_what_was_not_measured_is_not_called_a_guess():
    figures = reasons(A, (0.7, 0.6, 0.8), (0.1, 0.05, 0.2))
    rows = [row for row in figures if not row[1].startswith("swapped_")]
    said = answer(judge(table(*rows), [A]), "for the right reasons")
    assert said.status == "unclear"
    assert said.answer.endswith(NOT_MEASURED)


@pytest.mark.parametrize(("lift", "status"), [(UP, "yes"), (ACROSS, "unclear"), (DOWN, "no")])
def test_where_the_evidence_lies_is_a_question_of_its_own(lift, status):
    cells = [row(A, "evidence_cells", (0.2, 0.1, 0.3), label=label) for label in EVIDENCE_CELLS]
    verdict = judge(table(*evidence(A, lift), *cells), [A])
    said = answer(verdict, "Does the evidence of baseline for gender lie on the person?")
    assert said.status == status
    assert "by chance it would be 30.0%" in said.answer
    assert all(cell in said.answer for cell in EVIDENCE_CELLS)
    assert not any("right reasons" in a.question for a in verdict.answers)
    assert "for the right reasons was not measured" in verdict.headline


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


@pytest.mark.parametrize("whole", [(0.98, 0.02), (0.3, 0.3)])
@pytest.mark.parametrize("gap", [UP, ACROSS, DOWN])
@pytest.mark.parametrize("elsewhere", [(0.96, 0.02), (0.7, 0.7), (0.3, 0.3)])
def test_of_guesses_that_hold_nothing_is_claimed(whole, gap, elsewhere):
    right = [
        row(A, "accuracy", (share, share, share), group=group)
        for share, group in zip(whole, ("female", "male"))
    ]
    hold = reasons(A, (0.45, 0.4, 0.5), (0.05, 0.0, 0.1), gap=gap, elsewhere=elsewhere)
    verdict = judge(table(row(A, "accuracy", (0.5, 0.4, 0.6)), *right, *hold), [A])
    said = answer(verdict, "for the right reasons")
    assert said.status == "unclear"
    assert said.answer.endswith((GUESSES_HOLD, NOTHING_CLAIMED))
    assert "for reasons of which nothing can be claimed" in verdict.headline


def test_of_guesses_that_turn_with_the_surroundings_that_is_said():
    right = [row(A, "accuracy", (0.5, 0.5, 0.5), group=group) for group in ("female", "male")]
    turn = reasons(A, (0.05, 0.0, 0.1), (0.45, 0.4, 0.5), gap=UP, elsewhere=(0.1, 0.1))
    verdict = judge(table(row(A, "accuracy", (0.5, 0.4, 0.6)), *right, *turn), [A])
    assert answer(verdict, "for the right reasons").status == "no"


def test_without_any_change_shown_the_answer_is_unclear():
    said = answer(judge(table(row(f"{B} - {A}", "accuracy", ACROSS)), [A, B]), "change")
    assert said.status == "unclear"
    assert said.answer.startswith("No change was shown.")


def test_the_headline_answers_both_questions_for_each_model():
    rows = [
        row(A, "directional T->A", ACROSS, task="sport"),
        row(A, "directional A->T", UP, task="sport"),
        row(B, "directional T->A", ACROSS, task="sport"),
        row(A, "accuracy", (0.8, 0.7, 0.9)),
        *reasons(A, (0.3, 0.2, 0.4), (0.5, 0.45, 0.6), gap=UP, holds=(0.3, 0.2, 0.4)),
        *reasons(B, (0.7, 0.6, 0.8), (0.1, 0.0, 0.2)),
    ]
    headline = judge(table(*rows), [A, B]).headline
    opening, first, second, *_ = headline.splitlines()
    assert opening.startswith(
        "“baseline” ties sport to gender more than the truth does, by 20 points."
    )
    assert first.startswith(
        "baseline is right about gender in 80.0% (95% interval 70.0% to 90.0%, n = 100), but of "
        "these right answers 30.0% (20.0% to 40.0%, n = 100) hold when the surroundings are "
        "exchanged for those of other groups: it goes by the surroundings; baseline amplifies the "
        "bias between gender and sport (A->T, predicting "
    )
    assert "and of these right answers 80.0%" in second
    assert "it goes by the person; equalizer: no amplification between gender" in second


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
    assert "not shown; accuracy where the context (sport) disagrees +0.200 (+0.100 to" in last


def test_an_interval_without_width_shows_nothing():
    verdict = judge(table(row(A, "directional T->A", (0.2, 0.2, 0.2), task="sport")), [A])
    assert verdict.answers[0].status == "unclear"
