"""Audits show themselves in notebooks: what was found, escaped, without script."""

from __future__ import annotations

import re

import pandas as pd
import pytest

import fairvision
from fairvision.errors import InputError

HOSTILE = '<img src=x onerror="alert(1)">\u202e'


def audited(folder, female: int = 27, male: int = 18, name: str = "mine", groups=("f", "m")):
    """Audit a model that is right for so many of 30 images of each group."""
    right = [*[True] * female, *[False] * (30 - female), *[True] * male, *[False] * (30 - male)]
    truth = [groups[0]] * 30 + [groups[1]] * 30
    answers = [t if ok else groups[t == groups[0]] for t, ok in zip(truth, right)]
    table = pd.DataFrame({"id": range(60), "gender": truth, "predicted/gender": answers})
    table.to_csv(folder / "table.csv", index=False)
    return fairvision.audit(
        predictions=folder / "table.csv", names=[name], output=folder / "audit", replicates=200
    )


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_what_was_found_is_shown(tmp_path):
    audit = audited(tmp_path)
    html = audit._repr_html_()
    shown = text(html)
    assert "Are all groups served alike?" in shown
    assert "It gets 9 of 10 annotated “f” right, and 6 of 10 annotated “m”." in shown
    assert "mine: 90% / 60% (concern)" in shown
    assert "Does it lean on the surroundings?" not in shown  # was not measured
    assert "Accuracy on gender, f 90.0%" in shown
    assert "n = 30" in shown
    assert str(audit.report) in shown


def test_nothing_of_the_data_runs(tmp_path):
    html = audited(tmp_path, groups=(HOSTILE, "m"))._repr_html_()
    assert "<img" not in html
    assert "&lt;img" in html
    assert "\u202e" not in html
    assert not re.search(r"<(script|link|iframe|style)|https?://", html)
    harmless = {"b", "br", "code", "div", "p", "small", "table", "td", "th", "tr"}
    assert set(re.findall(r"</?([a-z]+)", html)) <= harmless


def test_no_concern_is_not_a_concern(tmp_path):
    shown = text(audited(tmp_path, 20, 20)._repr_html_())
    assert "(no concern shown)" in shown
    assert "(concern)" not in shown


def test_captions_show_their_answers(tmp_path):
    captions = [{"image_id": i, "caption": f"a {'wo' * (i % 2)}man on skis"} for i in range(40)]
    pd.DataFrame(captions).to_json(tmp_path / "A.json", orient="records")
    labels = {"image_id": range(40), "gender": ["male", "female"] * 20, "objects": "skis"}
    pd.DataFrame(labels).to_csv(tmp_path / "labels.csv", index=False)
    audit = fairvision.captions(
        tmp_path / "A.json", labels=tmp_path / "labels.csv", output=tmp_path / "out", rounds=1
    )
    assert audit.verdict.headline.splitlines()[0] in text(audit._repr_html_())


def test_figures_by_their_keys(tmp_path):
    audit = audited(tmp_path)
    assert audit.figure("accuracy", attribute="gender", group="m").value == 0.6
    assert audit.figure("accuracy", attribute="gender").n == 60
    for keys, message in (
        ({"metric": "acuracy"}, "mine has no figure 'acuracy': did you mean accuracy?"),
        ({"metric": "accuracy"}, "say of which attribute accuracy is: gender"),
        ({"metric": "accuracy", "attribute": "age"}, "mine has no accuracy of attribute 'age'"),
        ({"metric": "accuracy", "model": "min"}, "no model 'min' was audited: did you mean mine?"),
    ):
        with pytest.raises(InputError) as error:
            audit.figure(**keys)
        assert str(error.value) == message
