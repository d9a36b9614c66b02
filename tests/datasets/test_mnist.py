from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from fairvision.datasets import read_image
from fairvision.datasets.readers.mnist import from_mnist, read_header, unpack
from fairvision.errors import InputError


def idx(array: np.ndarray) -> bytes:
    shape = b"".join(side.to_bytes(4, "big") for side in array.shape)
    return bytes([0, 0, 8, array.ndim]) + shape + array.astype(np.uint8).tobytes()


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    return {
        part: (rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), np.arange(n) % 10)
        for part, n in (("train", 30), ("t10k", 12))
    }


@pytest.fixture
def write(parts, tmp_path):
    """Write the idx files into a folder and return it."""

    def written(folder: str = "source", *, zipped: bool = True) -> Path:
        place = tmp_path / folder
        place.mkdir(parents=True)
        for part, (images, labels) in parts.items():
            for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
                path = place / f"{part}-{kind}-ubyte{'.gz' if zipped else ''}"
                path.write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
        return place

    return written


@pytest.mark.parametrize("zipped", [True, False])
def test_every_image_and_label_is_there(write, parts, tmp_path, zipped):
    dataset = from_mnist(tmp_path / "out", source=write(zipped=zipped))
    assert dataset.name == "mnist"
    assert dataset.size == (28, 28)
    assert dataset.tasks["digit"].labels == tuple("0123456789")
    for split, part in (("train", "train"), ("test", "t10k")):
        images, labels = parts[part]
        own = dataset.split(split)
        np.testing.assert_array_equal(own.targets("digit"), labels)
        for path, image in zip(own.samples["image"], images):
            read = np.asarray(read_image(dataset.root / path))
            np.testing.assert_array_equal(read, np.repeat(image[..., None], 3, axis=2))
    assert dataset.samples["id"].tolist()[29:31] == ["train-00029", "test-00000"]


def test_folder_as_torchvision_lays_it_out(write, tmp_path):
    write("source/MNIST/raw", zipped=False)
    assert len(from_mnist(tmp_path / "out", source=tmp_path / "source")) == 42


def test_validation_is_held_out_by_chance_and_seeded(write, tmp_path):
    source = write()
    some = [
        from_mnist(tmp_path / str(n), source=source, val=10, seed=seed).samples["split"].tolist()
        for n, seed in enumerate((0, 0, 1))
    ]
    assert some[0] == some[1] != some[2]
    assert [some[0].count(split) for split in ("train", "val", "test")] == [20, 10, 12]
    with pytest.raises(InputError, match="--val must be 0 to 29"):
        from_mnist(tmp_path / "all", source=source, val=30)


def damage(source: Path, kind: str) -> None:
    images, labels = (source / f"train-{k}-ubyte.gz" for k in ("images-idx3", "labels-idx1"))
    if kind == "missing":
        labels.unlink()
    elif kind == "truncated":
        images.write_bytes(images.read_bytes()[:-100])
    elif kind == "not gzip":
        images.write_bytes(b"hello")
    elif kind == "not idx":
        images.write_bytes(gzip.compress(b"hello"))
    elif kind == "empty":
        images.write_bytes(gzip.compress(b""))
    elif kind == "short":
        images.write_bytes(gzip.compress(gzip.decompress(images.read_bytes())[:-100]))
    elif kind == "labels":
        labels.write_bytes(gzip.compress(idx(np.full(30, 11))))
    elif kind == "count":
        labels.write_bytes(gzip.compress(idx(np.arange(9))))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", r"holds neither train-labels-idx1-ubyte nor train-labels-idx1-ubyte\.gz"),
        ("truncated", r"train-images-idx3-ubyte\.gz is truncated"),
        ("not gzip", r"train-images-idx3-ubyte\.gz is truncated or damaged"),
        ("not idx", "is no idx file"),
        ("empty", "is no idx file"),
        ("short", "is no idx file or is damaged"),
        ("labels", "label 11 is not a digit"),
        ("count", "do not belong together"),
    ],
)
def test_damage_is_one_line_and_nothing_is_written(write, tmp_path, kind, message):
    source = write()
    damage(source, kind)
    with pytest.raises(InputError, match=message) as raised:
        from_mnist(tmp_path / "out", source=source)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_what_a_header_promises_is_refused_before_it_is_unpacked(write, tmp_path, monkeypatch):
    source, unpacked = write(), []
    monkeypatch.setattr("fairvision.datasets.readers.mnist.unpack", lambda *_: unpacked.append(1))
    header = bytes([0, 0, 8, 3]) + struct.pack(">III", 2**31 - 1, 28, 28)
    (source / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + bytes(10**6)))
    with pytest.raises(InputError, match=r"it promises 2147483647 × 28 × 28 values in \d+ bytes"):
        from_mnist(tmp_path / "out", source=source)
    header = bytes([0, 0, 8, 3]) + struct.pack(">III", 1000, 28, 28)
    (source / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + bytes(784_000)))
    with pytest.raises(InputError, match=r"\(1000, 28, 28\) and labels of shape \(30,\) do not"):
        from_mnist(tmp_path / "out", source=source)
    assert not unpacked


