from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

import fairvision
from fairvision import datasets, runs
from fairvision.cli.tables import prediction_notes
from fairvision.errors import InputError
from fairvision.inference import confidence
from fairvision.inference.confidence import fit_temperature, learn_familiarity, tempered

SIZE = 16


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    place = tmp_path_factory.mktemp("drawn") / "scenes"
    return datasets.scenes(place, count=90, bias=0.9, size=SIZE, test_fraction=0.3)


@pytest.fixture
def run(make_run, drawn):
    tasks = {"context": {"labels": list(drawn.tasks["context"].labels), "many": False}}
    folder = make_run(attributes={"shirt": list(drawn.attributes["shirt"])}, tasks=tasks, size=SIZE)
    config = json.loads((folder / runs.CONFIG).read_text())
    config["data"] = {
        "path": str(drawn.root), "name": "scenes", "fingerprint": drawn.fingerprint(),
    }  # fmt: skip
    (folder / runs.CONFIG).write_text(json.dumps(config))
    return folder


@given(st.integers(0, 10_000), st.floats(0.3, 4))
def test_temperature_is_found_again(seed, temperature):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(4000, 3)) * 2
    drawn = rng.random((4000, 1)) < softmax(logits, axis=1).cumsum(axis=1)
    truth = drawn.argmax(axis=1)
    found = fit_temperature(softmax(logits * temperature, axis=1), truth)
    assert found == pytest.approx(temperature, rel=0.15)


def test_temperature_is_that_of_logistic_regression():
    rng = np.random.default_rng(0)
    score = rng.uniform(0.02, 0.98, 500)
    truth = (rng.random(500) < 1 / (1 + np.exp(-0.4 * np.log(score / (1 - score))))).astype(int)
    logit = np.log(score / (1 - score))[:, None]
    slope = LogisticRegression(C=np.inf, fit_intercept=False).fit(logit, truth).coef_[0, 0]
    found = fit_temperature(np.stack([1 - score, score], axis=1), truth)
    assert found == pytest.approx(1 / slope, rel=1e-3)


def test_temperature_stays_in_its_range():
    sure = np.tile([0.9, 0.1], (20, 1))
    assert np.exp(-3) <= fit_temperature(sure, np.zeros(20, int)) < 0.1
    assert fit_temperature(sure, np.ones(20, int)) == pytest.approx(np.exp(3), rel=0.01)
    assert np.isnan(fit_temperature(np.zeros((0, 2)), np.zeros(0, int)))


def test_tempered_keeps_the_answer_and_divides_logits():
    scores = np.random.default_rng(0).dirichlet(np.ones(5), 50)
    np.testing.assert_allclose(tempered(scores, 1.0), scores, rtol=1e-12)
    cool = tempered(scores, 3.0)
    np.testing.assert_allclose(cool.sum(axis=1), 1)
    np.testing.assert_array_equal(cool.argmax(axis=1), scores.argmax(axis=1))
    expected = log_softmax(np.log(scores) / 3, axis=1)
    np.testing.assert_allclose(np.log(cool), expected, rtol=1e-9)
    assert np.isnan(tempered(np.array([[np.nan, 0.5]]), 2.0)).all()
    assert np.isfinite(tempered(np.array([[1.0, 0.0]], np.float32), 0.05)).all()


def test_what_is_learnt_is_what_the_network_says(run, drawn):
    known = learn_familiarity(run)
    assert known.split == "val"
    assert (known.training, known.held_out) == (len(drawn.split("train")), len(drawn.split("val")))
    val = drawn.split("val")
    said = fairvision.predict(run, [drawn.root / image for image in val.samples["image"]])
    for head, truth in (("shirt", val.codes("shirt")), ("context", val.targets("context"))):
        columns = [f"score/{head}/{label}" for label in runs.load(run).heads[head]]
        scores = said[columns].to_numpy()
        assert known.accuracy[head] == pytest.approx((scores.argmax(axis=1) == truth).mean())
        assert known.mean_probability[head] == pytest.approx(scores.max(axis=1).mean(), rel=1e-4)
        assert known.temperature[head] == pytest.approx(fit_temperature(scores, truth), rel=1e-3)


def test_unknown_images_are_not_counted_among_those_that_a_temperature_fits(run, drawn, tmp_path):
    samples = drawn.samples.copy()
    val = samples.index[samples["split"] == "val"]
    samples.loc[val[:2], "shirt"] = None
    shutil.copytree(drawn.root, tmp_path / "some")
    datasets.save(replace(drawn, samples=samples), tmp_path / "some")
    known = learn_familiarity(run, tmp_path / "some")
    assert known.annotated == {"shirt": len(val) - 2, "context": len(val)}
    found = pd.DataFrame({"distance_percentile": [0.5, 0.2]})
    shirt, context, far = prediction_notes(found, known)
    assert f"as fits {len(val) - 2} of {len(val)} pictures, those known, of the split val" in shirt
    assert f"as fits {len(val)} pictures of the split val" in context
    assert "So few give a rough number" in shirt
    assert "None of 2 are farther" in far


