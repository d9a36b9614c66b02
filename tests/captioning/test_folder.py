from __future__ import annotations

import json
import warnings

import pandas as pd
import pytest
from PIL import Image

import fairvision
from fairvision import metrics
from fairvision.errors import FairvisionWarning, InputError

QUICK = {"labels": "labels.csv", "output": "out", "rounds": 0, "replicates": 20}


def quietly(*arguments, **options):
    with warnings.catch_warnings(action="ignore", category=FairvisionWarning):
        return fairvision.captions(*arguments, **{**QUICK, **options})


def warned(*arguments, **options) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fairvision.captions(*arguments, **{**QUICK, **options})
    return [str(warning.message) for warning in caught]


def drop(folder, name: str, count: int) -> None:
    entries = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(entries[count:]))


def test_everything_is_in_the_folder(folder):
    done = quietly(["A.json", "B.json"])
    assert {path.name for path in (folder / "out").iterdir()} == {
        "report.html",
        "metrics.csv",
        "captions.parquet",
        "captions.json",
    }
    assert done.report.is_file()
    table = pd.read_csv(folder / "out" / "metrics.csv", keep_default_na=False)
    assert set(table["model"]) == {"A", "B", "B - A"}
    about = json.loads((folder / "out" / "captions.json").read_text())
    assert about["models"] == ["A", "B"]
    assert about["verdict"] == done.verdict.as_json()
    assert about["settings"]["n"] == 40


def test_figures_can_be_computed_again_from_the_table(folder):
    done = quietly(["A.json", "B.json"], objects="objects")
    rows = pd.read_parquet(folder / "out" / "captions.parquet")
    for model in "AB":
        report = metrics.caption_report(rows[f"caption/{model}"], rows["gender"], replicates=0)
        own = done.metrics[(done.metrics["model"] == model) & (done.metrics["group"] == "")]
        value = own[own["metric"] == "outcome_divergence"]["value"].item()
        assert value == pytest.approx(report.outcome_divergence.value)
        assert (rows[f"outcome/{model}"] == "incorrect").mean() == report.error.value
    assert list(rows["objects/A"][2]) == ["tv"]
    assert list(rows["objects"][2]) == ["tv", "chair"]


def test_the_same_call_writes_the_same(folder):
    quietly(["A.json", "B.json"], rounds=2)
    first = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
    quietly(["A.json", "B.json"], rounds=2, overwrite=True)
    assert {path.name: path.read_bytes() for path in (folder / "out").iterdir()} == first


def test_names_come_from_files(folder):
    (folder / "A.json").rename("captions_net.v2.json")
    done = quietly("captions_net.v2.json")
    assert set(done.metrics["model"]) == {"net.v2"}
    named = quietly(["captions_net.v2.json", "B.json"], names=["x", "y"], overwrite=True)
    assert set(named.metrics["model"]) == {"x", "y", "y - x"}
    with pytest.raises(InputError, match="1 models need 1 names, not 2"):
        quietly("B.json", names=["x", "y"], output="more")


def test_images_that_one_model_lacks_are_left_out_for_all(folder):
    drop(folder, "B.json", 4)
    said = warned(["A.json", "B.json"])
    (line,) = (line for line in said if "B has no caption of 4 of 40 labelled pictures" in line)
    assert " of 20, man " in line or " of 20, woman " in line
    assert len(pd.read_parquet(folder / "out" / "captions.parquet")) == 36


def test_no_common_images(folder):
    write_other = [{"image_id": 1, "caption": "a"}]
    (folder / "B.json").write_text(json.dumps(write_other))
    with pytest.raises(InputError, match=r"no picture of labels\.csv .*A 40, B 0"):
        quietly(["A.json", "B.json"])
    assert not (folder / "out").exists()


