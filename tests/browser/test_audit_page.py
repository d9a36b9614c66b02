"""The page of an audit in a browser: looking through its pictures, by hand, keys and address."""

from __future__ import annotations

import io
import json
import re
from urllib.parse import parse_qsl, urlencode

import pytest
from axe import violations
from pages import EVIL, SHAPES, page, photographs
from playwright.sync_api import expect
from pypdf import PdfReader

DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
TWO = photographs(30)
WOMEN_WRONG = [
    image.id
    for image in TWO
    if image.truth == "woman" and image.models[1].answer not in ("woman", None)
]


def ids(tab):
    """Return the pictures that are seen, in their order."""
    texts = tab.locator("#tiles > li:visible img").evaluate_all("all => all.map(one => one.alt)")
    return [text.removeprefix("Picture ").partition(", annotated")[0] for text in texts]


def chosen(tab):
    """Return what the address says is chosen."""
    fragment = tab.evaluate("location.hash")
    assert fragment.startswith("#pictures")
    return dict(parse_qsl(fragment.removeprefix("#pictures")))


def whole(tab):
    """Show all pictures that are chosen."""
    while tab.locator("#album-more").is_visible():
        tab.locator("#album-more").click()
    return tab


def right(image, model):
    return image.models[model].answer == image.truth


CHOICES = {
    "right": ("no", lambda image: not right(image, 0)),
    "group": ("man", lambda image: image.truth == "man"),
    "answer": ("woman", lambda image: image.models[0].answer == "woman"),
    "reason": (
        TWO[0].models[0].reason,
        lambda image: image.models[0].reason == TWO[0].models[0].reason,
    ),
    "label": ("tie", lambda image: "tie" in image.labels),
}


@pytest.mark.parametrize("field", CHOICES)
def test_pictures_are_chosen(open_page, field):
    value, holds = CHOICES[field]
    expected = [image.id for image in TWO if holds(image)]
    assert 0 < len(expected) < len(TWO)
    tab = open_page(page("two models"), viewport=DESK)
    tab.locator(f"[name={field}]").select_option(value)
    assert ids(whole(tab)) == expected
    assert tab.locator("#album-count").inner_text() == f"{len(expected)} of 30 pictures"
    assert chosen(tab) == {field: value}
    tab.locator("#album-clear").click()
    assert chosen(tab) == {}
    assert len(ids(whole(tab))) == 30


def test_pictures_are_searched_and_disagreements_shown(open_page):
    tab = open_page(page("two models"), viewport=DESK)
    tab.locator("[name=q]").fill("P2")
    assert ids(tab) == [image.id for image in TWO if "p2" in image.id]
    tab.locator("[name=q]").fill("nobody")
    assert ids(tab) == []
    assert tab.locator("#album-count").inner_text() == "No picture is so; 30 in all"
    tab.locator("[name=q]").fill("")
    tab.locator("[name=differ]").check()
    apart = [i.id for i in TWO if i.models[0].answer != i.models[1].answer]
    assert ids(whole(tab)) == apart


def test_the_same_pictures_are_asked_about_by_each_task(open_page):
    tab = open_page(page("tasks alone"), viewport=DESK)
    tab.locator("[name=answer]").select_option("tie")
    assert 0 < len(ids(tab)) < 30
    tab.locator("#album-clear").click()
    assert tab.locator("#tiles .says").first.inner_text().split()[1] in ("tie", "handbag")
    tab.locator("[name=about]").select_option("scene")
    assert tab.locator("#album-count").inner_text() == "30 of 30 pictures"
    assert len(ids(whole(tab))) == 30
    assert tab.locator("#tiles .says").first.inner_text().split()[1] in ("indoors", "outdoors")
    tab.locator("#tiles button").first.click()
    tab.locator("#view").wait_for()
    assert "annotated scene: indoors · gender: woman" in tab.locator("#view").inner_text()
    assert violations(tab, without=["color-contrast"]) == []


def test_pictures_are_sorted(open_page):
    def sure(image):
        return image.models[0].probability

    def of_truth(image):
        return [
            p.probability if p.answer == image.truth else 1 - p.probability for p in image.models
        ]

    orders = {
        "certain": lambda image: -sure(image),
        "unsure": sure,
        "holds": lambda image: image.models[0].holds,
        "apart": lambda image: -round(abs(of_truth(image)[0] - of_truth(image)[1]), 6),
        "id": lambda image: int(image.id[1:]),
    }
    tab = open_page(page("two models"), viewport=DESK)
    for name, order in orders.items():
        tab.locator("[name=sort]").select_option(name)
        keys = {image.id: round(order(image), 3) for image in TWO}
        listed = [keys[name] for name in ids(whole(tab))]
        assert listed == sorted(listed)
        assert len(listed) == 30


