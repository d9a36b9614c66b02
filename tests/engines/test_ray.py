"""Actors of Ray share an audit, and ask models in pipelines of Ray Data: as one process does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import fairvision
from fairvision import datasets
from fairvision.datasets import scenes
from fairvision.distributed import ray as engine
from fairvision.errors import InputError
from fairvision.models import Model

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # what Ray itself warns of
]
QUICK = {"replicates": 2, "batch_size": 4, "swaps": 0, "sanity": False, "leaning": False}


class Darkness:
    """Knows by how dark an image is; a module that is imported by nobody."""

    name = "darkness"
    size = 16
    device = torch.device("cpu")
    module = None

    def __init__(self, groups: tuple[str, ...]):
        from fairvision.schema import Schema

        self.schema = Schema({"shirt": groups})

    def predict(self, images: Any) -> dict[str, Any]:
        light = images.mean(dim=(1, 2, 3))
        return {"shirt": torch.stack([light, 1 - light], dim=1)}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> datasets.Dataset:
    return scenes(tmp_path_factory.mktemp("drawn") / "scenes", count=60, bias=0.8, size=16)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_two_actors_make_the_bytes_of_one_process(
    ray: Any, drawn: datasets.Dataset, tmp_path: Path
) -> None:
    model = {"dark": Darkness(drawn.attributes["shirt"])}
    fairvision.audit(model, data=drawn.root, output=tmp_path / "plain", **QUICK)
    done = engine.audit(
        model,
        data=drawn.root,
        output=tmp_path / "audit",
        shards=fairvision.auditing.shards.Shards(tmp_path / "shards", images=4, lapse=20),
        actors=2,
        num_cpus=1,
        **QUICK,
    )
    assert contents(tmp_path / "audit") == contents(tmp_path / "plain")
    assert done.verdict.headline
    assert len(list((tmp_path / "shards").rglob("*.parquet"))) == 3


def test_bad_input_is_one_line(ray: Any, drawn: datasets.Dataset, tmp_path: Path) -> None:
    model = {"dark": Darkness(drawn.attributes["shirt"])}
    settings = {"output": tmp_path / "audit", "shards": tmp_path / "shards", "num_cpus": 1}
    with pytest.raises(InputError, match=r"^no-such is not a folder"):
        engine.audit(model, data="no-such", actors=2, **settings)
    with pytest.raises(InputError, match="actors must be 1 or more"):
        engine.audit(model, actors=0, **settings)


def test_a_model_in_a_pipeline_answers_as_here(
    ray: Any, drawn: datasets.Dataset, tmp_path: Path
) -> None:
    groups = drawn.attributes["shirt"]
    tested = drawn.split("test")
    files = [tested.root / image for image in tested.samples["image"]]
    table = {"id": tested.samples["id"].tolist(), "shirt": tested.samples["shirt"].tolist()}
    given = pa.table({**table, "image": [file.read_bytes() for file in files]})
    rows = ray.data.from_arrow([given[:5], given[5:]])

    def model() -> Model:
        return Darkness(groups)

    answers = engine.predict(rows, model, actors=2, num_cpus=0.5, batch_size=4).materialize()
    done = fairvision.audit(
        predictions={"dark": engine.Stream(answers)}, output=tmp_path / "audit", replicates=2
    )
    fairvision.audit({"dark": model()}, data=drawn.root, output=tmp_path / "plain", **QUICK)
    columns = [f"score/shirt/{group}" for group in groups]
    of_stream, here = (
        pd.read_parquet(tmp_path / name / "dark" / "samples.parquet").set_index("id")[columns]
        for name in ("audit", "plain")
    )
    pd.testing.assert_frame_equal(of_stream.sort_index(), here.sort_index(), atol=1e-7)
    assert done.metrics.query("metric == 'accuracy' and group == ''")["n"].tolist() == [len(tested)]


def test_arrays_and_files_of_images_are_asked_alike(drawn: datasets.Dataset) -> None:
    asked = engine._Asked(lambda: Darkness(drawn.attributes["shirt"]), "image", 1)
    files = [drawn.root / image for image in drawn.samples["image"][:3]]
    content = np.array([file.read_bytes() for file in files], object)
    arrays = np.stack([np.asarray(datasets.read_image(file)) for file in files])
    of_files, of_arrays = (
        asked({"id": np.arange(3), "image": images}) for images in (content, arrays)
    )
    assert list(of_files) == ["id", *(f"score/shirt/{g}" for g in drawn.attributes["shirt"])]
    for name, values in of_files.items():
        np.testing.assert_array_equal(of_arrays[name], values)
    with pytest.raises(InputError, match="there is no column 'image': there is id"):
        asked({"id": np.arange(3)})


def test_without_ray_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    message = re.escape("ray is not installed: pip install 'fairvision[ray]'")
    with pytest.raises(InputError, match=message):
        engine.audit([], output="audit", shards="shards", actors=1, num_cpus=1)