def test_cautions(folder):
    table = pd.read_csv("labels.csv")
    table.loc[:1, "gender"] = None
    table.loc[0, "objects"] = None
    table.loc[1, "objects"] = "☺"
    table.loc[table.index[8:], "gender"] = "man"
    table.to_csv("labels.csv", index=False)
    human = [{"image_id": i, "caption": "somebody"} for i in range(100, 110)]
    (folder / "human.json").write_text(json.dumps(human))
    entries = json.loads((folder / "A.json").read_text())
    entries[0]["caption"] = " "
    (folder / "A.json").write_text(json.dumps(entries))
    said = "\n".join(warned("A.json", human="human.json", rounds=1))
    for line in (
        "gender: few pictures of woman (3)",
        "gender: unknown for 2 of 40 pictures",
        "A: no caption names woman",
        "A: 1 of 40 captions are empty",
        "objects: unknown for 1 of 40 pictures",
        "objects: ☺ cannot be found in captions",
        "people wrote nothing of 30 of 40 pictures",
    ):
        assert line in said


def test_what_is_left_out_is_said(folder):
    table = pd.read_csv("labels.csv").drop(columns="objects")
    table.to_csv("labels.csv", index=False)
    left = "\n".join(quietly("A.json").verdict.left_out)
    assert "no objects are annotated" in left
    assert "LIC: no rounds" in left


def test_groups_without_words_need_some(folder):
    table = pd.read_csv("labels.csv").replace({"gender": {"woman": "elder", "man": "child"}})
    table.to_csv("labels.csv", index=False)
    with pytest.raises(InputError, match=r"labels\.csv, column 'gender': for the groups child"):
        quietly("A.json")
    words = {"elder": ["lady"], "child": ["man"]}
    (folder / "words.json").write_text(json.dumps(words))
    done = quietly("A.json", words="words.json")
    assert "of the captions" in done.verdict.headline
    (folder / "words.json").write_text(json.dumps({"elder": ["lady"]}))
    with pytest.raises(InputError, match=r"words\.json: there are no words for the group 'child'"):
        quietly("A.json", words="words.json", overwrite=True)
    (folder / "words.json").write_text(json.dumps({"elder": ["lady"], "child": ["lady"]}))
    with pytest.raises(InputError, match=r"words\.json: the word 'lady' is one of elder"):
        quietly("A.json", words="words.json", overwrite=True)


def test_no_known_group(folder):
    table = pd.read_csv("labels.csv").assign(gender="unknown")
    table.to_csv("labels.csv", index=False)
    with pytest.raises(InputError, match="no group of the audited pictures is known"):
        quietly("A.json")


def test_training_and_words_of_objects_need_objects(folder):
    table = pd.read_csv("labels.csv").drop(columns="objects")
    table.to_csv("bare.csv", index=False)
    (folder / "more.json").write_text('{"tv": ["television"]}')
    with pytest.raises(InputError, match=r"--train is for amplification, but bare\.csv has no obj"):
        quietly("A.json", labels="bare.csv", train="labels.csv")
    with pytest.raises(InputError, match=r"--object-words are of objects, but bare\.csv"):
        quietly("A.json", labels="bare.csv", object_words="more.json")
    (folder / "more.json").write_text('{"radio": ["television"]}')
    with pytest.raises(InputError, match=r"more\.json: 'radio' is none of the objects: chair, ski"):
        quietly("A.json", object_words="more.json")


def test_asked_and_disagreeing_images_are_in_the_report(folder):
    (folder / "pictures").mkdir()
    Image.new("RGB", (300, 200), "red").save(folder / "pictures" / "COCO_000000000139.jpg")
    done = quietly(
        ["A.json", "B.json"], split_column="half", split="test", show=[139], images="pictures"
    )
    page = done.report.read_text()
    assert '"kind":"asked for"' in page
    assert '<img src="data:image/webp;base64,' in page
    assert 'alt="Picture 139, annotated woman"' in page
    assert "wrong by A, right by B</option>" in page
    assert "All 30 audited pictures, and 1 asked for besides" in page
    with pytest.raises(InputError, match="holds none of the pictures"):
        quietly("A.json", images=".", overwrite=True)


