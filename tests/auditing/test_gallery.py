from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

import fairvision
from fairvision import datasets, runs
from fairvision.attribution import DEFAULT
from fairvision.auditing.collect import collect
from fairvision.auditing.gallery import choose, draw
from fairvision.auditing.tables import Samples
from fairvision.datasets import Dataset
from fairvision.results.gallery import EVIDENCE_KINDS, KINDS
from fairvision.runs.model import as_model

GROUPS = ("f", "m")


def samples(name, truth, guess, inside, probability=0.8):
    """One model's samples from codes of groups and hits of the pointing game."""
    n = len(truth)
    rows = pd.DataFrame(
        {
            "id": [f"p{i}" for i in range(n)],
            "gender": pd.Series([GROUPS[t] if t >= 0 else None for t in truth], dtype=object),
        }
    )
    scores = np.full((n, 2), 1 - probability)
    scores[np.arange(n), guess] = probability
    columns = dict(zip([f"score/gender/{g}" for g in GROUPS], scores.T))
    columns["evidence/gradcam/pointing_game"] = np.array(inside, float)
    dataset = Dataset("", "drawn", {"gender": GROUPS}, {}, rows)
    return Samples(name, dataset, pd.DataFrame(columns))


def test_images_are_in_the_cell_of_the_first_model():
    nan = float("nan")
    model = samples("A", [0, 0, 0, 1, -1, 0], [1, 0, 0, 1, 0, 0], [1, 0, 1, 1, 1, nan])
    assert list(choose([model], "gender")) == [
        (EVIDENCE_KINDS[0], 0),
        (EVIDENCE_KINDS[1], 1),
        (EVIDENCE_KINDS[2], 2),
        (EVIDENCE_KINDS[2], 3),
    ]


def test_images_on_which_models_differ_come_first():
    truth, wrong = [0] * 6, [1] * 6
    a = samples("A", truth, wrong, [0] * 6)
    b = samples("B", truth, [1, 1, 1, 0, 1, 0], [0, 0, 0, 1, 0, 1])
    assert [row for _, row in choose([a, b], "gender", per_kind=2)] == [3, 5]


def test_both_directions_are_shown():
    """Where the first model was right and the second is wrong, the image is shown as well."""
    a = samples("A", [0, 0, 0], [0, 0, 0], [1, 1, 1])
    b = samples("B", [0, 0, 0], [0, 1, 0], [1, 0, 1])
    assert next(iter(choose([a, b], "gender", per_kind=1))) == (EVIDENCE_KINDS[2], 1)


def test_groups_take_turns():
    a = samples("A", [0] * 10 + [1] * 2, [1] * 10 + [0] * 2, [0] * 12)
    rows = [row for _, row in choose([a], "gender", per_kind=4)]
    assert sum(row >= 10 for row in rows) == 2


def test_without_evidence_only_wrong_answers_are_shown():
    a = samples("A", [0, 0], [0, 1], [0, 0])
    a.scores.pop("evidence/gradcam/pointing_game")
    assert list(choose([a], "gender")) == [(EVIDENCE_KINDS[0], 1)]


def test_by_cause_the_map_is_shown_where_it_contradicts():
    nan = float("nan")
    model = samples("A", [0] * 7, [0, 0, 0, 0, 1, 1, 0], [1, 0, 1, 0, 1, 1, nan])
    model.scores["holds/gender"] = [1, 1, 0, 0, 1, 0, 1]
    model.scores["swapped_right/gender"] = [1, 1, 0, 0, 0, 1, 1]
    assert {row: kind for kind, row in choose([model], "gender")} == {
        0: "right and holds",
        1: "holds, though the evidence lies elsewhere",
        2: "turns with the surroundings, though the evidence lies on the person",
        3: "right, turns with the surroundings",
        4: "wrong everywhere",
        5: "wrong, right elsewhere",
        6: "right and holds",
    }
    assert {kind for kind, _ in choose([model], "gender")} == set(KINDS)


@pytest.fixture(scope="module")
def drawn(two_runs, world):
    tested = datasets.load(world).split("test")
    networks = [as_model(run) for run in two_runs]
    models = [collect(network, tested) for network in networks]
    chosen = list(choose(models, "shirt", per_kind=2))
    methods = [DEFAULT] * len(networks)
    return models, chosen, draw(models, networks, "shirt", chosen, methods=methods)


def test_items_hold_what_the_page_shows(drawn):
    models, chosen, items = drawn
    assert [item.kind for item in items] == [kind for kind, _ in chosen]
    for item, (_, row) in zip(items, chosen):
        height, width, _ = item.image.shape
        assert item.image.dtype == np.uint8
        assert item.mask.shape == (height, width)
        assert item.mask.dtype == bool
        assert item.truth == models[0].truth.samples["shirt"][row]
        assert item.labels == (models[0].truth.samples["context"][row],)
        assert [answer.name for answer in item.models] == ["A", "B"]
        for answer, model in zip(item.models, models):
            assert answer.map.shape == (height, width)
            scores = model.probabilities("score", "shirt")[row]
            assert answer.probability == pytest.approx(scores.max())
            assert answer.answer == model.truth.attributes["shirt"][scores.argmax()]


def test_maps_are_those_that_were_judged(drawn):
    for item in drawn[2]:
        for answer in item.models:
            if answer.inside is not None and item.image.shape[0] == 32:
                peak = np.unravel_index(answer.map.argmax(), answer.map.shape)
                assert item.mask[peak] == answer.inside


def test_nothing_chosen_draws_nothing(drawn):
    assert draw(drawn[0], [], "shirt", [], methods=[]) == []


def test_measured_evidence_stands_beside_chance(drawn):
    models, chosen, items = drawn
    for item, (_, row) in zip(items, chosen):
        assert item.chance == models[0].scores["evidence/chance"][row]
        for answer, model in zip(item.models, models):
            mass = model.scores[f"evidence/{DEFAULT}/relevance_mass"][row]
            assert answer.mass == (None if np.isnan(mass) else mass)


def test_a_model_without_answers_beside_one_with_them(two_runs, world, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(two_runs[1], broken)
    tensors = {k: v * float("nan") for k, v in load_file(broken / runs.BEST).items()}
    save_file(tensors, broken / runs.BEST)
    done = fairvision.audit(
        [two_runs[0], broken], data=world, output=tmp_path / "audit", replicates=2, leaning=False
    )
    assert any("broken: no prediction of shirt for" in w for w in done.verdict.warnings)
    assert "no answer" in done.report.read_text(encoding="utf-8")
