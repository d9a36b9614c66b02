from __future__ import annotations

import numpy as np
import pytest

from fairvision.drawing.sheets import _lines, contact_sheet, image_sheet
from fairvision.results.gallery import GalleryImage, ModelAnswer


def gallery_image(size=(60, 40), mask=True, inside=True, mass=0.3, chance=0.2):
    random = np.random.default_rng(0)
    height, width = size
    person = np.zeros(size, bool)
    person[height // 4 : height // 2, width // 4 : width // 2] = True
    return GalleryImage(
        kind="wrong, evidence elsewhere",
        id="<script>\n" + "x" * 90,
        attribute="gender",
        truth="f",
        labels=("a", "b"),
        image=random.integers(0, 256, (*size, 3), dtype=np.uint8),
        mask=person if mask else None,
        models=tuple(ModelAnswer(n, "m", 0.9, random.random(size), inside, mass) for n in "AB"),
        chance=chance,
    )


def test_why_there_is_no_map_stands_in_its_place():
    answer = ModelAnswer(
        "A", "m", 0.9, np.zeros((4, 4)), True, 0.3, why_no_map="not drawn: 4 × 4 cells are too few"
    )
    assert _lines(gallery_image(), answer) == [
        "m 0.90, wrong (f)",
        "not drawn",
        "4 × 4 cells are too few",
    ]


UNDEFINED = {"inside": None, "mass": None}


@pytest.mark.parametrize("count", [1, 5, 6])
@pytest.mark.parametrize(
    "unusual",
    [{}, {"size": (16, 48)}, UNDEFINED, {"mask": False, "chance": None, **UNDEFINED}],
)
def test_sheets_of_anything(count, unusual):
    images = [gallery_image(**unusual)] * count
    drawn = contact_sheet("title", ["note"], images, "B")
    more = contact_sheet("title", ["note"], images * 6, "B")
    assert drawn.width <= more.width == 5 * 256 + 4 * 12 + 2 * 24
    assert drawn.height < more.height
    assert image_sheet("title", [], images[0], "A").width == 3 * 400 + 2 * 12 + 2 * 24
