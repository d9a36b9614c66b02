"""What columns mean is never guessed silently: truth, answers, scores, groups and ids."""

from __future__ import annotations

import json
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import fairvision
from fairvision import audit, datasets
from fairvision.auditing import streaming
from fairvision.errors import FairvisionWarning, InputError

N = 60
RNG = np.random.default_rng(3)
SURE = RNG.uniform(0.02, 0.98, (N, 2)).round(4)
GENDER = np.array(["female", "male"])[RNG.integers(2, size=N)]
SPORT = np.array(["ski", "surf"])[RNG.integers(2, size=N)]


def table(**columns):
    return pd.DataFrame(
        {
            "id": [f"p{i}" for i in range(N)],
            "gender": GENDER,
            "sport": SPORT,
            "score/gender/female": SURE[:, 0],
            "score/gender/male": 1 - SURE[:, 0],
            "score/sport/ski": SURE[:, 1],
            "score/sport/surf": 1 - SURE[:, 1],
            **columns,
        }
    )


@pytest.fixture(params=["csv", "parquet", "counted"])
def check(request, tmp_path, monkeypatch):
    """Return a function that audits tables, as csv, held and counted, and what it warns of."""
    if request.param == "counted":
        monkeypatch.setattr(streaming, "LIMIT", 5)
        monkeypatch.setattr(streaming, "BATCH", 17)

    def run(*tables, **options):
        paths = []
        for i, rows in enumerate(tables):
            paths.append(tmp_path / f"{'AB'[i]}.{'csv' if request.param == 'csv' else 'parquet'}")
            rows.to_csv(paths[-1], index=False) if request.param == "csv" else rows.to_parquet(
                paths[-1]
            )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", FairvisionWarning)
            done = audit(
                predictions=paths,
                output=tmp_path / "audit",
                **{"replicates": 5, "overwrite": True, **options},
            )
        assert all(len(str(w.message).encode()) <= 500 for w in caught)
        return done, [str(w.message) for w in caught]

    return run


@pytest.fixture
def known(tmp_path):
    """A dataset of the images of `table`, with ids of four digits."""
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    rows = pd.DataFrame(
        {"id": [f"{i:04d}" for i in range(N)], "image": "a.png", "split": "test"}
    ).assign(gender=GENDER, sport=SPORT)
    rows.loc[:9, "split"] = "train"
    rows.to_csv(tmp_path / "t.csv", index=False)
    with warnings.catch_warnings(action="ignore"):
        return datasets.from_table(
            tmp_path / "t.csv", tmp_path / "data", attributes=["gender"], tasks=["sport"]
        )


def figure(done, metric, attribute="", task="", group=""):
    keys = {"metric": metric, "attribute": attribute, "task": task, "group": group}
    (row,) = done.metrics[(done.metrics[list(keys)] == list(keys.values())).all(axis=1)].to_dict(
        "records"
    )
    return row["value"], row["n"]


def refuses(words):
    return pytest.raises(InputError, match=re.escape(words))


def test_a_column_of_groups_needs_no_scores(check):
    rows = table().drop(columns=[f"score/gender/{g}" for g in ("female", "male")])
    done, said = check(rows)
    assert "column 'gender' was taken for the attribute, not 'sport' (see --attribute)" in said
    right = (SURE[:, 1] >= 0.5) == (SPORT == "ski")
    for group in ("female", "male"):
        value, n = figure(done, "accuracy", "gender", "sport", group)
        assert (value, n) == (right[group == GENDER].mean(), (group == GENDER).sum())
    assert {"demographic_parity_difference", "accuracy_gap", "coverage_gap"} <= set(
        done.metrics["metric"]
    )


