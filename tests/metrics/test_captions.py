from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from fairvision import metrics
from fairvision.errors import FairvisionWarning, InputError

# error in per cent, true minus predicted ratio, divergence: Hendricks et al. (2018)
PUBLISHED = {
    "baseline_ft": ("19.30", "0.51", "0.126"),
    "balanced": ("18.30", "0.47", "0.114"),
    "upweight": ("16.30", "0.35", "0.055"),
    "confident": ("10.10", "0.26", "0.039"),
    "confusion": ("17.40", "0.45", "0.097"),
    "equalizer": ("8.10", "0.13", "0.026"),
}
OUTCOMES = ["correct", "incorrect", "other"]


@pytest.fixture(scope="module")
def published(shared: Path) -> tuple[pd.DataFrame, dict[str, pd.Series]]:
    """The balanced test images and what each model says of them."""
    folder = shared / "data/published/women-also-snowboard"
    labels = pd.read_csv(folder / "labels.csv")
    labels = labels[labels["balanced_split"] == "test"]
    captions = {}
    for model in PUBLISHED:
        listed = json.loads((folder / f"captions_{model}.json").read_text())
        said = {entry["image_id"]: entry["caption"] for entry in listed}
        captions[model] = labels["image_id"].map(said)
    return labels, captions


@pytest.mark.parametrize("model", PUBLISHED)
def test_published_table_to_every_printed_digit(
    model: str, published: tuple[pd.DataFrame, dict[str, pd.Series]]
) -> None:
    labels, captions = published
    report = metrics.caption_report(captions[model], labels["gender"])
    found = (
        f"{100 * report.error:.2f}",
        f"{report.ratio_difference:.2f}",
        f"{report.outcome_divergence:.3f}",
    )
    assert found == PUBLISHED[model]
    assert list(report.outcomes.index) == ["woman", "man"]
    assert list(report.outcomes["n"]) == [500, 500]
    assert report.ratio + report.ratio_difference == pytest.approx(1)
    for figure in report.figures:
        assert figure.low < figure < figure.high


def test_published_models_are_compared_in_pairs(
    published: tuple[pd.DataFrame, dict[str, pd.Series]],
) -> None:
    labels, captions = published
    before, after = (
        metrics.caption_report(captions[model], labels["gender"])
        for model in ("baseline_ft", "equalizer")
    )
    error = metrics.compare(before.error, after.error)
    assert float(error) == pytest.approx(-0.112)
    assert error.high < 0
    assert metrics.compare(before.outcome_divergence, after.outcome_divergence).high < 0


def test_the_report_is_the_divergence_of_what_captions_name() -> None:
    captions = ["a woman", "her man", "men", "the guys", "a dog", "a girl", None]
    groups = ["woman", "woman", "woman", "man", "man", "man", "man"]
    report = metrics.caption_report(captions, groups)
    said = metrics.caption_genders(captions)
    same = metrics.outcome_divergence(groups, said)
    assert report.outcome_divergence.value == same.value
    pairs = same.pairs.sort_values(["group", "label"], ascending=[False, True])
    for result in (report.outcome_divergence, report.error):
        pd.testing.assert_frame_equal(result.pairs, pairs.reset_index(drop=True))
    assert same.n == 6


def test_report_by_hand() -> None:
    captions = ["a woman", "women", "a man", "a dog", "a man", "the boy", "a girl", "man and woman"]
    groups = ["woman"] * 4 + ["man"] * 4
    report = metrics.caption_report(captions, groups)
    assert (report.error.value, report.error.n) == (2 / 8, 8)
    assert (report.ratio.value, report.ratio.n) == (3 / 3, 6)
    assert (report.ratio_difference.value, report.ratio_difference.n) == (0, 8)
    expected = {"n": 4, "correct": 0.5, "incorrect": 0.25, "other": 0.25}
    for group in ("woman", "man"):
        found = report.outcomes.loc[group]
        assert {name: found[name] for name in expected} == expected
        assert all(found[f"{o}_low"] <= found[o] <= found[f"{o}_high"] for o in OUTCOMES)
    assert report.outcome_divergence.value == 0


def test_order_of_the_ratio_and_many_captions_per_image() -> None:
    captions = [["a person", "a woman"], ["a man"], ["a man"]]
    groups = ["f", "m", "m"]
    report = metrics.caption_report(captions, groups)
    swapped = metrics.caption_report(captions, groups, ratio_of=("m", "f"))
    assert (report.ratio.value, swapped.ratio.value) == (0.5, 2)
    with pytest.raises(InputError, match="two of f, m"):
        metrics.caption_report(captions, groups, ratio_of=("man", "woman"))


