"""Tables as people have them: each way of writing gives the figures of the plain form."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import special

from fairvision import audit
from fairvision.auditing import layouts, streaming
from fairvision.auditing.layouts import Layout
from fairvision.auditing.tables import read_predictions
from fairvision.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
LABELS = {"gender": ("female", "male"), "sport": ("chess", "ski", "surf"), "seen": ("cap", "kite")}
LOGITS = {"gender": 2.0, "sport": 3.0, "seen": 1.0}


@pytest.fixture(scope="module")
def drawn():
    """The truth of 160 images, and the logits of a model that tends to be right."""
    generator = np.random.default_rng(0)
    n = 160
    table = pd.DataFrame({"id": [f"p{i:03}" for i in range(n)]})
    table["split"] = np.where(np.arange(n) < 40, "train", "test")
    logits = {}
    for head in ("gender", "sport"):
        codes = generator.integers(len(LABELS[head]), size=n)
        table[head] = pd.Series(np.array(LABELS[head])[codes]).mask(generator.random(n) < 0.05)
        noise = generator.normal(size=(n, len(LABELS[head])))
        logits[head] = noise + 1.5 * np.eye(len(LABELS[head]))[codes]
    holds = generator.random((n, 2)) < 0.4
    table["seen"] = [[x for x, y in zip(LABELS["seen"], row) if y] for row in holds]
    logits["seen"] = generator.normal(size=(n, 2)) + 2 * holds - 1
    for values in logits.values():
        values[3] = np.nan
    return table, logits


def columns(values, head, kind="score"):
    return {f"{kind}/{head}/{label}": of for label, of in zip(LABELS[head], values.T)}


def softmax(logits):
    return {
        head: special.expit(values) if head == "seen" else special.softmax(values, axis=1)
        for head, values in logits.items()
    }


@pytest.fixture
def plain(drawn):
    table, logits = drawn
    return scored(table, softmax(logits))


def scored(table, scores):
    parts = [pd.DataFrame(columns(values, head)) for head, values in scores.items()]
    return pd.concat([table, *parts], axis=1)


def figures(table, folder, name="A", many=False, **options):
    """The metrics of an audit of a table, held or counted."""
    path = folder / f"{name}.parquet"
    (pq.write_table if isinstance(table, pa.Table) else pd.DataFrame.to_parquet)(table, path)
    out = folder / f"audit-{name}"
    options = {"replicates": 10, "attributes": ["gender"], "overwrite": True, **options}
    done = audit(predictions=path, names=["model"], output=out, **options)
    assert pd.read_parquet(path).shape[0]
    return done


@pytest.fixture(params=["held", "counted"])
def memory(request, monkeypatch):
    if request.param == "counted":
        monkeypatch.setattr(streaming, "LIMIT", 20)
        monkeypatch.setattr(streaming, "BATCH", 37)
    return request.param


def assert_same(first, other):
    pd.testing.assert_frame_equal(first.metrics, other.metrics, check_exact=True)
    assert len(first.metrics) > 50


def test_logits_are_made_probabilities(drawn, plain, tmp_path, memory):
    table, logits = drawn
    written = scored(table, logits)
    same = figures(plain, tmp_path, "plain"), figures(written, tmp_path, "logits", logits=True)
    assert_same(*same)
    about = json.loads((tmp_path / "audit-logits" / "audit.json").read_text())
    assert about["settings"]["runs"][0]["scores"] == "logits"


def test_logits_of_any_size_do_not_overflow(drawn, tmp_path):
    table, _ = drawn
    table = table[["id", "gender"]]
    huge = np.tile([[1e308, -1e308], [-1e308, -1e308]], (80, 1))
    huge[0] = 1e308
    for values, name in ((huge, "A"), (huge.clip(-3e38, 3e38).astype(np.float32), "B")):
        written = pd.concat([table, pd.DataFrame(columns(values, "gender"))], axis=1)
        written.to_parquet(tmp_path / f"{name}.parquet")
        (model,), *_ = read_predictions(
            [tmp_path / f"{name}.parquet"], ["A"], split="test", layout=Layout(logits=True)
        )
        assert model.probabilities("score", "gender")[:3].tolist() == [[0.5, 0.5]] * 2 + [[1, 0]]


def test_probabilities_are_no_logits(plain, tmp_path, memory):
    with pytest.raises(InputError, match="are probabilities, not logits"):
        figures(plain, tmp_path, logits=True)


def test_scores_of_one_of_two_labels(plain, tmp_path, memory):
    one = plain.drop(columns="score/gender/female")
    whole = plain.assign(**{"score/gender/female": 1 - plain["score/gender/male"]})
    done = figures(one, tmp_path, "one")
    assert_same(figures(whole, tmp_path, "plain"), done)
    note = "'score/gender/female' was taken to be 1 − 'score/gender/male'"
    assert any(note in line for line in done.verdict.warnings)


def test_one_logit_of_two_labels(drawn, plain, tmp_path, memory):
    table, logits = drawn
    margin = logits["gender"][:, 1] - logits["gender"][:, 0]
    one = table[["id", "split", "gender"]].assign(**{"score/gender/male": margin})
    whole = one.assign(
        **{
            "score/gender/female": special.expit(-margin),
            "score/gender/male": special.expit(margin),
        }
    )[["id", "split", "gender", "score/gender/female", "score/gender/male"]]
    first = figures(whole, tmp_path, "plain")
    pd.testing.assert_frame_equal(
        first.metrics, figures(one, tmp_path, "one", logits=True).metrics, check_exact=True
    )


@pytest.mark.parametrize("kind", ["predicted", "answer"])
def test_labels_alone_give_what_needs_decisions(plain, tmp_path, memory, kind):
    """The figures of probabilities of 0 and 1, without those that need probabilities."""
    certain, alone = plain.copy(), plain[["id", "split", "gender", "sport", "seen"]].copy()
    for head, labels in LABELS.items():
        names = [f"score/{head}/{label}" for label in labels]
        values = plain[names].to_numpy()
        empty = np.isnan(values[:, 0])
        if head == "seen":
            holds = np.where(empty[:, None], np.nan, values > 0.5)
            cells = [[x for x, y in zip(labels, row) if y] for row in holds]
        else:
            best = np.nan_to_num(values).argmax(axis=1)
            holds = np.where(empty[:, None], np.nan, np.eye(len(labels))[best])
            cells = list(np.array(labels)[best])
        certain[names] = holds
        alone[f"{kind}/{head}"] = pd.Series(cells, dtype=object).mask(empty)
    first, done = figures(certain, tmp_path, "plain"), figures(alone, tmp_path, "alone")
    keys = list(first.metrics.columns[:6])
    there = first.metrics.set_index(keys).index.isin(done.metrics.set_index(keys).index)
    expected = first.metrics[there].reset_index(drop=True)
    pd.testing.assert_frame_equal(done.metrics, expected, check_exact=True)
    assert set(first.metrics["metric"][~there]) <= {
        "calibration_error",
        "calibration_error_gap",
        "calibration_error_max",
        "average_precision",
        "log_loss",
        "roc_auc",
        "roc_auc_gap",
        "abroca",
    }
    if memory == "held":
        assert any("gender: labels alone" in line for line in done.verdict.left_out)
        again = audit(
            predictions=tmp_path / "audit-alone" / "model" / "samples.parquet",
            output=tmp_path / "again",
            replicates=10,
            train=tmp_path / "audit-alone" / "train.parquet",
        )
        pd.testing.assert_frame_equal(again.metrics, done.metrics, check_exact=True)


def test_a_row_per_image_and_label(plain, tmp_path, memory, monkeypatch):
    names = [c for c in plain if c.startswith("score/")]
    long = plain.melt([c for c in plain if c not in names], names, value_name="score")
    long[["head", "label"]] = long["variable"].str.split("/", expand=True)[[1, 2]]
    long = long.drop(columns="variable").sample(frac=1, random_state=0)
    if memory == "counted":  # what is in long form is held
        monkeypatch.setattr(streaming, "LIMIT", 10**6)
    order = plain.set_index("id").loc[long["id"].unique()].reset_index()
    first = figures(order, tmp_path, "plain")
    if memory == "counted":
        monkeypatch.setattr(streaming, "LIMIT", 20)
    done = figures(long, tmp_path, "long")
    assert_same(first, done)
    assert any("a row per picture, head and label" in line for line in done.verdict.warnings)


def test_a_table_in_long_form_beside_one_that_is_counted(plain, tmp_path, monkeypatch):
    names = [c for c in plain if c.startswith("score/")]
    long = plain.melt([c for c in plain if c not in names], names, value_name="score")
    long[["head", "label"]] = long["variable"].str.split("/", expand=True)[[1, 2]]
    plain.to_parquet(tmp_path / "A.parquet")
    long.drop(columns="variable").to_parquet(tmp_path / "B.parquet")
    monkeypatch.setattr(streaming, "LIMIT", 20)
    done = audit(
        predictions=[tmp_path / "A.parquet", tmp_path / "B.parquet"],
        output=tmp_path / "audit",
        replicates=20,
    )
    apart = done.metrics[done.metrics["model"] == "B - A"]["value"].dropna()
    assert (done.folder / "counts.parquet").is_file()
    assert len(apart)
    assert (apart == 0).all()


def test_columns_of_other_names(plain, tmp_path, memory):
    names = {"id": "image_id", "gender": "sex", "score/gender/male": "p_male", "split": "part"}
    first = figures(plain, tmp_path, "plain")
    done = figures(plain.rename(columns=names), tmp_path, "other", columns=names)
    assert_same(first, done)
    both = plain.rename(columns=names).assign(id=range(len(plain)))
    assert_same(first, figures(both, tmp_path, "both", columns=names))


def test_models_whose_columns_differ(plain, tmp_path, memory):
    renamed = [plain.rename(columns={"score/gender/male": name}) for name in ("p", "q")]
    for table, name in zip(renamed, "AB"):
        table.to_parquet(tmp_path / f"{name}.parquet")
    done = audit(
        predictions=[tmp_path / "A.parquet", tmp_path / "B.parquet"],
        columns={"score/gender/male": ["p", "q"]},
        output=tmp_path / "audit",
        replicates=20,
    )
    apart = done.metrics[done.metrics["model"] == "B - A"]["value"].dropna()
    assert len(apart)
    assert (apart == 0).all()


def of_type(plain, kind):
    """The same scores as another type, and as float64."""
    table = pa.Table.from_pandas(plain.assign(**HALVES), preserve_index=False)
    same, written = table, table
    for place, name in enumerate(table.column_names):
        if not name.startswith("score/gender"):
            continue
        values = [None if x != x else x for x in table[name].to_pylist()]
        if kind == "decimal":
            cells = pa.array(
                [None if x is None else Decimal(str(x)) for x in values], pa.decimal128(9, 4)
            )
        elif kind == "dictionary":
            cells = pa.array(values).dictionary_encode()
        elif kind == "float16":
            cells = pa.array([None if x is None else np.float16(x) for x in values], pa.float16())
        elif kind == "text":
            cells = pa.array([None if x is None else str(x) for x in values])
        else:
            values = [None if x is None else round(x) for x in values]
            cells = pa.array(values, pa.int64()).cast(pa.bool_() if kind == "bool" else pa.int8())
        same = same.set_column(place, name, pa.array(values, pa.float64()))
        written = written.set_column(place, name, cells)
    return same, written


HALVES = {"score/gender/male": [0.25, None, 0.75, 1.0] * 40}
HALVES["score/gender/female"] = [0.75, None, 0.25, 0.0] * 40


@pytest.mark.parametrize("kind", ["float16", "decimal", "dictionary", "int8", "bool", "text"])
def test_scores_of_any_type(plain, tmp_path, memory, kind):
    same, written = of_type(plain, kind)
    assert_same(figures(same, tmp_path, "plain"), figures(written, tmp_path, kind))


@pytest.mark.parametrize(
    "kind",
    ["category", "string", "Int64 and boolean"],
)
def test_labels_of_any_type(plain, tmp_path, memory, kind):
    table = plain[["id", "split", "gender"]].assign(
        **{"predicted/gender": plain["gender"].to_numpy()[::-1]}
    )
    heads = ["gender", "predicted/gender"]
    if kind == "Int64 and boolean":
        table[heads] = table[heads].replace({"female": 0, "male": 1})
        table = table.assign(id=range(len(table))).astype(dict.fromkeys(heads, "Int64"))
        texts = table.astype(dict.fromkeys(heads, object))
        texts[heads] = texts[heads].map(lambda x: None if pd.isna(x) else str(x))
        first = figures(texts, tmp_path, "plain")
        done = figures(table, tmp_path, "typed")
    else:
        first = figures(table, tmp_path, "plain")
        done = figures(table.astype(dict.fromkeys(["id", *heads], kind)), tmp_path, "typed")
    pd.testing.assert_frame_equal(first.metrics, done.metrics, check_exact=True)


def test_ids_as_numbers_and_as_text(plain, tmp_path, memory):
    numbered = plain.assign(id=np.arange(len(plain)))
    numbered.to_parquet(tmp_path / "A.parquet")
    shuffled = numbered if memory == "counted" else numbered.sample(frac=1, random_state=0)
    shuffled.astype({"id": str}).to_parquet(tmp_path / "B.parquet")
    shuffled.assign(id=shuffled["id"].map("{:03}".format)).to_parquet(tmp_path / "C.parquet")
    done = audit(
        predictions=[tmp_path / f"{name}.parquet" for name in "ABC"],
        output=tmp_path / "audit",
        replicates=20,
    )
    apart = done.metrics[done.metrics["model"].str.contains(" - ")]["value"].dropna()
    assert len(apart)
    assert (apart == 0).all()
    lines = [line for line in done.verdict.warnings if "as numbers" in line]
    assert lines == ["ids of C.parquet were found by reading them as numbers (01 = 1)"]


def test_ids_that_only_some_share_as_numbers_are_other_ids(plain, tmp_path):
    numbered = plain.assign(id=np.arange(len(plain)))
    numbered.to_parquet(tmp_path / "A.parquet")
    other = numbered.assign(id=numbered["id"].map("{:03}".format))
    other.loc[159, "id"] = "another"
    other.to_parquet(tmp_path / "B.parquet")
    with pytest.raises(InputError, match=r"has no row for id '40' .*it has '040', which is anoth"):
        read_predictions([tmp_path / f"{name}.parquet" for name in "AB"], "AB", split="test")


TABLE = {
    "id": ["a", "b"] * 20,
    "gender": ["f", "m"] * 20,
    "score/gender/f": [0.5, 0.25] * 20,
    "score/gender/m": [0.5, 0.75] * 20,
}
TABLE["id"] = [f"{name}{i}" for i, name in enumerate(TABLE["id"])]
ALONE = {name: TABLE[name] for name in ("id", "gender")}
LONG = {
    "id": np.repeat(TABLE["id"], 2),
    "head": "gender",
    "label": ["f", "m"] * 40,
    "score": [0.5] * 80,
    "gender": np.repeat(TABLE["gender"], 2),
}


def changed(table, column, row, value):
    cells = list(pd.DataFrame(table)[column])
    cells[row] = value
    return {**table, column: cells}


@pytest.mark.parametrize(
    ("table", "options", "words"),
    [
        (changed(TABLE, "score/gender/f", 2, -3.5), {}, "row 3, column 'score/gender/f': -3.5 is"),
        (changed(TABLE, "score/gender/f", 2, -3.5), {}, "(--logits reads logits)"),
        (
            changed(TABLE, "score/gender/f", 2, np.inf),
            {"logits": True},
            "row 3, column 'score/gender/f': inf is not a finite number",
        ),
        (
            changed(TABLE, "score/gender/f", 2, None),
            {"logits": True},
            "row 3, column 'score/gender/f': is empty but others of the row are not",
        ),
        (TABLE, {"columns": {"score/gender/f": "p_f"}}, None),
        (TABLE, {"columns": {"id": "name", "split": "part"}}, "has no column 'part': it has id, g"),
        (TABLE, {"columns": {"age": ["score/gender/f", "gender"]}}, "name one of them --column"),
        (TABLE, {"columns": {"age": "gender", "sex": "gender"}}, "names 'gender' twice"),
        (TABLE, {"columns": {"age": ""}}, "--column needs two names"),
        (ALONE, {}, "has no probabilities: columns are called score/"),
        ({**ALONE, "score/gender": 0.5}, {}, "call it score/gender/<label> after the label"),
        (
            {**ALONE, "predicted/gender": "f", "answer/gender": "f"},
            {},
            "has 'predicted/gender' and 'answer/gender': remove",
        ),
        (
            {**ALONE, "predicted/gender": "F"},
            {},
            "column 'predicted/gender' holds 'F', and column 'gender' 'f', 'm': write them alike",
        ),
        (
            {"id": TABLE["id"], "sex": TABLE["gender"], "predicted/gender": "f"},
            {},
            "has no truth, only what a model says of 'gender'",
        ),
        (
            {**ALONE, "predicted/gender": [["f"], ["m"]] * 20},
            {},
            "column 'predicted/gender' holds",
        ),
        (
            {**ALONE, "gender": ["f", "m", "x", "f"] * 10, "score/gender/f": 0.5},
            {},
            "of 'gender' only 'f' has scores, which is enough where there are two groups or "
            "labels, not 3",
        ),
        (changed(LONG, "score", 3, 1.5), {}, "row 4, column 'score': 1.5 is not a number"),
        (changed(LONG, "score", 3, 0.9), {}, "the probabilities sum to 1.4"),
        (changed(LONG, "score", 3, None), {}, "row 4, column 'score': is empty but others"),
        (changed(LONG, "label", 3, "f"), {}, "row 4, column 'label': its picture, head and label"),
        (changed(LONG, "label", 3, "x"), {}, "row 1, column 'label': the picture of this row has"),
        (changed(LONG, "label", 3, None), {}, "row 4, column 'label': is empty"),
        (changed(LONG, "id", 3, ""), {}, "row 4, column 'id': is empty"),
        (changed(LONG, "gender", 3, "f"), {}, "row 4, column 'gender': is something else than in"),
        (changed(LONG, "gender", 3, "f"), {}, "than in row 3, which is of the same picture"),
        (
            {
                "name": LONG["id"],
                **{k: v for k, v in changed(LONG, "score", 3, 2.5).items() if k != "id"},
            },
            {"columns": {"id": "name", "score": "score"}},
            "row 4, column 'score': 2.5 is not",
        ),
    ],
)
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_what_does_not_fit_is_one_line(tmp_path, table, options, words, suffix):
    path = tmp_path / f"A.{suffix}"
    frame = pd.DataFrame(table)
    if words is None:
        frame = frame.rename(columns={"score/gender/f": "p_f"})
    if suffix == "csv":
        if any(isinstance(cell, list) for cell in frame.iloc[0]):
            pytest.skip("a list in csv is text")
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    call = {"predictions": path, "output": tmp_path / "audit", "replicates": 5, **options}
    if words is None:
        assert audit(**call).report.is_file()
        return
    with pytest.raises(InputError) as error:
        audit(**call)
    assert words.replace("'", "") in str(error.value).replace("'", "")  # cells of csv are text
    assert "\n" not in str(error.value)
    assert not (tmp_path / "audit").exists()


def test_a_label_that_is_only_predicted_is_told(tmp_path):
    table = {**ALONE, "predicted/gender": ["f", "x"] * 20}
    done = figures(pd.DataFrame(table), tmp_path)
    assert any("'x' is predicted, but no picture has it" in line for line in done.verdict.warnings)
    assert done.metrics.query("metric == 'confusion' and label == 'x'")["value"].max() == 1


def test_scores_decide_where_there_are_labels_too(tmp_path):
    done = figures(pd.DataFrame({**TABLE, "predicted/gender": "f"}), tmp_path)
    line = "A.parquet: 'predicted/gender' was not read: the scores of 'gender' decide"
    assert line in done.verdict.warnings
    scores_alone = figures(pd.DataFrame(TABLE), tmp_path, "B").metrics
    pd.testing.assert_frame_equal(done.metrics, scores_alone, check_exact=True)


def test_what_differs_within_an_image_is_left_out(tmp_path):
    done = figures(pd.DataFrame({**LONG, "rank": [1, 2] * 40}), tmp_path)
    assert any("column 'rank' differs between rows" in line for line in done.verdict.warnings)


def test_a_table_in_long_form_has_its_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(layouts, "MOST_ROWS", 79)
    with pytest.raises(InputError, match="80 rows of an image and label each, more than 79"):
        figures(pd.DataFrame(LONG), tmp_path)


def test_truth_of_training_has_other_names_too(plain, tmp_path):
    sexed = plain.rename(columns={"gender": "sex"}).drop(columns="split")
    sexed.to_parquet(tmp_path / "A.parquet")
    sexed[["id", "sex", "sport"]].to_csv(tmp_path / "train.csv", index=False)
    done = audit(
        predictions=tmp_path / "A.parquet",
        train=tmp_path / "train.csv",
        columns={"gender": "sex"},
        attributes=["gender"],
        output=tmp_path / "audit",
        replicates=5,
    )
    assert list(pd.read_parquet(done.folder / "train.parquet")) == [
        "id",
        "split",
        "gender",
        "sport",
    ]


def test_tables_of_audits_hold_probabilities(plain, tmp_path):
    done = figures(plain, tmp_path)
    with pytest.raises(InputError, match="was written by an audit, as probabilities"):
        audit(
            predictions=done.folder / "model" / "samples.parquet",
            output=tmp_path / "again",
            logits=True,
        )


def test_runs_take_none_of_this(tmp_path):
    with pytest.raises(InputError, match="--column and --logits are for tables"):
        audit("run", output=tmp_path / "audit", logits=True)


def test_a_column_that_no_table_has_is_noted(plain, tmp_path, memory):
    table = plain.assign(image_id=plain["id"])
    done = figures(table, tmp_path, columns={"id": ["imageid", "image_id"]})
    (note,) = [line for line in done.verdict.warnings if "--column" in line and "names" in line]
    assert note == ("no table has a column 'imageid', which --column names: did you mean image_id?")
