"""The page of captions in a browser: the same picture browser, with sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pages import CAPTIONS, page, sentences
from playwright.sync_api import expect
from test_audit_page import DESK, PHONE, chosen, whole

from fairvision.report import captions
from fairvision.results.gallery import Sentences

ALL = sentences(30)
OUTCOMES = {
    "yes": lambda image, answer: answer.answer == image.truth,
    "no": lambda image, answer: answer.answer not in (image.truth, None),
    "none": lambda _, answer: answer.answer is None,
}


def ids(tab):
    """Return the pictures that are seen, in their order; some are no more than a name."""
    heads = tab.locator("#tiles > li:visible .open > *").evaluate_all(
        "all => all.map(one => (one.alt || one.textContent).split(',')[0])"
    )
    return [head.removeprefix("Picture ").strip() for head in heads]


@pytest.mark.parametrize("right", OUTCOMES)
@pytest.mark.parametrize("model", ["", "B"])
def test_sentences_are_chosen_by_what_they_name(open_page, right, model):
    tab = open_page(page("captions"), viewport=DESK)
    tab.locator("[name=right]").select_option(right)
    tab.locator("[name=model]").select_option(model)
    expected = [i.id for i in ALL if OUTCOMES[right](i, i.models[bool(model)])]
    assert 0 < len(expected) < 30
    assert ids(whole(tab)) == expected
    assert chosen(tab) == {"right": right, **({"model": model} if model else {})}


def test_sentences_are_searched_and_told_apart(open_page):
    tab = open_page(page("captions"), viewport=DESK)
    tab.locator("[name=q]").fill("Thing 7")
    assert ids(tab) == ["p7"]
    tab.locator("[name=q]").fill("p12")
    assert ids(tab) == ["p12"]
    tab.locator("[name=q]").fill("")
    tab.locator("[name=differ]").check()
    apart = [i.id for i in ALL if i.models[0].answer != i.models[1].answer]
    assert ids(whole(tab)) == apart
    tab.locator("#album-clear").click()
    tab.locator("[name=kind]").select_option("left open by one of them")
    assert ids(whole(tab)) == [f"p{i}" for i in range(1, 30, 2)]
    tab.locator("[name=sort]").select_option("id")
    assert tab.locator("[name=sort] option").all_inner_texts() == [
        "most telling first",
        "models furthest apart first",
        "by name",
    ]


def test_a_tile_has_the_sentences_of_the_chosen_model_and_another(open_page):
    tab = open_page(page("captions of six models"), viewport=DESK)
    says = tab.locator("#tiles .says").first
    expect(says.locator("q")).to_have_count(2)
    expect(says.locator("mark").last).to_be_visible()
    assert [text.split()[1] for text in says.locator(".model").all_inner_texts()] == ["A", "B"]
    tab.locator("[name=model]").select_option("D")
    assert [text.split()[1] for text in says.locator(".model").all_inner_texts()] == ["D", "A"]


def test_long_sentences_are_cut_on_tiles_until_they_are_asked_for(open_page):
    given = CAPTIONS["make_input"](("A",))
    (image, *_) = sentences(1, ("A",))
    whole_text = (("a ", ""), ("man", "man"), (" who rides and rides" * 60, ""))
    answer = replace(image.models[0], sentences=Sentences(whole_text))
    given["gallery"] = [replace(image, models=(answer,))]
    tab = open_page(captions.render(**given), viewport=PHONE)
    says = tab.locator("#tiles .says").first
    button = says.get_by_role("button")
    heights = [says.bounding_box()["height"]]
    for text, expanded in (("show all", "false"), ("show less", "true"), ("show all", "false")):
        expect(button).to_have_text(text)
        expect(button).to_have_attribute("aria-expanded", expanded)
        button.click()
        heights.append(says.bounding_box()["height"])
    assert heights[0] < 250 < 400 < heights[1]
    assert heights[:2] == heights[2:]
    assert says.locator("q").inner_text().endswith("who rides and rides")
    expect(tab.locator("#view")).to_be_hidden()


def test_a_sentence_is_enlarged_with_those_of_all_models(open_page):
    tab = open_page(page("captions of six models"), "#pictures&open=p3", viewport=PHONE)
    view = tab.locator("#view")
    expect(view.locator("#view-title")).to_have_text("Picture p3")
    expect(view.locator("q")).to_have_count(6)
    expect(view.locator("canvas, .blank")).to_have_count(0)
    assert "with thing 3" in view.locator("q").first.inner_text()
    tab.keyboard.press("ArrowRight")
    expect(view.locator("#view-title")).to_have_text("Picture p4")
    expect(view.locator("canvas")).to_have_count(1)
    tab.keyboard.press("Escape")
    expect(view).to_be_hidden()
    assert tab.evaluate("document.activeElement.querySelector('img').alt").startswith("Picture p4")


def test_sentences_of_changed_pictures_and_maps_stand_beside_them(open_page):
    tab = open_page(page("captions of changed pictures"), "#pictures&open=p4", viewport=DESK)
    view = tab.locator("#view")
    expect(view.locator("#view-title")).to_have_text("Picture p4")
    titles = view.locator("figcaption > strong").all_inner_texts()
    first, other = (answer.sentences.word for answer in sentences(30, changed=True)[4].models)
    assert titles == [
        "whole",
        "person hidden",
        "in other surroundings",
        f"where its evidence for “{first}” lies",
        f"where its evidence for “{other}” lies",
    ]
    hidden = view.locator("figure", has_text="person hidden")
    assert hidden.inner_text().count("an empty street") == 2
    assert "nobody or several" in hidden.inner_text()


def test_figures_choose_sentences(open_page):
    tab = open_page(page("captions"), viewport=DESK)
    tab.locator("#outcomes ~ .scroll a").nth(1).click()
    assert chosen(tab) == {"model": "A", "group": "woman", "right": "no"}
    expected = [i.id for i in ALL if i.truth == "woman" and i.models[0].answer == "man"]
    assert ids(whole(tab)) == expected


def test_sentences_are_saved(open_page):
    tab = open_page(page("captions alone"), "#pictures&q=thing+7")
    with tab.expect_download() as download:
        tab.locator("#album-save").click()
    lines = download.value.path().read_text("utf-8").splitlines()
    assert lines[0] == '"id","annotated","A","A, sentence","B","B, sentence"'
    first, other = ALL[7].models
    assert lines[1:] == [
        f'"p7","man","{first.answer}","a {first.answer} with thing 7",'
        f'"{other.answer}","a {other.answer} with thing 7"'
    ]


def test_without_its_script_the_sentences_are_read(open_page):
    tab = open_page(page("captions alone"), viewport=PHONE, java_script_enabled=False)
    assert tab.locator("#tiles > li:visible q").count() == 48
    assert tab.locator("#album-form").is_hidden()


def test_many_sentences_are_a_small_page(open_page):
    html = page("1,000 captions of six models")
    assert len(html.encode()) < 8e6
    tab = open_page(html, viewport=DESK)
    expect(tab.locator("#album-count")).to_have_text("1000 of 1000 pictures")


def test_rows_of_models_are_sorted_by_a_column(open_page):
    tab = open_page(page("captions of six models"), viewport=DESK)
    table = tab.locator("table.models").first
    header = table.locator("thead th").nth(1)
    for order in ("descending", "ascending"):
        header.get_by_role("button").press("Enter")
        assert header.get_attribute("aria-sort") == order
        read = "all => all.map(one => Number(one.dataset.value))"
        values = table.locator("tbody td:nth-child(2)").evaluate_all(read)
        assert len(values) == 6
        assert values == sorted(values, reverse=order == "descending")
    assert header.get_by_role("button").inner_text().startswith("Error")