@pytest.mark.parametrize(
    "columns",
    [
        ["id", "sport", "gender", "score/sport/ski", "score/sport/surf"],
        ["id", "gender", "age", "sport", "score/sport/ski", "score/sport/surf"],
        ["id", "age", *list(table())[1:]],
    ],
)
def test_where_several_columns_may_be_groups_one_has_to_be_named(check, columns):
    rows = table(age=["old", "young"] * (N // 2))[columns]
    with refuses("say by --attribute which column holds the groups: '"):
        check(rows)
    done, _ = check(rows, attributes=["gender"])
    assert set(done.metrics["attribute"]) == {"", "gender"}


def test_columns_that_tell_images_apart_are_no_groups(check):
    rows = table(file=[f"{i}.png" for i in range(N)], year=2020)
    _, said = check(rows[["id", "file", "year", *list(table())[1:]]])
    assert "column 'gender' was taken for the attribute (see --attribute)" in said
    assert "columns 'file', 'year' have no scores and were not used (see --attribute)" in said


def test_answers_alone_are_no_truth(check):
    rows = table().drop(columns=["gender", "sport"]).assign(**{"answer/gender": "male"})
    with refuses("has no truth, only what a model says of 'gender', 'sport': add columns"):
        check(rows)


def test_truth_comes_from_the_dataset_by_id(check, known):
    scores = table().drop(columns=["gender", "sport"])
    for ids in ([f"{i:04d}" for i in range(N)], list(range(N)), [f"{i}.0" for i in range(N)]):
        done, said = check(scores.assign(id=ids), data=known.root)
        right = (SURE[:, 0] >= 0.5) == (GENDER == "female")
        assert figure(done, "accuracy", "gender") == (right.mean(), N)
        assert any("10 of them are of the training split" in line for line in said)
        assert any("numbers (01 = 1)" in line for line in said) == (ids[0] != "0000")
    files = known.samples["image"].str.extract(r"([^/]+)[.]png$")[0]
    done, said = check(scores.assign(id=files.to_numpy()), data=known.root)
    assert figure(done, "accuracy", "gender") == (right.mean(), N)
    assert any("by the names of the picture files" in line for line in said)


def test_groups_come_from_the_dataset_even_where_the_table_has_none(check, known):
    rows = table(id=[f"{i:04d}" for i in range(N)])[["id", "sport", *list(table())[5:]]]
    done, _ = check(rows, data=known.root)
    assert figure(done, "accuracy", "gender", "sport", "female")[1] == (GENDER == "female").sum()


def test_truth_that_differs_from_the_dataset_is_refused(check, known):
    wrong = np.where(np.arange(N) == 41, np.where(GENDER == "male", "female", "male"), GENDER)
    rows = table(id=[f"{i:04d}" for i in range(N)], gender=wrong)
    with refuses(f"row 42, column 'gender': '{wrong[41]}', but {known.root} says '{GENDER[41]}'"):
        check(rows, data=known.root)


def test_an_id_that_the_dataset_lacks_is_named(check, known):
    rows = table(id=[f"{i:04d}" for i in range(N - 1)] + ["x"]).drop(columns=["gender", "sport"])
    with refuses("'x' is not in"):
        check(rows, data=known.root)


def test_truth_that_equals_every_answer_is_said_with_both_readings(check):
    answers = np.where(SURE[:, 0] >= 0.5, "female", "male")
    _, said = check(table(gender=answers))
    (line,) = [line for line in said if "the same in every picture" in line]
    assert "'gender' (60)" in line
    assert "'sport'" not in line
    _, said = check(table())
    assert not [line for line in said if "the same in every picture" in line]


def test_ids_of_two_tables_may_be_text_here_and_numbers_there(check):
    text = table(id=[f"{i:03d}" for i in range(N)])
    done, _ = check(text, table(id=range(N)))
    assert (done.metrics["model"] == "B - A").any()
    with pytest.raises(InputError, match="id"):
        check(text, table(id=range(1, N + 1)))


@pytest.mark.parametrize("codes", [("0", "1"), (0, 1), (-1, 1), (True, False), (1.0, 0.0)])
def test_codes_are_named_and_keep_their_classes(check, codes):
    names = [str(int(c)) if isinstance(c, float) else str(c) for c in codes]
    rows = table(smile=[codes[i % 2] for i in range(N)]).drop(
        columns=[c for c in table() if "sport" in c]
    )
    rows = rows.assign(**{f"score/smile/{names[0]}": SURE[:, 1]})
    rows = rows.assign(**{f"score/smile/{names[1]}": 1 - SURE[:, 1]})
    done, said = check(rows, attributes=["gender"])
    assert any("'smile' holds codes" in line for line in said)
    assert figure(done, "accuracy", "", "smile")[1] == N


def test_truth_spelled_otherwise_than_scores_is_one_line_with_both(check):
    rows = table().rename(columns={"score/gender/female": "score/gender/Female"})
    with refuses("'female' is not one of Female, male (write 'female' and 'Female' alike)"):
        check(rows)
    with refuses("'nan' is not one of female, male (leave the cell empty if it means unknown)"):
        check(table(gender=["nan", *GENDER[1:]]))


def test_lists_written_as_text_are_sets_of_labels(check):
    held = np.arange(N) % 3
    texts = np.array(["['ski', 'surf']", "['ski']", "[]"])[held]
    done, _ = check(table(sport=texts))
    ski, surf = SURE[:, 1] > 0.5, 1 - SURE[:, 1] > 0.5
    expected = ((ski == (held < 2)) / 2 + (surf == (held == 0)) / 2).mean()
    assert figure(done, "accuracy", "", "sport")[0] == pytest.approx(expected)


@pytest.mark.parametrize("digits", [2, 3, "bfloat16"])
def test_rounded_probabilities_are_divided_by_their_sum(check, digits):
    torch = pytest.importorskip("torch")
    exact = np.random.default_rng(0).dirichlet(np.ones(7), N)
    if digits == "bfloat16":
        given = torch.tensor(exact).bfloat16().float().numpy().astype(float)
    else:
        given = exact.round(digits)
    rows = table()[["id", "gender"]].assign(race=[*"abcdefg" * 9][:N])
    rows[[f"score/race/{r}" for r in "abcdefg"]] = given
    done, said = check(rows, attributes=["gender"])
    right = given.argmax(axis=1) == np.arange(N) % 7
    assert figure(done, "accuracy", "", "race") == (right.mean(), N)
    off = np.abs(given.sum(axis=1) - 1) > 1e-3
    assert any("are rounded" in line for line in said) == off.any()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([[0.31, 0.71, 0.09]], "sum to 1.11, not to 1 (where several labels"),
        ([[0.31, 0.66, 0.09]], "sum to 1.06, not to 1, and rounding does not explain it"),
        ([[1, 1, 0]], "sum to 2, not to 1"),
        ([[-0.1, 0.6, 0.5]], "-0.1"),
        ([[np.inf, 0, 0]], "inf"),
        ([[55, 30, 15]], "is not a number from 0 to 1"),
    ],
)
def test_sums_that_rounding_does_not_explain(check, values, says):
    rows = table()[["id", "gender"]].assign(race=[*"abc" * 20])
    scores = np.tile([[0.25, 0.5, 0.25]], (N, 1))
    scores[7] = values[0]
    rows[[f"score/race/{r}" for r in "abc"]] = scores
    with refuses(says):
        check(rows, attributes=["gender"])


