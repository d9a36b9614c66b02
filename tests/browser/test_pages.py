"""All pages in a browser: for whoever reads them, at every width, in the dark, and on paper."""

from __future__ import annotations

import io

import pytest
from axe import violations
from pages import PAGES, page
from PIL import Image
from pypdf import PdfReader

from fairvision import explain

OF_COLOUR = ("color-contrast",)
OF_LAYOUT = (*OF_COLOUR, "target-size", "scrollable-region-focusable")
WINDOWS = ((320, "light"), (768, "dark"), (1280, "dark"), (1920, "light"))
LONG = ("six models", "forty groups", "eighty labels", "350 pictures", "1,000 pictures")
LONG += ("1,000 captions of six models",)
KINDS = ("two models", "captions of six models", "leaderboard of eight methods", "releases")
HOSTILE = [name for name in PAGES if name.startswith("hostile")]

MOVING = """
() => [...document.querySelectorAll('*')].filter(element => {
  const style = getComputedStyle(element);
  const lasts = [style.transitionDuration, style.animationDuration].join(', ').split(', ');
  return style.scrollBehavior !== 'auto' || lasts.some(time => parseFloat(time) > 0);
}).map(element => element.outerHTML.slice(0, 80))
"""
UNSEEN = """
() => {
  const element = document.activeElement, style = getComputedStyle(element);
  if (element === document.body) return null;
  const [box] = element.getClientRects();
  const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
  return outlined && box && box.right > 0 ? '' : element.outerHTML.slice(0, 80);
}
"""


def beyond(tab):
    """Return by how many pixels a page is wider than its window."""
    return tab.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_nothing_is_cut_off(open_page, name):
    tab = open_page(page(name), viewport={"width": 320, "height": 640})
    tab.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    assert beyond(tab) == 0
    tab.set_viewport_size({"width": 1280, "height": 800})
    assert violations(tab, without=OF_COLOUR, folded=name in LONG) == []


@pytest.mark.parametrize(("width", "scheme"), WINDOWS)
@pytest.mark.parametrize("name", KINDS)
def test_axe_finds_nothing_at_any_width_in_the_light_and_in_the_dark(
    open_page, name, width, scheme
):
    tab = open_page(page(name), viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert violations(tab, *OF_LAYOUT) == []
    assert beyond(tab) == 0


def test_drawings_of_what_a_network_saw(open_page, make_run, tmp_path):
    photograph = tmp_path / "<b>street &.png"
    Image.effect_noise((30, 20), 90).save(photograph)
    folder = explain(make_run(), [photograph, photograph], output=tmp_path / "out")
    tab = open_page(folder / "index.html", viewport={"width": 320, "height": 640})
    assert violations(tab) == []
    assert beyond(tab) == 0
    drawn = tab.locator("img").evaluate_all("images => images.map(one => one.naturalWidth)")
    assert len(drawn) == 5
    assert min(drawn) > 400
    tab.emulate_media(color_scheme="dark")
    assert violations(tab, "color-contrast") == []
    assert len(PdfReader(io.BytesIO(tab.pdf())).pages) >= 3


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_others_do_nothing(open_page, name):
    tab = open_page(page(name))
    assert "alert(" in tab.locator("body").inner_text()
    assert tab.locator("[onerror], img:not([src^='data:image/'])").count() == 0


@pytest.mark.parametrize("name", KINDS)
def test_nothing_moves_for_whoever_does_not_want_it(open_page, name):
    tab = open_page(page(name), reduced_motion="reduce")
    assert tab.evaluate(MOVING) == []


@pytest.mark.parametrize("name", KINDS)
def test_the_focus_is_seen_wherever_the_keyboard_takes_it(open_page, name):
    tab = open_page(page(name))
    seen = []
    for _ in range(200):
        tab.keyboard.press("Tab")
        unseen = tab.evaluate(UNSEEN)
        if unseen is None:
            break
        seen.append(unseen)
    assert len(seen) > (5 if name != "releases" else 3)
    assert not [element for element in seen if element]


@pytest.mark.parametrize("name", KINDS)
def test_pages_are_printed(open_page, name):
    tab = open_page(page(name), color_scheme="dark")
    heading = tab.locator("h1").inner_text()
    printed = PdfReader(io.BytesIO(tab.pdf(format="A4")))
    text = " ".join(" ".join(part.extract_text() for part in printed.pages).split())
    assert heading in text
    assert any(phrase in text for phrase in ("bootstrap", "standard deviation", "by chance alone"))
