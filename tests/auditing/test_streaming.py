"""Folders of parquet files, held and counted: the same audit, and errors that say where."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairvision import audit
from fairvision.auditing import cautions, streaming
from fairvision.auditing.counted_score_figures import FIGURES
from fairvision.core.tables import Place
from fairvision.datasets.label_columns import read_labels
from fairvision.errors import InputError
from fairvision.results.figures import COLUMNS
from fairvision.schema import Schema, Task, pack, unpack

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
KEYS = list(COLUMNS[:6])
NEEDS_PICTURES = {
    "chance_level",
    "directional T->A, evidence inside",
    "directional T->A, evidence outside",
    "directional T->A, outside minus inside",
    "evidence_cells",
    "leakage_amplification",
    "model_leakage",
    "perturbed_leakage",
    "pointing_game",
    "pointing_game_gap",
    "pointing_game_lift",
    "pointing_game_lift_gap",
    "predictability A->T",
    "predictability T->A",
    "reasons",
    "relevance_mass",
    "relevance_mass_gap",
    "relevance_mass_lift",
    "relevance_mass_lift_gap",
}


def write_parts(table, folder, sizes):
    """Write a table as parts of some sizes, the rest in a last one."""
    folder.mkdir()
    starts = np.cumsum([0, *sizes])
    for i, (start, stop) in enumerate(zip(starts, [*starts[1:], len(table)])):
        table.iloc[start:stop].to_parquet(folder / f"part-{i:03}.parquet")
    return folder


@pytest.fixture
def small_memory(monkeypatch):
    """Hold hardly any rows, and read few at once."""
    monkeypatch.setattr(streaming, "LIMIT", 20)
    monkeypatch.setattr(streaming, "BATCH", 97)


@pytest.fixture(scope="module")
def drawn(answers):
    def both_splits(seed):
        training = answers(200, seed=9, split="train")
        training["id"] = "t" + training["id"]
        return pd.concat([answers(700, seed=seed), training], ignore_index=True)

    return {name: both_splits(seed) for seed, name in enumerate("AB")}


@pytest.fixture
def files(drawn, tmp_path):
    for name, table in drawn.items():
        table.to_parquet(tmp_path / f"{name}.parquet")
    return [tmp_path / "A.parquet", tmp_path / "B.parquet"]


@pytest.fixture
def folders(drawn, tmp_path):
    sizes = {"A": [300, 7, 0, 250], "B": [1, 800]}
    return [write_parts(drawn[name], tmp_path / name, sizes[name]) for name in "AB"]


def run(sources, output, **options):
    return audit(predictions=sources, output=output, **{"replicates": 50, **options})


def assert_same_figures(counted, held):
    """All that is counted is the same to the last digit, and all else needs scores or images."""
    counted, held = (
        of[~of["metric"].isin(FIGURES)].reset_index(drop=True) for of in (counted, held)
    )
    there = held.set_index(KEYS).index.isin(counted.set_index(KEYS).index)
    assert set(held["metric"][~there]) <= NEEDS_PICTURES
    assert not set(counted["metric"]) & NEEDS_PICTURES
    pd.testing.assert_frame_equal(counted, held[there].reset_index(drop=True), check_exact=True)


def test_a_folder_gives_the_report_of_the_file(files, folders, tmp_path):
    file, folder = (run(s, tmp_path / f"audit-{s[0].name}") for s in (files, folders))
    pd.testing.assert_frame_equal(folder.metrics, file.metrics, check_exact=True)
    assert folder.verdict == file.verdict
    summary = r'(?<=data:text/markdown)[^"]*'  # the name of the table is in it
    pages = [
        re.sub(summary, "", done.report.read_text()).replace(".parquet", "")
        for done in (folder, file)
    ]
    assert pages[0] == pages[1]


def test_counted_tables_give_the_figures_of_held_ones(files, folders, tmp_path, small_memory):
    counted = run(folders, tmp_path / "counted")
    streaming.LIMIT = 10**6
    held = run(files, tmp_path / "held")
    assert_same_figures(counted.metrics, held.metrics)
    assert {"B - A", "A", "B"} == set(counted.metrics["model"])
    found = set(counted.metrics["metric"])
    assert {"directional T->A", "bias_amplification_mals", "hidden_accuracy"} <= found
    assert [line for line in counted.verdict.warnings if "grid" not in line] == [
        line for line in held.verdict.warnings if "no evidence for" not in line
    ]


def test_what_needs_every_image_is_named(folders, tmp_path, small_memory):
    done = run(folders, tmp_path / "audit")
    assert cautions.SCORES_COUNTED in done.verdict.left_out
    assert "average precision" in done.report.read_text()
    assert not any("no masks" in line for line in done.verdict.left_out)


def test_the_folder_holds_the_counts(folders, tmp_path, small_memory):
    done = run(folders, tmp_path / "audit")
    found = {str(p.relative_to(done.folder)) for p in done.folder.rglob("*") if p.is_file()}
    assert found == {
        "report.html",
        "metrics.csv",
        "audit.json",
        "counts.parquet",
        "train_counts.parquet",
    }
    counts = pd.read_parquet(done.folder / "counts.parquet")
    assert counts["n"].sum() == 700
    known = counts["truth/group"].notna() & counts["decided/A/score/group"].notna()
    right = counts["truth/group"] == counts["decided/A/score/group"]
    figure = done.metrics.query(
        "model == 'A' and metric == 'accuracy' and attribute == 'group' and task == '' "
        "and group == ''"
    )
    n = counts["n"]
    assert figure["value"].item() == n[known & right].sum() / n[known].sum()
    assert pd.read_parquet(done.folder / "train_counts.parquet")["n"].sum() == 200
    about = json.loads((done.folder / "audit.json").read_text())
    assert about["settings"]["n"] == 700


@pytest.mark.parametrize("split", ["test", "train"])
def test_the_split_is_that_of_held_tables(files, folders, tmp_path, small_memory, split):
    counted = run(folders, tmp_path / "counted", split=split)
    streaming.LIMIT = 10**6
    assert_same_figures(counted.metrics, run(files, tmp_path / "held", split=split).metrics)


def test_without_a_split_all_rows_are_audited(drawn, tmp_path, small_memory):
    table = drawn["A"].drop(columns="split")
    done = run([write_parts(table, tmp_path / "A", [400])], tmp_path / "audit")
    assert json.loads((done.folder / "audit.json").read_text())["settings"]["n"] == 900


def test_a_split_that_is_not_there(folders, tmp_path, small_memory):
    with pytest.raises(InputError, match="A has no rows of split 'val': it has test, train"):
        run(folders, tmp_path / "audit", split="val")


@pytest.mark.parametrize("large", ["models", "training", "both"])
def test_the_training_table_is_counted_too(drawn, tmp_path, monkeypatch, large):
    rows = drawn["A"]["split"] == "train"
    tested = write_parts(drawn["A"][~rows], tmp_path / "A", [400])
    trained = write_parts(drawn["A"][rows].drop(columns="split"), tmp_path / "train", [50, 60])
    held = run([tested], tmp_path / "held", train=trained)
    monkeypatch.setattr(streaming, "LIMIT", {"models": 300, "training": 100, "both": 20}[large])
    if large == "training":  # smaller than the audited one, so that alone is counted
        tested = write_parts(drawn["A"][~rows].head(90), tmp_path / "A90", [40])
        monkeypatch.setattr(streaming, "LIMIT", 10**6)
        held = run([tested], tmp_path / "held90", train=trained)
        monkeypatch.setattr(streaming, "LIMIT", 100)
    counted = run([tested], tmp_path / "counted", train=trained)
    names = {path.name for path in counted.folder.iterdir()}
    assert ("train_counts.parquet" in names) == (large != "models")
    assert ("counts.parquet" in names) == (large != "training")
    if large == "training":
        pd.testing.assert_frame_equal(counted.metrics, held.metrics, check_exact=True)
    else:
        assert_same_figures(counted.metrics, held.metrics)


def test_dictionaries_numbers_and_empty_parts_are_read_alike(tmp_path, small_memory):
    """Codes as numbers, missing in one part; categories that differ; a part that knows nothing."""
    n = 120
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"id": range(n), "age": generator.integers(2, size=n)})
    table["sport"] = pd.Categorical(generator.choice(["ski", "surf"], n), ["none", "surf", "ski"])
    for head, labels in (("age", "01"), ("sport", ("ski", "surf"))):
        scores = generator.dirichlet(np.ones(2), n).astype(np.float32)
        table[[f"score/{head}/{label}" for label in labels]] = scores
    folder = tmp_path / "A"
    folder.mkdir()
    table.iloc[:40].to_parquet(folder / "a.parquet")
    missing = table.iloc[40:80].assign(age=table["age"].iloc[40:80].astype(float))
    missing.loc[50, "age"] = None
    missing.to_parquet(folder / "b.parquet")
    table.iloc[80:].assign(age=None, sport=None).to_parquet(folder / "c.parquet")
    counted = run([folder], tmp_path / "counted")
    streaming.LIMIT = 10**6
    held = run([folder], tmp_path / "held")
    assert_same_figures(counted.metrics, held.metrics)
    accuracy = held.metrics.query("metric == 'accuracy' and attribute == 'age' and group == ''")
    assert accuracy["n"].iloc[0] == 79


def test_labels_that_appear_late_are_found(tmp_path, small_memory):
    """Nothing but the rows says what the groups are, and whether cells hold several labels."""
    n = 300
    table = pd.DataFrame({"id": np.arange(n), "hair": "red", "objects": "kite"})
    table.loc[n - 5 :, "hair"] = ["black", "grey", "red", "black", "grey"]
    table.loc[n - 2 :, "objects"] = ["kite;tie", "tie"]
    table["score/objects/kite"], table["score/objects/tie"] = 0.8, 0.4
    folder = write_parts(table, tmp_path / "A", [100, 150])
    counted = run([folder], tmp_path / "counted", attributes=["hair"])
    streaming.LIMIT = 10**6
    held = run([folder], tmp_path / "held", attributes=["hair"])
    assert_same_figures(counted.metrics, held.metrics)
    assert {"black", "grey", "red"} <= set(counted.metrics["group"])


def changed(table, row, column, value):
    cells = list(table[column])
    cells[row] = value
    return table.assign(**{column: pd.Series(cells, dtype=object)})


@pytest.mark.parametrize(
    ("row", "column", "value", "words"),
    [
        (450, "id", "other", "part-001.parquet row 51, column 'id': 'other', but "),
        (450, "id", None, "part-001.parquet row 51, column 'id': is empty"),
        (450, "id", "", "part-001.parquet row 51, column 'id': is empty"),
        (3, "group", "x", "part-000.parquet row 4, column 'group': 'x' is not one of a, b, c"),
        (3, "objects", ["cat"], "part-000.parquet row 4, column 'objects': 'cat' is not one of"),
        (899, "score/group/a", 7.0, "part-002.parquet row 99, column 'score/group/a': 7.0 is not"),
        (899, "score/group/a", None, "row 99, column 'score/group/a': is empty but others"),
        (401, "score/group/a", 0.999, "row 2, column 'score/group/…': the probabilities sum to"),
    ],
)
def test_bad_cells_are_named_by_file_and_row(
    drawn, tmp_path, small_memory, row, column, value, words
):
    first = write_parts(drawn["A"], tmp_path / "A", [600])
    bad = drawn["B"].copy()
    if column == "score/group/a" and value == 0.999:
        bad["score/group/b"] = bad["score/group/b"].clip(lower=0.1)
        bad[["score/group/a", "score/group/c"]] = (1 - bad["score/group/b"]).to_numpy()[:, None] * [
            0.5,
            0.5,
        ]
    second = write_parts(changed(bad, row, column, value), tmp_path / "B", [400, 400 + 1])
    with pytest.raises(InputError, match=re.escape(words)) as error:
        run([first, second], tmp_path / "audit")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "audit").exists()


def test_another_truth_is_named(drawn, tmp_path, small_memory):
    group = drawn["B"]["group"][650]
    other = "b" if group == "a" else "a"
    folders = [
        write_parts(drawn["A"], tmp_path / "A", []),
        write_parts(changed(drawn["B"], 650, "group", other), tmp_path / "B", [600]),
    ]
    with pytest.raises(InputError, match=f"row 51, column 'group': '{other}' but .*/A says"):
        run(folders, tmp_path / "audit")


@pytest.mark.parametrize("shorter", [0, 1])
def test_tables_of_different_lengths_are_refused(drawn, tmp_path, small_memory, shorter):
    tables = [drawn["A"], drawn["B"]]
    tables[shorter] = tables[shorter].drop(index=699)
    folders = [write_parts(t, tmp_path / n, [500]) for n, t in zip("AB", tables)]
    with pytest.raises(InputError, match=r"row 200, column 'id': 'p699', but .* no more rows"):
        run(folders, tmp_path / "audit")


def test_ids_of_any_type_are_compared(drawn, tmp_path, small_memory):
    numbered = drawn["A"].assign(id=np.arange(900))
    kinds = {"A": numbered, "B": numbered.astype({"id": str}), "C": numbered.astype({"id": "int8"})}
    folders = {n: write_parts(t, tmp_path / n, [500]) for n, t in list(kinds.items())[:2]}
    assert len(run(list(folders.values()), tmp_path / "audit").metrics)
    shuffled = numbered.assign(id=np.arange(900)[::-1].astype("int32"))
    folder = write_parts(shuffled, tmp_path / "C", [500])
    with pytest.raises(InputError, match=r"C/part-000.parquet row 1, column 'id': 899, but "):
        run([folders["A"], folder], tmp_path / "audit2")


def test_what_cannot_be_a_folder_of_tables(drawn, tmp_path):
    good = drawn["A"].head(50)

    def refuses(words, name):
        with pytest.raises(InputError, match=words) as error:
            run([tmp_path / name], tmp_path / "audit")
        assert "\n" not in str(error.value)

    (tmp_path / "empty").mkdir()
    refuses("empty is an empty folder", "empty")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "notes.txt").write_text("?")
    refuses("texts has no parquet files: it has notes.txt", "texts")
    broken = write_parts(good, tmp_path / "broken", [20, 20])
    (broken / "part-001.parquet").write_bytes(b"PAR1 no more")
    refuses("part-001.parquet cannot be read", "broken")
    lacking = write_parts(good, tmp_path / "lacking", [20])
    good.drop(columns="sport").to_parquet(lacking / "part-001.parquet")
    refuses("part-001.parquet has no column 'sport', but .*part-000.parquet has", "lacking")
    more = write_parts(good, tmp_path / "more", [20])
    good.assign(extra=1).to_parquet(more / "part-001.parquet")
    refuses("part-000.parquet has no column 'extra', but .*part-001.parquet has", "more")
    other = write_parts(good, tmp_path / "other", [20])
    good.assign(sport=1).to_parquet(other / "part-001.parquet")
    refuses("part-001.parquet, column 'sport' holds int64, but .*string in", "other")
    write_parts(good.head(0), tmp_path / "no-rows", [])
    refuses("no-rows has no rows", "no-rows")
    refuses("nowhere does not exist", "nowhere")
    assert not (tmp_path / "audit").exists()


def test_files_that_are_no_parts_are_passed_over(drawn, tmp_path):
    folder = write_parts(drawn["A"], tmp_path / "A", [500])
    (folder / "_SUCCESS").write_text("")
    (folder / ".part-000.parquet.crc").write_text("")
    (folder / "_metadata.parquet").write_text("")
    (folder / "more").mkdir()
    assert len(run([folder], tmp_path / "audit", replicates=2).metrics)


def test_a_part_that_breaks_off_is_named_while_it_is_read(drawn, tmp_path, small_memory):
    folder = write_parts(drawn["A"], tmp_path / "A", [600])
    part = folder / "part-001.parquet"
    content = bytearray(part.read_bytes())
    content[200:2000] = b"\0" * 1800
    part.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"part-001.parquet cannot be read"):
        run([folder], tmp_path / "audit")


def test_csv_is_not_counted(drawn, tmp_path, small_memory):
    folder = write_parts(drawn["A"], tmp_path / "A", [600])
    drawn["B"].head(9).to_csv(tmp_path / "B.csv", index=False)
    with pytest.raises(InputError, match=r"B.csv: a table of more than 20 rows.* must be parquet"):
        run([folder, tmp_path / "B.csv"], tmp_path / "audit")


def test_too_many_combinations_are_refused(folders, tmp_path, small_memory, monkeypatch):
    monkeypatch.setattr(streaming, "COMBINATIONS", 100)
    with pytest.raises(InputError, match=r"more than 100 different combinations .* leave out"):
        run(folders, tmp_path / "audit")


def test_a_column_with_a_value_per_row_is_no_attribute(drawn, tmp_path, small_memory, monkeypatch):
    monkeypatch.setattr(streaming, "VALUES", 50)
    table = drawn["A"].assign(path=drawn["A"]["id"])
    folder = write_parts(table, tmp_path / "A", [600])
    assert len(run([folder], tmp_path / "audit", replicates=2).metrics)
    with pytest.raises(InputError, match="column 'path' has too many different values"):
        run([folder], tmp_path / "other", attributes=["path"])


def test_the_command_takes_folders(folders, tmp_path, run_cli):
    output = tmp_path / "audit"
    good = run_cli("audit", "--predictions", *folders, "-o", output, "--replicates", 2)
    assert good.code == 0, good.err
    assert (output / "report.html").is_file()
    (tmp_path / "empty").mkdir()
    bad = run_cli("audit", "--predictions", tmp_path / "empty", "-o", tmp_path / "other")
    assert (bad.code, bad.err.count("\n")) == (2, 1)
    assert "empty is an empty folder" in bad.err


def test_tables_are_audited_without_torch(folders, tmp_path):
    program = (
        "import sys, fairvision\n"
        "fairvision.audit(predictions=sys.argv[1:3], output=sys.argv[3], replicates=2)\n"
        "sys.exit('torch' in sys.modules)"
    )
    given = [sys.executable, "-W", "ignore", "-c", program, *folders, tmp_path / "audit"]
    assert subprocess.run(given, check=False).returncode == 0


@settings(max_examples=60)
@given(
    labels=st.integers(1, 130),
    rows=st.lists(st.tuples(st.booleans(), st.sets(st.integers(0, 129))), min_size=1, max_size=20),
)
def test_labels_are_packed_and_unpacked(labels, rows):
    holds = np.zeros((len(rows), labels), np.int8)
    for row, (known, some) in zip(holds, rows):
        row[[label for label in some if label < labels]] = 1
        if not known:
            row[:] = -1
    np.testing.assert_array_equal(unpack(pack(holds), labels), holds)


@settings(max_examples=60)
@given(st.lists(st.none() | st.sampled_from(["a", "b", "unknown", ""]), min_size=1))
def test_truth_is_read_from_any_kind_of_text_column(values):
    expected = [["a", "b"].index(v) if v in ("a", "b") else -1 for v in values]
    plain = pa.array(values, pa.string())
    for column in (
        plain,
        plain.cast(pa.large_string()),
        plain.dictionary_encode(),
        pa.chunked_array([plain.slice(0, 1), plain.slice(1)]),
    ):
        codes = read_labels(Schema({"head": ("a", "b")}), "head", column, None).codes
        assert codes.tolist() == expected


def test_lists_and_separated_text_say_the_same():
    def place_of(row, column):
        return Place("t.parquet", column, row + 1)

    schema = Schema({}, {"head": Task(("a", "b"), many=True)})
    lists = pa.array([["a", "b"], [], None, ["b"]])
    for column in (lists, lists.cast(pa.large_list(pa.string())), lists.slice(0)):
        holds = read_labels(schema, "head", column, place_of).codes
        assert holds.tolist() == [[1, 1], [0, 0], [-1, -1], [0, 1]]
    texts = pa.array(["a;b", ";", None, "b"])
    holds = read_labels(schema, "head", texts, place_of).codes
    assert holds.tolist() == [[1, 1], [0, 0], [-1, -1], [0, 1]]
    with pytest.raises(InputError, match="row 3, column 'head': None is not one of a, b"):
        read_labels(schema, "head", pa.array([["a"], [], [None]]), place_of)


def test_row_groups_of_any_size(drawn, tmp_path, small_memory):
    (tmp_path / "A").mkdir()
    pq.write_table(
        pa.Table.from_pandas(drawn["A"]), tmp_path / "A" / "all.parquet", row_group_size=13
    )
    counted = run([tmp_path / "A"], tmp_path / "counted")
    streaming.LIMIT = 10**6
    assert_same_figures(counted.metrics, run([tmp_path / "A"], tmp_path / "held").metrics)