def test_missing_answers_are_a_figure_and_a_warning(check):
    rows = table()
    none = (GENDER == "female") & (np.arange(N) % 2 == 0)
    rows.loc[none, [c for c in rows if c.startswith("score/")]] = np.nan
    female = GENDER == "female"
    right = (SURE[:, 0] >= 0.5) == female
    done, said = check(rows)
    k, n, q = none.sum(), female.sum(), (~female).sum()
    counts = f"female {k} of {n}, male 0 of {q}"
    line = f"A: no prediction of gender for {k} of {N} pictures (gender: {counts})"
    assert any(text.startswith(line) for text in said)
    assert figure(done, "coverage", "gender", "", "female") == pytest.approx((1 - k / n, n))
    assert figure(done, "coverage", "gender", "sport", "male") == (1, q)
    assert figure(done, "coverage_gap", "gender", "sport")[0] == pytest.approx(k / n)
    assert figure(done, "coverage", "", "sport") == pytest.approx((1 - k / N, N))
    assert figure(done, "accuracy", "gender") == pytest.approx((right[~none].mean(), N - k))
    assert (
        json.loads((done.folder / "audit.json").read_text())["settings"]["missing"] == "leave-out"
    )
    done, said = check(rows, missing="wrong")
    assert figure(done, "accuracy", "gender") == pytest.approx(((right & ~none).mean(), N))
    assert figure(done, "accuracy", "gender", "", "female")[1] == n
    assert any("they count as wrong" in text for text in said)
    with refuses("missing 'x' is not one of leave-out, wrong"):
        check(rows, missing="x")


