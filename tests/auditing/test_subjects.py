"""Models in Python and by name, audited beside runs: figures by hand, evidence, names, errors."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import fairvision
from fairvision import datasets
from fairvision.auditing.image_sheets import image_sheets
from fairvision.auditing.subjects import in_terms_of, open_subjects
from fairvision.core.files import read_json
from fairvision.errors import FairvisionWarning, InputError
from fairvision.models import SourceOptions
from fairvision.schema import Schema

GROUPS = ["dotted", "striped"]  # not in the dataset's order
HOW = {"replicates": 20, "swaps": 2, "sanity": False}
pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> datasets.Dataset:
    place = tmp_path_factory.mktemp("subjects")
    return datasets.scenes(place / "scenes", count=60, bias=0.8, size=40, seed=1)


def network(outputs: int = 2, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(96, outputs),
    )


def greens(images: list[Image.Image]) -> list[float]:
    return [np.asarray(image)[..., 1].mean() / 255 for image in images]


def scores(audit: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(audit / name / "samples.parquet").set_index("id")


def whole(data: datasets.Dataset, size: int) -> tuple[list[str], torch.Tensor]:
    """Return ids and images of the test split, opened and resized by hand."""
    rows = data.samples[data.samples["split"] == "test"]
    images = [
        np.asarray(Image.open(data.root / path).convert("RGB").resize((size, size), 2))
        for path in rows["image"]
    ]
    return list(rows["id"]), torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255


def test_figures_are_those_by_hand(photos, tmp_path):
    module = network()
    mean, std = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]
    mine = fairvision.Model(module, heads={"shirt": GROUPS}, size=32, mean=mean, std=std)
    api = fairvision.BlackBox(greens, heads={"shirt": GROUPS})
    done = fairvision.audit(
        {"mine": mine, "an api": api}, data=photos.root, output=tmp_path / "audit", **HOW
    )
    ids, images = whole(photos, 32)
    normal = (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    by_hand = module(normal).softmax(dim=1)[:, 0].detach().numpy()
    table = scores(done.folder, "mine")
    assert table.loc[ids, "score/shirt/dotted"].to_numpy() == pytest.approx(by_hand, abs=1e-5)
    # images of one size are given as they are
    table = scores(done.folder, "an api")
    native = [Image.open(photos.root / "images" / f"{name}.png").convert("RGB") for name in ids]
    assert table.loc[ids, "score/shirt/striped"].to_numpy() == pytest.approx(greens(native))
    kinds = {str(column).split("/")[0] for column in table}
    assert {"hidden", "person", "swapped", "holds", "evidence"} <= kinds
    assert any("evidence/occlusion" in column for column in table)
    assert table["evidence/occlusion/pointing_game"].notna().any()
    assert any("evidence/hirescam" in column for column in scores(done.folder, "mine"))
    noted = read_json(done.folder / "audit.json")["settings"]["runs"]
    assert noted[0]["images"].startswith("whole images resized to 32 × 32, bilinear; mean 0.5")
    assert [about["attribution"] for about in noted] == ["hirescam", "occlusion"]
    page = done.report.read_text()
    assert page.count("<img") > 2 or "data:image" in page


def test_the_middle_of_images_is_audited_where_that_is_seen(photos, tmp_path):
    from torchvision.transforms import v2

    steps = [v2.Resize(40), v2.CenterCrop(28), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    transform = v2.Compose(steps)
    module = network()
    model = fairvision.Model(module, heads={"shirt": GROUPS}, transform=transform)
    done = fairvision.audit(
        {"middle": model}, data=photos.root, output=tmp_path / "audit", **HOW, leaning=True
    )
    table = scores(done.folder, "middle")
    rows = photos.samples[photos.samples["split"] == "test"]
    images = [Image.open(photos.root / path).convert("RGB") for path in rows["image"]]
    with torch.no_grad():
        by_hand = module(torch.stack(list(map(transform, images)))).softmax(dim=1)[:, 0]
    ours = table.loc[rows["id"], "score/shirt/dotted"].to_numpy()
    assert ours == pytest.approx(by_hand.numpy(), abs=1e-5)
    masks = [np.asarray(Image.open(photos.root / path)) > 0 for path in rows["mask"]]
    inside = np.array([mask[6:34, 6:34].mean() for mask in masks])
    assert table.loc[rows["id"], "evidence/chance"].to_numpy() == pytest.approx(inside, abs=0.01)


def test_runs_and_models_are_mixed_and_named(photos, tmp_path):
    from fairvision import training

    run = tmp_path / "runs" / "plain"
    training.train(photos.root, output=run, model="lecture_cnn", size=28, epochs=1, device="cpu")
    mine = fairvision.Model(network(), heads={"shirt": GROUPS}, size=28)
    done = fairvision.audit([run, mine], output=tmp_path / "audit", attribution="none", **HOW)
    assert read_json(done.folder / "audit.json")["models"] == ["plain", "Sequential"]
    columns = scores(done.folder, "plain").columns
    assert [c for c in columns if c.startswith("evidence")] == ["evidence/chance"]
    assert "pointing_game" not in set(done.metrics["metric"])
    assert {"holds", "hidden_accuracy"} <= set(done.metrics["metric"])
    named = fairvision.audit(
        {"a": run, "b": run}, output=tmp_path / "named", attribution="none", **HOW
    )
    assert read_json(named.folder / "audit.json")["models"] == ["a", "b"]


def test_a_module_is_audited_in_any_mode_and_left_as_it_was(photos, tmp_path):
    module = network().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    model = fairvision.Model(module, heads={"shirt": GROUPS}, size=16)
    fairvision.audit(model, data=photos.root, output=tmp_path / "audit", **HOW)
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(parameter.requires_grad for parameter in module.parameters())


class Flat(nn.Module):
    """Sees all places at once, so there is no layer with positions."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(3 * 16 * 16, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.linear(images.flatten(1))


