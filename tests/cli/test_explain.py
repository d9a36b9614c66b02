from __future__ import annotations

import json
import webbrowser

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def image(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "street.png")
    return tmp_path / "street.png"


@pytest.mark.parametrize("method", ["gradcam", "integrated_gradients", "saliency"])
def test_each_attribution(run_cli, make_run, image, tmp_path, method):
    output = tmp_path / "out"
    result = run_cli("explain", make_run(), image, "-o", output, "--attribution", method)
    assert result.code == 0, result.err
    assert str(output / "index.html") in result.out
    assert json.loads((output / "explain.json").read_text())["method"] == method


def test_what_was_written_is_said_in_json(run_cli, make_run, image, tmp_path):
    done = run_cli("explain", make_run(), image, "-o", tmp_path / "out", "--json")
    assert json.loads(done.out) == {
        "explanations": str(tmp_path / "out"),
        "page": str(tmp_path / "out" / "index.html"),
    }


def test_head_and_group(run_cli, make_run, image, tmp_path):
    run = make_run(tasks={"objects": {"labels": ["cup", "dog"], "many": True}})
    chosen = ["--head", "objects", "--group", "dog", "--attribution", "gradcam"]
    assert run_cli("explain", run, image, "-o", tmp_path / "out", *chosen).code == 0
    settings = json.loads((tmp_path / "out" / "explain.json").read_text())
    assert (settings["head"], settings["layer"]) == ("objects", "backbone.pool")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--head", "age"], "no head 'age': choose from gender"),
        (["--group", "other"], "no group 'other': choose from female, male"),
        (["--layer", "backbone.dense"], "no layer 'backbone.dense'"),
        (["--attribution", "lime"], "'lime' is not one of"),
    ],
)
def test_bad_choice_writes_nothing(run_cli, make_run, image, tmp_path, arguments, message):
    result = run_cli("explain", make_run(), image, "-o", tmp_path / "out", *arguments)
    assert result.code == 2
    assert message in result.err
    assert not (tmp_path / "out").exists()


def test_bad_image_after_a_good_one_writes_nothing(run_cli, make_run, image, tmp_path):
    result = run_cli("explain", make_run(), image, tmp_path / "gone.png", "-o", tmp_path / "out")
    assert result.code == 2
    assert "gone.png is missing" in result.err
    assert not list(tmp_path.glob("*out*"))


def test_full_folder(run_cli, make_run, image, tmp_path):
    run, output = make_run(), tmp_path / "out"
    assert run_cli("explain", run, image, "-o", output).code == 0
    again = run_cli("explain", run, image, "-o", output)
    assert again.code == 2
    assert "--overwrite" in again.err
    assert run_cli("explain", run, image, "-o", output, "--overwrite").code == 0


def test_the_page_is_shown_in_the_browser(run_cli, make_run, image, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(webbrowser, "open", lambda address: not shown.append(address))
    output = tmp_path / "out"
    how = ("--attribution", "saliency", "--open")
    assert run_cli("explain", make_run(), image, "-o", output, *how).code == 0
    assert shown == [(output / "index.html").as_uri()]