def test_predictions_of_a_run_are_audited_with_the_truth_of_the_data(make_run, tmp_path):
    data = datasets.scenes(tmp_path / "scenes", count=40, bias=0.8, size=16)
    groups = {name: list(groups) for name, groups in data.attributes.items()}
    run = make_run(attributes=groups)
    table = fairvision.predict(run, data.root / "images")
    assert list(table)[:3] == ["id", "image", "answer/shirt"]
    table.to_csv(tmp_path / "p.csv", index=False)
    with refuses("has no truth"):
        audit(predictions=tmp_path / "p.csv", output=tmp_path / "a")
    with warnings.catch_warnings(action="ignore"):
        done = audit(
            predictions=tmp_path / "p.csv", output=tmp_path / "a", data=data.root, replicates=5
        )
    truth = data.samples.set_index("id")["shirt"]
    right = (table["answer/shirt"].to_numpy() == truth[table["id"]].to_numpy()).mean()
    assert figure(done, "accuracy", "shirt") == (right, 40)


@pytest.mark.parametrize("limit", [5, 10**6])
def test_columns_of_earlier_predictions_are_read_with_a_warning(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(streaming, "LIMIT", limit)
    new = table(**{"confidence/gender": [0.9] * N, "distance_percentile": [0.5] * N})
    old = {"confidence/gender": "sure/gender", "distance_percentile": "farther_than"}
    renamed = "sure/gender is called confidence/gender now, farther_than is called distance_perc"
    metrics = []
    for name, rows in (("new", new), ("old", new.rename(columns=old))):
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
        with warnings.catch_warnings(record=True, action="always") as caught:
            done = audit(predictions=tmp_path / f"{name}.csv", output=tmp_path / name, names=["A"])
        assert any(renamed in str(warning.message) for warning in caught) == (name == "old")
        metrics.append(done.metrics)
    pd.testing.assert_frame_equal(*metrics)


@pytest.mark.parametrize("column", ["id", "gender", "score/gender/male", "split"])
@pytest.mark.parametrize(
    "cell",
    [["a"], {"a": 1}, b"a", pd.Timestamp(0), pd.Timedelta(1), {"bytes": b"a", "path": "b"}],
    ids=["list", "dict", "bytes", "time", "duration", "picture"],
)
@pytest.mark.parametrize("limit", [5, 10**6])
def test_columns_of_other_types_are_named(tmp_path, monkeypatch, column, cell, limit):
    monkeypatch.setattr(streaming, "LIMIT", limit)
    table(**{column: [cell] * N}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match=f"t.parquet.*column '{column}'"):
        audit(predictions=tmp_path / "t.parquet", output=tmp_path / "a", attributes=["gender"])


@pytest.mark.parametrize("limit", [5, 10**6])
def test_text_that_is_no_utf8_is_one_line(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(streaming, "LIMIT", limit)
    table().to_parquet(tmp_path / "t.parquet", compression=None)
    raw = (tmp_path / "t.parquet").read_bytes().replace(b"female", b"f\xffmale")
    (tmp_path / "t.parquet").write_bytes(raw)
    with pytest.raises(InputError, match=r"t\.parquet"):
        audit(predictions=tmp_path / "t.parquet", output=tmp_path / "a", attributes=["gender"])


@pytest.mark.parametrize("name", ["Female", "0"])
def test_scores_of_other_names_than_the_groups_are_refused(check, known, name):
    ids = [f"{i:04d}" for i in range(N)]
    rows = table(id=ids).rename(columns={"score/gender/female": f"score/gender/{name}"})
    rows = rows.rename(columns={"score/gender/male": "score/gender/1"})
    with refuses(f"column 'score/gender/{name}' scores '{name}', which is none of the names"):
        check(rows, data=known.root)
    with refuses("column 'score/sport/tree' scores 'tree', which is none of the names"):
        check(table(id=ids, **{"score/sport/tree": 0.0}), data=known.root)


def test_what_a_dataset_does_not_have_is_named(check, known):
    rows = table(id=[f"{i:04d}" for i in range(N)], race=["a", "b"] * (N // 2))
    _, said = check(rows, data=known.root)
    assert any("'race' is no attribute or task of the dataset and was not used" in s for s in said)


def test_empty_truth_is_taken_from_the_dataset(check, known):
    ids = [f"{i:04d}" for i in range(N)]
    whole, _ = check(table(id=ids), data=known.root)
    half = table(id=ids, gender=[g if i % 2 else None for i, g in enumerate(GENDER)])
    done, said = check(half, data=known.root)
    assert any(f"'gender' is empty for {N // 2} pictures" in line for line in said)
    for group in ("", "female", "male"):
        assert figure(done, "accuracy", "gender", group=group) == figure(
            whole, "accuracy", "gender", group=group
        )


def test_images_that_only_the_table_or_only_the_dataset_has_are_counted(check, known):
    ids = np.array([f"{i:04d}" for i in range(N)])
    audited = np.arange(N) >= 10
    women = np.flatnonzero(audited & (GENDER == "female"))[::2]
    _, said = check(table(id=ids).drop(index=women), data=known.root)
    women_of, men_of = ((audited & (g == GENDER)).sum() for g in ("female", "male"))
    line = f"(gender: female {len(women)} of {women_of}, male 0 of {men_of}): they are in no figure"
    assert any(text.endswith(line) for text in said)
    _, said = check(
        table(id=np.where(GENDER == "male", np.char.add("x", ids), ids)), data=known.root
    )
    assert any(f"{(GENDER == 'male').sum()} ids are not in " in line for line in said)


def test_ids_may_be_paths_unless_two_are_one_image(check, known):
    rows = table().drop(columns=["gender", "sport"])
    done, said = check(rows.assign(id=[f"test/{i:04d}.png" for i in range(N)]), data=known.root)
    assert figure(done, "accuracy", "gender")[1] == N
    assert any("by leaving out folders and suffixes of files" in line for line in said)
    with refuses("'a/0000.png' is not in "):
        check(
            rows.assign(id=[f"{'ab'[i % 2]}/{i // 2:04d}.png" for i in range(N)]), data=known.root
        )
    with refuses("row 4, column 'id': is empty"):
        check(rows.assign(id=[None if i == 3 else f"{i:04d}" for i in range(N)]), data=known.root)


def test_a_model_without_any_answer_has_coverage_0(check):
    blank = dict.fromkeys([name for name in table() if name.startswith("score/")], np.nan)
    done, said = check(table(), table(**blank))
    rows = done.metrics[(done.metrics["model"] == "B") & (done.metrics["group"] == "")]
    values = dict(zip(zip(rows["metric"], rows["task"]), rows["value"]))
    assert values["coverage", ""] == values["coverage", "sport"] == 0
    assert np.isnan(values["accuracy", "sport"])
    assert any(line.startswith(f"B: no prediction of sport for {N} of {N} pict") for line in said)
    done, _ = check(table(**blank), missing="wrong")
    assert figure(done, "accuracy", "", "sport") == (0, N)


def test_a_task_without_any_answer_has_coverage_0(check):
    done, _ = check(table(**{"score/sport/ski": np.nan, "score/sport/surf": np.nan}))
    assert figure(done, "coverage", "", "sport") == (0, N)
    assert figure(done, "coverage", "gender") == (1, N)


def test_equally_probable_answers_are_counted(tmp_path):
    rows = table()
    rows.loc[:4, ["score/sport/ski", "score/sport/surf"]] = 0.5
    rows.to_csv(tmp_path / "A.csv", index=False)
    with pytest.warns(FairvisionWarning) as caught:
        audit(predictions=[tmp_path / "A.csv"], output=tmp_path / "audit", replicates=2)
    line = f"A: for 5 of {N} pictures several answers of sport are equally probable: the first of "
    assert f"{line}ski, surf counts" in [str(w.message) for w in caught]


def test_a_doubt_about_a_column_is_told_once_and_fits(check):
    columns = {"gender": np.where(GENDER == "male", 1, -1)}
    rows = table(**columns).drop(columns=[f"score/gender/{g}" for g in ("female", "male")])
    _, said = check(rows)
    assert sum("codes (-1/1)" in line for line in said) == 1
    assert not any("counts as a name" in line or "positive=" in line for line in said)
    rows["gender"] = ["Male" if g == "male" and i % 2 else g for i, g in enumerate(GENDER)]
    _, said = check(rows)
    assert sum("'Male' and 'male' count as different" in line for line in said) == 1


@pytest.mark.parametrize(
    ("cell", "remedy"),
    [
        ("28.8%", "percent are divided by 100"),
        ("0,288", "write a point, not a comma"),
        ("N/A", "leave it empty where there is no answer"),
        ("inf", "leave it empty where there is no answer"),
    ],
)
def test_a_score_that_is_no_number_comes_with_its_remedy(check, cell, remedy):
    column = [cell, *SURE[1:, 0].astype(str)]
    with refuses(f"'{cell}' is not a number from 0 to 1 ({remedy})"):
        check(table(**{"score/gender/female": column}))


def test_a_column_of_many_groups_may_be_meant_as_well(check):
    rows = pd.concat([table()] * 4, ignore_index=True)
    rows = rows.drop(columns=["gender", "score/gender/female", "score/gender/male"])
    rows = rows.assign(id=rows.index.astype(str), country=[f"c{i % 100}" for i in rows.index])
    with refuses("say by --attribute which column holds the groups: 'sport', 'country'"):
        check(rows)


def test_names_that_differ_in_blanks_are_told_apart(tmp_path):
    table(gender=[f" {gender}" for gender in GENDER]).to_parquet(tmp_path / "A.parquet")
    with refuses(f"(write ' {GENDER[0]}' and '{GENDER[0]}' alike)"):
        audit(predictions=[tmp_path / "A.parquet"], output=tmp_path / "audit")


def test_numbers_in_percent_are_told(check):
    percent = {f"score/gender/{g}": 100 * table()[f"score/gender/{g}"] for g in ("female", "male")}
    rows = table(**percent).drop(columns=["sport", "score/sport/ski", "score/sport/surf"])
    with refuses("is not a number from 0 to 1 (percent are divided by 100, --logits reads"):
        check(rows)
    for written in (rows, rows.drop(columns="score/gender/female")):
        with refuses("score/gender/… are percentages, not logits: divide by 100"):
            check(written, logits=True)
    one = table()[["id", "gender", "score/gender/male"]]
    _, said = check(one, logits=True)
    assert any("all logits of 'gender' are from 0 to 1" in line for line in said)


def test_a_column_of_many_names_beside_scores_is_asked_about(check):
    rows = pd.concat([table()] * 2, ignore_index=True).drop(
        columns=["sport", "score/sport/ski", "score/sport/surf"]
    )
    rows["id"] = rows.index.astype(str)
    rows.insert(1, "photographer", [f"ph{i % 30}" for i in rows.index])
    with refuses("say by --attribute which column holds the groups: 'photographer', 'gender'"):
        check(rows)
    rows["photographer"] = [f"ph{i % 3}" for i in rows.index]
    _, said = check(rows)
    assert (
        "column 'photographer' was taken for the attribute, not 'gender' (see --attribute)" in said
    )


def test_what_is_validated_is_an_attribute(check):
    rows = table(**{"validated/gender": [*GENDER[:30], *[""] * 30]})
    rows.insert(1, "camera", ["a", "b"] * (N // 2))
    rows = rows.drop(columns=["sport", "score/sport/ski", "score/sport/surf"])
    done, said = check(rows)
    assert set(done.metrics["attribute"]) == {"gender"}
    assert "column 'camera' has no scores and was not used (see --attribute)" in said
