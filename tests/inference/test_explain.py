from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

import fairvision
from fairvision import runs
from fairvision.datasets import read_image
from fairvision.inference.explanations import MOST_GROUPS
from fairvision.report.explanations import render


@pytest.fixture
def image(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "street.png")
    return tmp_path / "street.png"


def test_folder_holds_what_its_page_shows(make_run, image, tmp_path):
    folder = fairvision.explain(make_run(), [image, image], output=tmp_path / "out")
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "explain.json",
        "index.html",
        "kernels.png",
        "001-street-evidence.png",
        "001-street-activations.png",
        "002-street-evidence.png",
        "002-street-activations.png",
    }
    html = (folder / "index.html").read_text(encoding="utf-8")
    shown = set(re.findall(r'src="([^"]+)"', html))
    assert shown == {name for name in names if name.endswith(".png")}
    for name in shown:
        assert read_image(folder / name).width > 400


def test_probabilities_are_those_of_predict(make_run, image, tmp_path):
    run = runs.load(make_run(tasks={"objects": {"labels": ["cup", "dog"], "many": True}}))
    folder = fairvision.explain(run, image, output=tmp_path / "out")
    (entry,) = json.loads((folder / "explain.json").read_text())["pictures"]
    (row,) = fairvision.predict(run, image).to_dict("records")
    for head, scores in entry["probabilities"].items():
        for label, score in scores.items():
            assert score == pytest.approx(row[f"score/{head}/{label}"], abs=1e-6)
    assert entry["answers"].startswith(f"gender: {row['answer/gender']} · objects: ")


def test_digits_are_prepared_as_for_predict(make_run, tmp_path):
    page = Image.new("RGB", (90, 120), "white")
    page.paste((10, 10, 10), (40, 20, 48, 100))
    page.save(tmp_path / "one.png")
    run = runs.load(make_run(tasks={"digit": {"labels": list("01"), "many": False}}))
    for prepare in ("digit", "none"):
        folder = fairvision.explain(
            run, tmp_path / "one.png", output=tmp_path / prepare, prepare=prepare, head="digit"
        )
        (entry,) = json.loads((folder / "explain.json").read_text())["pictures"]
        (row,) = fairvision.predict(run, tmp_path / "one.png", prepare=prepare).to_dict("records")
        for label, score in entry["probabilities"]["digit"].items():
            assert score == pytest.approx(row[f"score/digit/{label}"], abs=1e-6)
        drawn = np.asarray(read_image(folder / "001-one-evidence.png"))
        background = 0 if prepare == "digit" else 255
        assert (drawn[200, 40] == background).all()
    kernels = np.asarray(read_image(folder / "kernels.png"))
    assert (kernels == kernels[..., :1])[150:].all()


def test_the_evidence_is_found_by_what_suits_the_network(make_run, image, tmp_path):
    for model, expected in (("lecture_cnn", "integrated_gradients"), ("small_cnn", "hirescam")):
        run = make_run(f"run-{model}", model=model)
        folder = fairvision.explain(run, image, output=tmp_path / model)
        assert json.loads((folder / "explain.json").read_text())["method"] == expected
    lecture = tmp_path / "run-lecture_cnn"
    folder = fairvision.explain(lecture, image, output=tmp_path / "l", layer="backbone.conv1")
    assert json.loads((folder / "explain.json").read_text())["method"] == "hirescam"


def width(folder):
    with Image.open(folder / "001-street-evidence.png") as drawn:
        return drawn.width


def test_one_map_per_probable_group(make_run, image, tmp_path):
    groups = [f"group {n}" for n in range(7)]
    run = make_run(attributes={"age": groups})
    many = fairvision.explain(run, image, output=tmp_path / "many")
    one = fairvision.explain(run, image, output=tmp_path / "one", group="group 6")
    tile = 480 + 12
    assert width(many) - width(one) == (MOST_GROUPS - 1) * tile


def test_names_are_escaped_and_files_are_plain(make_run, image, tmp_path):
    odd = tmp_path / "<b>ü &.png"
    image.rename(odd)
    run = make_run(attributes={"<i>": ["<script>a", "b/../c"]})
    folder = fairvision.explain(run, odd, output=tmp_path / "out")
    html = (folder / "index.html").read_text(encoding="utf-8")
    assert "<script>" not in html
    assert "<i>" not in html
    assert "<b>ü" not in html
    assert (folder / "001-b-evidence.png").is_file()


def test_page_without_optional_parts():
    html = render(
        {"run": "r", "head": "h", "method": "saliency"},
        [{"image": "a.png", "answers": "h: b", "evidence": "001.png"}],
    )
    assert html.count("<img") == 1
    assert "layer" not in html


def test_real_network_and_photographs(make_run, shared, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(shared / "weights" / "torch-home"))
    run = make_run(model="mobilenet_v2", size=64, weights="IMAGENET1K_V1")
    photographs = sorted((shared / "data" / "coco-mini").rglob("*.jpg"))[:1]
    digits = [shared / "data" / "digits-own" / "paper_3.png"]
    folder = fairvision.explain(run, photographs + digits, output=tmp_path / "out")
    entries = json.loads((folder / "explain.json").read_text())["pictures"]
    for entry in entries:
        colours = np.asarray(read_image(folder / entry["evidence"])).astype(int)
        maps = colours[150:400, 400:]
        assert (maps.max(axis=2) - maps.min(axis=2) > 40).any()
