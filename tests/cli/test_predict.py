from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from fairvision import datasets, inference, runs
from fairvision.core.csv_files import read_csv
from fairvision.inference.digits import LIST

LABELS = [f"label {n}" for n in range(12)]
TASKS = {"objects": {"labels": LABELS, "many": True}}


@pytest.fixture
def image(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "street.png")
    return tmp_path / "street.png"


def test_table(run_cli, make_run, image):
    result = run_cli("predict", make_run(), image, "--no-familiarity")
    assert result.code == 0, result.err
    header, row = result.out.rstrip().splitlines()
    assert header.split() == ["picture", "gender", "female", "male"]
    name, answer, *probabilities = row.split()
    assert name == "street.png"
    assert answer == ["female", "male"][probabilities.index(max(probabilities))]
    assert sum(map(float, probabilities)) == pytest.approx(1, abs=0.011)


@pytest.mark.parametrize("tasks", [{}, TASKS])
def test_a_network_that_gives_nan_has_no_answer(run_cli, make_run, image, tasks):
    run = make_run(tasks=tasks)
    state = load_file(run / runs.BEST)
    save_file({name: torch.full_like(t, torch.nan) for name, t in state.items()}, run / runs.BEST)
    shown = run_cli("predict", run, image, "--no-familiarity")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.count("undefined") == 1 + len(tasks)
    (record,) = json.loads(run_cli("predict", run, image, "--json", "--no-familiarity").out)
    assert all(record[name] is None for name in record if name not in ("id", "image"))


def test_of_several_heads_the_highest_are_shown(run_cli, make_run, image):
    place = {"labels": ["indoors", "outdoors"], "many": False}
    result = run_cli("predict", make_run(tasks={"place": place}), image, "--no-familiarity")
    header, row = result.out.rstrip().splitlines()
    assert header.split() == ["picture", "gender", "probabilities", "place", "probabilities"]
    name, answer, first, high, _, low, *_ = row.replace(",", "").split()
    assert (name, answer) == ("street.png", first)
    assert float(high) >= 0.5 >= float(low)


def test_of_many_labels_the_highest_are_shown(run_cli, make_run, image):
    run = make_run(tasks=TASKS)
    result = run_cli("predict", run, image, "--no-familiarity")
    (record,) = json.loads(run_cli("predict", run, image, "--json").out)
    held = len(record["answer/objects"])
    assert 0 < held < len(LABELS)
    assert result.out.count("label") == held + max(held, 3)


def test_images_of_one_name_are_told_apart(run_cli, make_run, image, tmp_path):
    twin = tmp_path / "x" / image.name
    twin.parent.mkdir()
    twin.write_bytes(image.read_bytes())
    result = run_cli("predict", make_run(), image, twin)
    assert "x/street.png" in result.out.replace("\n", "")


def test_json(run_cli, make_run, image):
    result = run_cli("predict", make_run(tasks=TASKS), image, "--json")
    (record,) = json.loads(result.out)
    assert record["image"] == str(image)
    assert record["answer/gender"] in ("female", "male")
    assert isinstance(record["answer/objects"], list)
    total = record["score/gender/female"] + record["score/gender/male"]
    assert total == pytest.approx(1, abs=1e-6)
    assert result.err == ""


def test_csv(run_cli, make_run, image, tmp_path):
    run, output = make_run(tasks=TASKS), tmp_path / "table.csv"
    assert run_cli("predict", run, image, image, "-o", output).code == 0
    table = pd.read_csv(output)
    (record,) = json.loads(run_cli("predict", run, image, "--json").out)
    assert len(table) == 2
    assert table["answer/objects"][0] == ";".join(record["answer/objects"])
    assert table["score/gender/male"][1] == pytest.approx(record["score/gender/male"], abs=1e-6)
    again = run_cli("predict", run, image, "-o", output)
    assert again.code == 2
    assert "--overwrite" in again.err
    assert run_cli("predict", run, image, "-o", output, "--overwrite").code == 0
    assert len(pd.read_csv(output)) == 1


@pytest.mark.parametrize(
    "content",
    [
        *("my thesis", "", b"\xff", "id,image,score\n1,2,3\n", "a,b,score/gender/male\n1,2,3\n"),
        "id,image,gender,score/gender/male\n1,2,3,4\n",
        "image,gender,score/gender/male\n1,2,3\n",
    ],
)
def test_only_its_own_tables_are_replaced(run_cli, make_run, image, tmp_path, content):
    output = tmp_path / "table.csv"
    content = content if isinstance(content, bytes) else content.encode()
    output.write_bytes(content)
    refused = run_cli("predict", make_run(), image, "-o", output, "--overwrite")
    assert refused.code == 2
    assert "table.csv is no table of fairvision predict: --overwrite does not" in refused.err
    assert output.read_bytes() == content


def test_a_file_made_meanwhile_is_kept(run_cli, make_run, image, tmp_path, monkeypatch):
    output, predict = tmp_path / "table.csv", inference.predict

    def then_filled(*args, **options):
        output.write_text("my thesis")
        return predict(*args, **options)

    monkeypatch.setattr(inference, "predict", then_filled)
    refused = run_cli("predict", make_run(), image, "-o", output)
    assert (refused.code, output.read_text()) == (2, "my thesis")


@pytest.mark.parametrize("content", [None, b"", b"not a picture"])
def test_bad_image_is_one_line_that_names_it(run_cli, make_run, image, tmp_path, content):
    bad, output = tmp_path / "bad.png", tmp_path / "table.csv"
    if content is not None:
        bad.write_bytes(content)
    result = run_cli("predict", make_run(), image, bad, "-o", output)
    assert result.code == 2
    assert result.out == ""
    assert "bad.png" in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert not output.exists()


