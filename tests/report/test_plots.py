"""Plots: escaped, deterministic, and drawing what they are given."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest

from fairvision.report import plots
from fairvision.report.template import linked
from fairvision.results.figures import Figure

NAN = Figure(math.nan, math.nan, math.nan, 0)


def draw(*categories: plots.Category, **options) -> ElementTree.Element:
    return ElementTree.fromstring(plots.panel(categories, description="what", key="key", **options))


def texts(svg: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in svg.iter("text")]


def test_values_and_names_are_text():
    svg = draw(plots.Category("all", [Figure(0.5, 0.4, 0.6, 10), NAN]))
    assert {"all", "50.0%", "–"} <= set(texts(svg))
    assert svg.get("aria-label") == "what. all: 50.0%, –"


@pytest.mark.parametrize("name", ["<b>", "$\\frac{$", "人 🙂", "אב", "a\u202eb\x00", "]]>&\"'"])
def test_any_name_is_drawn_as_it_is(name):
    svg = draw(plots.Category(name, [Figure(0.5, 0.4, 0.6, 10)]))
    assert name.replace("\u202e", " ").replace("\x00", "") in texts(svg)


def test_long_names_are_cut():
    svg = draw(plots.Category("x" * 500, [NAN]))
    assert max(map(len, texts(svg))) < 50


def test_points_lie_where_the_values_are():
    values = [0.0, 0.25, 1.0]
    svg = draw(plots.Category("all", [Figure(v, v, v, 9) for v in values]), limits=(0, 1))
    points = {use.get("style", "").split("fill: ")[1][:7]: use for use in svg.iter("use")}
    at = [float(points[c.lower()].get("x", "nan")) for c, _ in plots.looks(3)]
    assert at[1] - at[0] == pytest.approx(0.25 * (at[2] - at[0]))


def test_every_model_has_its_own_look():
    assert len(set(plots.looks(6))) == 6
    assert plots.looks(8)[:6] == plots.looks(6)


def test_axis_of_differences_holds_zero_and_all_intervals():
    category = plots.Category("pair", [Figure(0.1, 0.08, 0.12, 9, "difference")])
    svg = draw(category, unit="difference")
    assert {"0", "+0.100"} <= set(texts(svg))


def test_nothing_defined_is_still_a_plot():
    assert "–" in texts(draw(plots.Category("all", [NAN, None])))


def test_marks_and_values_lead_to_their_pictures():
    links = plots.links(["A", "B"], "gender", group="<a & b>", label="")
    category = plots.Category("all", [Figure(0.5, 0.4, 0.6, 10), NAN], links=links)
    drawn = plots.panel([category], description="it's <b>", key="key")
    described, _, svg = drawn.partition("</p>")
    assert described == '<p class="heard">it&#x27;s &lt;b&gt;. all: 50.0%, –'
    element = ElementTree.fromstring(svg)
    assert element.get("aria-hidden") == "true"
    assert [(a.get("href"), a.get("tabindex")) for a in element.iter("a")] == [(links[0], "-1")] * 2
    assert linked(drawn, ["gender"]) == drawn
    without = linked(drawn, [])
    assert "<a" not in without
    assert texts(ElementTree.fromstring(without.partition("</p>")[2])) == texts(element)
