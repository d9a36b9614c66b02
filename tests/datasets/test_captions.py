"""Captions in the table of a dataset folder."""

import csv
import json
from contextlib import suppress

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairvision import datasets
from fairvision.core.tables import Place
from fairvision.datasets.captions import as_series, as_tuples, parse_captions
from fairvision.errors import InputError

ODD = [
    ["A man on a bike.", "Someone rides."],
    ["👩‍🦰 and a 🐕", "Мужчина с собакой", "一个男人"],
    ["امرأة تقود سيارة", 'She says "hello", and leaves', "it's his"],
    [],
    [" ".join(["word"] * 200)],
    ["A", "A"],
    ["[a man] and (a dog)"],
]
CLEAN = [tuple(captions) for captions in ODD]


def write(folder, captions, kind="parquet", settings=None, **columns):
    folder.mkdir(exist_ok=True)
    n = len(captions)
    ids = [f"p{i}" for i in range(n)]
    rows = {"id": ids, "image": [f"{i}.png" for i in ids]}
    rows |= {"split": (["train", "val", "test"] * n)[:n]} | columns
    if kind == "csv":
        with (folder / "samples.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*rows, "captions"])
            writer.writerows(zip(*rows.values(), captions))
    else:
        pq.write_table(pa.table({**rows, "captions": captions}), folder / "samples.parquet")
    for i in ids:
        (folder / f"{i}.png").touch()
    (folder / "dataset.json").write_text(json.dumps(settings or {}))
    return folder


def place(row, column):
    return Place("t.csv", column, row + 1)


@pytest.mark.parametrize("text", [json.dumps, str, lambda x: json.dumps(x, ensure_ascii=False)])
def test_csv_and_parquet_say_the_same(tmp_path, text):
    parquet = datasets.load(write(tmp_path / "a", ODD))
    texts = datasets.load(write(tmp_path / "b", [text(c) for c in ODD], "csv"))
    assert parquet.captions == texts.captions == CLEAN
    assert parquet.has_captions
    assert texts.samples["captions"].isna().tolist() == [not captions for captions in CLEAN]
    pd.testing.assert_frame_equal(parquet.samples, texts.samples)


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.string()),
        pa.large_list(pa.large_string()),
        pa.list_(pa.dictionary(pa.int32(), pa.string())),
        pa.list_(pa.string_view()),
    ],
    ids=str,
)
def test_lists_of_every_kind(kind):
    lists = pa.array(ODD, pa.list_(pa.string()))
    values = lists.flatten()
    if pa.types.is_dictionary(kind.value_type):
        values = values.dictionary_encode()
    column = pa.ListArray.from_arrays(lists.offsets, values.cast(kind.value_type)).cast(kind)
    assert as_tuples(as_series(parse_captions(column, place))) == CLEAN


def test_saving_and_loading_is_the_identity(tmp_path):
    dataset = datasets.load(write(tmp_path / "a", ODD))
    datasets.save(dataset, tmp_path / "a")
    again = datasets.load(tmp_path / "a")
    assert again.captions == CLEAN
    assert again.fingerprint() == dataset.fingerprint()
    pd.testing.assert_frame_equal(dataset.samples, again.samples)


def test_rows_keep_their_captions(tmp_path):
    originals = [None, None, None, "p0"]
    changed = [None, None, None, "hat"]
    folder = write(tmp_path / "a", ODD[:4], counterfactual_of=originals, changed=changed)
    dataset = datasets.load(write(folder, ODD[:4], counterfactual_of=originals, changed=changed))
    assert dataset.split("train").captions == [CLEAN[0], CLEAN[3]]
    assert dataset.originals().captions == CLEAN[:3]
    rows = dataset.rows(np.array([2, 0, 2]))
    assert rows.captions == [CLEAN[2], CLEAN[0], CLEAN[2]]
    assert not dataset.rows(np.array([3])).has_captions
    assert dataset.rows(np.array([3])).captions == [()]
    assert isinstance(rows.samples["captions"].dtype, pd.ArrowDtype)


def test_shards_may_lack_captions(tmp_path):
    folder = write(tmp_path / "a", ODD[:3])
    (folder / "samples.parquet").rename(folder / "samples-1.parquet")
    more = {"id": ["q1", "q2"], "image": ["p0.png", "p1.png"], "split": ["train", "val"]}
    pq.write_table(pa.table(more), folder / "samples-2.parquet")
    pq.write_table(
        pa.table({**more, "id": ["r1", "r2"], "captions": ["A man.", None]}),
        folder / "samples-3.parquet",
    )
    assert datasets.load(folder).captions == [*CLEAN[:3], (), (), ("A man.",), ()]


def test_blanks_and_unseen_characters(tmp_path):
    texts = ["  A\n\nman \t on\u00a0a\u2028bike \0\x1b", " \n", "\u200b \ufeff", None, "a\u200db"]
    dataset = datasets.load(write(tmp_path / "a", [texts, None]))
    assert dataset.captions == [("A man on a bike", "a\u200db"), ()]


def test_one_caption_as_text(tmp_path):
    texts = ["A man, a dog.", "[red] A man", "", '"Hi"', "{two} dogs", "('A', 'B')", "(a man)"]
    expected = [("A man, a dog.",), ("[red] A man",), (), ('"Hi"',), ("{two} dogs",), ("A", "B")]
    for kind in ("csv", "parquet"):
        dataset = datasets.load(write(tmp_path / kind, texts, kind))
        assert dataset.captions == [*expected, ("(a man)",)]


