"""The page on captions: it needs nothing else, no name runs, and marks do not rest on colour."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from fairvision.report.captions import render
from fairvision.results.gallery import GalleryImage, ModelAnswer, Sentences

EVIL = "<script>alert(\"x\")</script> & 'quote' \u202e"
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


def make_input(models: tuple[str, ...] = ("A", "B"), attribute: str = "gender", **more) -> dict:
    """Return the keyword arguments of `render`."""
    groups = more.pop("groups", ["woman", "man"])
    rows = []
    for model in (*models, *(f"{model} - {models[0]}" for model in models[1:])):
        unit = "difference" if " - " in model else "fraction"
        low = -0.05 if " - " in model else 0.15
        keys = [("error", "", ""), ("lic_model", "", ""), ("ratio", "", "")]
        keys += [("outcomes", g, o) for g in groups for o in ("correct", "incorrect", "other")]
        for metric, group, label in keys:
            own = (model, metric, attribute, "", group, label, 0.25, low, 0.35, 100, unit)
            rows.append(own)
    item = GalleryImage(
        kind="wrong by A, right by B",
        id="7",
        attribute=attribute,
        truth=groups[0],
        labels=("tv",),
        image=None,
        mask=None,
        models=tuple(
            ModelAnswer(model, named, sentences=Sentences((("a ", ""), (word, group))))
            for model, (named, word, group) in zip(
                models,
                [
                    (groups[1], "man", groups[1]),
                    (groups[0], "woman", groups[0]),
                    (None, "dog", ""),
                ]
                * 3,
            )
        ),
    )
    settings = {
        "dataset": "labels.csv",
        "split": "part test",
        "n": 100,
        "attribute": attribute,
        "task": "objects",
        "groups": groups,
        "words": {group: [group] for group in groups},
        "reference": None,
        "human": None,
        "rounds": 10,
        "replicates": 1000,
        "confidence": 0.95,
        "seed": 0,
        "versions": {"numpy": "2"},
        "runs": [{"name": model, "file": f"{model}.json", "captions": 100} for model in models],
        "counts": [{attribute: group, "n": 50} for group in groups],
    }
    verdict = {
        "headline": "One.\nTwo.",
        "answers": [{"question": "Q?", "answer": "A.", "status": "unclear"}],
        "left_out": ["LIC: not asked for"],
        "warnings": ["few pictures"],
    }
    return {
        "metrics": pd.DataFrame(rows, columns=COLUMNS),
        "models": models,
        "verdict": verdict,
        "gallery": [item],
        "settings": settings,
        **more,
    }


class Tags(HTMLParser):
    """Collects elements and text outside of the style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.tag = "", ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.tag = tag

    def handle_data(self, data):
        self.text += data if self.tag not in ("style", "script") else ""


