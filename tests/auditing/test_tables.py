from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from fairvision.auditing import tables
from fairvision.auditing.tables import read_predictions, read_truth
from fairvision.datasets import Task
from fairvision.errors import InputError


def frame(n=6, **columns):
    female = np.linspace(0.1, 0.9, n)
    return pd.DataFrame(
        {
            "id": [f"p{i}" for i in range(n)],
            "split": ["test"] * n,
            "gender": ["female", "male", None] * (n // 3),
            "objects": [["kite"], [], None] * (n // 3),
            "score/gender/female": female,
            "score/gender/male": 1 - female,
            "hidden/gender/female": 0.5,
            "hidden/gender/male": 0.5,
            "score/objects/kite": 0.3,
            "score/objects/tie": 0.9,
            **columns,
        }
    )


def read(tmp_path, *frames, split="test", **options):
    paths = []
    for i, table in enumerate(frames):
        paths.append(tmp_path / f"{'ABCD'[i]}.parquet")
        table.to_parquet(paths[-1])
    return read_predictions(paths, list("ABCD")[: len(frames)], split=split, **options)


def refuses(words):
    return pytest.raises(InputError, match=re.escape(words))


def test_columns_are_understood_without_being_told(tmp_path):
    (model,), reference, notes = read(tmp_path, frame())
    assert model.truth.attributes == {"gender": ("female", "male")}
    assert model.truth.tasks == {"objects": Task(("kite", "tie"), many=True)}
    assert model.truth.codes("gender").tolist() == [0, 1, -1] * 2
    assert model.truth.targets("objects").tolist() == [[1, 0], [0, 0], [-1, -1]] * 2
    assert model.probabilities("score", "gender")[:, 0] == pytest.approx(np.linspace(0.1, 0.9, 6))
    assert model.probabilities("person", "gender") is None
    assert (reference, notes) == (None, [])


def test_a_csv_says_the_same_as_a_parquet_file(tmp_path):
    table = frame()
    table["objects"] = ["kite", "kite;tie", None] * 2
    table.to_csv(tmp_path / "A.csv", index=False)
    (model,), *_ = read_predictions([tmp_path / "A.csv"], ["A"], split="test")
    assert model.truth.targets("objects").tolist() == [[1, 0], [1, 1], [-1, -1]] * 2
    assert model.truth.samples["gender"][2] is None
    assert model.probabilities("score", "objects").dtype == float


def test_what_an_audit_writes_is_read_back_the_same(tmp_path):
    (model,), *_ = read(tmp_path, frame())
    tables.write(model, tmp_path / "again.parquet")
    (again,), *_ = read_predictions([tmp_path / "again.parquet"], ["A"], split="test")
    assert again.truth.attributes == model.truth.attributes
    assert again.truth.tasks == model.truth.tasks
    pd.testing.assert_frame_equal(again.truth.samples, model.truth.samples)
    pd.testing.assert_frame_equal(again.scores, model.scores)


def test_rows_of_the_split_are_audited_and_those_of_train_are_the_reference(tmp_path):
    table = frame(split=["train"] * 2 + ["test"] * 4)
    (model,), reference, _ = read(tmp_path, table)
    assert model.truth.samples["id"].tolist() == ["p2", "p3", "p4", "p5"]
    assert len(model.scores) == 4
    assert reference.samples["id"].tolist() == ["p0", "p1"]


def test_without_a_split_column_every_row_is_audited(tmp_path):
    (model,), reference, _ = read(tmp_path, frame().drop(columns="split"))
    assert len(model.truth) == 6
    assert reference is None


def test_an_unknown_split_names_those_that_there_are(tmp_path):
    with refuses("has no rows of split 'val': it has test"):
        read(tmp_path, frame(), split="val")


def test_rows_are_aligned_by_id(tmp_path):
    a = frame()
    b = frame().sample(frac=1, random_state=1)
    (first, second), *_ = read(tmp_path, a, b)
    assert second.truth.samples["id"].tolist() == first.truth.samples["id"].tolist()
    pd.testing.assert_frame_equal(first.scores, second.scores)


def test_tables_of_other_images_are_refused(tmp_path):
    with refuses("B.parquet has no row for id 'p5'"):
        read(tmp_path, frame(), frame().head(5))
    with refuses("A.parquet has no row for id 'p5'"):
        read(tmp_path, frame().head(5), frame())


def test_tables_of_another_truth_are_refused(tmp_path):
    with refuses("B.parquet row 1, column 'gender': 'male' but"):
        read(tmp_path, frame(), frame(gender=["male", "male", None] * 2))


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("id", ["p0", "p0", "p2", "p3", "p4", "p5"], "row 2, column 'id': 'p0' is there twice"),
        ("id", ["p0", None, "p2", "p3", "p4", "p5"], "row 2, column 'id': is empty"),
        ("gender", ["female", "x", None] * 2, "row 2, column 'gender': 'x' is not one of"),
        ("objects", [["cat"], [], None] * 2, "row 1, column 'objects': 'cat' is not one of"),
        ("score/gender/male", [0.1] * 6, "the probabilities sum to 0.2, not to 1"),
        ("score/objects/kite", [1.2] * 6, "row 1, column 'score/objects/kite': "),
        ("score/objects/kite", [-0.2] * 6, "is not a number from 0 to 1"),
        ("score/objects/kite", [np.inf] * 6, "is not a number from 0 to 1"),
        ("score/objects/kite", ["high"] * 6, "'high' is not a number from 0 to 1"),
        ("score/objects/kite", [0.1, np.nan] * 3, "row 2, column 'score/objects/kite': is empty"),
        ("evidence/gradcam/pointing_game", [2.0] * 6, "column 'evidence/gradcam/pointing_game'"),
    ],
)
def test_bad_cells_are_named_by_file_row_and_column(tmp_path, column, values, words):
    with refuses(words) as error:
        read(tmp_path, frame(**{column: values}))
    assert "A.parquet" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("id", "has no column 'id'"),
        ("gender", "has no column 'gender' with the truth"),
        ("hidden/gender/male", "but no column 'hidden/gender/male'"),
        ("score/objects/tie", "'objects' only 'kite' has scores"),
    ],
)
def test_missing_columns_are_named(tmp_path, column, words):
    with refuses(words):
        read(tmp_path, frame().drop(columns=column))


