"""Weights of other programs: what stands around the tensors, and which of several are meant."""

from __future__ import annotations

import argparse
import contextlib
import io
import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import nn

from fairvision import models
from fairvision.errors import FairvisionWarning, InputError

WANTED = models.backbone("small_cnn", 16).module.state_dict()


def weights(seed=0, prefix=""):
    torch.manual_seed(seed)
    state = models.backbone("small_cnn", 16).module.state_dict()
    return {prefix + name: tensor for name, tensor in state.items()}


def loads(path, seed=0):
    built = models.build("small_cnn", {"a": 2}, size=16, weights=str(path))
    for name, tensor in weights(seed).items():
        torch.testing.assert_close(built.backbone.state_dict()[name], tensor)


WRAPPERS = {
    "plain": lambda: weights(),
    "tutorial": lambda: {"epoch": 3, "model_state_dict": weights(), "loss": 0.3},
    "net": lambda: {"net": weights(), "acc": 91.2, "epoch": 3},
    "state_dict": lambda: {"state_dict": weights(), "best": torch.tensor(3.0)},
    "ema alone": lambda: {"ema": weights()},
    "weights": lambda: {"weights": weights()},
    "twice": lambda: {"checkpoint": {"model": weights()}},
    "with optimizer": lambda: {
        "model": weights(),
        "optimizer": {"state": {0: {"exp_avg": torch.ones(2), "step": torch.ones(())}}},
    },
    "lightning": lambda: {
        "state_dict": weights(prefix="model.")
        | {"loss.weight": torch.ones(3), "metrics.total": torch.zeros(())}
    },
    "parallel and compiled": lambda: {"model": weights(prefix="module._orig_mod.")},
    "compiled": lambda: weights(prefix="_orig_mod."),
    "parts compiled and sharded": lambda: {
        name.replace(".", "._fsdp_wrapped_module._orig_mod.", 1): tensor
        for name, tensor in weights(prefix="model.").items()
    },
    "part of another": lambda: weights(prefix="encoder.backbone.") | {"head.weight": torch.ones(2)},
    "reference script": lambda: {"model": weights(), "args": argparse.Namespace(lr=0.1)},
    "numpy and paths": lambda: {
        "model": weights(),
        "hyper_parameters": {"root": Path("data"), "best": np.float64(0.5), "ids": np.arange(3)},
    },
    "an object beside": lambda: {"model": weights(), "trainer": nn.Linear(2, 2)},
    "parameters": lambda: {name: nn.Parameter(t, False) for name, t in weights().items()},
}


@pytest.mark.parametrize("kind", WRAPPERS)
def test_what_stands_around_the_tensors_is_taken_off(tmp_path, kind):
    torch.save(WRAPPERS[kind](), tmp_path / "checkpoint.ckpt")
    loads(tmp_path / "checkpoint.ckpt")


@pytest.mark.parametrize("kind", ["tutorial", "lightning", "reference script"])
def test_the_old_format_too(tmp_path, kind):
    path = tmp_path / "checkpoint.pth.tar"
    torch.save(WRAPPERS[kind](), path, _use_new_zipfile_serialization=False)
    loads(path)


@pytest.mark.parametrize("prefix", ["module.", "model._orig_mod.", "anything.at.all."])
def test_prefixes_in_safetensors_whatever_the_file_is_called(tmp_path, prefix):
    for name in ("w.safetensors", "w.bin"):
        save_file(weights(prefix=prefix), tmp_path / name)
        loads(tmp_path / name)


def test_half_precision_behind_a_prefix(tmp_path):
    half = {name: t.half() if t.is_floating_point() else t for name, t in weights().items()}
    torch.save({"state_dict": {f"net.{k}": v for k, v in half.items()}}, tmp_path / "half.pt")
    built = models.build("small_cnn", {"a": 2}, size=16, weights=str(tmp_path / "half.pt"))
    assert all(p.dtype == torch.float32 for p in built.parameters())


def test_versions_of_modules_come_with_a_prefix(tmp_path):
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = models.backbone("mnasnet0_5", 32).module

    torch.save(Wrapped().state_dict(), tmp_path / "w.pth")
    models.build("mnasnet0_5", {"a": 2}, size=32, weights=str(tmp_path / "w.pth"))


def test_of_usual_weights_and_their_average_the_usual_are_taken_and_that_is_told(tmp_path):
    for content in (
        {"model": weights(0), "model_ema": weights(1)},
        {"state_dict": weights(0, "model.") | weights(1, "ema.model.")},
        {"ema": weights(1), "state_dict": weights(0)},
    ):
        torch.save(content, tmp_path / "w.pth")
        with pytest.warns(FairvisionWarning, match="several weights that fit.*is taken"):
            loads(tmp_path / "w.pth", seed=0)
    torch.save({"model": weights(0), "ema": weights(0)}, tmp_path / "w.pth")
    loads(tmp_path / "w.pth")  # the same numbers: nothing to choose


