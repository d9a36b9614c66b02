"""The leaderboard, from audits that are written by hand: means, spreads and what stands out."""

from __future__ import annotations

import math
import re
import statistics
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairvision.methods import METHODS
from fairvision.report.leaderboard import render
from fairvision.report.scatter import looks
from fairvision.results import leaderboard as board
from fairvision.results.figures import read
from fairvision.results.folder import SweepSettings
from fairvision.sweeping import verdict

EVIL = "<script>alert(1)</script>"
KEYS = ["model", "metric", "attribute", "task", "group", "label"]


def audits(values: dict, attribute: str = "age", n: int = 50):
    """Return figures by seed from {(method, metric): [value per seed]}; None leaves the row out."""
    seeds = max(len(some) for some in values.values())
    methods = list(dict.fromkeys(method for method, _ in values))
    tables = {}
    for seed in range(seeds):
        rows = [
            (
                *(method, metric.partition("|")[0], attribute, metric.partition("|")[2], "", ""),
                *(some[seed], some[seed] - 0.1, some[seed] + 0.1, n, "fraction"),
            )
            for (method, metric), some in values.items()
            if seed < len(some) and some[seed] is not None
        ]
        columns = [*KEYS, "value", "low", "high", "n", "unit"]
        tables[seed] = read(pd.DataFrame(rows, columns=columns), methods)
    return tables


def made_of(values: dict, **more) -> board.Board:
    methods = list(dict.fromkeys(method for method, _ in values))
    figures = audits(values, **more)
    return board.collect(figures, methods, len(figures))


ACCURACY = board.Column("accuracy", "age")


def test_best_needs_a_gap_beyond_the_spread():
    clear = made_of({("a", "accuracy"): [0.7, 0.72], ("b", "accuracy"): [0.9, 0.92]})
    assert clear.best(ACCURACY) == "b"
    unclear = made_of({("a", "accuracy"): [0.7, 0.9], ("b", "accuracy"): [0.8, 1.0]})
    assert unclear.best(ACCURACY) is None
    one = made_of({("a", "accuracy"): [0.1], ("b", "accuracy"): [0.9]})
    assert one.best(ACCURACY) is None
    alone = made_of({("a", "accuracy"): [0.1, 0.2]})
    assert alone.best(ACCURACY) is None
    alike = made_of({("a", "accuracy"): [0.3, 0.3], ("b", "accuracy"): [0.1 + 0.2, 0.1 + 0.2]})
    assert alike.best(ACCURACY) is None


def test_against_the_first_the_images_must_show_it_too():
    values = {("a", "accuracy"): [0.9, 0.9], ("b", "accuracy"): [0.7, 0.7]}
    assert made_of(values).best(ACCURACY) == "a"
    for differences, best in (([-0.2, -0.2], "a"), ([-0.2, 0.05], "a"), ([-0.05, 0.05], None)):
        figures = audits({**values, ("b - a", "accuracy"): differences})  # intervals of ± .1
        made = board.collect(figures, ["a", "b"], 2)
        assert made.best(ACCURACY) == best
        assert made.compare("b", "a", ACCURACY) == (-1 if best else 0)


def test_best_is_closest_to_zero_where_zero_is_best():
    column = board.Column("directional T->A", "age", "work")
    made = made_of(
        {("a", "directional T->A|work"): [-0.4, -0.41], ("b", "directional T->A|work"): [0.1, 0.11]}
    )
    assert made.best(column) == "b"


def test_versions_of_images_are_compared_only_where_there_are_any():
    column = board.Column("cifar10s_bias", "age", "work")
    values = {("a", "accuracy|work"): [0.5, 0.5], ("b", "accuracy|work"): [0.5, 0.5]}
    assert column not in made_of(values).columns
    bias = {("a", "cifar10s_bias|work"): [0.4, 0.41], ("b", "cifar10s_bias|work"): [0.1, 0.11]}
    made = made_of({**values, **bias})
    assert made.best(column) == "b"
    assert "The same pictures in every age" in page_of(made)


def test_with_the_person_hidden_nothing_is_better_than_the_largest_group():
    column = board.Column("hidden_accuracy", "age")
    values = {("a", "hidden_accuracy"): [0.5, 0.52], ("b", "hidden_accuracy"): [0.1, 0.12]}
    made = replace(made_of(values), share={"age": 0.55})
    assert made.best(column) is None
    assert replace(made, share={"age": 0.3}).best(column) == "b"


