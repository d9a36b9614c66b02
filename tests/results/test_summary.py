"""What a report opens with: the strongest concern, in words, with the numbers of the table."""

from __future__ import annotations

import pandas as pd
import pytest

from fairvision.results.figures import COLUMNS
from fairvision.results.findings import EVIDENCE, EXAGGERATES, QUESTIONS, SERVED, SURROUNDINGS
from fairvision.results.phrases import percent, points
from fairvision.results.summary import cards, lead


def row(metric, value, low=None, high=None, *, model="m", n=200, **keys):
    """A row of the metrics table, with an interval of 0.05 to both sides where none is given."""
    low, high = value - 0.05 if low is None else low, value + 0.05 if high is None else high
    keys = {"attribute": "gender", "task": "", "group": "", "label": "", **keys}
    return {
        "model": model, "metric": metric, **keys, "value": value, "low": low, "high": high,
        "n": n, "unit": "difference" if "gap" in metric else "fraction",
    }  # fmt: skip


def unequal(best=0.89, worst=0.31, model="m", groups=("female", "male")):
    gap = best - worst
    return [
        row("accuracy", best, model=model, group=groups[0], n=100),
        row("accuracy", worst, model=model, group=groups[1], n=100),
        row("accuracy_gap", gap, gap - 0.09, gap + 0.09, model=model),
    ]


def by_surroundings(same=0.9, other=0.3, model="m"):
    return [
        row("same_swapped_accuracy", same, model=model),
        row("swapped_accuracy", other, model=model),
        row("background_gap", same - other, model=model),
    ]


def table(*rows):
    return pd.DataFrame(rows, columns=list(COLUMNS))


def card(metrics, models, question):
    return next(card for card in cards(metrics, models) if card.question == question)


def test_the_opening_says_who_is_served_worse():
    opening = lead(table(*unequal()), ["m"])
    assert opening.sentences == (
        "It gets 9 of 10 annotated “female” right, and 3 of 10 annotated “male”.",
    )
    assert (opening.best, opening.concern.group) == ("female", "male")


def test_true_groups_behind_annotations_that_err_are_not_called_annotated():
    true = [*unequal(), row("observed_accuracy_gap", 0.4)]
    assert lead(table(*true), ["m"]).sentences == (
        "It gets 9 of 10 truly “female” right, and 3 of 10 truly “male”.",
    )
    assert card(table(*true), ["m"], SERVED).entries[0].words == (
        "right for those truly “female” / “male”"
    )
    calm = [*unequal(0.81, 0.8), row("observed_accuracy_gap", 0.01)]
    assert lead(table(*calm), ["m"]).sentences == (
        "It is right for 81% of those truly “female” and 80% of those truly “male”: no concern is "
        "shown.",
    )


def test_a_gap_that_is_shown_to_be_small_is_said_to_be():
    (sentence,) = lead(table(*unequal(0.81, 0.8)), ["m"], smallest_difference=12).sentences
    assert sentence.endswith("of those annotated “male”: shown to be less than 12 points apart.")


@pytest.mark.parametrize(
    ("best", "worst", "expected"),
    [
        (0.75, 0.5, "75% of those annotated “female” right, and 50% of those"),
        (1.0, 0.2, "10 of 10 annotated “female” right, and 2 of 10"),
        (0.998, 0.2, ">99% of those annotated “female” right, and 20% of those"),
        (0.9, 0.0, "9 of 10 annotated “female” right, and 0 of 10"),
    ],
)
def test_shares_are_tenths_only_where_these_are_near(best, worst, expected):
    (sentence,) = lead(table(*unequal(best, worst)), ["m"]).sentences
    assert expected in sentence


def test_the_strongest_concern_comes_first_and_another_question_follows():
    first, second = lead(table(*unequal(0.8, 0.6), *by_surroundings()), ["m"]).sentences
    assert first == (
        "It gets 9 of 10 people right in front of their own group’s surroundings, and 3 of 10 in "
        "front of another group’s."
    )
    assert "annotated “male”" in second
    first, second = lead(table(*unequal(), *by_surroundings(0.8, 0.6)), ["m"]).sentences
    assert "annotated “male”" in first
    assert second.startswith("It gets 8 of 10 people right in front of")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((-0.3, -0.4, -0.2), "“b” makes that smaller (74% / 46%)."),
        ((-0.1, -0.2, 0.1), "“b” does not clearly change that (74% / 46%)."),
    ],
)
def test_another_model_changes_it_only_where_that_is_shown(change, said):
    rows = [*unequal(model="a"), *unequal(0.74, 0.46, model="b")]
    rows.append(row("accuracy_gap", *change, model="b - a"))
    sentences = lead(table(*rows), ["a", "b"]).sentences
    assert sentences[0].startswith("“a” gets 9 of 10")
    assert sentences[1] == said