@pytest.mark.parametrize("bad", [{"replicates": 0}, {"rounds": -1}])
def test_settings_out_of_range(folder, bad):
    with pytest.raises(InputError, match="replicates must be 1 or more, and rounds 0 or more"):
        quietly("A.json", **bad)
    with pytest.raises(InputError, match="at least one file"):
        quietly([])


def test_outputs_are_whole_or_not_at_all(folder, monkeypatch):
    quietly("A.json")
    before = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}

    def broken(*arguments, **options):
        raise OSError("the disk is full")

    monkeypatch.setattr("fairvision.results.folder.write_text", broken)
    with pytest.raises(OSError, match="full"):
        quietly("B.json", overwrite=True)
    assert {path.name: path.read_bytes() for path in (folder / "out").iterdir()} == before
    assert {path.name for path in folder.iterdir()} == {"A.json", "B.json", "labels.csv", "out"}


def test_a_folder_of_another_kind_is_left_alone(folder):
    (folder / "out").mkdir()
    (folder / "out" / "mine.txt").touch()
    with pytest.raises(InputError, match="not empty"):
        quietly("A.json")
    with pytest.raises(InputError, match=r"holds no captions\.json"):
        quietly("A.json", overwrite=True)


def test_needs_no_torch(folder):
    import subprocess
    import sys

    code = (
        "import sys, fairvision; fairvision.captions('A.json', labels='labels.csv', output='o', "
        "rounds=1, replicates=5); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_objects_that_only_training_has_are_left_out(folder):
    """Else a caption that names one would be wrong about every image."""
    table = pd.read_csv("labels.csv")
    table.assign(objects=table["objects"] + ";person").to_csv("train.csv", index=False)
    said = warned("A.json", train="train.csv")
    assert "objects: in train.csv but not in labels.csv, so left out: person" in said
    metrics = pd.read_csv("out/metrics.csv", keep_default_na=False)
    labels = set(metrics[metrics["metric"] == "directional A->T"]["label"])
    assert labels == {"", "chair", "skis", "tv"}
    quietly("A.json", train="labels.csv", overwrite=True)
    assert metrics.equals(pd.read_csv("out/metrics.csv", keep_default_na=False))


EDGES = {
    "one group": (["man"] * 5, ["a man"] * 5, ["a dog"] * 5, [""] * 5),
    "one picture": (["man"], ["a man"], ["a dog"], ["tv"]),
    "two pictures": (["man", "woman"], ["a man", ""], ["a dog", "a man"], ["tv", ""]),
    "nobody is named": (["man", "woman"] * 9, ["a dog"] * 18, ["!"] * 18, ["tv;x"] * 18),
    "all alike": (["man", "woman"] * 9, ["a man"] * 18, ["a man"] * 18, ["tv"] * 18),
}


@pytest.mark.parametrize("edge", EDGES)
def test_little_data_gives_undefined_figures_and_no_wrong_ones(folder, edge):
    groups, first, second, objects = EDGES[edge]
    for name, captions in (("A", first), ("B", second)):
        entries = [{"image_id": i, "caption": text} for i, text in enumerate(captions)]
        (folder / f"{name}.json").write_text(json.dumps(entries))
    table = pd.DataFrame({"image_id": range(len(groups)), "gender": groups, "objects": objects})
    table.to_csv("labels.csv", index=False)
    done = quietly(["A.json", "B.json"], rounds=1)
    error = done.metrics[(done.metrics["metric"] == "error") & (done.metrics["group"] == "")]
    wrong = {"two pictures": [0, 0.5, 0.5], "all alike": [0.5, 0.5, 0]}.get(edge, [0, 0, 0])
    assert list(error["value"]) == wrong
    assert (done.metrics["n"] <= len(groups)).all()
    undefined = done.metrics["value"].isna()
    assert done.metrics.loc[undefined, ["low", "high"]].isna().all(axis=None)


def test_text_for_nothing_in_place_of_captions_is_told(folder):
    entries = json.loads((folder / "B.json").read_text())
    for entry in entries[:7]:
        entry["caption"] = "nan"
    (folder / "B.json").write_text(json.dumps(entries))
    said = warned(["A.json", "B.json"])
    assert any("B: 7 of 40 captions are 'nan': they name nobody" in line for line in said)


def test_captions_by_people_of_other_pictures_are_refused(folder):
    human = [{"image_id": i, "caption": "somebody"} for i in range(500, 510)]
    (folder / "human.json").write_text(json.dumps(human))
    message = "human.json has captions of none of the 40 audited pictures: its first .* '500', and"
    with pytest.raises(InputError, match=message):
        fairvision.captions("A.json", labels="labels.csv", output="out", human="human.json")
    assert not (folder / "out").exists()


@pytest.mark.parametrize("name", ["caption/A", "id", "cluster/half", "word/A"])
@pytest.mark.parametrize("option", ["attribute", "objects"])
def test_columns_of_labels_do_not_take_the_place_of_those_that_are_written(folder, name, option):
    column = {"attribute": "gender", "objects": "objects"}[option]
    pd.read_csv("labels.csv").rename(columns={column: name}).to_csv("labels.csv", index=False)
    with pytest.raises(InputError, match=f"labels.csv: a column .* cannot be called '{name}'"):
        fairvision.captions("A.json", labels="labels.csv", output="out", **{option: name})
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"output": "A.json/out"}, "A.json is a file, so nothing can be written in it"),
        ({"output": "A.json/out/deep"}, "A.json is a file, so nothing can be written in it"),
        ({"output": "A.json"}, "A.json is a file: choose a folder"),
        ({"output": "/proc/out"}, "nothing can be written in /proc: "),
        ({"names": ["a/b"]}, "'a/b' cannot be the name of a model"),
        ({"names": [""]}, "'' cannot be the name of a model"),
        ({"names": [".."]}, "'..' cannot be the name of a model"),
        ({"names": ["\u732b" * 90]}, "cannot be the name of a model"),
        ({"names": ["Captions.json"]}, "'Captions.json' cannot be the name of a model"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_read(folder, changed, message):
    arguments = {"labels": "nothing.csv", "output": "out", **changed}
    with pytest.raises(InputError, match=message):
        fairvision.captions("A.json", **arguments)


def test_quality_of_captions_in_other_scripts(folder, run_cli):
    texts = ["女人在床上", "男人在车上"] * 20
    for name, suffix in (("A", ""), ("human", "。")):
        entries = [{"image_id": 100 + i, "caption": text + suffix} for i, text in enumerate(texts)]
        (folder / f"{name}.json").write_text(json.dumps(entries))
    (folder / "words.json").write_text(json.dumps({"woman": ["女人"], "man": ["男人"]}))
    given = {"human": "human.json", "words": "words.json"}
    done = quietly("A.json", tokens="characters", **given)
    overall = done.metrics[done.metrics["group"] == ""].set_index("metric")["value"]
    assert overall["bleu"] == overall["rouge_l"] == 1
    assert overall["error"] == 0.5  # both groups are named
    settings = json.loads((folder / "out" / "captions.json").read_text())["settings"]
    assert settings["tokens"] == "characters"
    assert "cut into single letters" in (folder / "out" / "report.html").read_text()
    assert any("--tokens words" in line for line in warned("A.json", overwrite=True, **given))
    with pytest.raises(InputError, match="tokens must be one of coco, words, characters, not 'x'"):
        quietly("A.json", overwrite=True, tokens="x")
    files = ["--labels", "labels.csv", "--human", "human.json", "--words", "words.json"]
    ran = run_cli("captions", "A.json", *files, "--tokens", "characters", "-o", "shell")
    assert ran.code == 0
    figures = pd.read_csv("shell/metrics.csv", keep_default_na=False).query("metric == 'bleu'")
    assert set(figures["value"].astype(float)) == {1.0}
    refused = run_cli("audit", "x.csv", "--predictions", "--tokens", "words", "-o", "other")
    assert (refused.code, "--tokens is for captioners alone" in refused.err) == (2, True)
