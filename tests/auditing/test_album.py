"""All images on the page: each once, the telling first, with what the models answered and why."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import fairvision
from fairvision import datasets
from fairvision.attribution import DEFAULT
from fairvision.auditing import miniatures
from fairvision.auditing.album import album
from fairvision.auditing.collect import collect
from fairvision.auditing.gallery import maps_of
from fairvision.auditing.miniatures import GRID, rows_shown
from fairvision.auditing.swaps import plan, swap
from fairvision.auditing.tables import Samples
from fairvision.datasets import FILLS, read_image
from fairvision.results.gallery import KINDS
from fairvision.runs.model import as_model

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")


@pytest.fixture(scope="module")
def asked(two_runs, world):
    """Models, what they answer on the test split, and whose surroundings they were shown."""
    networks = [as_model(run, device="cpu") for run in two_runs]
    audited = datasets.load(world).split("test")
    donors = plan(audited, swaps=2)
    samples = []
    for network in networks:
        model = collect(network, audited, attribution=DEFAULT)
        table = swap(network, model, donors, method=FILLS[0])
        scores = pd.concat([model.scores, table], axis=1)
        samples.append(Samples(model.model, audited, scores, maps=model.maps))
    return networks, samples, donors


@pytest.fixture(scope="module")
def images(asked):
    networks, samples, donors = asked
    return album(samples, "shirt", networks=networks, methods=[DEFAULT] * 2, donors=donors)


def test_every_image_is_there_once_and_telling_ones_first(asked, images):
    truth = asked[1][0].truth
    assert sorted(image.id for image in images) == sorted(truth.samples["id"])
    kinds = [image.kind for image in images]
    there = [kind for kind in KINDS if kind in kinds]
    assert set(kinds[: len(there)]) == set(there)  # the kinds take turns
    assert "" not in kinds[: len(kinds) - kinds.count("")]


def test_answers_are_those_of_the_table(asked, images):
    truth = asked[1][0].truth
    place = {name: row for row, name in enumerate(truth.samples["id"])}
    groups = truth.attributes["shirt"]
    for image in images:
        for answer, model in zip(image.models, asked[1], strict=True):
            scores = model.scores.iloc[place[image.id]]
            of_group = [scores[f"score/shirt/{group}"] for group in groups]
            assert answer.answer == groups[int(np.argmax(of_group))]
            assert answer.probability == max(of_group)
            for kind, named in (("hidden", answer.hidden), ("person", answer.person)):
                values = [scores[f"{kind}/shirt/{group}"] for group in groups]
                expected = None if np.isnan(values).any() else max(values)
                assert (None if named is None else named[1]) == expected
            holds = scores["holds/shirt"]
            assert answer.holds == (None if np.isnan(holds) else holds)
            right = answer.answer == image.truth
            assert not answer.reason or answer.reason.startswith("right" if right else "wrong")


def test_maps_are_small_copies_of_those_of_the_attribution(asked, images):
    networks, samples, _ = asked
    truth = samples[0].truth
    ids = list(truth.samples["id"])
    rows = [ids.index(image.id) for image in images[:5]]
    groups = [image.truth for image in images[:5]]
    for i, network in enumerate(networks):
        large = maps_of(network, truth, "shirt", groups, rows, DEFAULT)
        for image, of_image in zip(images, large):
            side = len(of_image) // GRID
            blocks = of_image.clip(min=0).reshape(GRID, side, GRID, side).mean(axis=(1, 3))
            if image.models[i].why_no_map or not blocks.max():
                continue
            np.testing.assert_allclose(image.models[i].map, blocks / blocks.max(), atol=0.01)


def test_donors_are_of_other_groups(asked, images):
    groups = {image.id: image.truth for image in images}
    lent = [(image, donor) for image in images for donor in image.donors]
    assert lent
    assert all(groups[donor] != image.truth for image, donor in lent)


def test_of_many_images_a_sample_is_shown(asked, monkeypatch):
    networks, samples, donors = asked
    monkeypatch.setattr(miniatures, "MOST_SHOWN", 5)
    rows = rows_shown(len(samples[0].truth))
    assert len(rows) == 5
    assert (np.diff(rows) > 0).all()
    kept = [
        Samples(model.model, model.truth, model.scores, maps={"shirt": model.maps["shirt"][rows]})
        for model in samples
    ]
    shown = album(kept, "shirt", networks=networks, methods=[DEFAULT] * 2, donors=donors)
    ids = samples[0].truth.samples["id"]
    assert {image.id for image in shown} == {ids[row] for row in rows}
    assert all(donor in {image.id for image in shown} for image in shown for donor in image.donors)


def test_tables_with_a_dataset_show_its_images(world, tmp_path):
    """Answers from elsewhere: pictures by their ids, without maps."""
    whole = datasets.load(world).split("test")
    table = whole.samples[["id"]].copy()
    for group in whole.attributes["shirt"]:
        table[f"score/shirt/{group}"] = 1 / len(whole.attributes["shirt"])
    table.to_parquet(tmp_path / "mine.parquet")
    done = fairvision.audit(
        predictions=tmp_path / "mine.parquet", data=world, output=tmp_path / "audit", replicates=5
    )
    page = done.report.read_text(encoding="utf-8")
    content = json.loads(page.partition('id="album-data">')[2].partition("</script>")[0])
    assert {of["id"] for of in content["pictures"]} == set(whole.samples["id"])
    assert all("map" not in answer for item in content["items"] for answer in item["answers"])
    assert page.count('src="data:image/webp') >= len(whole)


def test_labels_without_probabilities_are_answers(world, tmp_path):
    whole = datasets.load(world).split("test")
    answers = whole.samples[["id"]].assign(predicted=whole.samples["shirt"])
    answers = answers.rename(columns={"predicted": "answer/shirt"})
    answers.to_parquet(tmp_path / "mine.parquet")
    done = fairvision.audit(
        predictions=tmp_path / "mine.parquet", data=world, output=tmp_path / "audit", replicates=5
    )
    page = done.report.read_text(encoding="utf-8")
    content = json.loads(page.partition('id="album-data">')[2].partition("</script>")[0])
    assert content["items"]
    assert all(item["answers"][0]["whole"] == [item["truth"]] for item in content["items"])
    assert "no answer</strong>" not in page


def test_large_photographs_are_small_on_the_page(images, world):
    first = images[0]
    image = datasets.load(world).samples.set_index("id").loc[first.id, "image"]
    assert first.image.shape[:2] == read_image(world / image).size[::-1]
