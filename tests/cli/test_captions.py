from __future__ import annotations

import html
import json
import re

import pandas as pd
import pytest


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Return a folder with A.json, B.json and labels.csv of 20 images, as the working folder."""
    said = {"A": ["a man skis", "a man skis"], "B": ["a woman skis", "a man skis"]}
    for name, captions in said.items():
        entries = [{"image_id": i, "caption": text} for i, text in enumerate(captions * 10)]
        (tmp_path / f"{name}.json").write_text(json.dumps(entries))
    table = pd.DataFrame({"image_id": range(20), "gender": ["woman", "man"] * 10})
    table.assign(part=["test"] * 16 + ["val"] * 4).to_csv(tmp_path / "labels.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


QUICK = ("--labels", "labels.csv", "-o", "OUT", "--replicates", 20, "--rounds", 1)


def test_captions_are_compared(run_cli, files):
    result = run_cli("captions", "A.json", "B.json", *QUICK)
    assert result.code == 0, result.err
    assert "A names the wrong gender in 50.0%" in result.out
    assert "report: OUT/report.html" in result.out
    metrics = pd.read_csv(files / "OUT" / "metrics.csv")
    assert set(metrics["model"]) == {"A", "B", "B - A"}


def test_page_shell_and_json_begin_with_the_same_sentence(run_cli, files):
    """Here with what B's smaller error costs: it names nobody."""
    entries = [{"image_id": i, "caption": "a person skis"} for i in range(20)]
    (files / "B.json").write_text(json.dumps(entries))
    sentence = (
        "“B” names the wrong gender in 0% of the captions (“A” in 50%), and names nobody, or "
        "several groups, in 100% (“A” in 0%)."
    )
    result = run_cli("captions", "A.json", "B.json", *QUICK)
    assert result.out.startswith(sentence)
    page = (files / "OUT" / "report.html").read_text()
    title = html.unescape(re.sub("<[^>]*>|[\u2066-\u2069]", "", page.partition("<h1>")[2]))
    assert title.startswith(sentence)
    result = run_cli("captions", "A.json", "B.json", *QUICK, "--overwrite", "--json")
    assert json.loads(result.out)["verdict"]["headline"].startswith(sentence)


def test_every_option_is_taken(run_cli, files):
    (files / "words.json").write_text('{"woman": ["woman"], "man": ["man"]}')
    (files / "human.json").write_text(
        json.dumps([{"image_id": i, "caption": "somebody skis"} for i in range(20)])
    )
    table = pd.read_csv("labels.csv").assign(things="skis", sex=lambda rows: rows["gender"])
    table.to_csv("more.csv", index=False)
    (files / "things.json").write_text('{"skis": ["skiing"]}')
    result = run_cli(
        *("captions", "A.json", "B.json", "--labels", "more.csv", "-o", "OUT", "--seed", 3),
        *("--split-column", "part", "--split", "test", "--attribute", "sex", "--objects", "things"),
        *("--words", "words.json", "--object-words", "things.json", "--human", "human.json"),
        *("--train", "more.csv", "--name", "x", "--name", "y", "--show", 19, "--show", 18),
        *("--rounds", 2, "--replicates", 20, "--overwrite", "--quiet", "--json"),
    )
    assert result.code == 0, result.err
    said = json.loads(result.out)
    assert set(said) == {"metrics", "report", "verdict", "findings", "extremes"}
    metrics = pd.read_csv(said["metrics"], keep_default_na=False)
    assert set(metrics["model"]) == {"x", "y", "y - x"}
    assert {"lic", "lic_human", "bleu", "cider", "rouge_l", "bias_amplification_mals"} <= set(
        metrics["metric"]
    )
    assert set(metrics["attribute"]) == {"sex"}
    error = metrics[(metrics["metric"] == "error") & (metrics["group"] == "")]
    assert list(error["n"]) == [16, 16, 16]
    assert '"kind":"asked for"' in (files / "OUT" / "report.html").read_text()


def test_warnings_are_single_lines(run_cli, files):
    entries = json.loads((files / "B.json").read_text())
    (files / "B.json").write_text(json.dumps(entries[2:]))
    result = run_cli("captions", "A.json", "B.json", *QUICK)
    assert result.code == 0
    assert "warning: B has no caption of 2 of 20 labelled pictures" in result.err


