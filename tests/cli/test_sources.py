"""Models by name in the shell: what is told about them, and to which commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from fairvision import datasets
from fairvision.core.files import read_json
from fairvision.errors import InputError
from fairvision.models.sources import options_of, read_prompts

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
CODE = """
import fairvision
import numpy as np
import torch
from torch import nn


def module():
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten())
    network = nn.Sequential(layers, nn.Linear(64, 2))
    return fairvision.Model(network, heads={"shirt": ["striped", "dotted"]}, size=24)


def function():
    def redness(images):
        return [np.asarray(image)[..., 0].mean() / 255 for image in images]

    return fairvision.BlackBox(redness, heads={"shirt": ["striped", "dotted"]}, size=24)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    datasets.scenes(folder / "scenes", count=40, bias=0.8, size=24)
    (folder / "code.py").write_text(CODE)
    (folder / "heads.toml").write_text('[shirt]\nlabels = ["striped", "dotted"]\n')
    return folder


@pytest.fixture
def run(run_cli):
    return lambda *arguments: run_cli(*map(str, arguments))


def test_audit_explain_pictures_and_predict_take_models_by_name(run, place, tmp_path):
    sources = [f"python:{place}/code.py:module", f"python:{place}/code.py:function"]
    how = ["--data", place / "scenes", "--swaps", 1, "--no-sanity", "--replicates", 5]
    done = run("audit", *sources, *how, "-o", tmp_path / "audit")
    assert done.code == 0, done.err
    assert "module was shown whole images resized to 24 × 24, bilinear; mean 0, 0, 0" in done.out
    assert "function was shown images of 24 × 24" in done.out
    done = run(
        *("pictures", tmp_path / "audit", *sources, "--data", place / "scenes"),
        *("--per-cell", 1, "-o", tmp_path / "pictures"),
    )
    assert done.code == 0, done.err
    assert read_json(tmp_path / "pictures" / "pictures.json")["pictures"]
    Image.new("RGB", (30, 20), "red").save(tmp_path / "red.png")
    for source in sources:
        done = run("predict", source, tmp_path / "red.png", "--json")
        assert done.code == 0, done.err
        assert '"answer/shirt"' in done.out
        done = run("explain", source, tmp_path / "red.png", "-o", tmp_path / source[-6:])
        assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nosuch:thing"], "there is no kind of model 'nosuch': choose one of timm"),
        (["runs/a", "--size", 3], "--size is about models by name"),
        (["runs/a", "--heads", "heads.toml"], "--heads is about models by name"),
        (["python:x.py:f", "--heads", "no.toml"], "no.toml is missing"),
        (["python:x.py:f", "--mean", "1,x"], "is no number, nor three"),
        (["python:x.py:f", "--prompt", "gender=female"], "write HEAD/LABEL=TEXT"),
        (["python:x.py:f", "--heads", "a.toml", "--heads", "b.toml"], "but 2 files with --heads"),
    ],
)
def test_what_does_not_fit_is_one_line(run, arguments, problem, place, tmp_path):
    done = run("audit", *arguments, "--data", place / "scenes", "-o", tmp_path / "audit")
    assert done.code == 2
    assert problem in done.err
    assert not (tmp_path / "audit").exists()


def test_familiarity_is_of_runs(run, place):
    image = next((place / "scenes" / "images").iterdir())
    done = run("predict", f"python:{place}/code.py:module", image, "--familiarity")
    assert done.code == 2
    assert "is known of run folders only" in done.err


def test_prompts_in_files_and_texts(tmp_path):
    path = tmp_path / "prompts.toml"
    path.write_text('[gender]\nfemale = "a woman"\nmale = ["a man", "a boy"]\n')
    texts = read_prompts(path, ["gender/female=a girl", "age/old=an old person"])
    assert texts == {
        "gender": {"female": ["a woman", "a girl"], "male": ["a man", "a boy"]},
        "age": {"old": ["an old person"]},
    }
    for text in ("gender = 3", "[gender]\nfemale = 3", "[gender]\nfemale = [3]"):
        path.write_text(text)
        with pytest.raises(InputError, match="must be a table such as"):
            read_prompts(path)


def test_each_model_has_its_heads(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text(f'[{name}]\nlabels = ["x", "y"]\n')
    files = [tmp_path / "a.toml", tmp_path / "b.toml"]
    assert [list(options.heads) for options in options_of(2, files)] == [["a"], ["b"]]
    assert [list(options.heads) for options in options_of(2, files[:1], size=8)] == [["a"], ["a"]]
    assert [options.size for options in options_of(2, (), size=8)] == [8, 8]
    assert options_of(0) == []


def test_the_home_of_the_user_is_found_on_both_sides_of_an_at(monkeypatch):
    from fairvision.cli.sources import SOURCE

    monkeypatch.setenv("HOME", "/home/ada")
    assert SOURCE.convert("timm:resnet18@~/w.pth", None, None) == "timm:resnet18@/home/ada/w.pth"
    assert SOURCE.convert("onnx:~/m.onnx", None, None) == "onnx:/home/ada/m.onnx"


@pytest.mark.parametrize("kind", ["python", "onnx", "hf"])
def test_a_kind_with_nothing_behind_the_colon(run_cli, kind, tmp_path):
    refused = run_cli("audit", f"{kind}:", "--data", tmp_path, "-o", tmp_path / "audit")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert f"{kind}: names no model: say which behind the colon" in refused.err
