"""Tensors in, tensors out: the same figures on their device, and nothing travels to the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairvision import metrics
from fairvision.errors import InputError
from fairvision.metrics._engine import pixels

torch = pytest.importorskip("torch")

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


def images(n: int = 12) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    maps = random.normal(size=(n, 9, 11)).round(1).astype(np.float32)
    masks = random.random(maps.shape) < 0.3
    maps[1, 2, 3], maps[2, 4, 4], maps[3] = np.nan, -np.inf, 0
    masks[4], masks[5] = False, True
    return maps, masks


def assert_same(found: dict[str, Any], expected: dict[str, Any], rtol: float = 1e-12) -> None:
    for name, values in expected.items():
        np.testing.assert_allclose(found[name].cpu().numpy(), values, rtol, err_msg=name)


@pytest.fixture(params=[True, False], ids=["lent to NumPy", "by torch"])
def lent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Have tensors of the CPU worked on in both ways: as they are, and as if on an accelerator."""
    if not request.param:
        monkeypatch.setattr(pixels, "lends_to_numpy", lambda array: False)
    return request.param


@pytest.mark.usefixtures("lent")
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("part", ["positive", "negative", "absolute", "signed"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_figures_as_in_numpy(device: str, part: Any, dtype: str) -> None:
    maps, masks = images()
    tensors = (
        torch.from_numpy(maps).to(device, getattr(torch, dtype)),
        torch.from_numpy(masks).to(device),
    )
    found = metrics.localisation(*tensors, part=part, k=5)
    assert_same(found, metrics.localisation(maps.astype(dtype), masks, part=part, k=5))
    for values in found.values():
        assert (values.dtype, values.device.type) == (torch.float64, device)


@pytest.mark.usefixtures("lent")
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(device: str, dtype: str) -> None:
    maps, masks = images()
    halved = torch.from_numpy(maps).to(device, getattr(torch, dtype))
    found = metrics.localisation(halved, torch.from_numpy(masks).to(device))
    assert_same(found, metrics.localisation(halved.float().cpu().numpy(), masks))


def test_nothing_is_read_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def travel(*_: Any, **__: Any) -> None:
        raise AssertionError("copied to the host")

    maps, masks = (torch.from_numpy(a) for a in images())
    monkeypatch.setattr(pixels, "lends_to_numpy", lambda array: False)
    for name in ("numpy", "__array__", "cpu", "tolist", "item", "__dlpack__"):
        monkeypatch.setattr(torch.Tensor, name, travel)
    found = metrics.localisation(maps, masks)
    metrics.pointing_game(maps, masks, ties="first")
    monkeypatch.undo()
    assert_same(found, metrics.localisation(*images()))


def test_on_the_cpu_numpy_works_in_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    maps, masks = (torch.from_numpy(a) for a in images())
    expected = metrics.localisation(maps, masks)
    monkeypatch.setattr(torch, "sort", None)
    monkeypatch.setattr(torch.Tensor, "clone", None)
    found = metrics.localisation(maps, masks)
    assert_same(found, expected, rtol=0)
    assert all(isinstance(values, torch.Tensor) for values in found.values())


@pytest.mark.usefixtures("lent")
def test_tensors_of_any_strides_and_with_gradients() -> None:
    maps, masks = (torch.from_numpy(a) for a in images())
    expected = metrics.localisation(*images())
    turned = maps.transpose(1, 2).contiguous().transpose(1, 2).requires_grad_()
    found = metrics.localisation(turned, masks)
    assert_same(found, expected)
    assert not found["relevance_mass"].requires_grad
    channels = torch.stack([masks, ~masks], dim=1)
    assert_same(metrics.localisation(maps, channels[:, 0]), expected)
    one_mask = masks[:1].expand(len(maps), -1, -1)
    assert_same(
        metrics.localisation(maps, one_mask), metrics.localisation(maps.numpy(), one_mask.numpy())
    )


@pytest.mark.parametrize("wrap", [np.asarray, np.ndarray.tolist])
def test_arrays_and_lists_go_to_the_tensor(wrap: Any) -> None:
    maps, masks = images()
    masks.setflags(write=False)
    expected = metrics.localisation(maps, masks)
    assert_same(metrics.localisation(torch.from_numpy(maps), wrap(masks)), expected)
    assert_same(metrics.localisation(wrap(maps), torch.from_numpy(masks.copy())), expected)
    chance = metrics.chance_level(torch.from_numpy(masks.copy()))
    assert isinstance(chance, torch.Tensor)


@pytest.mark.usefixtures("lent")
def test_types_of_masks_and_whole_numbers() -> None:
    maps, masks = images()
    whole = (np.nan_to_num(maps, posinf=0, neginf=0) * 10).astype(np.int32)
    expected = metrics.localisation(whole, masks)
    for dtype in (torch.uint8, torch.int64, torch.float32, torch.bfloat16):
        found = metrics.localisation(torch.from_numpy(whole), torch.from_numpy(masks).to(dtype))
        assert_same(found, expected)


def test_two_devices_are_an_error() -> None:
    maps, masks = (torch.from_numpy(a) for a in images())
    with pytest.raises(InputError, match="maps and masks must lie on one device"):
        metrics.localisation(maps, masks.to("meta"))


@pytest.mark.parametrize("of_torch", [False, True])
def test_a_device_without_float64(of_torch: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    maps, masks = images()
    expected = metrics.localisation(maps, masks)
    monkeypatch.setattr(pixels, "lends_to_numpy", lambda array: False)
    monkeypatch.setattr(pixels, "widest", lambda array: torch.float32 if of_torch else np.float32)
    given = (torch.from_numpy(maps), torch.from_numpy(masks)) if of_torch else (maps, masks)
    found = {name: torch.asarray(values) for name, values in metrics.localisation(*given).items()}
    assert {values.dtype for values in found.values()} == {torch.float32}
    assert_same(found, expected, rtol=1e-6)
