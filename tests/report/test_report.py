"""The page as a whole: what is on it, that it breaks for no input, and that no name runs."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise

import pandas as pd
import pytest

from fairvision.report import render
from fairvision.results import words
from fairvision.results.folder import AuditSettings, settings_from
from fairvision.results.gallery import GalleryImage
from fairvision.results.verdict import Verdict

VOID = {"meta", "img", "br", "link", "input", "hr"}
EVIL = "<script>alert(\"x\")</script> & 'quote' $\\frac$"
SHAPES = {
    "two models": {},
    "three models, three groups": {
        "models": ("a", "b", "c"),
        "attributes": {"age": ("young", "middle", "old"), "gender": ("female", "male")},
        "tasks": {"scene": ("in", "out"), "objects": tuple(f"object {i}" for i in range(80))},
    },
    "one model": {"models": ("only",)},
    "six models, ten groups": {
        "models": tuple("abcdef"),
        "attributes": {"place": tuple(f"{i}" for i in range(10))},
    },
    "no masks": {"masks": False},
    "no task": {"tasks": {}},
    "no attribute": {"attributes": {}},
    "nothing": {"attributes": {}, "tasks": {}},
}


class Page(HTMLParser):
    """Collects elements, text and ids, and checks that tags are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & {*self.open}:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


@pytest.fixture(scope="module")
def pages(report_input):
    return {
        name: Page(render(**report_input(items=1, size=32, **shape)))
        for name, shape in SHAPES.items()
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_page_is_whole_and_needs_nothing_else(pages, shape):
    page = pages[shape]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.elements:
        assert tag not in {"iframe", "object", "embed", "link"}
        assert tag != "script" or set(attributes) <= {"type", "id"}
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name)
            files = ("data:text/", "data:application/x-bibtex")
            allowed = ("#", "data:image/webp;base64,", *(files if "download" in attributes else ()))
            assert value is None or value.startswith(allowed)
        if (attributes.get("href") or "").startswith("#"):
            assert attributes["href"][1:].partition("&")[0] in ids
        for reference in re.findall(r"url\((.*?)\)", str(attributes)):
            assert reference.removeprefix("#") in ids


@pytest.mark.parametrize("shape", SHAPES)
def test_page_is_accessible(pages, shape):
    page = pages[shape]
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(header.get("scope") for header in page.all("th"))
    assert all(image.get("alt") for image in page.all("img"))
    heard = sum(element.get("class") == "heard" for element in page.all("p"))
    hidden = [svg for svg in page.all("svg") if svg.get("aria-hidden")]
    assert heard == len(hidden)
    assert all(svg.get("aria-label") or svg in hidden for svg in page.all("svg"))
    assert page.all("html") == [{"lang": "en"}]


def test_figures_stand_with_interval_and_n(report_input):
    given = report_input(items=0)
    rows = given["metrics"]
    row = rows[(rows["metric"] == "hidden_accuracy") & (rows["group"] == "")].iloc[0]
    shown = f"{row.value:.1%} {row.low:.1%} to {row.high:.1%} n = {row.n}"
    assert shown in Page(render(**given)).words


def test_difference_whose_interval_includes_zero_is_not_shown(report_input):
    given = report_input(items=0, tasks={})
    rows = given["metrics"]
    keep = (rows["metric"] == "accuracy") & (rows["group"] == "")
    for low, said in ((-0.01, "not shown"), (0.01, "better")):
        one = rows[keep].copy()
        difference = one["model"].str.contains(" - ")
        one.loc[difference, ["value", "low", "high"]] = [0.04, low, 0.09]
        page = Page(render(**{**given, "metrics": one})).words
        assert f"+0.040 {'○' if said == 'not shown' else '▲'} {said}" in page


def test_undefined_figures_are_dashes_with_their_n_and_reason(report_input):
    given = report_input(items=0)
    rows = given["metrics"]
    chosen = rows["metric"].eq("context_gap")
    rows.loc[chosen, ["value", "low", "high", "n"]] = [float("nan")] * 3 + [0]
    page = Page(render(**given)).words
    assert "– (n = 0): needs pictures whose labels are typical of one group" in page
    assert "nan" not in page.lower().replace("female", "")