def test_an_address_brings_a_selection_back(open_page):
    selection = {"model": "equalizer", "right": "no", "group": "woman", "sort": "id", "q": "p"}
    tab = open_page(page("two models"), f"#pictures&{urlencode(selection)}", viewport=DESK)
    assert ids(tab) == WOMEN_WRONG
    for field, value in selection.items():
        assert tab.locator(f"[name={field}]").input_value() == value
    expect(tab.locator("#pictures")).to_be_in_viewport()
    assert tab.locator("#pictures").bounding_box()["y"] < DESK["height"] / 2  # at once
    tab.evaluate("location.hash = '#pictures&differ=1'")
    assert tab.locator("[name=differ]").is_checked()
    assert tab.locator("[name=group]").input_value() == ""
    tab.evaluate("location.hash = '#pictures&group=nobody&sort=backwards&open=none'")
    assert tab.locator("#view").is_hidden()


def test_an_address_opens_a_picture(open_page):
    tab = open_page(page("two models"), "#pictures&right=no&open=p3", viewport=DESK)
    view = tab.locator("#view")
    view.wait_for()
    assert view.locator("#view-title").inner_text() == "Picture p3"
    assert violations(tab) == []
    assert chosen(tab) == {"right": "no", "open": "p3"}


def test_a_card_chooses_the_pictures_that_it_is_about(open_page):
    tab = open_page(page("two models"), viewport=DESK)
    link = tab.locator(".card a").first
    wanted = dict(parse_qsl(link.get_attribute("href").removeprefix("#pictures")))
    link.click()
    assert {field: tab.locator(f"[name={field}]").input_value() for field in wanted} == {
        field: "" if (field, value) == ("model", "baseline") else value
        for field, value in wanted.items()
    }
    assert 0 < len(ids(tab)) < 24


def test_a_bar_chooses_the_pictures_that_it_counts(open_page):
    tab = open_page(page("two models"), viewport=DESK)
    tab.locator("summary", has_text="Right or wrong").click()
    link = tab.locator(".bar a").first
    wanted = dict(parse_qsl(link.get_attribute("href").removeprefix("#pictures")))
    link.click()
    assert tab.locator("[name=reason]").input_value() == wanted["reason"]
    assert ids(whole(tab)) == [i.id for i in TWO if i.models[0].reason == wanted["reason"]]


def test_a_mark_of_a_plot_chooses_the_pictures_that_it_counts(open_page):
    tab = open_page(page("two models"), viewport=DESK)
    tab.locator("summary", has_text="Plots").click()
    link = tab.locator(".plot a[href*='group=woman']", has_text="%").last
    wanted = dict(parse_qsl(link.get_attribute("href").removeprefix("#pictures")))
    link.click()
    assert tab.locator("[name=group]").input_value() == wanted["group"]
    model = "" if wanted["model"] == "baseline" else wanted["model"]
    assert tab.locator("[name=model]").input_value() == model
    assert ids(whole(tab)) == [image.id for image in TWO if image.truth == "woman"]
    expect(tab.locator("#pictures")).to_be_in_viewport()


def test_names_from_right_to_left_stand_apart_from_figures(open_page):
    """Else the direction of a name takes the probability beside it along."""
    tab = open_page(page("right to left"), "#pictures&open=p4", viewport=DESK)
    tab.locator("#view").wait_for()
    for place in ("h1", ".card .plain", "#tiles .says", "#view-answers"):
        together = tab.locator(place).first.evaluate(
            """one => {
              const walk = document.createTreeWalker(one, NodeFilter.SHOW_TEXT), bare = [];
              while (walk.nextNode()) {
                const {data, parentElement} = walk.currentNode;
                const alone = parentElement.closest('bdi');
                if (/[\u0590-\u06ff]/.test(data) && !alone) bare.push(data);
              }
              return bare;
            }"""
        )
        assert together == []


def test_a_picture_is_enlarged_by_keys_and_left_again(open_page):
    tab = open_page(page("two models"), viewport=DESK)
    first = tab.locator("#tiles button").first
    first.focus()
    tab.keyboard.press("Enter")
    view = tab.locator("#view")
    view.wait_for()
    title = view.locator("#view-title")
    expect(title).to_have_text("Picture p0")
    assert view.locator("#view-place").inner_text() == "1 of 30"
    for key, name in (("ArrowRight", "p1"), ("ArrowRight", "p2"), ("ArrowLeft", "p1")):
        tab.keyboard.press(key)
        expect(title).to_have_text(f"Picture {name}")
        assert chosen(tab)["open"] == name
    said = view.inner_text()
    for text in ("annotated gender: man", "whole", "person hidden", "only the person", "baseline"):
        assert text in said
    assert title.is_visible()
    tab.keyboard.press("Escape")
    tab.wait_for_url(lambda url: "open=" not in url)
    assert view.is_hidden()
    focused = "document.activeElement.querySelector('img')?.alt"
    assert tab.evaluate(focused) == "Picture p1, annotated man"