def test_of_two_that_nothing_tells_apart_neither_is_taken(tmp_path):
    for content in (
        {"student": weights(0), "teacher": weights(1)},
        weights(0, "module.encoder_q.") | weights(1, "module.encoder_k."),
    ):
        torch.save(content, tmp_path / "w.pth")
        with pytest.raises(InputError, match=r"several weights that fit.*save the one that is"):
            loads(tmp_path / "w.pth")


def test_what_does_not_fit_says_what_is_there(tmp_path):
    torch.save({"model": {"stem.1.weight": torch.ones(2, 2)}}, tmp_path / "w.pth")
    first = next(iter(WANTED))
    with pytest.raises(
        InputError, match=rf"missing, such as {first}; the file has 'stem.1.weight'"
    ):
        loads(tmp_path / "w.pth")


class Attack:
    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize("new", [True, False])
def test_nothing_is_executed(tmp_path, capsys, new):
    content = {"model": weights(), "other": Attack()}
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=new)
    with contextlib.suppress(InputError):
        loads(tmp_path / "w.pth")
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match="is damaged or holds more than tensors"):
        loads(tmp_path / "raw.pth")
    assert capsys.readouterr().out == ""


def test_a_whole_network_is_refused_with_what_to_do(tmp_path):
    torch.save(models.backbone("small_cnn", 16).module, tmp_path / "network.pt")
    with pytest.raises(InputError, match=r"save model\.state_dict\(\) in its place"):
        loads(tmp_path / "network.pt")


def strange(kind):
    name, tensor = next(iter(weights().items()))
    return weights() | {
        name: {
            "repeated": torch.zeros(1).expand(10**6, 10**6),
            "sparse": torch.zeros(3, 3).to_sparse(),
            "meta": torch.zeros(3, device="meta"),
            "bytes": tensor.to(torch.int8),
            "other shape": tensor[:1],
        }[kind]
    }


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("repeated", "not a plain tensor"),
        ("sparse", "not a plain tensor"),
        ("meta", "not a plain tensor"),
        ("bytes", "holds torch.int8"),
        ("other shape", "size mismatch"),
    ],
)
def test_strange_tensors_are_one_line(tmp_path, kind, message):
    torch.save(strange(kind), tmp_path / "w.pth")
    with pytest.raises(InputError, match=message):
        loads(tmp_path / "w.pth")


def test_an_archive_that_unpacks_to_more_than_it_holds_is_refused(tmp_path):
    torch.save(weights(), tmp_path / "w.pth")
    with zipfile.ZipFile(tmp_path / "w.pth", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/bomb", bytes(10**7))
    with pytest.raises(InputError, match=r"it promises .* bytes and has"):
        loads(tmp_path / "w.pth")


@pytest.mark.parametrize("content", [b"", b"\x80", b"PK\x03\x04", b"GIF89a" * 9, b"\xff" * 99])
@pytest.mark.parametrize("suffix", ["pth", "safetensors", "th"])
def test_other_files_are_one_line(tmp_path, content, suffix):
    path = tmp_path / f"w.{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is damaged or holds more than tensors"):
        loads(path)


@pytest.mark.parametrize("kind", ["zip", "old", "safetensors"])
@given(data=st.data())
def test_damage_of_any_kind_is_one_line(tmp_path_factory, kind, data):
    state, file = {"a.weight": torch.ones(2, 2), "a.bias": torch.ones(2)}, io.BytesIO()
    if kind == "safetensors":
        file.write(save(state))
    else:
        torch.save({"model": state}, file, _use_new_zipfile_serialization=kind == "zip")
    damaged = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place : place + data.draw(st.integers(1, 4))] = data.draw(st.binary(max_size=4))
        damaged = damaged or bytearray(1)
    path = tmp_path_factory.getbasetemp() / f"damaged-{kind}"
    path.write_bytes(damaged)
    with warnings.catch_warnings(action="ignore"), contextlib.suppress(InputError):
        models.read_tensors(path, ["a.weight", "a.bias"])  # an InputError is one line by itself


def test_little_memory_is_not_called_damage(tmp_path, monkeypatch):
    def full(path):
        raise OSError("Cannot allocate memory (os error 12)")

    save_file({"a": torch.ones(2)}, tmp_path / "a.safetensors")
    monkeypatch.setattr("fairvision.models.weights.load_file", full)
    with pytest.raises(InputError, match=r"a\.safetensors takes more memory than there is"):
        models.read_tensors(tmp_path / "a.safetensors")


def test_real_weights_of_another_program(shared):
    wanted = ["conv1.weight", "bn1.running_mean", "layer3.2.bn2.weight", "linear.bias"]
    tensors = models.read_tensors(shared / "weights" / "resnet20-12fca82f.th", wanted)
    assert set(wanted) < set(tensors)
