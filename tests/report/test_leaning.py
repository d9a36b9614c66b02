"""The section on leaning: the ranking, what is written, and names that would be markup."""

import math

import pandas as pd
import pytest

from fairvision.report import render
from fairvision.results.leaning import ranked

KEYS = ["model", "metric", "attribute", "task", "group", "label"]


def leaning_rows(things, models=("baseline", "equalizer"), attribute="gender"):
    """Rows for (task, label, leaning, n) of each model, alike but for a step of 0.05."""
    rows = []
    for i, model in enumerate(models):
        for task, label, value, n in things:
            about = {"model": model, "attribute": attribute, "task": task, "label": label, "n": n}
            value = value - 0.05 * i if n else math.nan
            ends = {"value": value, "low": value - 0.1, "high": value + 0.1}
            rows.append({**about, "metric": "leaning", "group": "", "unit": "difference", **ends})
            for metric, other in (("change", -value), ("control", 0.0), ("flips", 0.25)):
                unit = "fraction" if metric == "flips" else "difference"
                one = {"metric": f"leaning_{metric}", "group": "", "unit": unit, "value": other}
                rows.append({**about, **one, "low": other - 0.1, "high": other + 0.1})
            for group, sign in (("woman", -1), ("man", 1)):
                one = {"metric": "leaning_toward", "group": group, "value": sign * value}
                one |= {"low": sign * value - 0.1, "high": sign * value + 0.1}
                rows.append({**about, **one, "unit": "difference"})
    return pd.DataFrame(rows)


THINGS = [
    ("", "person", 0.3, 400),
    ("", "context", 0.0, 0),
    ("objects", "tie", 0.5, 60),
    ("objects", "cup", 0.02, 200),
    ("objects", "kite", 0.9, 4),
    ("objects", "surfboard", -0.4, 30),
]


def test_the_ranking():
    table = ranked(leaning_rows(THINGS), "baseline", "gender")
    names = ["tie", "person", "cup", "surfboard", "kite", "context"]
    assert table["label"].tolist() == names
    assert table["shown"].tolist() == [True, True, False, True, False, False]
    assert table["few"].tolist() == [False, False, False, False, True, True]
    assert table["toward"].fillna("").tolist() == ["man", "man", "", "woman", "man", ""]
    assert table["change"].tolist()[0] == -0.5
    assert len(ranked(leaning_rows(THINGS), "nobody", "gender")) == 0


def test_an_interval_without_width_shows_nothing():
    rows = leaning_rows([("objects", "tie", 0.5, 60)])
    rows = rows.assign(low=rows["value"], high=rows["value"])
    assert not ranked(rows, "baseline", "gender")["shown"].any()


def page(report_input, rows, **options):
    given = report_input(items=0, **options)
    given["metrics"] = pd.concat([given["metrics"], rows], ignore_index=True)
    return render(**given)


def test_the_section(report_input):
    text = page(report_input, leaning_rows(THINGS))
    section = text[text.index('id="leaning"') : text.index('id="answers"')]
    assert section.index(">tie<") < section.index(">person<") < section.index(">cup<")
    for words in ("+0.500", "n = 60", "few pictures", "no equal area elsewhere", "not shown"):
        assert words in section
    assert "shown for 3 of 4 parts with enough pictures" in section
    assert "hidden −0.500, elsewhere 0.000; 25.0% of the answers change" in " ".join(
        section.split()
    )
    assert section.count("<svg") == 1
    assert "aria-label" in section


def test_without_figures_it_says_why(report_input):
    text = page(report_input, leaning_rows([]))
    section = text[text.index('id="leaning"') : text.index('id="answers"')]
    assert "Not measured: it takes runs" in section
    assert "<svg" not in section


def test_a_long_list_is_cut(report_input):
    things = [("objects", f"thing {i}", 0.5 - i / 100, 50) for i in range(50)]
    text = page(report_input, leaning_rows(things))
    assert "thing 29" in text
    assert "thing 30" not in text
    assert "20 more are in" in text


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a\u202eb", "$x^2$", "&amp;"])
def test_names_are_text(report_input, name):
    text = page(report_input, leaning_rows([("objects", name, 0.4, 50)]))
    assert "<script" not in text
    assert "\u202e" not in text


def test_what_only_one_model_has(report_input):
    both = leaning_rows(THINGS)
    rows = both[(both["model"] == "baseline") | (both["label"] != "cup")]
    text = page(report_input, rows)
    assert "not measured" in text[text.index('id="leaning"') : text.index('id="answers"')]
    none = page(report_input, both[both["model"] == "equalizer"])
    assert ">cup<" in none