def test_truncated_image(run_cli, make_run, image):
    image.write_bytes(image.read_bytes()[:-200])
    result = run_cli("predict", make_run(), image)
    assert result.code == 2
    assert "street.png is truncated" in result.err


def test_not_a_run(run_cli, image, tmp_path):
    result = run_cli("predict", tmp_path, image)
    assert result.code == 2
    assert "is not a run" in result.err


def test_images_are_required(run_cli, make_run):
    assert run_cli("predict", make_run()).code == 2


@pytest.fixture
def drawn(tmp_path):
    return datasets.scenes(tmp_path / "scenes", count=60, bias=0.9, size=16)


@pytest.fixture
def trained(make_run, drawn):
    """Return a run whose config says that it was trained on `drawn`."""
    run = make_run(attributes={"shirt": list(drawn.attributes["shirt"])})
    config = json.loads((run / runs.CONFIG).read_text())
    config["data"] = {
        "path": str(drawn.root), "name": "scenes", "fingerprint": drawn.fingerprint(),
    }  # fmt: skip
    (run / runs.CONFIG).write_text(json.dumps(config))
    return run


def test_how_sure_and_how_far(run_cli, trained, image):
    result = run_cli("predict", trained, image)
    assert (result.code, result.err) == (0, "")
    header, row, *rest = result.out.rstrip().splitlines()
    assert header.split() == [
        "picture",
        "shirt",
        "striped",
        "dotted",
        "confidence",
        "distance",
        "percentile",
    ]
    assert row.split()[-1].endswith("%")
    told = " ".join(rest)
    assert "6 pictures of the split val" in told
    assert "42 training pictures" in told
    (record,) = json.loads(run_cli("predict", trained, image, "--json").out)
    assert f"{record['confidence/shirt']:.2f} " in row
    assert f"{record['distance_percentile']:.1%}" in row


def test_how_sure_needs_the_data(run_cli, make_run, drawn, trained, image):
    result = run_cli("predict", make_run("other"), image)
    assert (result.code, result.err) == (0, "")
    assert "how sure the model may be is not known: the data that" in result.out
    refused = run_cli("predict", trained.parent / "other", image, "--familiarity")
    assert refused.code == 2
    assert "say where it is with --data" in refused.err
    moved = drawn.root.rename(drawn.root.with_name("moved"))
    assert "not known" in run_cli("predict", trained, image).out
    assert "of the split val" in run_cli("predict", trained, image, "--data", moved).out
    both = run_cli("predict", trained, image, "--data", moved, "--no-familiarity")
    assert both.code == 2
    assert "leave out --no-familiarity" in both.err


def test_large_images_are_looked_at_on_request(run_cli, make_run, image):
    result = run_cli("predict", make_run(model="small_cnn", size=80), image)
    assert "--familiarity says how sure" in result.out


def test_own_digits(run_cli, make_run, tmp_path):
    run = make_run(
        attributes={}, tasks={"digit": {"labels": list("0123456789"), "many": False}}, size=28
    )
    paper = Image.new("RGB", (90, 120), "ivory")
    paper.paste("navy", (40, 20, 50, 80))
    paper.save(tmp_path / "one.png")
    options = ["--prepare", "digit", "--prepared", tmp_path / "prepared"]
    result = run_cli("predict", run, tmp_path / "one.png", *options)
    assert result.code == 0, result.err
    assert result.out.splitlines()[0].split() == ["picture", "digit", *"0123456789"]
    with Image.open(tmp_path / "prepared" / "1-one.png") as seen:
        assert seen.size == (28, 28)
    (own,) = json.loads(run_cli("predict", run, tmp_path / "one.png", *options[:2], "--json").out)
    (again,) = json.loads(run_cli("predict", run, tmp_path / "prepared", "--json").out)
    assert again["score/digit/1"] == pytest.approx(own["score/digit/1"], rel=1e-4)
    assert (tmp_path / "prepared" / LIST).is_file()
    refused = run_cli("predict", run, tmp_path / "one.png", *options)
    assert refused.code == 2
    assert "is not empty" in refused.err
    plain = run_cli("predict", run, tmp_path / "one.png", "--prepared", tmp_path / "x")
    assert plain.code == 2
    assert "add --prepare digit" in plain.err
    assert not (tmp_path / "x").exists()


def test_escapes_in_names_are_visible(run_cli, make_run, tmp_path):
    run = make_run(attributes={"[red]g\x1b[31m": ["a\x1b[2J", "b[/b]"]})
    Image.new("RGB", (8, 8)).save(tmp_path / "p\x1b[1m.png")
    shown = run_cli("predict", run, tmp_path / "p\x1b[1m.png", "--device", "cpu", "--quiet")
    assert shown.code == 0, shown.err
    assert "\x1b" not in shown.out + shown.err
    for text in (r"[red]g\x1b[31m", r"a\x1b[2J", "b[/b]", r"p\x1b[1m.png"):
        assert text in shown.out


def test_no_cell_of_the_csv_is_a_formula(run_cli, make_run, tmp_path):
    run = make_run(attributes={"g": ["=1+1", "=2\rb"]})
    Image.new("RGB", (8, 8)).save(tmp_path / "p.png")
    done = run_cli("predict", run, tmp_path / "p.png", "-o", tmp_path / "o.csv", "--device", "cpu")
    assert done.code == 0, done.err
    table = pd.read_csv(tmp_path / "o.csv")
    assert len(table) == 1
    assert table["answer/g"][0].startswith("'=")
    assert read_csv(tmp_path / "o.csv")["answer/g"][0].as_py() in ("=1+1", "=2\rb")
