from __future__ import annotations

import hashlib
import io
import json
import pickle
from random import Random
from urllib.error import URLError

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fairvision import metrics
from fairvision.datasets import read_image
from fairvision.datasets.readers.cifar10s import (
    CLASSES,
    GREY_CLASSES,
    from_cifar10,
    read_parquet_files,
)
from fairvision.errors import InputError

PER_CLASS = 40


def drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8), rng.permutation(n) % 10


TRAIN, TEST = drawn(10 * PER_CLASS, 0), drawn(30, 1)


def png(image: np.ndarray) -> bytes:
    to = io.BytesIO()
    Image.fromarray(image).save(to, "png")
    return to.getvalue()


def hugging_face(images: np.ndarray, labels: np.ndarray, names=CLASSES) -> pa.Table:
    rows = [{"bytes": png(image), "path": None} for image in images]
    told = {"info": {"features": {"label": {"names": list(names), "_type": "ClassLabel"}}}}
    numbers = [names.index(CLASSES[label]) for label in labels] if "cat" in names else labels
    table = pa.table({"img": rows, "label": pa.array(numbers, pa.int64())})
    return table.replace_schema_metadata({"huggingface": json.dumps(told)})


@pytest.fixture
def source(tmp_path):
    place = tmp_path / "source"
    place.mkdir()
    pq.write_table(hugging_face(*TRAIN), place / "train-00000-of-00001.parquet")
    pq.write_table(hugging_face(*TEST), place / "test-00000-of-00001.parquet")
    return place


def grey(image: np.ndarray) -> np.ndarray:
    one = np.asarray(Image.fromarray(image).convert("L"))
    return np.repeat(one[..., None], 3, axis=2)


def test_skew_and_images(source, tmp_path):
    dataset = from_cifar10(tmp_path / "out", source=source)
    train, test = dataset.split("train"), dataset.split("test")
    counts = train.samples.groupby(["class", "colour"]).size().unstack()
    for name in CLASSES:
        typical = "grey" if name in GREY_CLASSES else "colour"
        assert counts.loc[name, typical] == 38
        assert counts.loc[name].sum() == PER_CLASS
    np.testing.assert_array_equal(train.targets("class"), TRAIN[1])
    for row, image in zip(train.samples.itertuples(), TRAIN[0]):
        read = np.asarray(read_image(dataset.root / row.image))
        np.testing.assert_array_equal(read, grey(image) if row.colour == "grey" else image)
    assert len(test) == 60
    np.testing.assert_array_equal(test.targets("class"), np.tile(TEST[1], 2))
    for row in test.samples.itertuples():
        _, number, domain = row.id.split("-")
        assert domain == row.colour
        image = TEST[0][int(number)]
        read = np.asarray(read_image(dataset.root / row.image))
        np.testing.assert_array_equal(read, grey(image) if domain == "grey" else image)


def test_ids_pair_the_images_for_the_published_measure(source, tmp_path):
    test = from_cifar10(tmp_path / "out", source=source).split("test").samples
    image = test["id"].str.rsplit("-", n=1).str[0]
    assert image.value_counts().eq(2).all()
    said = np.where(test["colour"] == "grey", "ship", test["class"])
    biased = metrics.cifar10s_bias(said, test["colour"], images=image, replicates=10)
    assert float(metrics.cifar10s_bias(test["class"], test["colour"], images=image)) == 0
    assert float(biased) > 0.4


def test_choice_is_that_of_the_published_program(source, tmp_path):
    dataset = from_cifar10(tmp_path / "out", source=source)
    random, expected = Random(42), {}
    for number, name in enumerate(CLASSES):
        rows = [i for i, label in enumerate(TRAIN[1]) if label == number]
        typical = set(random.sample(rows, 38))
        own, other = ("grey", "colour") if name in GREY_CLASSES else ("colour", "grey")
        expected |= {i: own if i in typical else other for i in rows}
    said = dataset.split("train").samples["colour"].tolist()
    assert said == [expected[i] for i in range(len(said))]


