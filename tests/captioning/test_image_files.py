from __future__ import annotations

import pytest

from fairvision.captioning.image_files import find_images, rows_of
from fairvision.errors import InputError


def test_images_are_found_by_their_id(tmp_path):
    for name in (
        "COCO_val2014_000000080714.jpg",
        "000000000036.PNG",
        "p_1.jpeg",
        "7.txt",
        "8.jpg",
    ):
        (tmp_path / name).touch()
    found = find_images(tmp_path, ["80714", "36", "p_1", "7", "9"])
    assert {own: path.name for own, path in found.items()} == {
        "80714": "COCO_val2014_000000080714.jpg",
        "36": "000000000036.PNG",
        "p_1": "p_1.jpeg",
    }
    with pytest.raises(InputError, match="is not a folder of pictures"):
        find_images(tmp_path / "absent", ["1"])


def test_images_that_are_asked_for_may_have_no_labels(make_labels):
    truth = make_labels(["man"], [("tv",)])
    found = rows_of(["000", "99"], truth, {"A": {"0": "a", "99": "b"}})
    assert found.rows.to_dict("records") == [
        {"id": "0", "group": "man", "objects": ("tv",)},
        {"id": "99", "group": None, "objects": None},
    ]
    with pytest.raises(InputError, match="--show 5: A has no caption of this picture"):
        rows_of(["5"], truth, {"A": {}})
