"""Graphs in files, of ONNX and of torch.export: their own figures, fixed batches, hostile files."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import nn

from fairvision import attribution, models
from fairvision.errors import InputError
from fairvision.models.adapters.opening import opening
from fairvision.models.heads import Head

ANY = ({0: torch.export.Dim("n")},)
IMAGES = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(1))


class Small(nn.Module):
    """A convolutional network with two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU())
        self.gender, self.sport = nn.Linear(8, 2), nn.Linear(8, 3)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.body(images).mean(dim=(2, 3))
        return {"gender": self.gender(features), "sport": self.sport(features)}


def small(training: bool = False) -> Small:
    torch.manual_seed(0)
    network = Small()
    network(IMAGES)
    return network.train(training)


def exported(path: Path, network: nn.Module, batch: int = 2, dynamic: object = ANY) -> Path:
    """What torch.export writes of a network."""
    program = torch.export.export(network, (IMAGES[:batch],), dynamic_shapes=dynamic)
    torch.export.save(program, path)
    return path


BOTH = models.SourceOptions(
    heads={"gender": Head(("female", "male")), "sport": Head(("golf", "judo", "polo"))}
)


@pytest.fixture(scope="module")
def pt2(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("graphs") / "small.pt2", small())


@pytest.mark.parametrize("dynamic", [ANY, None, ({0: torch.export.Dim("n", min=2, max=4)},)])
def test_an_exported_network_gives_what_it_gave(dynamic, tmp_path, gender):
    network = small()
    model = models.open_source(f"pt2:{exported(tmp_path / 'a.pt2', network, 2, dynamic)}", BOTH)
    expected = network(IMAGES)
    scores = model.predict(IMAGES)
    for head in ("gender", "sport"):
        assert torch.allclose(scores[head], expected[head].softmax(dim=1), atol=1e-6)
    told = replace(BOTH, mean=[0.5, 0.4, 0.3], std=[0.2], size=16)
    model = models.open_source(f"pt2:{tmp_path / 'a.pt2'}", told)
    expected = network((IMAGES - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / 0.2)
    scores = model.predict(IMAGES)
    assert torch.allclose(scores["sport"], expected["sport"].softmax(dim=1), atol=1e-6)


def test_gradients_of_an_exported_network(pt2, explained, seen):
    model = models.open_source(f"pt2:{pt2}", BOTH)
    for method in ("occlusion", "saliency", "integrated_gradients"):
        explained(model, method)


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "layercam"])
@pytest.mark.parametrize("kind", ["convolutions", "tokens"])
def test_layers_of_an_exported_network_are_those_that_it_was_made_of(kind, method, tmp_path):
    """A graph has no modules: its maps are those of the network that it was exported from."""
    torch.manual_seed(0)
    if kind == "tokens":
        how = {"patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 2, "num_classes": 2}
        network = timm.models.VisionTransformer(img_size=16, **how).eval()
    else:
        network = small()
        network.place0 = nn.Identity()  # a name that layers of graphs would have
    options = models.SourceOptions(heads={"gender": Head(("female", "male"))})
    model = models.open_source(f"pt2:{exported(tmp_path / 'a.pt2', network)}", options)
    how = {"target": 1, "method": method, "head": "gender"}
    expected = attribution.attribute(
        network, IMAGES, **how | ({"head": None} if kind == "tokens" else {})
    )
    assert expected.abs().max() > 0
    assert torch.allclose(attribution.attribute(model.module, IMAGES, **how), expected, atol=1e-6)
    assert torch.allclose(
        model.predict(IMAGES)["gender"], probabilities_of(network, IMAGES), atol=1e-6
    )


def probabilities_of(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    output = network(images)
    return (output["gender"] if isinstance(output, dict) else output).softmax(dim=1)


def test_a_graph_of_a_fixed_number_of_images_has_no_layers(tmp_path, seen, gender):
    path = exported(tmp_path / "a.pt2", small(), 1, None)
    model = models.open_source(f"pt2:{path}", BOTH)
    with pytest.raises(InputError, match=r"no layer with positions .* use integrated_gradients"):
        attribution.attribute(model.module, seen(model), target=1, method="hirescam", head="gender")


class Without(nn.Module):
    """Computes without gradients, as some exporters make it."""

    def __init__(self) -> None:
        super().__init__()
        self.network = small()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return self.network(images)["gender"] * 2


def test_an_exported_network_without_gradients(tmp_path, gender):
    model = models.open_source(f"pt2:{exported(tmp_path / 'a.pt2', Without())}", gender)
    assert model.module is None
    expected = (small()(IMAGES)["gender"] * 2).softmax(dim=1)
    assert torch.allclose(model.predict(IMAGES)["gender"], expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_a_network_that_still_learns_is_refused(tmp_path):
    path = exported(tmp_path / "a.pt2", small(training=True))
    with pytest.raises(InputError, match=r"call .eval\(\) before torch.export.export"):
        models.open_source(f"pt2:{path}", BOTH)


def rewritten(source: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """An archive with other contents of its files."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            content = change(entry.filename.partition("/")[2], old.read(entry))
            if content is not None:
                new.writestr(entry.filename, content)
    return target


class Trap:
    def __reduce__(self):
        return Path.touch, (Path("trapped"),)


def saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


RUN = "__import__('pathlib').Path('trapped').touch()"


def in_program(change: Callable[[dict], object]) -> Callable[[str, bytes], bytes]:
    def edit(name: str, content: bytes) -> bytes:
        if name != "models/model.json":
            return content
        program = json.loads(content)
        change(program)
        return json.dumps(program).encode()

    return edit


def first_node(program: dict) -> dict:
    return program["graph_module"]["graph"]["nodes"][0]


def size_of_images(program: dict) -> dict:
    return program["graph_module"]["graph"]["tensor_values"]["images"]["sizes"][0]["as_expr"]


def signature(program: dict) -> dict:
    return program["graph_module"]["module_call_graph"][0]["signature"]


def pickled_weights(name: str, content: bytes) -> bytes:
    if name == "data/weights/model_weights_config.json":
        config = json.loads(content)
        next(iter(config["config"].values()))["use_pickle"] = True
        return json.dumps(config).encode()
    return saved(Trap()) if name == "data/weights/weight_0" else content


def other_constants(path_name: str) -> Callable[[str, bytes], bytes]:
    def edit(name: str, content: bytes) -> bytes:
        if name == "data/constants/model_constants_config.json":
            entry = {"path_name": path_name, "is_param": False, "use_pickle": False}
            return json.dumps({"config": {"c": {**entry, "tensor_meta": None}}}).encode()
        return content

    return edit


IMPORTING = json.dumps(
    [
        1,
        {
            "type": "collections.defaultdict",
            "context": json.dumps({"default_factory_module": "antigravity"}),
            "children_spec": [],
        },
    ]
)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (pickled_weights, "'weight_0' is a Python object, not a plain tensor"),
        (other_constants("opaque_obj_0"), "'opaque_obj_0' is a Python object"),
        (other_constants("custom_obj_0"), "'custom_obj_0' is a Python object"),
        (other_constants("tensor_../../0"), "is no plain name"),
        (in_program(lambda p: first_node(p).update(target="torch.os.system")), "it calls"),
        (
            in_program(lambda p: first_node(p).update(target="torch.ops.aten.from_file.default")),
            "none of torch's operators on tensors",
        ),
        (
            in_program(lambda p: first_node(p).update(target="torch.ops.aten.__class__.mro")),
            "it calls",
        ),
        (in_program(lambda p: first_node(p).update(target="#x:y")), "it calls"),
        (in_program(lambda p: first_node(p).update(name=f"a = {RUN}\n")), "is no plain name"),
        (in_program(lambda p: signature(p).update(forward_arg_names=[f"x={RUN}"])), "plain name"),
        (in_program(lambda p: size_of_images(p).update(expr_str=RUN)), "is more than arithmetic"),
        (
            in_program(lambda p: size_of_images(p).update(expr_str="Symbol.__class__")),
            "is more than arithmetic",
        ),
        (in_program(lambda p: signature(p).update(out_spec=IMPORTING)), "collections.defaultdict"),
        (in_program(lambda p: p.pop("graph_module")), "is damaged"),
        (in_program(lambda p: size_of_images(p).update(expr_str="((")), "is damaged"),
        (in_program(lambda p: signature(p).update(out_spec="[")), "is damaged"),
        (in_program(lambda p: signature(p).update(out_spec="[1, {}]")), "how outputs are nested"),
        (in_program(lambda p: signature(p).update(forward_arg_names=["def"])), "cannot be read"),
        (lambda name, content: None if name == "models/model.json" else content, "export it anew"),
        (lambda name, content: content[:50], "cannot be read|not (a )?valid|damaged"),
    ],
)
def test_hostile_archives_run_nothing(pt2, change, problem, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = rewritten(pt2, tmp_path / "hostile.pt2", change)
    with pytest.raises(InputError, match=problem) as raised:
        models.open_source(f"pt2:{path}", BOTH)
    assert "\n" not in str(raised.value)
    assert not Path("trapped").exists()


@pytest.mark.filterwarnings("ignore")
def test_what_torch_would_run_is_left_out(pt2, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def samples(name: str, content: bytes) -> bytes:
        return saved(Trap()) if name == "data/sample_inputs/model.pt" else content

    path = rewritten(pt2, tmp_path / "samples.pt2", samples)
    with pytest.raises(InputError), opening("torch"):
        torch.export.load(path)
    assert Path("trapped").exists()  # the trap works
    Path("trapped").unlink()
    guards = rewritten(
        pt2, tmp_path / "guards.pt2", in_program(lambda p: p.update(guards_code=[RUN]))
    )
    for each in (path, guards):
        model = models.open_source(f"pt2:{each}", BOTH)
        expected = models.open_source(f"pt2:{pt2}", BOTH).predict(IMAGES)["gender"]
        assert torch.equal(model.predict(IMAGES)["gender"], expected)
    assert not Path("trapped").exists()


def test_files_that_are_no_archives(tmp_path, gender):
    packed = tmp_path / "packed.pt2"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/models/model.json", "{}")
    text = tmp_path / "text.pt2"
    text.write_text("no archive")
    pickled = tmp_path / "pickled.pt2"
    pickled.write_bytes(pickle.dumps(Trap()))
    grey = tmp_path / "grey.pt2"
    network = nn.Sequential(nn.Flatten(), nn.Linear(256, 2))
    torch.export.save(torch.export.export(network, (IMAGES[:1, :1],)), grey)
    for path, problem in {
        packed: "export it anew",
        text: "not (a )?valid|cannot be read",
        pickled: "not (a )?valid|cannot be read",
        tmp_path / "none.pt2": "does not exist",
        tmp_path: "is a folder",
        grey: "takes 1 × 1 × 16 × 16: images in colour are expected",
    }.items():
        with pytest.raises(InputError, match=problem) as raised:
            models.open_source(f"pt2:{path}", gender)
        assert "\n" not in str(raised.value)


def onnx_file(path: Path, shape: list, kind: int = 1, location: str | None = None) -> Path:
    """A graph of one linear layer, with its weights inside of the file or elsewhere."""
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(0).normal(size=(48, 2)).astype(np.float32)
    tensor = numpy_helper.from_array(weights, "weights")
    if location is not None:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, "length": str(weights.nbytes)}.items():
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=1),
        helper.make_node("Flatten", ["floats"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["gender"]),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info("gender", 1, [shape[0], 2])],
        [tensor],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def onnx():
    pytest.importorskip("onnxruntime")
    return pytest.importorskip("onnx")


def by_hand(images: torch.Tensor) -> torch.Tensor:
    weights = torch.tensor(np.random.default_rng(0).normal(size=(48, 2)).astype(np.float32))
    return (images.flatten(1) @ weights).softmax(dim=1)


@pytest.mark.parametrize("count", ["n", 1, 2, 8])
@pytest.mark.parametrize("last", [False, True])
def test_an_onnx_file_gives_what_it_gives(onnx, tmp_path, gender, count, last):
    shape = [count, 4, 4, 3] if last else [count, 3, 4, 4]
    model = models.open_source(f"onnx:{onnx_file(tmp_path / 'a.onnx', shape)}", gender)
    images = IMAGES[..., :4, :4]
    expected = by_hand(images.permute(0, 2, 3, 1) if last else images)
    assert torch.allclose(model.predict(images)["gender"], expected, atol=1e-5)
    assert model.module is None
    assert model.size == 4
    assert "the file does not say" in str(model.preprocessing)


def test_images_of_whole_numbers(onnx, tmp_path, gender):
    path = onnx_file(tmp_path / "a.onnx", ["n", 3, "h", "w"], kind=2)
    model = models.open_source(f"onnx:{path}", replace(gender, size=4))
    images = (IMAGES[..., :4, :4] * 255).round()
    assert torch.allclose(model.predict(images / 255)["gender"], by_hand(images), atol=1e-4)
    for options, problem in (
        (gender, "takes images of any size: say --size"),
        (replace(gender, size=4, mean=[0.5]), "leave out --mean and --std"),
    ):
        with pytest.raises(InputError, match=problem):
            models.open_source(f"onnx:{path}", options)


@pytest.mark.filterwarnings("ignore")
def test_an_onnx_file_that_torch_exports(onnx, tmp_path):
    network = small()
    path = tmp_path / "small.onnx"
    torch.onnx.export(
        network, (IMAGES[:2],), path, dynamo=True, verbose=False, external_data=False,
        output_names=["gender", "sport"], dynamic_shapes=ANY,
    )  # fmt: skip
    model = models.open_source(f"onnx:{path}", replace(BOTH, mean=[0.5], std=[0.5]))
    expected, scores = network(IMAGES * 2 - 1), model.predict(IMAGES)
    for head in ("gender", "sport"):
        assert torch.allclose(scores[head], expected[head].softmax(dim=1), atol=1e-4)


def test_onnx_files_that_are_refused(onnx, tmp_path, gender):
    (tmp_path / "weights.bin").write_bytes(bytes(48 * 2 * 4))
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "weights.bin").write_bytes(bytes(48 * 2 * 4))
    shape = ["n", 3, 4, 4]
    path = onnx_file(inside / "a.onnx", shape, location="weights.bin")
    assert models.open_source(f"onnx:{path}", gender).size == 4
    text = inside / "text.onnx"
    text.write_text("no graph")
    for path, problem in {
        onnx_file(inside / "b.onnx", shape, location="../weights.bin"): "External data path",
        onnx_file(
            inside / "c.onnx", shape, location=str(tmp_path / "weights.bin")
        ): "External data path",
        onnx_file(inside / "d.onnx", ["n", 1, 6, 8]): "images in colour are expected",
        onnx_file(inside / "e.onnx", ["n", 3, 2, 8]): "only square images",
        text: "cannot be read",
        inside: "is a folder",
    }.items():
        with pytest.raises(InputError, match=problem) as raised:
            models.open_source(f"onnx:{path}", gender)
        assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match="takes images of 4 × 4, so leave out --size"):
        models.open_source(f"onnx:{inside / 'a.onnx'}", replace(gender, size=8))


def test_a_library_that_is_absent(monkeypatch, tmp_path, gender):
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"pip install 'fairvision\[onnx\]'"):
        models.open_source(f"onnx:{tmp_path / 'a.onnx'}", gender)