def test_evidence_is_found_otherwise_where_no_layer_has_positions(photos, tmp_path):
    model = fairvision.Model(Flat(), heads={"shirt": GROUPS}, size=16)
    with pytest.warns(FairvisionWarning, match="no layer with positions"):
        done = fairvision.audit({"flat": model}, data=photos.root, output=tmp_path / "a", **HOW)
    assert "evidence/occlusion/pointing_game" in scores(done.folder, "flat")


CODE = """
import fairvision
from torch import nn


def model():
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2))
    return fairvision.Model(module, heads={"shirt": ["striped", "dotted"]}, size=16)


made = model()
nothing = 3


def broken():
    raise RuntimeError("no weights\\nanywhere")
"""


def test_python_code_that_the_user_names(tmp_path, monkeypatch):
    (tmp_path / "its_code.py").write_text(CODE)
    file = tmp_path / "its_code.py"
    monkeypatch.syspath_prepend(tmp_path)
    sources = [f"python:{file}:model", f"python:{file}:made", "python:its_code:model"]
    names = [subject.model.name for subject in open_subjects(sources, device="cpu")]
    assert names == ["model", "made", "model_2"]
    for source, problem in {
        f"python:{file}:broken": "RuntimeError: no weights",
        f"python:{file}:nothing": "is a int: return a fairvision.Model",
        f"python:{file}:absent": "has no attribute 'absent'",
        f"python:{tmp_path}/no.py:model": "no.py is missing",
        "python:its_code": "write python:FILE.py:FUNCTION",
        "torchvison:resnet18": "there is no kind of model 'torchvison': choose one of timm",
    }.items():
        with pytest.raises(InputError, match=problem) as raised:
            open_subjects([source], device="cpu")
        assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match="says itself what it takes: leave out --size"):
        open_subjects(sources[:1], device="cpu", options=[SourceOptions(size=3)])


