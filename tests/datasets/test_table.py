"""Any table of images: what is imported, and what is refused in which words."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairvision.datasets import from_table, read_image, read_mask
from fairvision.datasets.readers.storing import file_names
from fairvision.errors import FairvisionWarning, InputError

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")

NOISE = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
ROWS = [
    ("a", "a.png", "a-mask.png", "train", "young", "desk", "cup|tie", 1),
    ("b", "b.png", "", "Training", "Unknown", "beach", "", 2),
    ("c", "c.png", "", "dev", "", "desk", "|", 1),
    ("d", "d.png", "", "test", " old ", "?", "tie | tie", 2),
]
COLUMNS = ["id", "image", "mask", "split", "age", "place", "things", "number"]
ASKED = {
    "attributes": ["age"],
    "tasks": {"where": "place"},
    "many": ["things"],
    "separator": "|",
    "unknown": ["?"],
}


def write(place, rows=ROWS, columns=COLUMNS, name="table.csv"):
    place.mkdir(exist_ok=True)
    for letter in "abcd":
        Image.fromarray(NOISE).save(place / f"{letter}.png")
    Image.fromarray(np.eye(6, 8, dtype=bool)).save(place / "a-mask.png")
    table = pd.DataFrame(rows, columns=columns)
    if name.endswith(".parquet"):
        table.to_parquet(place / name)
    else:
        table.to_csv(place / name, index=False, sep="\t" if "tsv" in name else ",")
    return place / name


def changed(column, value, row=1):
    rows = [list(r) for r in ROWS]
    rows[row][COLUMNS.index(column)] = value
    return rows


@pytest.mark.parametrize("name", ["table.csv", "table.tsv", "table.csv.gz", "table.parquet"])
def test_every_kind_of_table(tmp_path, name):
    made = from_table(write(tmp_path / "in", name=name), tmp_path / "out", **ASKED)
    assert made.name.startswith("table")
    assert made.samples["id"].tolist() == list("abcd")
    assert made.samples["split"].tolist() == ["train", "train", "val", "test"]
    assert made.attributes == {"age": ("old", "young")}
    assert made.codes("age").tolist() == [1, -1, -1, 0]
    assert made.tasks["where"].labels == ("beach", "desk")
    assert made.targets("where").tolist() == [1, 0, 1, -1]
    assert made.targets("things").tolist() == [[1, 1], [-1, -1], [0, 0], [0, 1]]
    assert made.samples["mask"].notna().tolist() == [True, False, False, False]


def test_bytes_are_copied_unchanged(tmp_path):
    table = write(tmp_path / "in")
    made = from_table(table, tmp_path / "out", **ASKED)
    for row in made.samples.to_dict("records"):
        source = table.parent / f"{row['id']}.png"
        assert (made.root / row["image"]).read_bytes() == source.read_bytes()
    assert read_mask(made.root / made.samples["mask"][0], (8, 6)).sum() == 6


def test_lists_in_parquet(tmp_path):
    rows = [("a.png", ["cup", "tie"], 1), ("b.png", [], 2), ("c.png", None, None)]
    table = write(tmp_path / "in", rows, ["image", "things", "grade"], "table.parquet")
    made = from_table(table, tmp_path / "out", attributes=["grade"], many=["things"])
    assert made.targets("things").tolist() == [[1, 1], [0, 0], [-1, -1]]
    assert made.samples["id"].tolist() == ["a", "b", "c"]


def test_random_splits_follow_the_seed(tmp_path):
    rows = [("a.png", "xy"[i % 2]) for i in range(20)]
    table = write(tmp_path / "in", rows, ["image", "age"])
    splits = [
        from_table(table, tmp_path / str(i), attributes=["age"], seed=seed).samples["split"]
        for i, seed in enumerate([0, 0, 1])
    ]
    assert splits[0].value_counts().to_dict() == {"train": 14, "test": 4, "val": 2}
    assert splits[0].tolist() == splits[1].tolist() != splits[2].tolist()


def test_splits_leave_something_to_train_on(tmp_path):
    table = write(tmp_path / "in", [("a.png", "x"), ("b.png", "y")], ["image", "age"])
    with pytest.raises(InputError, match="their sum must be below 1"):
        from_table(table, tmp_path / "out", attributes=["age"], test_fraction=1.5)


def test_other_columns_and_folders(tmp_path):
    write(tmp_path / "pictures")
    rows = [("a.png", "a-mask.png", "x", "7"), (str(tmp_path / "pictures/b.png"), "", "y", "8")]
    table = write(tmp_path / "in", rows, ["file", "person", "age", "number"])
    made = from_table(
        table,
        tmp_path / "out",
        attributes=["age"],
        image="file",
        mask="person",
        id="number",
        images=tmp_path / "pictures",
    )
    assert made.samples["id"].tolist() == ["7", "8"]
    assert made.has_masks


def test_images_of_every_mode(tmp_path):
    place = tmp_path / "in"
    place.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    colour = Image.fromarray(NOISE)
    colour.save(place / "rotated.jpg", exif=exif)
    colour.convert("L").save(place / "grey.png")
    colour.convert("P").save(place / "palette.gif")
    colour.convert("CMYK").save(place / "cmyk.jpg")
    Image.fromarray(NOISE[..., 0].astype(np.uint16) * 257).save(place / "deep.png")
    Image.new("1", (6, 8), 1).save(place / "upright.png")
    names = ["rotated.jpg", "grey.png", "palette.gif", "cmyk.jpg", "deep.png"]
    masks = ["upright.png", "", "", "", ""]
    rows = list(zip(names, masks, "xyxyx"))
    pd.DataFrame(rows, columns=["image", "mask", "age"]).to_csv(place / "t.csv", index=False)
    made = from_table(place / "t.csv", tmp_path / "out", attributes=["age"])
    sizes = [read_image(made.root / path).size for path in made.samples["image"]]
    assert sizes == [(6, 8), (8, 6), (8, 6), (8, 6), (8, 6)]


def test_an_empty_mask_is_imported_with_a_warning(tmp_path):
    table = write(tmp_path / "in")
    Image.new("1", (8, 6)).save(table.parent / "a-mask.png")
    with pytest.warns(FairvisionWarning, match="1 masks have no pixel of a person.*id 'a'"):
        made = from_table(table, tmp_path / "out", **ASKED)
    assert made.has_masks


def test_a_group_with_one_image_warns(tmp_path):
    with pytest.warns(FairvisionWarning, match=r"few pictures of age .*young in train \(1\)"):
        from_table(write(tmp_path / "in"), tmp_path / "out", **ASKED)


def test_of_many_small_groups_some_are_named(tmp_path):
    rows = [(f"{i}", "a.png", "train", f"age {i}") for i in range(40)]
    table = write(tmp_path / "in", rows, ["id", "image", "split", "age"])
    line = r"few pictures of age age 0 in .*, … \(\d+ more\): figures for fewer than 30 are very"
    with pytest.warns(FairvisionWarning, match=line):
        from_table(table, tmp_path / "out", attributes=["age"])


@pytest.mark.parametrize("cells", [["1|0|1", "0|1|0"], ["1 0 1", "0 0 1"], ["True|False"] * 2])
def test_zeros_and_ones_do_not_say_which_label_holds(tmp_path, cells):
    rows = [list(row) for row in ROWS]
    for i, row in enumerate(rows):
        row[6] = cells[i % 2]
    with pytest.raises(InputError, match="holds lists of 0 and 1, which do not say which label"):
        from_table(write(tmp_path / "in", rows), tmp_path / "out", **ASKED)


def test_paths_of_windows_are_read_and_web_addresses_are_named(tmp_path):
    (tmp_path / "in" / "b").mkdir(parents=True)
    Image.fromarray(NOISE).save(tmp_path / "in" / "b" / "c.png")
    table = write(tmp_path / "in", changed("image", "b\\c.png"))
    assert len(from_table(table, tmp_path / "out", **ASKED)) == 4
    table = write(tmp_path / "in", changed("image", "..\\b.png"))
    with pytest.raises(InputError, match="leaves its folder"):
        from_table(table, tmp_path / "more", **ASKED)
    table = write(tmp_path / "in", changed("image", "https://example.org/b.png"))
    with pytest.raises(InputError, match="is a web address: download the picture"):
        from_table(table, tmp_path / "more", **ASKED)


def test_broken_images_are_left_out_on_demand(tmp_path):
    table = write(tmp_path / "in")
    (table.parent / "b.png").write_bytes((table.parent / "a.png").read_bytes()[:60])
    (table.parent / "c.png").unlink()
    with pytest.warns(FairvisionWarning) as told:
        made = from_table(table, tmp_path / "out", skip_broken=True, **ASKED)
    messages = [str(w.message) for w in told]
    assert any("row 2 (id 'b')" in m and "truncated" in m for m in messages)
    assert any("row 3 (id 'c')" in m and "missing" in m for m in messages)
    assert made.samples["id"].tolist() == ["a", "d"]
    for letter in "ad":
        (table.parent / f"{letter}.png").unlink()
    with pytest.raises(InputError, match="none of its 4 pictures can be used"):
        from_table(table, tmp_path / "none", skip_broken=True, **ASKED)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (changed("image", "gone.png"), r"row 2 \(id 'b'\): picture .*gone.png is missing"),
        (changed("image", "table.csv"), r"row 2 \(id 'b'\): .*is not a picture"),
        (changed("image", "half.png"), r"row 2 \(id 'b'\): .*is truncated"),
        (changed("image", ""), r"row 2 \(id 'b'\), column 'image': is empty"),
        (changed("image", "../b.png"), r"row 2 .*column 'image': path '../b.png' leaves"),
        (changed("mask", "../b.png"), r"row 2 .*column 'mask': path '../b.png' leaves"),
        (changed("mask", "wide.png"), r"row 2 .*mask .* is 9×6 pixels but its picture is 8×6"),
        (changed("split", "holdout"), r"row 2, column 'split': 'holdout' is not one of train"),
        (changed("split", ""), r"row 2, column 'split': '' is not one of train"),
        (changed("id", "a"), r"rows 1 and 2, column 'id': both are 'a'"),
        (changed("id", ""), r"row 2, column 'id': is empty"),
        (changed("age", "old", 0), r"attribute 'age' needs at least two groups"),
        (changed("things", "a;b"), r"a label of 'things' holds a ';'"),
    ],
)
def test_bad_rows_are_named_and_nothing_is_written(tmp_path, rows, message):
    table = write(tmp_path / "in", rows)
    Image.new("1", (9, 6)).save(table.parent / "wide.png")
    (table.parent / "half.png").write_bytes((table.parent / "a.png").read_bytes()[:60])
    with pytest.raises(InputError, match=message) as refused:
        from_table(table, tmp_path / "out", **ASKED)
    assert "\n" not in str(refused.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, r"has the columns id, image, mask.*--attribute COLUMN .*--task COLUMN"),
        ({"attributes": ["gender"]}, "has no column 'gender': it has id, image"),
        ({"attributes": ["age"], "image": "file"}, "has no column 'file'"),
        ({"attributes": ["age"], "mask": "person"}, "has no column 'person'"),
        ({"attributes": ["age"], "tasks": {"age": "place"}}, "'age' is named twice"),
        ({"attributes": {"split": "age"}}, "'split' cannot be the name"),
        ({"attributes": ["age"], "tasks": ["age"]}, "named twice"),
    ],
)
def test_bad_requests(tmp_path, asked, message):
    table = write(tmp_path / "in")
    with pytest.raises(InputError, match=message):
        from_table(table, tmp_path / "out", **asked)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"image,age\na.png,x,y\n", "row 1 has 3 cells, but the header has 2"),
        ("t.csv", b"image,age\n", "has no rows"),
        ("t.csv", b"", "is empty"),
        ("t.csv", b"image,age\n\xff\xfe,x\n", "not text in UTF-8"),
        ("t.parquet", b"image,age\n", "cannot be read"),
        ("t.xlsx", b"PK", r"give \.csv, \.tsv or \.parquet"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        from_table(tmp_path / name, tmp_path / "out", attributes=["age"])
    with pytest.raises(InputError, match="does not exist"):
        from_table(tmp_path / "gone.csv", tmp_path / "out", attributes=["age"])


def test_names_of_files_are_safe_and_unique():
    ids = ["../../etc/passwd", "a b", "a-b", "A-B", "ü", "x" * 300]
    names = file_names(ids)
    assert len({name.lower() for name in names}) == len(ids)
    assert all(set(n) <= set("abcdefghijklmnopqrstuvwxyzAB0123456789-") for n in names)
    assert max(map(len, names)) < 70


def test_a_real_table(shared, tmp_path):
    source = shared / "data" / "utkface"
    rows = pd.read_csv(source / "samples.csv", dtype=str, keep_default_na=False).head(40)
    rows.to_csv(tmp_path / "faces.csv", index=False)
    made = from_table(
        tmp_path / "faces.csv",
        tmp_path / "out",
        attributes=["gender", "race"],
        tasks={"age": "age_group"},
        images=source,
    )
    assert len(made) == 40
    assert made.samples["gender"].tolist() == rows["gender"].tolist()


def test_links_of_the_own_tree_are_followed(tmp_path):
    table = write(tmp_path / "in")
    for path in sorted((tmp_path / "in").glob("*.png")):
        (tmp_path / "elsewhere").mkdir(exist_ok=True)
        path.rename(tmp_path / "elsewhere" / path.name)
        path.symlink_to(tmp_path / "elsewhere" / path.name)
    (tmp_path / "linked").symlink_to(tmp_path / "in")
    for name, source in (("out", table), ("again", tmp_path / "linked" / table.name)):
        made = from_table(source, tmp_path / name, **ASKED)
        assert len(made) == 4
        assert not any(path.is_symlink() for path in made.root.rglob("*"))