def test_page_is_the_same_from_the_csv(report_input):
    given = report_input(items=0)
    text = given["metrics"].to_csv(index=False)
    read = pd.read_csv(io.StringIO(text))
    again = render(**{**given, "metrics": read})
    assert Page(again).words == Page(render(**given)).words


def test_page_is_deterministic(report_input):
    assert render(**report_input(items=1)) == render(**report_input(items=1))


def test_sections_without_data_say_so(pages):
    assert "By cause this was not measured: it takes models" in pages["no masks"].words
    assert "evidence and reasons: no picture has a person mask" in pages["no masks"].words
    assert "No attribute was audited" in pages["no attribute"].words
    assert "Difference" not in pages["one model"].words


def test_every_group_and_model_is_there(pages):
    said = pages["three models, three groups"].words
    assert all(name in said for name in ("young", "middle", "old", "female", "male", "unknown"))
    assert "Difference: c − a" in said


def test_secondary_figures_stand_folded_away(report_input):
    html = render(**report_input(items=0))
    before, _, folded = html.partition('<details id="all-figures">')[2].partition("<details>")
    folded, _, after = folded.partition("</details>")
    after = after.partition("</details>")[0]
    for name in ("Demographic parity difference", "Equalized odds ratio", "Leakage amplification"):
        assert name in folded
        assert name not in before + after
    assert "More figures for <bdi>gender</bdi>" in folded
    assert "Amplification T→A, elsewhere minus on the person" in before
    assert "Evidence on the person, gap between groups" in before


def test_no_secondary_figures_no_fold(report_input):
    given = report_input(items=0)
    rows = given["metrics"]
    given["metrics"] = rows[rows["metric"] == "accuracy"]
    assert "More figures for" not in render(**given)


def test_names_are_text_wherever_they_stand(report_input):
    given = report_input(
        models=(EVIL, "ا\u202eب", "m" * 200),
        attributes={EVIL + " a": (EVIL + " g", '" onload="alert(1)', "y" * 200)},
        tasks={EVIL + " t": (EVIL + " l", "--><b>", "]]>")},
        items=1,
        size=32,
    )
    for key in ("dataset", "split"):
        given["settings"][key] = EVIL + key
    given["verdict"] |= {"headline": EVIL, "left_out": [EVIL], "warnings": [EVIL]}
    html = render(**given)
    page = Page(html)
    assert [attributes.get("type") for attributes in page.all("script")] == [
        "application/json",
        None,
    ]
    island = html.partition('id="album-data">')[2].partition("</script>")[0]
    assert "<" not in island
    assert json.loads(island)["items"][0]["truth"] == EVIL + " g"
    assert not [a for _, a in page.elements if "onload" in a]
    assert "\u202e" not in html
    assert f"Bias audit of {EVIL}dataset" in page.words
    assert words.short(EVIL + " l", 22) in page.words
    assert f"annotated {EVIL} g" in page.words


def test_lone_surrogates_do_not_keep_the_page_from_being_saved(report_input):
    given = report_input(items=0)
    given["settings"]["dataset"] = "a\ud800b"
    assert "a?b" in render(**given).encode("utf-8").decode("utf-8")


def test_report_needs_no_torch():
    code = "import sys, fairvision.report; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_dataclasses_and_dictionaries_make_the_same_page(report_input):
    given = report_input(items=1)
    typed = {
        "verdict": Verdict.of(given["verdict"]),
        "gallery": [GalleryImage.of(item) for item in given["gallery"]],
        "settings": settings_from(AuditSettings, given["settings"]),
    }
    assert render(**given | typed) == render(**given)


def test_cautions_of_several_models_are_one_line_without_options_of_the_shell(report_input):
    given = report_input()
    given["verdict"] |= {
        "warnings": [
            "baseline: 3 pictures have no answer (see --missing)",
            "few pictures",
            "equalizer: 3 pictures have no answer (see --missing)",
        ],
        "left_out": ["baseline: maps; --attribution occlusion makes them"],
    }
    html = render(**given)
    assert "baseline, equalizer: 3 pictures have no answer" in html
    assert html.count("pictures have no answer") == 1
    assert "<li>baseline: maps</li>" in html
    text = Page(html).text.partition("Take it with you")[0]  # where a command may be copied
    assert not re.search(r"\s--[a-z]", text)
