"""Rules that an audit must not break: how they are read, judged, and written for other programs."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pandas as pd
import pytest
from junitparser import JUnitXml

from fairvision.errors import InputError
from fairvision.results.figures import COLUMNS
from fairvision.results.gate import judge
from fairvision.results.gate_files import as_junit, as_markdown
from fairvision.results.rules import parse_rule, read_rules


def table(*rows: dict[str, object]) -> pd.DataFrame:
    blank = {"model": "m", "attribute": "gender", "task": "", "group": "", "label": "", "n": 90}
    blank |= {"metric": "accuracy_gap", "value": 0.2, "low": 0.1, "high": 0.3, "unit": "difference"}
    return pd.DataFrame([{**blank, **row} for row in rows], columns=list(COLUMNS))


def outcome(metrics: pd.DataFrame, text: str, models: tuple[str, ...] = ("m", "other")):
    (judged,) = judge(metrics, models, [parse_rule(text)])
    return judged


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("accuracy_gap[attribute=gender].low > 0.05", False),
        ("accuracy_gap.low [attribute=gender] > 0.05", False),
        ("accuracy_gap.low > 0.05 [attribute='gender', model=\"m\",]", False),
        ("accuracy_gap.low > 0.05 [attribute=*]", False),
        ("accuracy_gap.low > 0.05 []", False),
        ("accuracy_gap.low > 1e-1", True),
        ("accuracy_gap.high >= 3e-1", False),
        ("accuracy_gap > 0.2", True),
        ("accuracy_gap >= 0.2", False),
        ("accuracy_gap.low > 0.05", False),
        ("accuracy_gap.low>.1", True),
        ("accuracy_gap.high < 1e-1", True),
        ("accuracy_gap.value <= +0.2", False),
        ("accuracy_gap.low > 0.05 [attribute=gender]", False),
        ("accuracy_gap.low > 0.05 [attribute=gender, model=m]", False),
    ],
)
def test_rules_are_broken_by_what_they_say(text, passed):
    assert outcome(table({}), text).passed is passed


def test_metrics_with_spaces_and_arrows():
    rule = parse_rule("directional T->A.low > 0 [task=sport, group=female]")
    assert (rule.metric, rule.number, rule.operator) == ("directional T->A", "low", ">")
    assert rule.names == (("task", "sport"), ("group", "female"))
    rule = parse_rule("directional A->T>0")
    assert (rule.metric, rule.limit) == ("directional A->T", 0.0)


def test_any_figure_of_the_whole_breaks_a_rule_and_groups_only_where_asked_for():
    metrics = table(
        {"metric": "accuracy", "value": 0.9},
        {"metric": "accuracy", "value": 0.3, "group": "female"},
        {"metric": "accuracy", "value": 0.8, "attribute": "age"},
        {"metric": "accuracy", "value": 0.1, "model": "other - m"},
    )
    assert outcome(metrics, "accuracy < 0.5").passed
    assert outcome(metrics, "accuracy < 0.5").kept == 2
    broken = outcome(metrics, "accuracy < 0.85")
    assert broken.reasons == ["m, age: 80.0% (10.0% to 30.0%, n = 90)"] or "age" in str(broken)
    assert not outcome(metrics, "accuracy < 0.5 [group=female]").passed
    assert not outcome(metrics, "accuracy < 0.5 [model=other - m]").passed


def test_what_is_not_there_cannot_be_kept():
    gone = outcome(table({}), "holds < 0.5")
    assert not gone.passed
    assert "was not measured" in gone.reasons[0]
    undefined = table({"value": math.nan, "low": math.nan, "high": math.nan})
    assert "is undefined" in outcome(undefined, "accuracy_gap > 0.5").reasons[0]
    named = outcome(table({}), "accuracy_gap > 0.5 [model=nobody]")
    assert named.reasons == ["there is no model 'nobody': there are m, other"]
    one = table({}, {"attribute": "age", "value": math.nan, "low": math.nan, "high": math.nan})
    assert outcome(one, "accuracy_gap > 0.5").passed


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("accuracy_gap", "cannot be read: write METRIC.low > NUMBER"),
        ("accuracy_gap = 0.3", "cannot be read"),
        ("accuracy_gap > much", "cannot be read"),
        ("accuracy_gap.middle > 0.3", r"instead of \.middle there are \.value, \.low and \.high"),
        ("acuracy_gap > 0.3", "'acuracy_gap', which is no metric: did you mean accuracy_gap"),
        ("accuracy_gap == 0.3", "== is none of >, >=, <, <="),
        ("accuracy_gap => 0.3", "=> is none of >"),
        ("accuracy_gap > 5%", "5% is written 0.05"),
        ("accuracy_gap > 0.3 [grup=a]", "did you mean group"),
        ("accuracy_gap > 0.3 [group=a, group=b]", "names its group twice"),
        ("accuracy_gap[group=a] > 0.3 [group=b]", "names its group twice"),
        ("accuracy_gap > 0.3 [group=a", "cannot be read"),
        ("accuracy_gap > 0.3 group=a", "cannot be read"),
        ("> 0.3", "cannot be read"),
        ("", "cannot be read"),
        ("accuracy > 1", "could never decide: accuracy lies within 0 to 1"),
        ("accuracy < 0", "could never decide"),
        ("accuracy >= 0", "could never decide"),
        ("accuracy_gap < -1", "could never decide: accuracy_gap lies within −1 to 1"),
        ("fairness > 0.3", "which is no metric"),
        ("accuracy_gap > 0.3 [colour=red]", "'colour=red' is none of model="),
        ("accuracy_gap > 0.3 [gender]", "'gender' is none of model="),
        ("accuracy_gap > nan", "cannot be read"),
        ("accuracy_gap > 5", "could never decide.*5% is 0.05"),
        ("accuracy < 80 [group=female]", "could never decide"),
        ("ratio > 1e400", "could never decide"),
    ],
)
def test_rules_that_cannot_be_read_are_one_line(text, problem):
    with pytest.raises(InputError, match=problem) as raised:
        parse_rule(text)
    assert "\n" not in str(raised.value)


def test_rules_in_files(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text('rules = ["accuracy_gap.low > 0.05", "holds.high < 0.5 [attribute=gender]"]\n')
    assert [rule.metric for rule in read_rules([path, "error > 0.5"])] == [
        "accuracy_gap",
        "holds",
        "error",
    ]
    for text, problem in {
        "": "rules is missing",
        "rules = 3": "rules must be a list",
        'rules = ["x"]': "cannot be read",
        "rules = [3]": "must be text",
        'rules = []\nother = "x"': "'other' is not among",
        "rules = [": "TOML",
        "rules = []": "there are no rules",
    }.items():
        path.write_text(text)
        with pytest.raises(InputError, match=problem):
            read_rules([path])
    with pytest.raises(InputError, match="is missing"):
        read_rules([tmp_path / "no.toml"])


def test_names_from_data_are_text_in_xml_and_markdown():
    evil = 'x</failure><script>|`*\x07"'
    metrics = table({"model": evil, "attribute": evil})
    judged = judge(metrics, [evil], [parse_rule("accuracy_gap > 0.1"), parse_rule("error > 0.99")])
    (suite,) = ElementTree.fromstring(as_junit(judged, evil))
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "2", "0")
    (read_back,) = JUnitXml.fromstring(as_junit(judged, evil).encode())
    assert (read_back.tests, read_back.failures) == (2, 2)
    for case, outcome in zip(read_back, judged):
        assert case.name == outcome.rule.text
        assert [result.type for result in case.result] == ["rule"]
    assert [case.find("failure") is not None for case in suite.iter("testcase")] == [True, True]
    assert [child.tag for child in suite] == [
        *("properties", "testcase", "testcase", "system-out", "system-err")
    ]
    page = as_markdown(judged, evil)
    assert "<script>" not in page
    assert "2 of 2 rules broken" in page
    assert len(page.splitlines()) == 6
    kept = judge(table({}), ["m"], [parse_rule("accuracy_gap > 0.9")])
    assert "all rules kept" in as_markdown(kept, "a")
    assert ElementTree.fromstring(as_junit(kept, "a"))[0].get("failures") == "0"


def test_differences_are_judged_either_way():
    metrics = table({}, {"model": "other - m", "value": -0.1, "low": -0.2, "high": -0.05})
    assert outcome(metrics, "accuracy_gap.high < 0 [model=other - m]").reasons == [
        "other - m, gender: −0.100 (−0.200 to −0.050, n = 90)"
    ]
    assert outcome(metrics, "accuracy_gap.low > 0 [model=m - other]").reasons == [
        "m - other, gender: +0.100 (+0.050 to +0.200, n = 90)"
    ]
    nobody = outcome(metrics, "accuracy_gap.low > 0 [model=othr - m]")
    assert nobody.reasons == ["there is no model 'othr - m': did you mean other - m?"]


def test_every_group_but_the_unknown_one_where_asked_for():
    rows = [
        {"metric": "accuracy", "value": value, "group": name}
        for name, value in [("", 0.9), ("a", 0.8), ("b", 0.4), ("unknown", 0.1)]
    ]
    judged = outcome(table(*rows), "accuracy < 0.5 [group=*]")
    assert [key.group for _, key, _ in judged.broken] == ["b"]
    assert judged.kept == 1
    assert not outcome(table(*rows), "accuracy < 0.5 [group=unknown]").passed


def test_an_end_without_number_neither_keeps_nor_breaks():
    no_end = table({"low": math.nan})
    assert outcome(no_end, "accuracy_gap > 0.3").passed
    judged = outcome(no_end, "accuracy_gap.low > 0.3")
    assert judged.reasons == [
        "the low end of accuracy_gap is undefined, so the rule cannot be kept"
    ]
    assert (
        outcome(table({}, {"attribute": "age", "low": math.nan}), "accuracy_gap.low > 0.3").kept
        == 1
    )


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ("group=femal", "there is no group 'femal': did you mean female?"),
        ("group=zzz", "there is no group 'zzz': there are female"),
        ("attribute=gendre", "there is no attribute 'gendre': did you mean gender?"),
        ("task=ski", "there is no task 'ski': the audit has no task"),
        ("model=other", "accuracy was not measured, so the rule cannot be kept"),
        ("group=female, model=m", ""),
        ("attribute=gender, label=*", "accuracy was not measured, so the rule cannot be kept"),
    ],
)
def test_names_that_are_not_there(names, reason):
    metrics = table({"metric": "accuracy", "value": 0.9, "group": "female"})
    assert outcome(metrics, f"accuracy < 0.5 [{names}]").reasons == ([reason] if reason else [])


def test_names_of_any_text_are_quoted():
    metrics = table({"metric": "accuracy", "group": "a, [b] = c", "value": 0.9})
    assert outcome(metrics, 'accuracy < 0.95 [group="a, [b] = c"]').reasons
    assert outcome(metrics, 'accuracy < 0.5 [group="a, [b] = c"]').passed
    metrics = table({"metric": "accuracy", "group": 'say "a"', "value": 0.9})
    assert outcome(metrics, "accuracy < 0.95 [group='say \"a\"']").reasons


def test_a_gap_says_between_which_groups_it_is():
    groups = [
        {"metric": "accuracy", "group": name, "value": value, "n": n, "unit": "fraction"}
        for name, value, n in [("a", 0.9, 50), ("b", 0.3, 40), ("unknown", 0.1, 3)]
    ]
    (reason,) = outcome(table({}, *groups), "accuracy_gap > 0.1").reasons
    assert reason == "m, gender: +0.200 (+0.100 to +0.300, n = 90); b 30.0% of 40, a 90.0% of 50"