def recalls(values: dict, n: int = 50):
    """Return figures by seed from {method: [[accuracy per group] per seed]}."""
    columns = [*KEYS, "value", "low", "high", "n", "unit"]
    tables = {}
    for seed in range(len(next(iter(values.values())))):
        rows = [
            (method, "accuracy", "age", "", group, "", value, 0.0, 1.0, n, "fraction")
            for method, seeds in values.items()
            for group, value in zip(("young", "old", "very old", "unknown"), seeds[seed])
        ]
        tables[seed] = read(pd.DataFrame(rows, columns=columns), list(values))
    return tables


def test_a_method_that_guesses_has_learnt_little():
    always, better = [1.0, 0.0, 0.0, 0.9], [0.6, 0.5, 0.5, 0.0]
    noise = [0.4, 0.3, 0.36, 0.5]
    methods = {"a": [better, better], "b": [always, always], "c": [better, noise]}
    made = board.collect(recalls(methods), list(methods), 2)
    found = {method: made.learnt[method, "age"] for method in methods}
    third = pytest.approx(1 / 3)
    assert found["b"] == board.Learnt(third, third, 0, 2, "mean recall over the groups")
    assert [own.little for own in found.values()] == [False, True, False]
    said = verdict.judge(made)
    (line,) = [line for line in said.warnings if "has learnt little" in line]
    assert line.startswith("age: b has learnt little: its mean recall over the groups is 33.3%")
    assert "not to be told" not in said.headline


def with_recalls(values: dict, by_group: dict):
    """Return figures by seed of both: what `audits` takes, and what `recalls` takes."""
    one, other = audits(values), recalls(by_group)
    return {
        seed: replace(one[seed], table={**other[seed].table, **one[seed].table}) for seed in one
    }


def test_what_has_learnt_little_has_neither_rank_nor_crown_and_takes_none():
    """Always naming one group neither amplifies nor turns with the surroundings."""
    amplified = board.Column("directional T->A", "age", "work")
    values = {
        ("plain", "worst_group_accuracy"): [0.5, 0.51],
        ("plain", "holds"): [0.4, 0.41],
        ("plain", "directional T->A|work"): [0.3, 0.31],
        ("mended", "worst_group_accuracy"): [0.7, 0.71],
        ("mended", "holds"): [0.8, 0.81],
        ("mended", "directional T->A|work"): [0.1, 0.11],
        ("constant", "worst_group_accuracy"): [0.0, 0.0],
        ("constant", "holds"): [1.0, 1.0],
        ("constant", "directional T->A|work"): [0.0, 0.0],
    }
    always, learnt = [1.0, 0.0, 0.0], [0.6, 0.5, 0.5]
    by_group = {name: [learnt, learnt] for name in ("plain", "mended")}
    figures = with_recalls(values, {**by_group, "constant": [always, always]})
    made = board.collect(figures, ["plain", "mended", "constant"], 2)
    assert made.best(board.Column("holds", "age")) == "mended"
    assert made.best(amplified) == "mended"
    assert made.compare("constant", "mended", amplified) == 0
    assert made.compare("mended", "constant", board.Column("worst_group_accuracy", "age")) == 1
    assert [made.rank(name, "age") for name in made.methods] == [2, 1, None]
    assert made.ranking("age") == ["mended", "plain", "constant"]
    told = verdict.judge(made)
    assert told.headline.startswith("Which to pick: mended: better than plain in")
    assert "\nage: first in rank: mended; " in told.headline
    (answer,) = [a for a in told.answers if a.question == "Is constant better than plain?"]
    assert answer.status == "no"
    assert answer.answer.startswith("It has learnt little about age.")
    ranks = board.table(made)["rank/age"]
    assert ranks.isna().tolist() == [False, False, True]
    assert ranks.dropna().tolist() == [2, 1]
    page = page_of(made)
    assert page.index("rank 1") < page.index("rank 2") < page.index("no rank")
    crowned = replace(made, learnt={})
    assert crowned.best(amplified) == "constant"


def test_who_names_nearly_one_group_has_learnt_little_however_many_images_show_it():
    nearly, learnt = [0.98, 0.06, 0.04], [0.4, 0.4, 0.4]
    methods = {"a": [learnt, learnt], "b": [nearly, nearly]}
    made = board.collect(recalls(methods, n=100_000), list(methods), 2)
    assert made.learnt["b", "age"].shown == 2
    assert [made.learnt[name, "age"].little for name in methods] == [False, True]


