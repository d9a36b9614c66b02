"""Audits of captioners that were trained here: the folder, and its figures by hand."""

from __future__ import annotations

import json
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import fairvision
from fairvision import runs
from fairvision.captioning.of_runs import BY_PEOPLE, audit_captioners
from fairvision.core.files import write_json
from fairvision.errors import InputError
from fairvision.metrics import caption_genders

TRAINED = {"captions": True, "model": "small_cnn", "size": 16, "batch_size": 8, "device": "cpu"}
AUDITED = {"replicates": 50, "swaps": 2, "rounds": 0, "device": "cpu"}


def draw(root, *, n=48, attribute=True, masks=True):
    """Draw persons as squares, whose place tells the group more often than they do."""
    root.mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        group = i % 2
        place = group if rng.random() < 0.8 else 1 - group
        image = np.full((16, 16, 3), (40, 90, 40) if place else (90, 40, 40), np.uint8)
        image += rng.integers(0, 30, image.shape).astype(np.uint8)
        mask = np.zeros((16, 16), np.uint8)
        mask[5:12, 4:10] = 255
        image[mask > 0] = (220, 220, 60) if group else (60, 60, 220)
        Image.fromarray(image).save(root / f"{i}.png")
        Image.fromarray(mask).save(root / f"m{i}.png")
        word, where = ("man", "woman")[group], ("wall", "field")[place]
        rows.append(
            {
                "id": str(i),
                "image": f"{i}.png",
                "mask": f"m{i}.png" if masks and i != 5 else None,
                "split": ("train", "train", "test")[i // 2 % 3],
                "gender": ("male", "female")[group] if i != 11 else None,
                "things": where if attribute else None,
                "captions": [f"A {word} by a {where}.", f"the {where} and a {word}"],
            }
        )
    attributes = {"gender": ["female", "male"]} if attribute else {}
    tasks = {"things": {"labels": ["wall", "field"], "many": False}} if attribute else {}
    about = {"name": "squares", "source": "", "licence": "", "attributes": attributes}
    write_json(root / "dataset.json", {**about, "tasks": tasks})
    kept = ["id", "image", "mask", "split", "captions", *attributes, *tasks]
    pd.DataFrame(rows)[kept].to_parquet(root / "samples.parquet", index=False)
    return root


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("captioners")


@pytest.fixture(scope="module")
def data(place):
    return draw(place / "data")


@pytest.fixture(scope="module")
def trained(place, data):
    made = []
    for method, epochs in (("baseline", 20), ("equalizer", 3)):
        run = fairvision.train(data, output=place / method, method=method, epochs=epochs, **TRAINED)
        made.append(run.folder)
    return made


@pytest.fixture(scope="module")
def done(place, trained):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return audit_captioners(trained, output=place / "audit", **AUDITED)


@pytest.fixture(scope="module")
def table(done):
    return pd.read_parquet(done.folder / "captions.parquet")


def figure(done, metric, model="baseline", group=""):
    rows = done.metrics.query("metric == @metric and model == @model and group == @group")
    return rows[rows["label"] == ""].iloc[0]


def test_captions_lie_beside_the_page_in_the_format_of_coco(done, table):
    for model in ("baseline", "equalizer"):
        entries = json.loads((done.folder / model / "captions.json").read_text())
        assert {entry["image_id"] for entry in entries} == {int(i) for i in table["id"]}
        by_id = {str(entry["image_id"]): entry["caption"] for entry in entries}
        assert table[f"caption/{model}"].tolist() == [by_id[i] for i in table["id"]]


@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
def test_errors_are_those_of_an_audit_of_the_files(done, data, tmp_path):
    samples = pd.read_parquet(data / "samples.parquet").query("split == 'test'")
    samples = samples.rename(columns={"id": "image_id"})[["image_id", "gender", "things"]]
    samples.to_csv(tmp_path / "labels.csv", index=False)
    files = [done.folder / model / "captions.json" for model in ("baseline", "equalizer")]
    other = fairvision.captions(
        files, labels=tmp_path / "labels.csv", output=tmp_path / "audit", objects="things",
        names=["baseline", "equalizer"], rounds=0, replicates=50,
    )  # fmt: skip
    columns = ["model", "metric", "group", "value", "low", "high", "n"]
    ours, expected = (
        table[table["metric"].isin(["error", "error_gap", "outcome_divergence", "ratio"])]
        for table in (done.metrics, other.metrics)
    )
    pd.testing.assert_frame_equal(
        ours[columns].reset_index(drop=True), expected[columns].reset_index(drop=True)
    )


def test_what_is_named_without_the_person(done, table):
    truth = table["gender"].to_numpy()
    assert table["hidden/baseline"].isna().sum() == 1  # no mask
    named = caption_genders(table["hidden/baseline"], words=words())
    counted = ~pd.isna(truth) & (table["hidden/baseline"].notna())
    one = np.isin(named, ["female", "male"])
    assert figure(done, "hidden_named")[["value", "n"]].tolist() == [
        pytest.approx(one[counted].mean()),
        counted.sum(),
    ]
    wrong = one & (named != truth)
    assert figure(done, "hidden_error")["value"] == pytest.approx(wrong[counted].mean())
    alone = caption_genders(table["person/baseline"], words=words()) == truth
    assert figure(done, "person_accuracy")["value"] == pytest.approx(alone[counted].mean())


def words():
    published = fairvision.metrics.caption_words.GENDER_WORDS
    return {"female": published["woman"], "male": published["man"]}


def test_reasons_add_up(done):
    rows = done.metrics.query("metric == 'reasons' and model == 'baseline' and group == ''")
    assert rows["value"].sum() == pytest.approx(1)
    named = figure(done, "accuracy_when_named")["n"]
    assert rows["n"].iloc[0] <= named
    same, others, gap = (
        figure(done, name)["value"]
        for name in ("same_swapped_accuracy", "swapped_accuracy", "background_gap")
    )
    assert 0 <= others <= 1
    assert -1 <= gap <= 1
    assert gap == pytest.approx(same - others, abs=0.2)  # means over not quite the same images


def test_evidence_stands_beside_chance(done, table):
    inside = table["pointing_game/baseline"]
    expected = inside[table["gender"].notna()].mean()
    assert figure(done, "pointing_game")["value"] == pytest.approx(expected)
    chance = figure(done, "chance_level")["value"]
    assert chance == pytest.approx(42 / 256, abs=0.02)
    lift = figure(done, "pointing_game_lift")["value"]
    assert lift == pytest.approx(figure(done, "pointing_game")["value"] - chance, abs=1e-6)


def test_the_page_tells_what_was_written(done):
    page = done.report.read_text()
    assert "Names a group with the person hidden" in page
    assert "What holds when the surroundings are exchanged" in page
    assert "elsewhere" in page
    assert done.verdict.headline


@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
def test_batches_change_nothing(done, trained, tmp_path):
    again = audit_captioners(
        trained, output=tmp_path / "audit", names=["baseline", "equalizer"], batch_size=3, **AUDITED
    )
    columns = ["caption/baseline", "hidden/baseline", "elsewhere/equalizer"]
    one, other = (
        pd.read_parquet(folder / "captions.parquet") for folder in (done.folder, again.folder)
    )
    pd.testing.assert_frame_equal(one[columns], other[columns])
    np.testing.assert_allclose(
        one["relevance_mass/baseline"], other["relevance_mass/baseline"], atol=1e-4
    )


@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
def test_groups_that_only_people_name(place, tmp_path):
    data = draw(tmp_path / "data", attribute=False, masks=False)
    run = fairvision.train(data, output=tmp_path / "run", epochs=1, **TRAINED)
    assert run.captions["attribute"] is None
    done = audit_captioners(run, output=tmp_path / "audit", **AUDITED)
    assert set(done.metrics["attribute"]) == {BY_PEOPLE}
    assert done.metrics.query("metric == 'hidden_named'").empty


@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
def test_words_of_something_else_are_not_taken_for_a_gender(data, tmp_path):
    places = {"indoors": ["wall"], "outdoors": ["field"]}
    run = fairvision.train(data, output=tmp_path / "run", epochs=1, words=places, **TRAINED)
    assert run.captions["attribute"] is None
    done = audit_captioners(run, output=tmp_path / "audit", **AUDITED)
    assert set(done.metrics["attribute"]) == {BY_PEOPLE}
    table = pd.read_parquet(done.folder / "captions.parquet")
    assert set(table[BY_PEOPLE]) == {"indoors", "outdoors"}
    assert set(table["word/run"]) <= {"wall", "field", ""}


def test_silence_is_in_the_headline(trained, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        silent = {"male": ["man", "wall"], "female": ["woman", "the"]}
        config = json.loads((trained[0] / "config.json").read_text())
        run = tmp_path / "run"
        shutil.copytree(trained[0], run)
        config["captions"]["words"] = silent
        write_json(run / "config.json", config)
        done = audit_captioners(run, output=tmp_path / "audit", **AUDITED)
    unnamed = figure(done, "unnamed", "run")["value"]
    assert ("It names nobody, or several groups, in" in done.verdict.headline) == (unnamed > 0.5)


@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
def test_in_the_shell(trained, data, tmp_path, run_cli):
    arguments = ["--replicates", 20, "--swaps", 0, "--device", "cpu", "-o", tmp_path / "audit"]
    done = run_cli("audit", *trained, *arguments, "--attribution", "attention", "--json")
    assert done.code == 0
    assert json.loads(done.out)["report"].endswith("report.html")
    classifier = fairvision.train(
        data, output=tmp_path / "classifier", model="small_cnn", size=16, epochs=1, device="cpu"
    )
    mixed = run_cli("audit", trained[0], classifier.folder, "-o", tmp_path / "mixed")
    assert (mixed.code, "audit them apart" in mixed.err) == (2, True)
    refused = run_cli("audit", trained[0], "-o", tmp_path / "other", "--leaning")
    assert (refused.code, "--leaning is not for captioners" in refused.err) == (2, True)
    wrong = run_cli("predict", trained[0], data / "0.png")
    assert (wrong.code, "writes captions and predicts no labels" in wrong.err) == (2, True)


def test_maps_of_each_word_are_drawn(trained, data, tmp_path, run_cli):
    pictures = [data / "0.png", data / "1.png"]
    folder = tmp_path / "drawn"
    done = run_cli("explain", trained[0], *pictures, "-o", folder, "--device", "cpu", "--json")
    assert done.code == 0
    entries = json.loads((folder / "explain.json").read_text())["pictures"]
    table = fairvision.caption(trained[0], pictures, device="cpu")
    assert [entry["answers"] for entry in entries] == table["caption"].tolist()
    for entry, mentions in zip(entries, table["mentions"]):
        assert (folder / entry["evidence"]).is_file()
        assert [of["word"] for of in entry["groups"]] == [of["word"] for of in mentions]
    refused = run_cli("explain", trained[0], *pictures, "-o", tmp_path / "no", "--head", "gender")
    assert (refused.code, "--head is not for captioners" in refused.err) == (2, True)
    wrong = ["-o", tmp_path / "no", "--attribution", "rise"]
    assert run_cli("explain", trained[0], *pictures, *wrong).code == 2
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attribution": "hirescam"}, "of words attribution 'hirescam' is not one of"),
        ({"fill": "paint"}, "fill 'paint' is not one of"),
        ({"beams": 0}, "must be 1 or more"),
        ({"split": "val"}, "no pictures in split 'val'"),
        ({"cluster": "person"}, "person"),
    ],
)
@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
def test_bad_input(trained, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        audit_captioners(trained[1], output=tmp_path / "audit", **{**AUDITED, **options})
    assert not (tmp_path / "audit").exists()


def test_maps_of_words_are_where_the_word_comes_from(trained, data):
    from fairvision.attribution.word_maps import METHODS, word_maps
    from fairvision.models.sentences import padded

    run = runs.load(trained[0])
    captioner, vocabulary = runs.captioner(run), runs.vocabulary(run)
    images = torch.rand(3, 3, 16, 16)
    encoded = [vocabulary.encode(text) for text in ("a man by a wall", "a man", "the wall")]
    for method in METHODS:
        maps = word_maps(captioner, images, padded(encoded), torch.tensor([2, 2, 1]), method)
        assert maps.shape == (3, 16, 16)
        assert maps.isfinite().all()
        alone = word_maps(captioner, images[1:2], padded(encoded[1:2]), torch.tensor([2]), method)
        torch.testing.assert_close(maps[1:2], alone, atol=1e-5, rtol=1e-4)
    assert not any(parameter.grad is not None for parameter in captioner.parameters())
    with pytest.raises(InputError, match="there is no evidence 'rise' for words"):
        word_maps(captioner, images, padded(encoded), torch.tensor([2, 2, 1]), "rise")
