from __future__ import annotations

import pandas as pd
import pytest

from fairvision.captioning.verdict import judge

COLUMNS = [
    "model",
    "metric",
    "attribute",
    "task",
    "group",
    "label",
    "value",
    "low",
    "high",
    "n",
    "unit",
]


def table(*rows: tuple) -> pd.DataFrame:
    """Return a metrics table from (model, metric, group, value, low, high)."""
    full = []
    for model, metric, group, value, low, high in rows:
        amplified = metric.startswith(("directional", "bias"))
        task = "objects" if amplified else ""
        unit = "fraction" if metric == "error" and " - " not in model else "difference"
        full.append((model, metric, "gender", task, group, "", value, low, high, 500, unit))
    return pd.DataFrame(full, columns=COLUMNS)


def answers(figures: pd.DataFrame, models: list[str]) -> dict[str, tuple[str, str]]:
    decided = judge(figures, models)
    return {a.question: (a.status, a.answer) for a in decided.answers}


GAP = [
    ("A", "error", "", 0.2, 0.15, 0.25),
    ("A", "error", "woman", 0.3, 0.2, 0.4),
    ("A", "error", "man", 0.1, 0.05, 0.15),
]


def test_one_model_is_told_by_its_worst_group():
    figures = table(*GAP, ("A", "error_gap", "", 0.2, 0.1, 0.3))
    assert judge(figures, ["A"]).headline.splitlines() == [
        "It names another group for 30% of those annotated “woman”, and for 10% of those annotated "
        "“man”.",
        "A names the wrong gender in 20.0% (95% interval 15.0% to 25.0%, n = 500) of the captions, "
        "most often for woman (30.0%).",
    ]
    (question, (status, answer)), *more = answers(figures, ["A"]).items()
    assert not more
    assert (question, status) == ("Is the gender of one group named wrongly more often?", "yes")
    assert "most for woman" in answer


def test_a_gap_that_is_not_shown_names_no_worst_group():
    figures = table(*GAP, ("A", "error_gap", "", 0.2, -0.1, 0.3))
    assert "most often" not in judge(figures, ["A"]).headline
    assert answers(figures, ["A"])["Is the gender of one group named wrongly more often?"] == (
        "unclear",
        "A: woman 30.0%, man 10.0%; gap +0.200 (−0.100 to +0.300, n = 500), not shown.",
    )


def compared(error: tuple, lic: tuple) -> pd.DataFrame:
    return table(
        *GAP,
        ("B", "error", "", 0.1, 0.05, 0.15),
        ("A", "lic_model", "", 0.4, 0.3, 0.5),
        ("B", "lic_model", "", 0.5, 0.4, 0.6),
        ("B - A", "error", "", *error),
        ("B - A", "lic_model", "", *lic),
    )


DOWN, UP, UNSHOWN = (-0.1, -0.15, -0.05), (0.1, 0.05, 0.15), (0.1, -0.05, 0.15)


@pytest.mark.parametrize(
    ("error", "lic", "status", "answer"),
    [
        (DOWN, UP, "no", "B: better by error; worse by LIC_M."),
        (DOWN, UNSHOWN, "yes", "B: better by error."),
        (UP, UP, "yes", "B: worse by error, LIC_M."),
        (UNSHOWN, UNSHOWN, "unclear", "B: nothing was shown."),
    ],
)
def test_measures_that_disagree_are_named(error, lic, status, answer):
    found = answers(compared(error, lic), ["A", "B"])
    assert found["Do the measures agree on who improves on A?"] == (status, answer)


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [(DOWN, "yes", "Lower: B"), (UP, "no", "Higher: B"), (UNSHOWN, "unclear", "Not shown")],
)
def test_changes_are_sorted(error, status, word):
    found = answers(compared(error, UP), ["A", "B"])
    own = found["Does another model name the wrong gender less often?"]
    assert own[0] == status
    assert word in own[1]


def test_the_headline_tells_both_sides():
    lines = judge(compared(DOWN, UP), ["A", "B"]).headline.splitlines()
    assert lines[1] == (
        "B: in 10.0% (5.0% to 15.0%, n = 500), less often (−0.100); its other words tell it better "
        "(LIC_M +0.100)."
    )


def test_a_smaller_error_by_silence_is_told_first():
    named = [(model, "unnamed", "", *of) for model, of in (("B - A", UP), ("A", UP), ("B", UP))]
    figures = pd.concat([compared(DOWN, UP), table(*named)])
    decided = judge(figures, ["A", "B"])
    assert decided.headline.splitlines()[0].startswith(
        "“B” names the wrong gender in 10% of the captions (“A” in 20%), and names nobody, or "
        "several groups, in 10% (“A” in 10%)."
    )
    assert decided.headline.splitlines()[1].startswith("A names the wrong gender in 20.0%")


@pytest.mark.parametrize(
    ("change", "status", "word"), [(UP, "yes", "Higher: B"), (DOWN, "no", "Lower: B")]
)
def test_quality(change, status, word):
    figures = table(
        *GAP,
        ("A", "cider", "", 0.9, 0.8, 1.0),
        ("B", "cider", "", 0.8, 0.7, 0.9),
        ("B - A", "cider", "", *change),
        ("A", "cider", "woman", 0.7, 0.6, 0.8),
        ("A", "cider", "man", 1.1, 1.0, 1.2),
        ("A", "cider", "unknown", 0.1, 0.0, 0.2),
        ("A", "cider_gap", "", 0.4, 0.2, 0.6),
    )
    said = answers(figures, ["A", "B"])
    nearer = said["Are the captions of another model nearer to people’s?"]
    assert nearer[0] == status
    assert word in nearer[1]
    assert said["Are the pictures of one group described worse?"] == (
        "yes",
        "A: woman +0.700, man +1.100; gap +0.400 (+0.200 to +0.600, n = 500), lowest for woman.",
    )
    way = {"yes": "better", "no": "worse"}[status]
    assert said["Do the measures agree on who improves on A?"] == ("yes", f"B: {way} by CIDEr.")


@pytest.mark.parametrize(("amplified", "status"), [(UP, "yes"), (DOWN, "no"), (UNSHOWN, "unclear")])
def test_amplification(amplified, status):
    figures = table(*GAP, ("A", "directional A->T", "", *amplified))
    own = answers(figures, ["A"])[
        "Do the captions tie objects and gender more closely than the truth does?"
    ]
    assert own[0] == status
    assert ("do not read a negative one as a merit" in own[1]) == (status == "no")


def test_undefined_figures_are_passed_over():
    nan = (float("nan"),) * 3
    decided = judge(table(("A", "error", "", *nan), ("A", "error_gap", "", *nan)), ["A"])
    assert decided.headline == ""
    assert decided.answers == ()
