from __future__ import annotations

import pandas as pd
import pytest

from fairvision.captioning.labels import read_labels, read_reference
from fairvision.errors import InputError


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image_id": [1, 2, 3, 4],
            "part": ["test", "test", "val", ""],
            "gender": ["woman", "man", "unknown", ""],
            "objects": ["tv;chair", "", "tv", "chair"],
        }
    )


def write(table: pd.DataFrame, path):
    if path.suffix == ".parquet":
        objects = [None if not cell else cell.split(";") for cell in table["objects"]]
        table.assign(objects=objects).to_parquet(path)
    else:
        table.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["labels.csv", "labels.csv.gz", "labels.parquet"])
def test_tables_of_every_kind_say_the_same(tmp_path, table, name):
    audited, everything = read_labels(write(table, tmp_path / name))
    assert audited is everything
    assert (audited.attribute, audited.task) == ("gender", "objects")
    assert audited.groups == ["man", "woman"]
    assert audited.vocabulary == ("chair", "tv")
    assert list(audited.rows["group"]) == ["woman", "man", None, None]
    held = audited.objects(audited.vocabulary).to_numpy().tolist()
    assert held == [[1, 1], [-1, -1], [0, 1], [1, 0]]
    assert list(audited.codes(["woman", "man"]).codes) == [0, 1, -1, -1]


def test_splits(tmp_path, table):
    path = write(table, tmp_path / "labels.csv")
    audited, everything = read_labels(path, split_column="part")
    assert (len(audited), len(everything)) == (2, 4)
    assert list(read_labels(path, split_column="part", split="val")[0].rows["id"]) == ["3"]
    with pytest.raises(InputError, match=r"column 'part' has no rows of split 'x': it has test, v"):
        read_labels(path, split_column="part", split="x")
    with pytest.raises(InputError, match="has no column 'split'"):
        read_labels(path, split="test")
    renamed = write(table.rename(columns={"part": "split"}), tmp_path / "b.csv")
    assert len(read_labels(renamed, split="test")[0]) == 2


@pytest.mark.parametrize(
    "named",
    [{"attribute": "gender", "objects": "gender"}, {"attribute": "id"}, {"objects": "id"}],
)
def test_a_column_is_one_thing(tmp_path, named):
    path = tmp_path / "labels.csv"
    pd.DataFrame({"id": [1, 2], "gender": ["woman", "man"]}).to_csv(path, index=False)
    with pytest.raises(InputError, match=r"labels\.csv, column '\w+': cannot be two of ids"):
        read_labels(path, **named)


def test_an_empty_list_is_no_object_and_an_empty_cell_is_unknown(tmp_path):
    table = pd.DataFrame({"id": ["a", "b", "c"], "gender": "man", "objects": [[], None, ["tv"]]})
    table.to_parquet(tmp_path / "t.parquet")
    audited, _ = read_labels(tmp_path / "t.parquet")
    assert audited.objects(["tv"])["tv"].tolist() == [0, -1, 1]


def test_the_column_of_groups_is_the_only_one_or_named(tmp_path, table):
    one = table.drop(columns="part").rename(columns={"gender": "age"})
    assert read_labels(write(one, tmp_path / "a.csv"))[0].attribute == "age"
    two = table.rename(columns={"gender": "age"})
    with pytest.raises(InputError, match=r"say by --attribute .*: part, age"):
        read_labels(write(two, tmp_path / "b.csv"))
    assert read_labels(tmp_path / "b.csv", attribute="age")[0].attribute == "age"


@pytest.mark.parametrize("name", ["attribute", "objects", "split_column"])
def test_unknown_columns(tmp_path, table, name):
    path = write(table, tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"a\.csv has no column 'x': it has image_id, part, gend"):
        read_labels(path, **{name: "x"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n", "has no column 'image_id': it has a, b"),
        ("image_id,gender\n", "has no rows"),
        ("image_id,gender\n1,man\n01,man\n", "row 2, column 'image_id': 1 is there twice"),
        ("image_id,gender\n1,man\n,man\n", "row 2, column 'image_id': is empty"),
        ('image_id,gender\n1,"man\n', "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_with_file_row_and_column(tmp_path, text, says):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=f"a.csv.*{says}"):
        read_labels(tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["absent.csv", "absent.parquet", "a.txt"])
def test_files_that_are_no_tables(tmp_path, name):
    with pytest.raises(InputError, match=name):
        read_labels(tmp_path / name)


def test_the_reference_has_the_same_columns_and_groups(tmp_path, table):
    audited, _ = read_labels(write(table, tmp_path / "a.csv"))
    rows = table.drop(columns=["image_id", "part"])
    assert len(read_reference(write(rows, tmp_path / "train.csv"), audited)) == 4
    rows.loc[1, "gender"] = "male"
    with pytest.raises(InputError, match="row 2, column 'gender': 'male' is not one of man, woman"):
        read_reference(write(rows, tmp_path / "train.csv"), audited)
    with pytest.raises(InputError, match="has no column 'objects'"):
        read_reference(
            write(rows.rename(columns={"objects": "o"}), tmp_path / "train.csv"), audited
        )


def test_a_column_without_objects_is_none(tmp_path, table):
    path = write(table.assign(objects=""), tmp_path / "a.csv")
    assert read_labels(path)[0].task == ""
    with pytest.raises(InputError, match="column 'objects': no object is known"):
        read_labels(path, objects="objects")


def test_a_column_without_a_name_is_no_attribute(tmp_path, table):
    unnamed = table[["image_id", "gender", "objects"]].rename(columns={"gender": ""})
    with pytest.raises(InputError, match=r"labels\.parquet: say by --attribute"):
        read_labels(write(unnamed, tmp_path / "labels.parquet"))