def test_seed_skew_and_validation(source, tmp_path):
    some = [
        from_cifar10(tmp_path / str(n), source=source, seed=seed, val=100, skew=0.75)
        for n, seed in enumerate((1, 1, 2))
    ]
    same, again, other = (dataset.samples for dataset in some)
    assert same.equals(again)
    assert not same["colour"].equals(other["colour"])
    assert same["split"].value_counts().to_dict() == {"train": 300, "val": 100, "test": 60}
    known = same[same["split"] != "test"].groupby(["class", "colour"]).size()
    assert known["cat", "colour"] == 30
    for skew in (0.5, 1.0, float("nan")):
        with pytest.raises(InputError, match="skew must be above"):
            from_cifar10(tmp_path / "no", source=source, skew=skew)


def test_one_file_with_splits_and_names(tmp_path):
    images = np.concatenate([TEST[0], TRAIN[0]])
    labels = [CLASSES[label] for label in np.concatenate([TEST[1], TRAIN[1]])]
    splits = ["test"] * 30 + ["train"] * (10 * PER_CLASS)
    table = {"split": splits, "label": labels, "png": [png(image) for image in images]}
    pq.write_table(pa.table(table), tmp_path / "cifar.parquet", row_group_size=7)
    train, test = read_parquet_files(tmp_path / "cifar.parquet")
    for part, (pixels, numbers) in ((train, TRAIN), (test, TEST)):
        np.testing.assert_array_equal(part.images, pixels)
        np.testing.assert_array_equal(part.labels, numbers)


def test_numbers_mean_what_the_file_says(tmp_path):
    for name, part in (("train", TRAIN), ("test", TEST)):
        pq.write_table(hugging_face(*part, names=CLASSES[::-1]), tmp_path / f"{name}.parquet")
    np.testing.assert_array_equal(read_parquet_files(tmp_path)[1].labels, TEST[1])


def refusals():
    good = hugging_face(*TEST)
    yield "no parquet", b"hello", "test.parquet cannot be read"
    yield "no label", good.drop_columns("label"), "has no column 'label': it has img"
    yield "no picture", good.drop_columns("img"), "0 columns of encoded pictures"
    yield "two", good.append_column("also", good["img"]), "2 columns of encoded pictures"
    strange = good.set_column(1, "label", pa.array([10] * 30))
    yield "label", strange, "row 1: label 10 is not a class"
    broken = [{"bytes": b"no", "path": None}] * 30
    yield "broken", good.set_column(0, "img", pa.array(broken)), "row 1: the picture cannot be read"
    empty = pa.array([None] * 30, good["img"].type)
    yield "empty", good.set_column(0, "img", empty), "row 1: the picture cannot be read"
    large = [{"bytes": png(np.zeros((8, 9, 3), np.uint8)), "path": ""}] * 30
    yield "size", good.set_column(0, "img", pa.array(large)), "9×8 pixels, not 32×32"
    yield "split", good.append_column("split", pa.array(["dev"] * 30)), "split 'dev' is neither"
    digits = hugging_face(*TEST, names=tuple("0123456789"))
    yield "other", digits, "holds other classes than CIFAR-10"
    yield "only test", good, "has no train pictures"


