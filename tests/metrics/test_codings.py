"""Labels, groups and scores as other programs code them: read right, refused, or said."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairvision import metrics
from fairvision.errors import FairvisionWarning, InputError

MEASURES = {
    "accuracy": lambda truth, groups: metrics.accuracy(truth, truth, groups, replicates=0),
    "correct": lambda truth, _: metrics.correct(truth, truth),
    "selection_rate": lambda truth, _: metrics.selection_rate(None, truth, replicates=0),
    "mals": lambda truth, groups: metrics.bias_amplification_mals(
        truth, groups, truth, groups, replicates=0
    ),
    "leakage": lambda truth, groups: metrics.dataset_leakage(truth, groups, rounds=1, replicates=0),
}
every_measure = pytest.mark.parametrize("measure", MEASURES)


def warned(caught: list[warnings.WarningMessage]) -> list[str]:
    found = [str(w.message) for w in caught if w.category is FairvisionWarning]
    return [w for w in found if not w.startswith(("figures that rest", "attackers learn"))]


@every_measure
@pytest.mark.parametrize("code", [-2, -100, np.float32(-100)])
def test_codes_below_minus_one_are_refused(measure: str, code: Any) -> None:
    with pytest.raises(InputError, match=f"holds the code {int(code)}: .* -1, NaN or None"):
        MEASURES[measure]([0, 1, code, 1], list("abab"))


@every_measure
@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([1, -1, 1, -1], "nowhere 0: -1 counts as unknown"),
        ([[1], [-1], [1], [-1]], "nowhere 0: -1 counts as unknown"),
        ([[1, -1], [-1, 1], [1, 1], [-1, -1]], "nowhere 0: -1 counts as unknown"),
        ([0, 2, 255, 2], "the code 255, and else none above 2"),
        (["Cat", "cat", "dog", "dog"], "'Cat' and 'cat' count as different"),
        (["cat", "nan", "dog", "dog"], "'nan' counts as a name"),
        (pd.DataFrame({"a": [1, 0] * 2, "A ": [0, 1] * 2}), "'a' and 'A ' count as different"),
    ],
)
def test_labels_that_may_be_coded_otherwise_are_told_once(
    measure: str, labels: Any, said: str
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MEASURES[measure](labels, ["f", "m"] * 2)
    assert 1 <= len(warned(caught)) <= (2 if np.ndim(labels) == 2 else 1)  # of each table
    assert all(said in message for message in warned(caught))


@every_measure
def test_tables_of_other_values_are_refused(measure: str) -> None:
    with pytest.raises(InputError, match=r"table of numbers|0 and 1 only"):
        MEASURES[measure]([["True", "False"]] * 4, list("abab"))
    for code in (255, -100, np.inf, 0.5):
        with pytest.raises(InputError, match="0 and 1 only"):
            MEASURES[measure]([[1, 0], [0, code], [1, 1], [0, 0]], list("abab"))


def test_categories_that_read_alike_are_not_told() -> None:
    """Whoever made them has listed them."""
    names = ["f", "F ", "m", "m"]
    arrow = pytest.importorskip("pyarrow").array(names).dictionary_encode()
    for groups in (pd.Categorical(names), arrow):
        counted = metrics.ScoreCounts()
        counted.update([1, 0, 1, 0], [0.5, 0.2, 0.3, 0.4], groups)
        assert set(counted.mean_by_group(replicates=0)) == {*names}
        metrics.accuracy(groups, groups, replicates=0)
    with pytest.warns(FairvisionWarning, match="count as different"):
        metrics.ScoreCounts().update([1, 0], [0.5, 0.2], names[:2])


@every_measure
def test_groups_that_read_alike_are_told_once(measure: str) -> None:
    if measure in ("correct", "selection_rate"):
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MEASURES[measure]([1, 0] * 4, ["Female", "male", "female ", "Unknown"] * 2)
    (told,) = warned(caught)
    assert "'Female' and 'female '" in told
    assert "'unknown' and 'Unknown'" in told


@pytest.mark.filterwarnings("error")
@every_measure
def test_the_usual_codings_are_silent(measure: str) -> None:
    groups = ["f", "m"] * 100
    bits = np.random.default_rng(0).integers(0, 2, (200, 2))
    for labels in (
        bits[:, 0],
        bits[:, 0].astype(bool),
        bits.astype(bool).tolist(),
        np.ma.masked_array(bits[:, 0], mask=bits[:, 1] > 0),
        np.where(bits[:, 1] > 0, -1, bits[:, 0] + 250),
        pd.Categorical.from_codes(np.where(bits[:, 0] > 0, 1, -1), ["a", "b"]),
        np.where(bits[:, :1] > 0, -1, bits),
        np.where(bits[:, 0] > 0, "cat", "dog"),
    ):
        MEASURES[measure](labels, groups)


def test_texts_of_0_and_1_are_told_where_one_of_two_is_positive() -> None:
    for texts in (["0", "1"], ["False", "True"]):
        with pytest.warns(FairvisionWarning, match=rf"texts '{texts[0]}' and .* positive="):
            metrics.true_positive_rate(texts, texts, replicates=0)
        metrics.true_positive_rate(texts, texts, positive=texts[1], replicates=0)


def test_a_code_among_scores_is_told() -> None:
    scores = [[0.2, 0.8], [-1, -1], [0.4, 0.6]]
    for call in (
        lambda: metrics.decide(scores, many=True),
        lambda: metrics.average_precision([[1, 0], [0, 1], [1, 1]], scores, replicates=0),
        lambda: metrics.calibrate_thresholds([[1, 0], [0, 1], [1, 1]], scores),
    ):
        with pytest.warns(FairvisionWarning, match="for -1 in 1 rows, which counts as a score"):
            call()
    with pytest.raises(InputError, match="between 0 and 1"):
        metrics.probability_gap(scores)
    metrics.decide([[-1.0, 0.5], [-2.5, 3]], many=False)


FORMS = {
    "codes": [1, 0, 2, -1, 1, 0],
    "floats": [1.0, 0, 2, np.nan, 1, 0],
    "names": ["b", "a", "c", None, "b", "a"],
    "categories": pd.Categorical(["b", "a", "c", None, "b", "a"], ["a", "b", "c"]),
    "table": np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1], [-1] * 3, [0, 1, 0], [1, 0, 0]]),
    "bools": [*(np.eye(3)[[1, 0, 2]] > 0).tolist(), [None] * 3, *(np.eye(3)[[1, 0]] > 0).tolist()],
}


@pytest.mark.parametrize("form", FORMS)
def test_measures_of_scores_take_truth_in_the_same_forms(form: str) -> None:
    scores = np.random.default_rng(0).dirichlet(np.ones(3), 6)
    named = form in ("names", "categories")
    given = pd.DataFrame(scores, columns=list("abc")) if named else scores
    table = FORMS["table"]
    found = metrics.average_precision(FORMS[form], given, replicates=20)
    expected = metrics.average_precision(table, scores, replicates=20)
    assert (found.value, found.low, found.high, found.n) == (
        expected.value,
        expected.low,
        expected.high,
        5,
    )
    assert found.pairs["value"].tolist() == expected.pairs["value"].tolist()
    assert found.pairs["label"].tolist() == (list("abc") if named else [0, 1, 2])
    thresholds = metrics.calibrate_thresholds(FORMS[form], given)
    assert thresholds.tolist() == metrics.calibrate_thresholds(table, scores).tolist()
    assert metrics.calibration_error(FORMS[form], given, replicates=0).n == 5
    if named:
        by_labels = metrics.average_precision(FORMS[form], scores, labels=list("abc"), replicates=0)
        assert by_labels.value == expected.value


def test_labels_without_a_column_are_told_by_every_measure_of_scores() -> None:
    for measure in (
        metrics.average_precision,
        metrics.calibrate_thresholds,
        metrics.calibration_error,
    ):
        with pytest.raises(InputError, match="no column for the label 3"):
            measure([0, 1, 3], np.full((3, 2), 0.5))
        with pytest.raises(InputError, match="must hold 0 and 1"):
            measure(["a", "b"], [0.1, 0.2])