def test_a_large_picture_shows_what_was_asked(open_page):
    """The whole, without the person, only the person, in other surroundings, and a map each."""
    tab = open_page(page("two models"), "#pictures&open=p4", viewport=DESK)
    tab.locator("#view").wait_for()
    names = tab.locator("#view canvas").evaluate_all(
        "all => all.map(one => one.getAttribute('aria-label'))"
    )
    assert names == [
        "The whole picture",
        "The picture with the person hidden",
        "Only the person",
        "The person in other surroundings",
        "Evidence of baseline",
        "Evidence of equalizer",
    ]
    pixels = """i => [...document.querySelectorAll('#view canvas')[i].getContext('2d')
        .getImageData(0, 0, 64, 64).data]"""
    drawn = [tab.evaluate(pixels, i) for i in range(6)]
    mask = TWO[4].mask.ravel()
    inside, outside = (i * 4 for i in (int(mask.argmax()), int(mask.argmin())))
    colours = [[image[at : at + 3] for at in (inside, outside)] for image in drawn]
    (person, place), (filled, kept), (alone, blank), (pasted, other), *_ = colours
    assert (filled != person, kept) == (True, place)
    assert (alone, blank != place) == (person, True)
    assert (pasted, other != place) == (person, True)
    opacity = tab.locator("#opacity")
    opacity.fill("0")
    tab.wait_for_timeout(100)
    assert tab.evaluate(pixels, 4)[outside : outside + 3] == place


def test_an_arrow_moves_the_opacity_and_not_the_picture(open_page):
    tab = open_page(page("two models"), "#pictures&open=p4", viewport=DESK)
    tab.locator("#view").wait_for()
    tab.locator("#opacity").focus()
    tab.keyboard.press("ArrowRight")
    tab.wait_for_timeout(100)
    assert tab.locator("#opacity").input_value() == "71"
    assert tab.locator("#view-title").inner_text() == "Picture p4"


def test_more_pictures_are_shown_and_the_first_new_one_has_the_focus(open_page):
    tab = open_page(page("two models"), viewport=DESK)
    assert len(ids(tab)) == 24
    tab.locator("#album-more").press("Enter")
    assert len(ids(tab)) == 30
    assert tab.evaluate("document.activeElement.querySelector('img').alt").startswith(
        "Picture p24,"
    )
    assert tab.locator("#album-more").is_hidden()


def test_the_list_of_chosen_pictures_is_saved(open_page):
    tab = open_page(page("two models"), "#pictures&right=no&group=woman&model=equalizer")
    with tab.expect_download() as download:
        tab.locator("#album-save").click()
    lines = download.value.path().read_text("utf-8").splitlines()
    assert lines[0].startswith('"id","annotated","baseline"')
    assert [line.split(",")[0].strip('"') for line in lines[1:]] == WOMEN_WRONG


def test_rows_are_sorted_by_a_column(open_page):
    tab = open_page(page("six models"), viewport=DESK)
    header = tab.locator(".overview thead th").nth(1)
    values = ".overview tbody td:nth-child(2)"
    read = f"[...document.querySelectorAll('{values}')].map(one => Number(one.dataset.value))"
    for order in ("descending", "ascending"):
        header.get_by_role("button").press("Enter")
        assert header.get_attribute("aria-sort") == order
        assert tab.evaluate(read) == sorted(tab.evaluate(read), reverse=order == "descending")
    assert tab.locator(".overview [aria-sort]").count() == 1


def test_intervals_are_shown_on_demand(open_page):
    tab = open_page(page("two models"), viewport=DESK)
    interval = tab.locator(".overview .interval").first
    assert interval.is_hidden()
    tab.get_by_label("show intervals and n").check()
    assert interval.is_visible()


@pytest.mark.parametrize("part", ["groups", "plots", "leaning", "method", "left-out"])
def test_a_link_opens_the_part_in_which_it_ends(open_page, part):
    tab = open_page(page("no masks"), viewport=DESK, reduced_motion="reduce")
    tab.locator(f"a[href='#{part}']").first.click()
    box = tab.locator(f"#{part}").locator("xpath=..").bounding_box()
    assert tab.locator(f"#{part}").evaluate("one => !one.closest('details:not([open])')")
    assert box["y"] < DESK["height"]