def spoil(folder, name: str, text: str) -> None:
    (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("B.json", "nonsense", "B.json line 1 is not valid JSON"),
        ("B.json", '{"annotations": []}', "B.json is not a list of captions"),
        ("B.json", '[{"image_id": 1}]', "B.json entry 1 has no field 'caption'"),
        ("B.json", '[{"image_id": 99, "caption": "a"}]', "no picture of labels.csv has a caption"),
        ("B.json", '[{"image_id": 1, "caption": "a"}, {"image_id": 1, "caption": "b"}]', "twice"),
        ("labels.csv", "image_id,a,b\n1,x,y\n", "labels.csv: say by --attribute which column"),
        ("labels.csv", "gender\nman\n", "labels.csv has no column 'image_id'"),
        ("labels.csv", "image_id,gender\n1,man\n1,man\n", "labels.csv row 2, column 'image_id'"),
        ("labels.csv", "image_id,gender\n1,tall\n", "for the groups tall no words are known"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(run_cli, files, name, text, says):
    spoil(files, name, text)
    result = run_cli("captions", "A.json", "B.json", *QUICK)
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("fairvision: ")
    assert says in result.err
    assert result.err.count("\n") == 1
    assert not (files / "OUT").exists()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--attribute", "x"), "labels.csv has no column 'x'"),
        (("--objects", "x"), "labels.csv has no column 'x'"),
        (("--split-column", "part", "--split", "x"), "has no rows of split 'x': it has test, val"),
        (("--words", "x.json"), "x.json does not exist"),
        (("--human", "x.json"), "x.json does not exist"),
        (("--images", "x"), "x is not a folder of pictures"),
        (("--show", "77"), "--show 77: A has no caption of this picture"),
        (("--name", "x"), "2 models need 2 names, not 1"),
        (("--replicates", "0"), "--replicates"),
    ],
)
def test_bad_options_are_one_line(run_cli, files, more, says):
    result = run_cli("captions", "A.json", "B.json", *QUICK, *more)
    assert result.code == 2
    assert says in result.err
    assert result.err.count("\n") == 1
    assert not (files / "OUT").exists()


def test_an_earlier_folder_is_kept(run_cli, files):
    assert run_cli("captions", "A.json", *QUICK).code == 0
    result = run_cli("captions", "A.json", *QUICK)
    assert result.code == 2
    assert "OUT is not empty" in result.err
    assert run_cli("captions", "A.json", *QUICK, "--overwrite").code == 0


def test_help_and_list(run_cli):
    assert "captions" in run_cli("--help").out
    shown = run_cli("captions", "--help").out
    for option in ("--labels", "--split-column", "--human", "--images", "--show", "--rounds"):
        assert option in shown


def test_the_published_pair_is_shown(run_cli, shared, tmp_path):
    """The lecture's captions, of images that are in another split than the audited one."""
    place = shared / "data" / "published" / "women-also-snowboard"
    files = [place / f"captions_{name}.json" for name in ("baseline_ft", "equalizer")]
    result = run_cli(
        *("captions", *files, "--labels", place / "labels.csv", "-o", tmp_path / "OUT"),
        *("--split-column", "balanced_split", "--rounds", 0, "--replicates", 20),
        *("--show", 80714, "--show", "000000386912", "--quiet"),
    )
    assert result.code == 0, result.err
    page = (tmp_path / "OUT" / "report.html").read_text()
    assert page.count('<mark title="man">man</mark> sitting at a desk with a laptop computer') >= 2
    assert page.count('<mark title="woman">woman</mark> sitting in front of a laptop computer') >= 2
    assert "All 1,000 audited pictures, and 2 asked for besides" in page
    assert result.out.startswith(
        "“equalizer” names the wrong gender in 8% of the captions (“baseline_ft” in 19%), and "
        "names nobody, or several groups, in 26% (“baseline_ft” in 14%). Where it names one group, "
        "it is right in 89% (“baseline_ft” in 77%)."
    )


def test_rules_stop_a_captioner(run_cli, files):
    rule = ("--fail-on", "error_gap > 0.5")
    done = run_cli("captions", "A.json", *QUICK, *rule, "--json")
    assert done.code == 1
    assert [outcome["passed"] for outcome in json.loads(done.out)["rules"]] == [False]
    done = run_cli("captions", "B.json", *QUICK, "--overwrite", "--fail-on", "error_gap.low > 0.99")
    assert done.code == 0, done.err
    assert "kept: error_gap.low > 0.99" in done.out
    assert run_cli("captions", "A.json", *QUICK, "--overwrite", "--fail-on", "x").code == 2
    assert run_cli("gate", "OUT", "error_gap > 0.5").code == 0