def test_python_code_with_files_beside_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "beside_it.py").write_text(CODE)
    (folder / "captum.py").write_text("from beside_it import model\nprint('a word of its own')")
    (tmp_path / "in_this_folder.py").write_text(CODE)
    (tmp_path / "ending.py").write_text("import sys\nsys.exit(0)")
    sources = [f"python:{folder}/captum.py:model", "python:in_this_folder:model"]
    assert len(open_subjects(sources, device="cpu")) == 2
    assert capsys.readouterr().out == ""
    assert getattr(sys.modules.get("captum"), "model", None) is None
    with pytest.raises(InputError, match="cannot be made: SystemExit: 0"):
        open_subjects(["python:ending.py:model"], device="cpu")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ([nn.Flatten()], "a Flatten cannot be audited as it is: give it to fairvision.Model"),
        ([3], "a int cannot be audited"),
        (["no/such/run"], "no/such/run"),
    ],
)
def test_what_is_no_model_is_one_line(given, problem, photos, tmp_path):
    with pytest.raises(InputError, match=problem):
        fairvision.audit(given, data=photos.root, output=tmp_path / "audit")
    assert not (tmp_path / "audit").exists()


def test_models_need_data_and_different_names(photos, tmp_path):
    model = fairvision.Model(Flat(), heads={"shirt": GROUPS}, size=16)
    with pytest.raises(InputError, match="need data"):
        fairvision.audit([model], output=tmp_path / "audit")
    with pytest.raises(InputError, match="must differ"):
        fairvision.audit([model, model], data=photos.root, output=tmp_path / "audit")
    wrong = fairvision.Model(Flat(), heads={"shirt": ["plain", "striped"]}, size=16)
    with pytest.raises(InputError, match="knows shirt as plain, striped, but dataset"):
        fairvision.audit([wrong], data=photos.root, output=tmp_path / "audit")


def coarse_network() -> nn.Module:
    """Sees the image in 4 × 4 cells."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 8, stride=8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, 2),
    )  # fmt: skip


def test_maps_that_are_too_coarse_are_replaced(photos, tmp_path):
    model = fairvision.Model(coarse_network(), heads={"shirt": GROUPS}, size=32)
    with pytest.warns(FairvisionWarning, match="would have maps of 4 × 4 cells by hires"):
        done = fairvision.audit({"c": model}, data=photos.root, output=tmp_path / "a", **HOW)
    assert "evidence/occlusion/pointing_game" in scores(done.folder, "c")
    assert "not drawn" not in done.report.read_text()


def test_maps_that_are_too_coarse_are_not_drawn(photos, tmp_path, make_run):
    model = fairvision.Model(coarse_network(), heads={"shirt": GROUPS}, size=32)
    run = make_run(size=64, model="resnet18", attributes={"shirt": GROUPS})
    done = fairvision.audit(
        {"c": model, "run": run},
        data=photos.root,
        output=tmp_path / "a",
        attribution="gradcam",
        **HOW,
    )
    page = done.report.read_text()
    assert "not drawn: 4 × 4 cells are too coarse to tell a person from the surroundings" in page
    assert "not drawn: 2 × 2 cells" in page
    assert any("run: its maps have 2 × 2 cells" in line for line in done.verdict.warnings)
    assert any("c: its maps have 4 × 4 cells" in line for line in done.verdict.warnings)
    sheets = image_sheets(
        done.folder, [model, run], output=tmp_path / "sheets", data=photos.root, per_cell=1
    )
    assert list(sheets.rglob("*.png"))


def test_what_a_function_cannot_be_asked_is_said(photos, tmp_path):
    api = fairvision.BlackBox(greens, heads={"shirt": GROUPS})
    done = fairvision.audit({"api": api}, data=photos.root, output=tmp_path / "audit", **HOW)
    line = "api: sanity checks of its evidence, which shuffle weights: it can be asked, but not"
    assert any(left.startswith(line) for left in done.verdict.left_out)
    assert line in done.report.read_text()
    assert line in (done.folder / "audit.json").read_text()


def test_a_model_of_nothing_that_the_data_have_is_refused():
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))
    model = fairvision.Model(module, heads={"Shirt": ["striped", "dotted"]}, size=8)
    data = SimpleNamespace(schema=Schema({"shirt": ("striped", "dotted")}), size=None)
    with pytest.raises(InputError, match="predicts Shirt, but the data have shirt"):
        in_terms_of(model, data)