def test_of_many_other_models_the_best_is_named():
    models = list("abcde")
    rows = [
        line for i, model in enumerate(models) for line in unequal(0.9, 0.3 + i / 10, model=model)
    ]
    sentences = lead(table(*rows), models).sentences
    assert sentences[1] == "Of the 4 other models it is smallest in “e” (90% / 70%)."


def test_without_a_concern_nothing_is_called_good():
    rows = [*unequal(0.81, 0.8)[:2], row("accuracy_gap", 0.01, -0.05, 0.07)]
    (sentence,) = lead(table(*rows), ["m"]).sentences
    assert sentence == (
        "It is right for 81% of those annotated “female” and 80% of those annotated “male”: no "
        "concern is shown."
    )
    few = table(*[{**line, "n": 4} for line in rows])
    assert lead(few, ["m"]).sentences == (
        "There are too few pictures of some groups to say whether it serves all alike.",
    )


def test_groups_of_few_pictures_are_not_in_the_opening():
    rows = [*unequal(0.9, 0.5), row("accuracy", 0.0, group="rare", n=3)]
    rows[2] |= {"value": 0.9, "low": 0.8, "high": 1.0}
    opening = lead(table(*rows), ["m"])
    assert opening.sentences[0].startswith("It gets 9 of 10 annotated “female” right, and 5 of 10")
    entry = card(table(*rows), ["m"], SERVED).entries[0]
    assert entry.small.startswith("40 points apart (at least")


def test_nothing_measured_says_nothing():
    empty = table()
    assert lead(empty, ["m"]).sentences == ()
    assert [card.question for card in cards(empty, ["m"])] == list(QUESTIONS)
    assert {card.status for card in cards(empty, ["m"])} == {"cannot say"}
    assert all(not card.entries[0].pair for card in cards(empty, ["m"]))


def test_cards_show_the_figures_of_the_table():
    rows = [
        *unequal(),
        *by_surroundings(),
        row("pointing_game", 0.4), row("chance_level", 0.3), row("pointing_game_lift", 0.1),
        row("directional T->A", 0.027, -0.042, 0.102, task="objects"),
    ]  # fmt: skip
    metrics = table(*rows)
    entries = {card.question: card.entries[0] for card in cards(metrics, ["m"])}
    assert entries[SERVED].pair == ("89%", "31%")
    assert entries[SERVED].small == "58 points apart (49 to 67), n = 200"
    assert entries[SERVED].filter == {"group": "male", "right": "no"}
    assert entries[SURROUNDINGS].pair == ("90%", "30%")
    assert entries[EVIDENCE].pair == ("40%", "30%")
    assert entries[EXAGGERATES].pair == ("+2.7 points",)
    assert entries[EXAGGERATES].small == "interval −4.2 to +10, n = 200"
    status = {question: entry.status for question, entry in entries.items()}
    assert status == {
        SERVED: "concern", SURROUNDINGS: "concern", EVIDENCE: "none shown",
        EXAGGERATES: "none shown",
    }  # fmt: skip


def test_groups_that_tie_are_two_groups():
    rows = [*unequal(0.5, 0.5)[:2], row("accuracy_gap", 0.0, -0.1, 0.1)]
    words = card(table(*rows), ["m"], SERVED).entries[0].words
    assert "“female”" in words
    assert "“male”" in words


def test_the_unknown_group_is_never_named():
    rows = unequal()
    rows.append(row("accuracy", 0.05, group="unknown", n=100))
    assert "unknown" not in " ".join(lead(table(*rows), ["m"]).sentences)


def test_captioners_are_told_by_their_errors():
    rows = [
        row("error", 0.21, group="woman", n=100), row("error", 0.04, group="man", n=100),
        row("error_gap", 0.17, 0.08, 0.26),
    ]  # fmt: skip
    (sentence,) = lead(table(*rows), ["m"]).sentences
    assert sentence == (
        "It names another group for 21% of those annotated “woman”, and for 4% of those annotated "
        "“man”."
    )
    assert card(table(*rows), ["m"], SERVED).entries[0].pair == ("4%", "21%")


def test_small_numbers_keep_what_they_say():
    assert (percent(0.0), percent(0.004), percent(0.996)) == ("0%", "<1%", ">99%")
    assert (points(0.0004), points(-0.0949), points(0.0996)) == ("0", "−9.5", "10")