def test_three_groups_have_a_ratio_only_where_it_is_said_of_which() -> None:
    words = {"child": ["kid"], "adult": ["adult"], "senior": ["elderly"]}
    captions = ["a kid", "an adult", "a kid", "elderly", "a dog", "an adult"]
    groups = ["child", "child", "adult", "senior", "senior", "adult"]
    report = metrics.caption_report(captions, groups, words=words)
    assert np.isnan([report.ratio, report.ratio_difference]).all()
    assert report.error == 2 / 6
    assert list(report.outcomes.index) == ["child", "adult", "senior"]
    of_two = metrics.caption_report(captions, groups, words=words, ratio_of=["child", "senior"])
    assert (of_two.ratio.value, of_two.ratio_difference.value) == (2, -1)


@pytest.mark.parametrize("unknown", [None, np.nan, "unknown", "other"])
def test_unknown_groups_and_captions_take_no_part(unknown: Any) -> None:
    captions, groups = ["a woman", "a man", "a man", "a dog"], ["woman", "woman", "man", "man"]
    report = metrics.caption_report(captions, groups)
    more = metrics.caption_report(
        [*captions, "a woman", "a man", None, np.nan], [*groups, unknown, unknown, "man", unknown]
    )
    assert repr(report.outcomes[["n", *OUTCOMES]]) == repr(more.outcomes[["n", *OUTCOMES]])
    assert [f.value for f in report.figures] == [f.value for f in more.figures]
    assert [f.n for f in report.figures] == [f.n for f in more.figures]


@pytest.mark.parametrize(
    ("captions", "groups"), [([], []), ([None, "a man"], ["man", None]), ([None], [None])]
)
def test_nothing_known_is_nan(captions: list[Any], groups: list[Any]) -> None:
    report = metrics.caption_report(captions, groups)
    assert np.isnan([*report.figures]).all()
    assert [figure.n for figure in report.figures] == [0] * 4
    assert report.outcomes["correct"].isna().all()


def test_one_group_only_has_no_divergence_and_no_ratio_without_denominator() -> None:
    report = metrics.caption_report(["a woman", "a dog"], ["woman", "woman"])
    assert (report.error.value, report.error.n) == (0, 2)
    assert np.isnan([report.ratio, report.ratio_difference, report.outcome_divergence]).all()
    assert (report.ratio.n, report.ratio_difference.n, report.outcome_divergence.n) == (1, 2, 2)
    assert list(report.outcomes["n"]) == [2, 0]
    assert np.isnan(report.outcomes.loc["man", "correct"])


def test_empty_and_foreign_captions_are_other() -> None:
    report = metrics.caption_report(["", "γυναίκα 👩", "a woman 👩"], ["woman", "woman", "man"])
    assert list(report.outcomes["other"]) == [1, 0]
    assert list(report.outcomes["incorrect"]) == [0, 1]


def test_representations() -> None:
    report = metrics.caption_report(["a woman", "<b>"], ["<i>", "<i>"], words={"<i>": ["woman"]})
    assert "outcome_divergence = nan" in repr(report)
    assert "incorrect" in repr(report)
    html = report._repr_html_()
    assert html.count("<table") == 2
    assert "<i>" not in html


