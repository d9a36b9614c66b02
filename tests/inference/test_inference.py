from __future__ import annotations

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

import fairvision
from fairvision import inference, runs
from fairvision.datasets import image_tensor, read_image
from fairvision.errors import InputError
from fairvision.inference.digits import prepare_digit

TASKS = {
    "objects": {"labels": ["umbrella", "dog", "cup"], "many": True},
    "place": {"labels": ["indoors", "outdoors"], "many": False},
}


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, shape in [("b.png", (20, 30, 3)), ("a.JPG", (16, 16, 3)), ("c.png", (40, 10))]:
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    (folder / "inner.png").mkdir()
    return folder


def test_probabilities_are_those_of_the_network(make_run, images):
    run = runs.load(make_run(tasks=TASKS))
    table = fairvision.predict(run, images)
    batch = torch.stack([image_tensor(read_image(p), run.size) for p in table["image"]])
    logits = runs.network(run)(batch)
    for head, expected in {
        "gender": logits["gender"].softmax(dim=1),
        "objects": logits["objects"].sigmoid(),
        "place": logits["place"].softmax(dim=1),
    }.items():
        columns = [f"score/{head}/{label}" for label in run.heads[head]]
        np.testing.assert_allclose(table[columns], expected.detach(), rtol=1e-4)


def test_answers_follow_the_probabilities(make_run, images):
    table = fairvision.predict(make_run(tasks=TASKS), [images])
    for _, row in table.iterrows():
        assert row[f"score/gender/{row['answer/gender']}"] >= 0.5
        held = [
            label for label in TASKS["objects"]["labels"] if row[f"score/objects/{label}"] > 0.5
        ]
        assert row["answer/objects"] == tuple(held)


def test_folders_files_and_their_order(make_run, images):
    run = make_run()
    names = lambda table: [path.rsplit("/", 1)[-1] for path in table["image"]]  # noqa: E731
    assert names(fairvision.predict(run, images)) == ["a.JPG", "b.png", "c.png"]
    mixed = [images / "c.png", images, str(images / "b.png")]
    expected = ["c.png", "a.JPG", "b.png", "c.png", "b.png"]
    assert names(fairvision.predict(run, mixed)) == expected


def test_batch_size_changes_nothing(make_run, images):
    run = make_run(tasks=TASKS)
    single = fairvision.predict(run, images, batch_size=1)
    together = fairvision.predict(run, images)
    assert single.columns.tolist() == together.columns.tolist()
    scores = [column for column in single if column.startswith("score/")]
    np.testing.assert_allclose(single[scores], together[scores], rtol=1e-4)


def test_network_that_gives_nan_has_no_answer(make_run, images, monkeypatch):
    run = runs.load(make_run(tasks=TASKS))
    network = runs.network(run)
    torch.nn.init.constant_(network.heads[0].weight, torch.nan)
    torch.nn.init.constant_(network.heads[1].weight, torch.nan)
    monkeypatch.setattr("fairvision.runs.model.network", lambda *_, **__: network)
    table = fairvision.predict(run, images)
    assert table["answer/gender"].tolist() == table["answer/objects"].tolist() == [None] * 3
    assert table["score/gender/female"].isna().all()
    assert table["answer/place"].notna().all()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.png", None, "missing.png is missing"),
        ("text.png", b"hello", "text.png is not a picture"),
        ("empty", "folder", "empty holds no pictures"),
    ],
)
def test_what_cannot_be_read_is_named(make_run, tmp_path, name, content, message):
    if content == "folder":
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        fairvision.predict(make_run(), tmp_path / name)


def test_no_images_at_all(make_run):
    with pytest.raises(InputError, match="no pictures"):
        fairvision.predict(make_run(), [])


def test_answers_need_no_two_labels():
    assert inference.predicted_labels(np.array([[1.0]]), ["all"]) == ["all"]
    assert inference.predicted_labels(np.zeros((0, 2)), ["a", "b"]) == []
    with pytest.warns(FutureWarning, match="answers is called .*predicted_labels now"):
        assert inference.answers is inference.predicted_labels


def trained_on(run, name):
    config = json.loads((run / runs.CONFIG).read_text())
    config["data"]["name"] = name
    (run / runs.CONFIG).write_text(json.dumps(config))
    return run


def test_digits_are_prepared_for_a_run_trained_on_mnist(make_run, tmp_path):
    tasks = {"digit": {"labels": list("0123456789"), "many": False}}
    run = make_run(attributes={}, tasks=tasks, size=28)
    paper = Image.new("RGB", (90, 120), "ivory")
    paper.paste("navy", (40, 20, 50, 80))
    paper.save(tmp_path / "one.png")
    prepare_digit(paper).save(tmp_path / "prepared.png")
    scores = [f"score/digit/{label}" for label in "0123456789"]

    def said(name, **options):
        return fairvision.predict(run, tmp_path / name, **options)[scores].to_numpy()

    plain = said("one.png")
    prepared = said("prepared.png", prepare="none")
    assert not np.allclose(plain, prepared)
    np.testing.assert_allclose(said("one.png", prepare="digit"), prepared, rtol=1e-5)
    trained_on(run, "mnist")
    np.testing.assert_allclose(said("one.png"), prepared, rtol=1e-5)
    np.testing.assert_allclose(said("one.png", prepare="none"), plain, rtol=1e-5)
    with pytest.raises(InputError, match="'photo' is not one of auto, digit, none"):
        said("one.png", prepare="photo")


def test_what_systems_leave_in_folders_is_no_image(make_run, tmp_path):
    folder = tmp_path / "pictures"
    (folder / "@eaDir").mkdir(parents=True)
    for name in (b"a.png", b"\xff.png"):
        Image.new("RGB", (8, 8)).save(folder / os.fsdecode(name), format="PNG")
    for name in ("._a.png", ".hidden.jpg", ".DS_Store", "Thumbs.db", "@eaDir/a.png"):
        (folder / name).write_bytes(b"\0")
    table = inference.predict(make_run(), folder, device="cpu")
    assert table["image"].tolist() == [str(folder / "a.png"), rf"{folder}/\udcff.png"]
    table.to_csv(tmp_path / "t.csv")