@pytest.mark.parametrize(
    ("content", "message"), [pytest.param(*rest, id=name) for name, *rest in refusals()]
)
def test_what_cannot_be_used_is_one_line(tmp_path, content, message):
    source = tmp_path / "test.parquet"
    if isinstance(content, bytes):
        source.write_bytes(content)
    else:
        pq.write_table(content, source)
    with pytest.raises(InputError, match=message) as raised:
        from_cifar10(tmp_path / "out", source=source)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_names_and_places_that_do_not_serve(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        from_cifar10(tmp_path / "out", source=tmp_path / "missing")
    with pytest.raises(InputError, match="neither cifar-10-batches-py nor parquet"):
        from_cifar10(tmp_path / "out", source=tmp_path)
    pq.write_table(hugging_face(*TEST), tmp_path / "mine.parquet")
    with pytest.raises(InputError, match="begins with neither train nor test"):
        from_cifar10(tmp_path / "out", source=tmp_path / "mine.parquet")


@pytest.fixture
def batches(tmp_path, monkeypatch):
    """Write small files in CIFAR-10's Python layout, whose digests torchvision takes as right."""
    from torchvision.datasets import CIFAR10

    place = tmp_path / "torchvision" / "cifar-10-batches-py"
    place.mkdir(parents=True)
    flat = lambda some: some.transpose(0, 3, 1, 2).reshape(len(some), -1)  # noqa: E731

    def written(name: str, content: dict) -> list[str]:
        (place / name).write_bytes(pickle.dumps(content, protocol=2))
        return [name, hashlib.md5((place / name).read_bytes()).hexdigest()]

    train = [
        written(f"data_batch_{n}", {"data": flat(some), "labels": labels.tolist()})
        for n, (some, labels) in enumerate(zip(np.split(TRAIN[0], 5), np.split(TRAIN[1], 5)), 1)
    ]
    test = [written("test_batch", {"data": flat(TEST[0]), "labels": TEST[1].tolist()})]
    name, digest = written("batches.meta", {"label_names": list(CLASSES)})
    monkeypatch.setattr(CIFAR10, "train_list", train)
    monkeypatch.setattr(CIFAR10, "test_list", test)
    monkeypatch.setattr(CIFAR10, "meta", {"filename": name, "key": "label_names", "md5": digest})
    return place


def test_torchvisions_folder_gives_the_same(batches, source, tmp_path):
    one = from_cifar10(tmp_path / "a", source=batches.parent)
    two = from_cifar10(tmp_path / "b", source=source)
    assert one.samples.equals(two.samples)
    for path in one.samples["image"]:
        assert (one.root / path).read_bytes() == (two.root / path).read_bytes()


class Trap:
    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


def test_pickles_other_than_the_published_are_not_opened(batches, tmp_path):
    (batches / "data_batch_3").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match="not as published"):
        from_cifar10(tmp_path / "out", source=batches.parent)
    (batches / "data_batch_3").unlink()
    with pytest.raises(InputError, match="incomplete"):
        from_cifar10(tmp_path / "out", source=batches.parent)
    assert not (tmp_path / "out").exists()


def test_no_network_is_one_line(monkeypatch, tmp_path):
    import torchvision.datasets.cifar as module

    def no_network(*_, **__):
        raise URLError("name resolution failed")

    monkeypatch.setattr(module, "download_and_extract_archive", no_network)
    with pytest.raises(InputError, match=r"cannot be downloaded .*name resolution.*--source"):
        from_cifar10(tmp_path / "out")


def test_command(run_cli, source, tmp_path):
    made = run_cli("data", "cifar10s", tmp_path / "out", "--source", source, "--val", 50)
    assert (made.code, made.err) == (0, "")
    assert "460 pictures (train 350, val 50, test 60)" in made.out
    refused = run_cli("data", "cifar10s", tmp_path / "no", "--source", source / "none.parquet")
    assert refused.code == 2
    assert len(refused.err.strip().splitlines()) == 1
    assert "grey" in run_cli("data", "cifar10s", "--help").out


def test_real_file(shared, tmp_path):
    table = pq.read_table(shared / "data" / "cifar10" / "cifar10.parquet")
    assert len(table) == 60_000
    some = table.take(np.arange(0, 60_000, 100))
    pq.write_table(some, tmp_path / "some.parquet")
    dataset = from_cifar10(tmp_path / "out", source=tmp_path / "some.parquet")
    train = dataset.split("train")
    assert np.bincount(train.targets("class")).tolist() == [50] * 10
    assert train.samples.groupby("colour").size().tolist() == [250, 250]