@pytest.mark.parametrize(
    ("captions", "groups", "words", "message"),
    [
        (["a man"], ["cat"], None, "'cat'.*give words"),
        (["a man"], [1], None, "1.*give words"),
        (["a man"], ["woman"], {"female": ["woman"], "male": ["man"]}, "'woman', only for female"),
        (["a man", "a dog"], ["man"], None, "rows"),
        ("a man", ["man"], None, "one text"),
    ],
)
def test_bad_input_is_one_clear_line(captions: Any, groups: Any, words: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        metrics.caption_report(captions, groups, words=words)
    assert "\n" not in str(error.value)


def shares(**groups: tuple[int, int, int]) -> tuple[list[str], list[str]]:
    """Return truth and predictions with so many correct, incorrect and other in each group."""
    truth = [group for group, counts in groups.items() for _ in range(sum(counts))]
    predicted = []
    for group, (right, wrong, other) in groups.items():
        predicted += [group] * right + ["wrong"] * wrong + ["other"] * other
    return truth, predicted


@pytest.mark.parametrize(
    ("groups", "value"),
    [
        ({"a": (1, 2, 3), "b": (10, 20, 30)}, 0),
        ({"a": (5, 0, 0), "b": (0, 7, 0)}, 1),
        ({"a": (5, 5, 0), "b": (0, 0, 1)}, 1),
        ({"a": (1, 0, 0), "b": (0, 1, 0), "c": (0, 0, 1)}, np.log2(3)),
        ({"a": (1, 0, 0), "b": (2, 0, 0), "c": (0, 0, 1)}, np.log2(3) - 2 / 3),
        ({"a": (1, 2, 4), "b": (3, 6, 12), "c": (7, 14, 28)}, 0),
        ({"a": (1, 1, 1)}, np.nan),
    ],
)
def test_divergence_in_closed_form(groups: dict[str, tuple[int, int, int]], value: float) -> None:
    result = metrics.outcome_divergence(*shares(**groups))
    assert result.value == pytest.approx(value, abs=1e-12, nan_ok=True)
    if value == 0:
        assert result.value == 0


counts = st.tuples(*[st.integers(0, 40)] * 3).filter(any)


@given(counts, counts)
def test_divergence_of_two_groups_is_that_of_scipy(
    a: tuple[int, int, int], b: tuple[int, int, int]
) -> None:
    result = metrics.outcome_divergence(*shares(a=a, b=b), replicates=0)
    assert result.value == pytest.approx(jensenshannon(a, b, base=2) ** 2, abs=1e-12)
    assert 0 <= result <= 1 + 1e-12
    assert result.n == sum(a) + sum(b)
    pairs = result.pairs[result.pairs["group"].isin(["a", "b"])]
    expected = [count / sum(of) for of in (a, b) for count in of]
    np.testing.assert_allclose(pairs["value"], expected)
    assert list(pairs["n"]) == [sum(a)] * 3 + [sum(b)] * 3


@given(st.lists(counts, min_size=2, max_size=5))
def test_divergence_of_many_groups_is_the_entropy_of_the_mean_minus_the_mean_entropy(
    groups: list[tuple[int, int, int]],
) -> None:
    def entropy(p: np.ndarray) -> float:
        return -sum(x * np.log2(x) for x in p if x)

    p = np.array([np.array(of) / sum(of) for of in groups])
    expected = entropy(p.mean(axis=0)) - np.mean([entropy(of) for of in p])
    named = {f"g{i}": of for i, of in enumerate(groups)}
    result = metrics.outcome_divergence(*shares(**named), replicates=0)
    assert result.value == pytest.approx(expected, abs=1e-12)


def test_a_classifier_that_abstains() -> None:
    truth = [0, 0, 0, 1, 1, 1]
    by_code = metrics.outcome_divergence(truth, [0, 1, 2, 1, 1, 2], other=2)
    by_name = metrics.outcome_divergence(list("aaabbb"), ["a", "b", "other", "b", "b", "other"])
    unknown = metrics.outcome_divergence(truth, [0, 1, None, 1, 1, None], other=None)
    minus_one = metrics.outcome_divergence(truth, np.array([0, 1, -1, 1, 1, -1]), other=-1)
    for result in (by_code, unknown, minus_one):
        assert (result.value, result.n) == (by_name.value, 6)
        assert list(result.pairs["value"]) == list(by_name.pairs["value"])
    left_out = metrics.outcome_divergence(truth, [0, 1, None, 1, 1, None])
    assert left_out.n == 4
    assert not left_out.pairs[left_out.pairs["label"] == "other"]["value"].any()


def test_truth_cannot_be_other() -> None:
    with pytest.raises(InputError, match="truth holds 'other'"):
        metrics.outcome_divergence(["a", "other"], ["a", "other"])
    races = ["a", "other", "a", "other"]
    assert metrics.outcome_divergence(races, races, other="abstains").value == 0


def test_rows_may_be_counted_weighted_and_batched() -> None:
    truth, predicted = shares(a=(4, 2, 1), b=(1, 5, 2))
    table = pd.DataFrame({"truth": truth, "predicted": predicted}).value_counts().reset_index()
    long = metrics.outcome_divergence(truth, predicted)
    short = metrics.outcome_divergence(table["truth"], table["predicted"], counts=table["count"])
    assert (short.value, short.low, short.high, short.n) == (long.value, long.low, long.high, 15)
    weighted = metrics.outcome_divergence(
        table["truth"], table["predicted"], weights=table["count"] / 2
    )
    assert weighted.value == pytest.approx(long.value)
    assert weighted.n == len(table)


def test_shares_of_none_and_all_have_an_interval() -> None:
    pairs = metrics.outcome_divergence(*shares(a=(9, 0, 0), b=(5, 4, 0))).pairs
    first = pairs.iloc[0]
    assert (first["value"], first["high"]) == (1, 1)
    assert 0.6 < first["low"] < 0.7


def test_predictions_of_other_names_are_told() -> None:
    said = metrics.caption_genders(["a woman", "a man"])
    with pytest.warns(FairvisionWarning, match="none of the groups of truth.*man, woman"):
        assert metrics.outcome_divergence(["female", "male"], said).value == 0


def test_ratios_without_a_denominator_are_undefined_with_their_n():
    nobody = metrics.caption_report(["a dog", "a cat"], ["woman", "man"])
    assert math.isnan(nobody.ratio.value)
    assert math.isnan(nobody.ratio_difference.value)
    assert (nobody.ratio.n, nobody.ratio_difference.n) == (0, 2)
    women_alone = metrics.caption_report(["a woman", "a lady"], ["woman", "man"])
    assert math.isnan(women_alone.ratio.value)
    assert women_alone.ratio.n == 2
    unknown = metrics.caption_report(["a woman", "a man"], [None, None])
    assert math.isnan(unknown.ratio.value)
    assert unknown.ratio.n == 0
