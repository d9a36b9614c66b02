"""The benchmark of known reasons in its smallest form, and networks set by hand."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import hand_set
import known_reasons
from hand_set import REASONS, draw_hand_set, hand_set_scenes

sys.path.pop(0)  # its coverage.py is not the package of that name

from fairvision.attribution import attribute
from fairvision.datasets.batching import image_tensor

SIZE = 40
TINY = known_reasons.Sizes(size=32, count=60, audited=20, explained=4, swaps=2)


def answers(model, rows, **changed):
    images = [image_tensor(draw_hand_set({**row, **changed}, SIZE)[0], SIZE) for row in rows]
    return model.predict(torch.stack(images))["group"].argmax(dim=1).numpy()


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("groups", [2, 3])
def test_a_network_set_by_hand_is_right_for_its_reason_alone(tmp_path, reason, groups):
    made = {"count": 24, "groups": groups, "seed": 1, "size": SIZE}
    drawn = hand_set_scenes(tmp_path / "d", reason, **made)
    model = hand_set.hand_set(reason, groups, SIZE)
    rows = drawn.samples.to_dict("records")
    codes = drawn.codes("group")
    assert (answers(model, rows) == codes).all()
    assert (answers(model, rows, shirt="halved", context="camp") == codes).all()
    marks, hats = (list(drawn.tasks[part].labels) for part in ("watermark", "hat"))
    wears = np.array([row["hat"] != "none" for row in rows])
    for group, mark in enumerate(marks):
        moved = answers(model, rows, watermark=mark)
        held = moved == codes
        same = np.array([row["watermark"] for row in rows]) == mark
        if reason == "person":
            assert held.all()
        elif reason == "surroundings":
            assert (moved == group).all()
        elif reason == "mixture":
            assert held[wears].all()
            assert (moved[~wears] == group).all()
        else:
            hat = np.array([hats.index(row["hat"]) for row in rows])
            assert (moved == np.where(hat == group, group, 0)).all()
        assert held[same].all()


def test_evidence_lies_where_the_reason_is(tmp_path):
    for reason, inside in (("person", True), ("surroundings", False)):
        made = {"count": 12, "groups": 2, "seed": 0, "size": SIZE}
        drawn = hand_set_scenes(tmp_path / reason, reason, **made)
        model = hand_set.hand_set(reason, 2, SIZE)
        images, masks = known_reasons.pixels(drawn, np.arange(12), SIZE)
        targets = torch.from_numpy(drawn.codes("group"))
        maps = attribute(model.module, images, targets, "saliency", head="group")
        assert (maps.flatten(1).sum(dim=1) > 0).all()
        assert ((maps > 0) & (masks if inside else ~masks)).sum() == (maps > 0).sum()


def test_what_is_known_is_exact_and_the_tables_are_made(tmp_path):
    asked = {"networks": ["small_cnn"], "worlds": ["person", "bias .75"]}
    methods = ["gradcam", "saliency"]
    tables = known_reasons.run(tmp_path, TINY, methods=methods, seeds=[0], **asked)
    for words in (
        "| person alone |",
        "| swapped, share |",
        "| gradcam |",
        "| random maps |",
        "| hand-set | hand-set |",
    ):
        assert words in tables
    for reason, share in (("person", 1.0), ("surroundings", 0.0)):
        cell = known_reasons.Cell(tmp_path, known_reasons.HAND_SET, reason, 0, TINY)
        table = known_reasons.of_cell(cell)
        assert table["right"].all()
        np.testing.assert_allclose(table["truth"], share)
        np.testing.assert_allclose(table["swapped, share"], share)
        assert (table["everywhere"] == bool(share)).all()
    cell = known_reasons.Cell(tmp_path, known_reasons.HAND_SET, "both", 0, TINY)
    table = known_reasons.of_cell(cell)
    assert 0 < table["everywhere"].mean() < 1
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.csv")}
    assert known_reasons.run(tmp_path, TINY, methods=methods, seeds=[0], **asked) == tables
    assert stamps == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.csv")}
