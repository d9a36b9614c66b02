from __future__ import annotations

import html
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fairvision import audit, datasets
from fairvision.errors import FairvisionWarning, InputError

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
QUICK = {"replicates": 30, "device": "cpu"}


@pytest.fixture(scope="module")
def audited(two_runs, tmp_path_factory):
    with pytest.warns(FairvisionWarning):
        return audit(two_runs, output=tmp_path_factory.mktemp("audit") / "of-runs", **QUICK)


def test_everything_promised_is_written(audited):
    found = {str(p.relative_to(audited.folder)) for p in audited.folder.rglob("*") if p.is_file()}
    assert found == {
        "report.html",
        "metrics.csv",
        "audit.json",
        "train.parquet",
        "A/samples.parquet",
        "B/samples.parquet",
        "A/leaning.parquet",
        "B/leaning.parquet",
    }
    about = json.loads((audited.folder / "audit.json").read_text())
    assert about["verdict"] == audited.verdict.as_json()
    assert about["models"] == ["A", "B"]
    assert about["settings"]["n"] == 18
    page = html.unescape(re.sub("</?bdi>", "", audited.report.read_text()))
    opening, *lines = audited.verdict.headline.splitlines()
    assert all(line in page for line in (opening.partition(".")[0], *lines))


def test_the_written_metrics_are_the_returned_ones(audited):
    read = pd.read_csv(audited.folder / "metrics.csv", keep_default_na=False, na_values={})
    assert read["n"].str.fullmatch(r"\d+").all() if read["n"].dtype == object else True
    values = read["value"].replace("", "nan").astype(float)
    np.testing.assert_array_equal(values, audited.metrics["value"])
    overall = read[(read["metric"] == "accuracy") & (read["group"] == "") & (read["label"] == "")]
    assert set(overall["model"]) == {"A", "B", "B - A"}


def test_figures_are_computed_again_from_the_samples(audited):
    table = pd.read_parquet(audited.folder / "A" / "samples.parquet")
    groups = [c.removeprefix("score/shirt/") for c in table if c.startswith("score/shirt/")]
    said = table[[f"score/shirt/{g}" for g in groups]].to_numpy().argmax(axis=1)
    right = np.array(groups)[said] == table["shirt"]
    row = audited.metrics.query(
        "model == 'A' and metric == 'accuracy' and attribute == 'shirt' and group == '' "
        "and task == ''"
    )
    assert row["value"].item() == pytest.approx(right.mean())


def test_the_written_tables_give_the_same_audit_again(audited, tmp_path):
    again = audit(
        predictions=[audited.folder / name / "samples.parquet" for name in "AB"],
        train=audited.folder / "train.parquet",
        output=tmp_path / "again",
        replicates=30,
    )
    of_models = audited.metrics["metric"].str.startswith(("leaning", "sanity"))
    from_tables = ~of_models
    expected = audited.metrics[from_tables].reset_index(drop=True)
    pd.testing.assert_frame_equal(again.metrics, expected)
    assert again.verdict.answers == audited.verdict.answers


def test_the_same_call_gives_the_same_audit(two_runs, audited, tmp_path):
    again = audit(two_runs, output=tmp_path / "again", **QUICK)
    assert (again.folder / "metrics.csv").read_bytes() == (
        audited.folder / "metrics.csv"
    ).read_bytes()


def test_one_run_alone_has_no_comparison(two_runs, tmp_path):
    alone = audit(two_runs[0], output=tmp_path / "alone", **QUICK)
    assert set(alone.metrics["model"]) == {"A"}


def test_runs_of_one_name_are_told_apart(two_runs, tmp_path):
    for above in ("x", "y"):
        shutil.copytree(two_runs[0], tmp_path / above / "run")
    done = audit([tmp_path / "x/run", tmp_path / "y/run"], output=tmp_path / "audit", **QUICK)
    assert set(done.metrics["model"]) == {"x_run", "y_run", "y_run - x_run"}
    assert (done.folder / "y_run" / "samples.parquet").is_file()


@pytest.fixture
def variant(world, tmp_path):
    """Return a function that writes the scenes with changes to the dataset."""

    def write(change):
        folder = tmp_path / "variant"
        shutil.copytree(world, folder)
        datasets.save(change(datasets.load(folder)), folder)
        return folder

    return write


def named_out(done):
    return "; ".join(done.verdict.left_out)


def test_a_dataset_without_attribute(variant, draw_run, tmp_path):
    data = variant(lambda d: replace(d, attributes={}))
    done = audit(draw_run(tmp_path / "run", data), output=tmp_path / "audit", **QUICK)
    assert "no attribute" in named_out(done)
    of_task = {"accuracy", "calibration_error", "coverage", "error", "person_effect"}
    of_task |= {"hidden_task_accuracy", "person_task_accuracy", "balanced_accuracy"}
    of_task |= {"calibration_error_max", "log_loss", "roc_auc"}
    of_evidence = {"pointing_game", "relevance_mass"}
    lifts = {"chance_level", *(f"{name}_lift" for name in of_evidence)}
    assert set(done.metrics["metric"]) == of_task | of_evidence | lifts
    assert "no attribute" in done.verdict.headline


def test_a_dataset_without_task(variant, draw_run, tmp_path):
    data = variant(lambda d: replace(d, tasks={}))
    (data / "regions.parquet").unlink()  # its objects are labels of a task
    done = audit(draw_run(tmp_path / "run", data), output=tmp_path / "audit", **QUICK)
    assert "no task" in named_out(done)
    assert {"accuracy", "hidden_accuracy", "reasons", "evidence_cells"} <= set(
        done.metrics["metric"]
    )