def test_distance_is_that_to_the_tenth_neighbour(run):
    known = learn_familiarity(run)
    rng = np.random.default_rng(0)
    width = known._neighbours.n_features_in_
    features = np.abs(rng.normal(size=(6, width)))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    to_each = np.linalg.norm(unit[:, None] - known._neighbours._fit_X, axis=2)
    tenth = np.sort(to_each, axis=1)[:, 9]
    expected = [(known._distances < distance).mean() for distance in tenth]
    np.testing.assert_allclose(known.distance_percentile(features), expected)
    np.testing.assert_array_equal(
        known.distance_percentile(features * 7), known.distance_percentile(features)
    )
    features[2, 0] = np.nan
    assert (
        np.isnan(known.distance_percentile(features)).tolist() == [False, False, True] + [False] * 3
    )


def test_held_out_images_spread_evenly(run, drawn):
    known = learn_familiarity(run)
    val = [drawn.root / image for image in drawn.split("val").samples["image"]]
    shares = fairvision.predict(run, val, familiarity=known)["distance_percentile"].to_numpy()
    expected = np.arange(len(val)) / len(val)
    np.testing.assert_allclose(np.sort(shares), expected, atol=1.01 / len(val))


def test_without_validation_it_is_the_test_split(run, drawn, tmp_path):
    samples = drawn.samples[drawn.samples["split"] != "val"].reset_index(drop=True)
    datasets.save(replace(drawn, samples=samples), copy_of(drawn, tmp_path))
    assert learn_familiarity(run, tmp_path / "copy").split == "test"
    only = samples[samples["split"] == "train"].reset_index(drop=True)
    datasets.save(replace(drawn, samples=only), tmp_path / "copy")
    with pytest.raises(InputError, match="neither val nor test pictures"):
        learn_familiarity(run, tmp_path / "copy")


def copy_of(drawn, tmp_path):
    import shutil

    shutil.copytree(drawn.root, tmp_path / "copy")
    return tmp_path / "copy"


def test_unknown_labels_take_no_part(run, drawn, tmp_path):
    samples = drawn.samples.copy()
    samples["shirt"] = samples["shirt"].where(samples["split"] != "val", None)
    datasets.save(replace(drawn, samples=samples), copy_of(drawn, tmp_path))
    known = learn_familiarity(run, tmp_path / "copy")
    assert np.isnan(known.temperature["shirt"])
    assert np.isnan(known.accuracy["shirt"])
    assert known.temperature["context"] > 0


def test_few_images_are_chosen_by_the_seed(run, monkeypatch):
    monkeypatch.setattr(confidence, "MOST_TRAINING", 12)
    monkeypatch.setattr(confidence, "MOST_HELD_OUT", 4)
    one, same, other = (learn_familiarity(run, seed=seed) for seed in (0, 0, 1))
    assert (one.training, one.held_out) == (12, 4)
    np.testing.assert_array_equal(one._distances, same._distances)
    assert not np.array_equal(one._distances, other._distances)


def test_data_that_does_not_serve_is_told(run, drawn, make_run, tmp_path):
    config = json.loads((run / runs.CONFIG).read_text())
    config["data"]["fingerprint"] = "another"
    (run / runs.CONFIG).write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"no longer what .* was trained on: --data"):
        learn_familiarity(run)
    assert learn_familiarity(run, drawn.root).held_out
    config["data"]["path"] = str(tmp_path / "moved")
    (run / runs.CONFIG).write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"is not at .*moved: say where it is with --data"):
        learn_familiarity(run)
    with pytest.raises(InputError, match="has no 'gender' with the labels of"):
        learn_familiarity(make_run("other", size=SIZE), drawn.root)


def test_columns_of_predict(run, drawn):
    known = learn_familiarity(run)
    image = drawn.root / drawn.samples["image"][0]
    (row,) = fairvision.predict(run, image, familiarity=known).to_dict("records")
    for head, labels in runs.load(run).heads.items():
        scores = np.array([[row[f"score/{head}/{label}"] for label in labels]])
        expected = tempered(scores, known.temperature[head]).max()
        assert row[f"confidence/{head}"] == pytest.approx(expected, rel=1e-5)
    assert 0 <= row["distance_percentile"] <= 1