@pytest.mark.parametrize("models", [("A",), ("A", "B"), tuple("ABCDEF")])
def test_page_is_whole_and_needs_nothing_else(models):
    page = render(**make_input(models))
    tags = Tags(page)
    names = [name for name, _ in tags.elements]
    assert page.count("<html") == page.count("</html>") == 1
    assert not {"link", "iframe"} & set(names)
    scripts = [attributes.get("type") for name, attributes in tags.elements if name == "script"]
    assert scripts == ["application/json", None]
    assert not re.search(r"https?://|url\(", page)
    ids = [attributes["id"] for _, attributes in tags.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {a["href"].partition("&")[0] for name, a in tags.elements if name == "a"}
    assert {f"#{name}" for name in ids} >= {to for to in targets if not to.startswith("data:")}
    assert names.count("h1") == 1


def test_names_are_text_wherever_they_stand():
    given = make_input((EVIL, "B"), attribute=EVIL, groups=[EVIL, "man"])
    (item,) = given["gallery"]
    evil_answer = replace(item.models[0], sentences=Sentences(((EVIL, EVIL),)))
    models = (evil_answer, *item.models[1:])
    evil = replace(item, id=EVIL, kind=EVIL, labels=(EVIL,), models=models)
    given["gallery"] = [evil]
    given["settings"] |= {"dataset": EVIL, "split": EVIL, "task": EVIL, "human": EVIL}
    given["verdict"] = {
        "headline": EVIL,
        "answers": [{"question": EVIL, "answer": EVIL, "status": "yes"}],
        "left_out": [EVIL],
        "warnings": [EVIL],
    }
    page = render(**given)
    tags = Tags(page)
    assert [name for name, _ in tags.elements].count("script") == 2
    assert "alert" in tags.text
    assert "\u202e" not in page


def test_outcomes_are_written_and_words_marked():
    """Without the script a picture has the sentences of two models."""
    page = render(**make_input(("A", "B", "C")))
    text = " ".join(Tags(page).text.split())
    assert "A ✕ man a man" in text
    assert "B ✓ woman a woman" in text
    assert '<mark title="man">man</mark>' in page
    assert '"says":{"whole":["a ","dog"]}' in page


def test_bars_tell_outcomes_of_equal_shares_apart():
    page = render(**make_input(("A",)))
    bars = re.findall(r'<span class="(\w+)" style="flex-grow: 0.2500"><a [^>]*><b>(.) 25%', page)
    assert bars == [("correct", "✓"), ("incorrect", "✕"), ("other", "○")] * 2


def test_differences_that_are_not_shown_are_called_so():
    text = " ".join(Tags(render(**make_input())).text.split())
    assert "+0.250 −0.050 to +0.350 ○ not shown" in text


def test_images_are_embedded_small():
    given = make_input()
    red = np.full((600, 900, 3), (255, 0, 0), np.uint8)
    given["gallery"] = [replace(given["gallery"][0], image=red)]
    page = render(**given)
    assert page.count('<img src="data:image/webp;base64,') == 1
    assert len(page) < 80_000


def test_truth_that_is_unknown_is_not_judged():
    given = make_input()
    (item,) = given["gallery"]
    given["gallery"] = [replace(item, truth="")]
    text = " ".join(Tags(render(**given)).text.split())
    assert "● A man a man ■ B woman a woman" in text
    assert "annotated not known" in text


def test_sections_without_content_say_so():
    given = make_input()
    given |= {"gallery": [], "verdict": {"answers": [], "left_out": [], "warnings": []}}
    given["verdict"]["headline"] = ""
    given["metrics"] = given["metrics"].assign(value=float("nan"), low=float("nan"), n=0)
    text = " ".join(Tags(render(**given)).text.split())
    for line in (
        "The figures answer no question",
        "No pictures are shown",
        "Nothing that this audit was asked for",
        "– (n = 0)",
    ):
        assert line in text


def test_page_is_the_same_from_the_csv():
    given = make_input()
    text = io.StringIO(given["metrics"].to_csv(index=False))
    assert render(**{**given, "metrics": pd.read_csv(text)}) == render(**given)


@pytest.mark.parametrize(("number", "called"), [(1, "All 1"), (2000, "The first 1 of 2,000")])
def test_contradictions_are_listed_where_not_all_pictures_are_shown(number, called):
    given = make_input(("A", EVIL, "C"))
    (item,) = given["gallery"]
    first, evil, _ = item.models
    models = (first, evil, replace(first, name="C"))
    text = " ".join(
        Tags(render(**given, opposed=(number, [replace(item, models=models)]))).text.split()
    )
    assert f"{called} pictures on which one model is right and another wrong" in text
    assert "✕ man a man A, C" in text
    given["settings"]["n"] = 1
    assert "one model is right" not in render(**given, opposed=(number, [item]))


def test_a_sample_is_called_what_it_is():
    given = make_input()
    (item,) = given["gallery"]
    red = np.full((8, 8, 3), 255, np.uint8)
    cases = {
        "1 of the 100 audited pictures, drawn at random,": [item],
        "drawn at random of those with a file,": [replace(item, image=red)],
        "2 of the 100 audited pictures, those with a file and others drawn at random,": [
            replace(item, image=red),
            replace(item, id="8"),
        ],
        "drawn at random, and 1 asked for,": [item, replace(item, id="8", kind="asked for")],
    }
    for text, gallery in cases.items():
        page = render(**{**given, "gallery": gallery})
        assert text in " ".join(Tags(page).text.split())


def test_sentences_of_changed_pictures_and_maps_are_kept_where_there_are_some():
    given = make_input(("A",))
    (item,) = given["gallery"]
    sentences = replace(
        item.models[0].sentences,
        hidden=(("snow", ""),),
        elsewhere=(("a ", ""), ("woman", "woman")),
        word="man",
    )
    evidence = np.eye(16, dtype=np.float32)
    answer = replace(item.models[0], sentences=sentences, map=evidence, reason="leans on it")
    page = render(**{**given, "gallery": [replace(item, models=(answer,))]})
    island = json.loads(page.partition('id="album-data">')[2].partition("</script>")[0])
    (kept,) = island["items"][0]["answers"]
    assert kept["says"] == {
        "whole": ["a ", ["man", "man"]],
        "hidden": ["snow"],
        "elsewhere": ["a ", ["woman", "woman"]],
    }
    assert (kept["whole"], kept["elsewhere"], kept["word"]) == (["man"], ["woman"], "man")
    assert "hidden" not in kept
    assert "leans on it</option>" in page
    assert "A map shows where evidence lies" in page