def test_without_its_script_the_page_is_read(open_page):
    tab = open_page(page("350 pictures"), viewport=DESK, java_script_enabled=False)
    assert tab.locator("h1").is_visible()
    assert tab.locator(".card").count() == 4
    assert tab.locator("#tiles > li:visible").count() == 24
    assert tab.locator("#album-form").is_hidden()
    assert tab.locator("#tiles img").first.bounding_box()["height"] > 50
    more = tab.locator("#other-tiles")
    more.locator("summary").click()
    assert more.locator("li:visible").count() == 350 - 24
    tab.locator("summary", has_text="Group by group").click()
    assert tab.locator("table:visible", has_text="How often each group").is_visible()


def test_the_first_screen_and_the_length(open_page):
    tab = open_page(page("350 pictures"), viewport=DESK)
    assert tab.locator(".card .large").first.bounding_box()["y"] < DESK["height"]
    assert tab.locator("img:visible").first.bounding_box()["y"] < 1200
    tab = open_page(page("350 pictures"), viewport=PHONE)
    assert tab.locator("h1").bounding_box()["y"] < PHONE["height"] / 2
    assert tab.locator(".card .large").first.bounding_box()["y"] < PHONE["height"]
    assert tab.evaluate("document.documentElement.scrollHeight") < 12_000
    assert violations(tab, "target-size") == []


@pytest.mark.parametrize(("name", "most"), [("350 pictures", 3e6), ("1,000 pictures", 8e6)])
def test_pages_of_many_pictures_are_small(open_page, name, most):
    assert len(page(name).encode()) < most
    tab = open_page(page(name), viewport=DESK)
    total = SHAPES[name]["images"]
    assert tab.locator("#album-count").inner_text() == f"{total} of {total} pictures"
    tab.locator("[name=q]").fill(f"p{total - 1}")
    assert ids(tab) == [f"p{total - 1}"]


@pytest.mark.parametrize("name", ["350 pictures", "six models", "forty groups"])
def test_at_most_six_pages_are_printed(open_page, name):
    tab = open_page(page(name), viewport=DESK, color_scheme="dark")
    heading = tab.locator("h1").inner_text()
    printed = PdfReader(io.BytesIO(tab.pdf(format="A4")))
    assert len(printed.pages) <= 6
    first, *_ = texts = [" ".join(part.extract_text().split()) for part in printed.pages]
    assert " ".join(heading.split()) in first
    assert "Are all groups served alike?" in first
    assert any("Background gap" in text for text in texts)
    assert sum(len(part.images) for part in printed.pages) >= 12
    tab.emulate_media(media="print")
    for hidden in ("#album-form", "#album-more", "label.check", "#take"):
        assert tab.locator(hidden).first.is_hidden()


def test_names_from_data_are_text_to_the_script(open_page):
    html = page("hostile names")
    tab = open_page(html, viewport=DESK)
    island = html.partition('id="album-data">')[2].partition("</script>")[0]
    pictures = json.loads(island)["pictures"]
    assert EVIL[1] in pictures[1]["id"]
    assert json.loads(tab.locator("#album-data").text_content())["pictures"] == pictures
    for field in ("model", "group", "answer", "label"):
        options = tab.locator(f"[name={field}] option")
        value = options.nth(1).get_attribute("value")
        assert "alert(" in value or "<!--" in value
        tab.locator(f"[name={field}]").select_option(value)
        assert chosen(tab)[field] == value
    tab.locator("#album-clear").click()
    for number in range(4):
        tab.locator("#tiles button").nth(number).click()
        expect(tab.locator("#view-title")).to_have_text(f"Picture {pictures[number]['id']}")
        assert chosen(tab)["open"] == pictures[number]["id"]
        tab.keyboard.press("Escape")
        tab.wait_for_url(lambda url: "open=" not in url)
    assert tab.locator("script").count() == 2
    assert tab.locator("[onerror]").count() == 0


def test_no_other_script_runs(browser, tmp_path):
    """The policy of the page names its one script; what stands beside it does nothing."""
    more = "<script>document.title = 'ran'</script><p onclick='document.title = 1'>here</p></main>"
    html = page("two models").replace("</main>", more)
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    tab = browser.new_page()
    tab.goto((tmp_path / "page.html").as_uri())
    tab.get_by_text("here", exact=True).click()
    assert tab.title() == "Bias audit of scenes"
    assert tab.locator("#album-form").is_visible()
    changed = re.sub(r'"use strict";', '"use strict"; document.title = 1;', html)
    (tmp_path / "page.html").write_text(changed, encoding="utf-8")
    tab.reload()
    assert tab.title() == "Bias audit of scenes"
    assert tab.locator("#album-form").is_hidden()
    tab.close()