def test_a_table_without_probabilities_is_refused(tmp_path):
    with refuses("has no probabilities"):
        read(tmp_path, frame()[["id", "gender"]])


@pytest.mark.parametrize("name", ["none.parquet", "text.parquet", "empty.csv", "picture.png"])
def test_what_is_not_a_table_is_refused(tmp_path, name):
    if name != "none.parquet":
        (tmp_path / name).write_text("")
    with refuses(name):
        read_predictions([tmp_path / name], ["A"], split="test")


def test_a_row_without_prediction_is_unknown(tmp_path):
    empty = [np.nan, *[0.5] * 5]
    table = frame(**{"score/gender/female": empty, "score/gender/male": empty})
    (model,), *_ = read(tmp_path, table)
    assert np.isnan(model.probabilities("score", "gender")[0]).all()


def test_without_hidden_columns_the_first_column_is_the_attribute_and_that_is_said(tmp_path):
    table = pd.DataFrame(
        {
            "id": ["a", "b"],
            "age": ["old", "young"],
            "sport": ["ski", "surf"],
            **{f"score/age/{g}": 0.5 for g in ("old", "young")},
            **{f"score/sport/{g}": 0.5 for g in ("ski", "surf")},
        }
    )
    (model,), _, notes = read(tmp_path, table)
    assert list(model.truth.attributes) == ["age"]
    assert list(model.truth.tasks) == ["sport"]
    assert "'age' was taken for the attribute" in notes[0]
    (model,), _, notes = read(tmp_path, table, attributes=["sport"])
    assert list(model.truth.attributes) == ["sport"]
    assert notes == []


def test_an_attribute_that_is_not_there_is_refused(tmp_path):
    with refuses("has no column 'race'"):
        read(tmp_path, frame(), attributes=["race"])


def test_an_attribute_may_be_known_without_being_predicted(tmp_path):
    table = frame().drop(columns=[c for c in frame() if "/gender/" in c])
    (model,), *_ = read(tmp_path, table)
    assert model.truth.attributes == {"gender": ("female", "male")}
    assert model.probabilities("score", "gender") is None


def test_group_names_may_hold_slashes(tmp_path):
    table = frame(gender=["a/b", "c", None] * 2).rename(
        columns=lambda c: c.replace("gender/female", "gender/a/b").replace(
            "gender/male", "gender/c"
        )
    )
    (model,), *_ = read(tmp_path, table)
    assert model.truth.attributes == {"gender": ("a/b", "c")}


def test_the_word_unknown_is_an_unknown_group(tmp_path):
    (model,), *_ = read(tmp_path, frame(gender=["female", "male", "unknown"] * 2))
    assert model.truth.codes("gender").tolist() == [0, 1, -1] * 2


def test_evidence_of_further_attributes_carries_their_name(tmp_path):
    extra = {f"{kind}/age/{g}": 0.5 for kind in ("score", "hidden") for g in ("old", "young")}
    table = frame(
        age=["old", "young"] * 3,
        **extra,
        **{"evidence/gradcam/pointing_game": 1.0, "evidence/gradcam/pointing_game/age": 0.0},
    )
    (model,), *_ = read(tmp_path, table)
    assert list(model.truth.attributes) == ["gender", "age"]
    assert model.evidence("pointing_game", "gender").tolist() == [1.0] * 6
    assert model.evidence("pointing_game", "age").tolist() == [0.0] * 6
    assert model.evidence("relevance_mass", "age") is None


def test_a_training_table_needs_some_of_the_truth(tmp_path):
    (model,), *_ = read(tmp_path, frame())
    frame()[["id", "gender"]].to_csv(tmp_path / "train.csv", index=False)
    reference = read_truth(tmp_path / "train.csv", model.truth)
    assert list(reference.attributes) == ["gender"]
    assert list(reference.tasks) == []
    frame()[["id"]].to_csv(tmp_path / "train.csv", index=False)
    with refuses("has none of the columns gender, objects"):
        read_truth(tmp_path / "train.csv", model.truth)


def test_damaged_metadata_is_refused(tmp_path):
    table = frame()
    table.attrs["fairvision"] = {"attributes": 3}
    with refuses("metadata is damaged"):
        read(tmp_path, table)