def test_what_has_learnt_nothing_of_a_task_is_the_best_of_nothing_about_it():
    """Whatever the image, it says the same: as often for every group, so nothing is amplified."""
    methods = ["plain", "mended", "constant"]
    values = {
        ("directional A->T", "age"): (0.3, 0.1, 0.0),
        ("accuracy", ""): (0.6, 0.7, 0.9),
        ("balanced_accuracy", ""): (0.9, 0.9, 0.7),
    }
    tables = {}
    for seed in range(2):
        rows = [
            (
                *(method, metric, attribute, "work", "", "", value),
                *(value - 0.3, value + 0.1, 50, "difference"),
            )
            for (metric, attribute), row in values.items()
            for method, value in zip(methods, row)
        ]
        columns = [*KEYS, "value", "low", "high", "n", "unit"]
        tables[seed] = read(pd.DataFrame(rows, columns=columns), methods)
    made = board.collect(tables, methods, 2)
    assert made.learnt_little("constant") == ["work"]
    for column in (("directional A->T", "age", "work"), ("accuracy", "", "work")):
        assert made.best(board.Column(*column)) == "mended"
    told = verdict.judge(made)
    assert [answer.status for answer in told.answers] == ["yes", "no"]
    (line,) = [line for line in told.warnings if "has learnt little" in line]
    assert "work: constant has learnt little: its balanced accuracy is 70.0%, and that of" in line


def test_ranks_go_by_the_worst_group_then_what_holds_then_amplification():
    def ranks(**rows):
        metrics = ("worst_group_accuracy", "holds", "directional T->A|work")
        made = made_of(
            {
                (name, metric): [value, value + 0.01]
                for name, row in rows.items()
                for metric, value in zip(metrics, row)
            }
        )
        return [made.rank(name, "age") for name in made.methods]

    assert ranks(a=[0.5, 0.9, 0.0], b=[0.8, 0.1, 0.4]) == [2, 1]
    assert ranks(a=[0.5, 0.2, 0.0], b=[0.5, 0.6, 0.4]) == [2, 1]
    assert ranks(a=[0.5, 0.5, 0.3], b=[0.5, 0.5, -0.1], c=[0.1, 0.9, 0.0]) == [2, 1, 3]
    assert ranks(a=[0.5, 0.5, 0.1], b=[0.5, 0.5, 0.1], c=[0.1, 0.5, 0.1]) == [1, 1, 3]
    one = made_of({("a", "holds"): [0.1], ("b", "holds"): [0.9], ("c", "accuracy"): [0.9]})
    assert [one.rank(name, "age") for name in one.methods] == [1, 1, None]
    bare = board.collect(audits({("a", "accuracy|work"): [0.5, 0.6]}, attribute=""), ["a"], 2)
    assert bare.ranking("") == ["a"]
    assert bare.rank("a", "") is None


def test_nothing_is_picked_where_the_first_method_guesses():
    guesses = [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
    made = board.collect(recalls({"a": guesses, "b": guesses}), ["a", "b"], 2)
    first = verdict.judge(made).headline.splitlines()[0]
    assert first.startswith("Which to pick: not to be told from this sweep, as a has learnt little")
    some = board.collect(recalls({"a": guesses}, n=3), ["a"], 2)
    assert verdict.judge(some).warnings


def test_undefined_figures_are_counted_not_averaged():
    made = made_of({("a", "accuracy"): [0.5, math.nan, 0.7], ("b", "accuracy"): [math.nan] * 3})
    cell, other = made.summaries["a", ACCURACY], made.summaries["b", ACCURACY]
    assert (cell.mean, cell.seeds, cell.n) == (pytest.approx(0.6), 2, 50)
    assert math.isnan(other.mean)
    assert (other.seeds, other.n) == (0, 0)
    page = page_of(made)
    assert "2 of 3 seeds" in page
    assert "cannot be computed from these pictures" in page


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=4), min_size=2, max_size=4).filter(
        lambda rows: len({len(row) for row in rows}) == 1
    )
)
def test_best_is_better_than_every_other_by_definition(rows):
    made = made_of({(f"m{i}", "accuracy"): row for i, row in enumerate(rows)})
    means = [statistics.fmean(row) for row in rows]
    sds = [statistics.stdev(row) for row in rows]
    winners = [
        f"m{i}"
        for i in range(len(rows))
        if all(
            means[i] - means[j] > max(math.hypot(sds[i], sds[j]), 1e-9)
            for j in range(len(rows))
            if j != i
        )
    ]
    near = any(
        abs(abs(means[i] - means[j]) - max(math.hypot(sds[i], sds[j]), 1e-9)) < 1e-12
        for i in range(len(rows))
        for j in range(i)
    )
    assert near or ([made.best(ACCURACY)] if made.best(ACCURACY) else []) == winners