def test_no_more_is_unpacked_than_promised(tmp_path):
    packed = tmp_path / "labels.gz"
    packed.write_bytes(gzip.compress(idx(np.arange(9)) + bytes(10**7)))
    with pytest.raises(InputError, match="holds more than it promises"):
        unpack(packed, read_header(packed), tmp_path / "plain")
    assert (tmp_path / "plain").stat().st_size == 8 + 9


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\0\x0d\1\0\0\0\1\0", "no idx file of pictures or labels"),
        (b"\0\0\x08\2\0\0\0\1\0\0\0\1\0", "no idx file of pictures or labels"),
        (b"\0\0\x08", "no idx file of pictures or labels"),
        (b"\0\0\x08\3\0\0", "no idx file of pictures or labels"),
        (b"\0\0\x08\1\0\0\0\2\0", "promises 2 values in 9 bytes"),
    ],
)
def test_headers(tmp_path, content, message):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_header(tmp_path / "file")


def test_pipes_and_folders_in_place_of_files(write, tmp_path):
    source = write()
    for kind, make in (("a regular file", os.mkfifo), ("a folder", os.mkdir)):
        place = source / "t10k-labels-idx1-ubyte"
        make(place)
        with pytest.raises(InputError, match=rf"t10k-labels-idx1-ubyte is .*{kind}"):
            from_mnist(tmp_path / "out", source=source)
        place.rmdir() if place.is_dir() else place.unlink()


def test_no_network_is_one_line(monkeypatch, tmp_path):
    import torchvision.datasets.mnist as module

    def no_network(*_, **__):
        raise URLError("name resolution failed")

    monkeypatch.setattr(module, "download_and_extract_archive", no_network)
    with pytest.raises(InputError, match=r"cannot be downloaded .*name resolution.*--source"):
        from_mnist(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_occupied_folder_is_told_before_anything_is_read(write, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        from_mnist(tmp_path / "out", source=tmp_path / "missing")


def test_command(run_cli, write, tmp_path):
    made = run_cli("data", "mnist", tmp_path / "out", "--source", write(), "--val", 5)
    assert (made.code, made.err) == (0, "")
    assert "42 pictures (train 25, val 5, test 12)" in made.out
    refused = run_cli("data", "mnist", tmp_path / "no", "--source", tmp_path)
    assert refused.code == 2
    assert len(refused.err.strip().splitlines()) == 1
    assert "60,000" in run_cli("data", "mnist", "--help").out


def test_real_files(shared):
    from fairvision.datasets.readers.mnist import _read

    (train, train_labels), (test, test_labels) = _read(shared / "data" / "mnist")
    assert train.shape == (60_000, 28, 28)
    assert test.shape == (10_000, 28, 28)
    assert train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(test_labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