def test_a_dataset_without_masks(variant, draw_run, tmp_path):
    data = variant(lambda d: replace(d, samples=d.samples.assign(mask=None)))
    done = audit(draw_run(tmp_path / "run", data), output=tmp_path / "audit", **QUICK)
    assert "right for the right reasons" in named_out(done)
    assert "the person hidden" in named_out(done)
    assert not done.metrics["metric"].str.contains("hidden|reasons").any()
    assert done.metrics["metric"].str.contains("directional").any()


def test_a_dataset_without_training_split(variant, draw_run, tmp_path):
    data = variant(
        lambda d: replace(
            d, samples=d.samples.assign(split=d.samples["split"].replace("train", "val"))
        )
    )
    done = audit(draw_run(tmp_path / "run", data), output=tmp_path / "audit", **QUICK)
    assert "no training split" in named_out(done)
    assert not done.metrics["metric"].str.contains("directional|mals|context").any()
    assert not (done.folder / "train.parquet").exists()


def test_a_run_that_lacks_a_task(world, draw_run, two_runs, tmp_path):
    lacking = draw_run(tmp_path / "C", world, tasks={})
    done = audit([two_runs[0], lacking], output=tmp_path / "audit", **QUICK)
    assert "C does not predict context" in named_out(done)
    mals = done.metrics[done.metrics["metric"] == "bias_amplification_mals"]
    assert set(mals["model"]) == {"A"}
    assert "C - A" in set(done.metrics["model"])


def test_other_data_than_the_run_was_trained_on_is_a_warning(variant, two_runs, tmp_path):
    data = variant(lambda d: replace(d, name="other"))
    with pytest.warns(FairvisionWarning, match="A was trained on other data"):
        done = audit(two_runs, data=data, output=tmp_path / "audit", **QUICK)
    assert any("other data" in warning for warning in done.verdict.warnings)


def test_a_group_with_one_image_and_unknown_ones_are_warned_of(variant, draw_run, tmp_path):
    def change(d):
        samples = d.samples.copy()
        rows = samples.index[(samples["split"] == "test") & (samples["shirt"] == "striped")]
        samples.loc[rows[1:], "shirt"] = None
        return replace(d, samples=samples)

    data = variant(change)
    done = audit(draw_run(tmp_path / "run", data), output=tmp_path / "audit", **QUICK)
    warned = "; ".join(done.verdict.warnings)
    assert "few pictures of striped (1)" in warned
    assert "unknown for" in warned
    accuracy = done.metrics[done.metrics["metric"] == "accuracy"]
    assert "unknown" in set(accuracy["group"])
    assert accuracy[(accuracy["group"] == "striped") & (accuracy["task"] == "")]["n"].item() == 1


def test_maps_of_few_cells_are_warned_of(world, two_runs, draw_run, tmp_path):
    small = draw_run(tmp_path / "small", world, size=9)
    how = {"attribution": "gradcam", **QUICK}
    done = audit([two_runs[0], small], output=tmp_path / "audit", **how)
    said = [line for line in done.verdict.warnings if "too coarse" in line]
    assert [line.split(",")[0] for line in said] == ["small: its maps have 2 × 2 cells"]
    said = [line for line in done.verdict.warnings if "weighs every place by itself" in line]
    assert [line.split(":")[0] for line in said] == [two_runs[0].name]
    for method in ("input_x_gradient", "hirescam"):
        fine = audit([small], output=tmp_path / method, attribution=method, **QUICK)
        for words in ("too coarse", "weighs every place by itself"):
            assert not [line for line in fine.verdict.warnings if words in line]


def test_a_group_that_is_never_predicted_is_warned_of(answers, tmp_path):
    table = answers(60)
    table["score/group/a"] = 0.0
    rest = table[["score/group/b", "score/group/c"]]
    table[["score/group/b", "score/group/c"]] = rest.div(rest.sum(axis=1), axis=0)
    table.to_parquet(tmp_path / "A.parquet")
    done = audit(predictions=tmp_path / "A.parquet", output=tmp_path / "audit", replicates=10)
    assert "A: never predicts a (group)" in done.verdict.warnings


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "nowhere"}, "nowhere"),
        ({"attribution": "guesswork"}, "unknown attribution"),
        ({"data": "no/such/folder"}, "no/such/folder"),
        ({"train": "train.parquet"}, "add --predictions"),
        ({"predictions": ["a.parquet"]}, "either runs, or tables"),
        ({"names": ["one"]}, "2 models need 2 names"),
        ({"replicates": 0}, "1 or more"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(two_runs, tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        audit(two_runs, output=tmp_path / "audit", **{**QUICK, **options})
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_second_run_is_found_before_anything_is_computed(two_runs, tmp_path):
    shutil.copytree(two_runs[0], tmp_path / "damaged")
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InputError, match="damaged"):
        audit([two_runs[0], tmp_path / "damaged"], output=tmp_path / "audit", **QUICK)
    assert not (tmp_path / "audit").exists()


def test_data_that_has_moved_is_asked_for(draw_run, world, tmp_path):
    run = draw_run(tmp_path / "run", world, data={"path": "gone", "fingerprint": ""})
    with pytest.raises(InputError, match="say where it is by --data"):
        audit(run, output=tmp_path / "audit", **QUICK)


def test_a_full_folder_is_left_alone(two_runs, audited):
    before = (audited.folder / "metrics.csv").read_bytes()
    with pytest.raises(InputError, match="add --overwrite"):
        audit(two_runs, output=audited.folder, **QUICK)
    assert (audited.folder / "metrics.csv").read_bytes() == before