def test_the_words_say_what_the_spread_shows():
    made = made_of(
        {
            ("plain", "accuracy"): [0.7, 0.71],
            ("mended", "accuracy"): [0.9, 0.91],
            ("plain", "pointing_game"): [0.5, 0.51],
            ("mended", "pointing_game"): [0.2, 0.21],
            ("worse", "accuracy"): [0.5, 0.51],
        }
    )
    said = {a.question: a for a in verdict.judge(made).answers}
    mixed = said["Is mended better than plain?"]
    assert mixed.status == "unclear"
    assert "Better: Accuracy on age 70.5% to 90.5%" in mixed.answer
    assert "Worse: Evidence on the person 50.5% to 20.5%" in mixed.answer
    assert said["Is worse better than plain?"].status == "no"
    headline = verdict.judge(made).headline
    assert "fewest errors (Accuracy on age): mended, 90.5%" in headline
    assert headline.startswith(
        "Which to pick: no method is better than plain without a price.\n"
        "mended gains in “Accuracy on age”, and loses in “Evidence on the person”.\n"
    )


def picked(**rows: list[float]) -> str:
    """Return the first line about methods, from the accuracy and the pointing game of each."""
    values = {
        (name, metric): [value, value + 0.01]
        for name, some in rows.items()
        for metric, value in zip(("accuracy", "pointing_game"), some)
    }
    return verdict.judge(made_of(values)).headline.splitlines()[0]


def test_it_is_said_which_method_to_pick_and_why():
    line = picked(plain=[0.5, 0.5], mended=[0.8, 0.5], less=[0.6, 0.5])
    assert line == (
        "Which to pick: mended: better than plain in “Accuracy on age”; worse in no column."
    )
    line = picked(plain=[0.5, 0.5], sure=[0.8, 0.5], grounded=[0.5, 0.8], off=[0.9, 0.1])
    assert line == (
        "Which to pick: sure or grounded: sure is better than plain in “Accuracy on age”; grounded "
        "is better than plain in “Evidence on the person”; worse in no column."
    )
    assert picked(plain=[0.5, 0.5], same=[0.5, 0.5], bad=[0.5, 0.1]) == (
        "Which to pick: plain. The seeds show no method to be better in any column."
    )


def test_one_seed_cannot_tell_which_method_to_pick():
    made = made_of({("plain", "accuracy"): [0.5], ("mended", "accuracy"): [0.9]})
    assert verdict.judge(made).headline.startswith("Which to pick: one seed cannot tell.")
    assert "first in rank" not in verdict.judge(made).headline


def page_of(made: board.Board, name: str = "faces") -> str:
    settings = SweepSettings(
        **{"dataset": name, "split": "test", "n": 50, "model": "small_cnn", "seeds": [0, 1, 2]},
        **{"attribution": "gradcam", "replicates": 5, "options": {"lr": None, "task": ["x"]}},
        **{"options_of_methods": {}, "audits": ["audits/seed-0/report.html"], "versions": {}},
        descriptions=METHODS,
    )
    return render(board=made, verdict=verdict.judge(made, notes=[name]), settings=settings)


def test_the_page_is_whole_and_escaped():
    values = {
        (method, metric): [0.1 * (i + 1), 0.1 * (i + 2)]
        for method in ("baseline", EVIL)
        for i, metric in enumerate(
            ("accuracy", f"directional T->A|{EVIL}", "pointing_game", "hidden_accuracy")
        )
    }
    page = page_of(made_of(values, attribute=EVIL), name=EVIL)
    assert "<script" not in page
    assert page.count("<svg") == 3
    assert "http://" not in re.sub(r'xmlns="[^"]*"', "", page)
    assert page.startswith("<!doctype html>")
    assert len(set(re.findall(r'\bid="([^"]+)"', page))) == len(re.findall(r'\bid="([^"]+)"', page))


def test_a_page_without_attributes_and_without_figures():
    made = board.collect(audits({("a", "accuracy"): [None, None]}), ["a"], 2)
    page = page_of(made)
    assert "No figure is defined" in page
    assert "Not drawn" in page


def test_methods_look_different():
    assert len(set(looks(36))) == 36