@pytest.mark.parametrize("cell", ['["A man."] and more', "['A [b] man.'] and 'more'"])
def test_what_goes_on_after_a_list_is_a_text(tmp_path, cell):
    assert datasets.load(write(tmp_path / "a", [cell], "csv")).captions == [(cell,)]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ('["A man", 3]', "the list holds 3, which is no text"),
        ('["A man", ["A dog"]]', r"the list holds \['A dog'\], which is no text"),
        ('["A [small] man", "A dog', "looks like a list, but is none of texts in quotes"),
        ("['A man', 3]", "looks like a list, but is none of texts in quotes"),
        ('{"caption": "A man"}', "holds a dict of 'caption': write captions as a list of texts"),
        ('["\\ud800"]', "holds half of a character"),
        ("[" * 100_000 + '"', None),
    ],
)
def test_a_cell_that_is_no_list_of_texts(tmp_path, cell, message):
    folder = write(tmp_path / "a", ["A man", cell], "csv")
    if message is None:
        assert datasets.load(folder).captions == [("A man",), (cell,)]
        return
    place = r"samples.csv row 2 \(id 'p1'\), column 'captions': "
    with pytest.raises(InputError, match=place + f".*{message}"):
        datasets.load(folder)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "int64"),
        ([[1], [2]], "list<.*int64>"),
        ([b"A", b"B"], "binary"),
        ([{"a": 1}, None], "struct"),
        ([[["A"]], None], "list<.*list<"),
    ],
)
def test_a_column_of_another_type(tmp_path, values, kind):
    folder = write(tmp_path / "a", pa.array(values))
    message = rf"samples.parquet, column 'captions': holds {kind}.*: captions are texts, or lists"
    with pytest.raises(InputError, match=message):
        datasets.load(folder)


@pytest.mark.parametrize("values", [pa.nulls(2), pa.array([[], []], pa.list_(pa.null()))])
def test_an_empty_column_has_no_captions(tmp_path, values):
    dataset = datasets.load(write(tmp_path / "a", values))
    assert not dataset.has_captions
    assert dataset.captions == [(), ()]
    assert "captions" in dataset.samples


def test_an_attribute_or_task_of_that_name_wins(tmp_path):
    settings = {"attributes": {"captions": ["yes", "no"]}}
    dataset = datasets.load(write(tmp_path / "a", ["yes", "no"], settings=settings))
    assert not dataset.has_captions
    assert dataset.captions == [(), ()]
    assert dataset.codes("captions").tolist() == [0, 1]
    datasets.save(dataset, tmp_path / "a")
    assert datasets.load(tmp_path / "a").codes("captions").tolist() == [0, 1]


def test_without_the_column_there_are_none(tmp_path):
    folder = write(tmp_path / "a", ODD[:2])
    table = pq.read_table(folder / "samples.parquet").drop_columns("captions")
    pq.write_table(table, folder / "samples.parquet")
    dataset = datasets.load(folder)
    assert not dataset.has_captions
    assert dataset.captions == [(), ()]
    assert "captions" not in dataset.samples


def test_the_fingerprint_follows_captions(tmp_path):
    seen = set()
    dataset = datasets.load(write(tmp_path / "a", ODD[:3]))
    for captions in (
        ODD[:3],
        [["A", "B"], ["C"], []],
        [["A"], ["B", "C"], []],
        [["AB"], ["C"], []],
        [[], [], []],
    ):
        rows = dataset.samples.assign(captions=as_series(captions))
        made = datasets.Dataset(dataset.root, "a", {}, {}, rows)
        seen.add(made.fingerprint())
    assert len(seen) == 5
    plain = datasets.Dataset(dataset.root, "a", {}, {}, dataset.samples.drop(columns="captions"))
    assert plain.fingerprint() in seen  # of a column without any caption


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8"), max_size=12), max_size=4)))
def test_what_was_read_is_read_again(lists):
    once = as_tuples(as_series(lists))
    assert as_tuples(as_series(once)) == once
    for write_list in (json.dumps, repr):
        column = pa.array([write_list(list(captions)) for captions in once], pa.string())
        assert as_tuples(as_series(parse_captions(column, place))) == once
    for captions, given_texts in zip(once, lists):
        assert len(captions) <= len(given_texts)
        for caption in captions:
            assert caption == caption.strip()
            assert "  " not in caption
            assert "\0" not in caption


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_any_cell_is_read_or_refused(text):
    column = pa.array([text])
    if text.lstrip().startswith(("[", "{")):
        with suppress(InputError):
            assert all(as_tuples(as_series(parse_captions(column, place)))[0])
    else:
        [captions] = as_tuples(as_series(parse_captions(column, place)))
        assert all(captions)


def test_what_is_in_it(tmp_path, run_cli):
    folder = write(tmp_path / "a", ODD)
    described = datasets.describe(datasets.load(folder))
    assert described["captions"] == {
        "images": 6,
        "captions": 12,
        "words": {"min": 1, "mean": pytest.approx(58 / 3), "median": 3.0, "max": 200},
    }
    [row] = described["counts"].query("kind == 'captions'").to_dict("records")
    assert (row["train"], row["val"], row["test"], row["all"]) == (2, 2, 2, 6)
    assert "1 pictures have no caption" in described["warnings"]
    shown = run_cli("data", "show", folder)
    assert "12 captions of 6 pictures, of 19.3 words on average (1 to 200)" in shown.out
    as_json = json.loads(run_cli("data", "show", folder, "--json").out)
    assert as_json["captions"]["captions"] == 12


def test_nothing_is_said_of_captions_where_there_are_none(tmp_path, run_cli):
    folder = write(tmp_path / "a", [None, None])
    described = datasets.describe(datasets.load(folder))
    assert described["captions"] is None
    assert "captions" not in run_cli("data", "show", folder).out
