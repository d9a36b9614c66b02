"""Captions come in: of tables, of Hugging Face's files, of COCO, and of a file for a dataset."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fairvision import datasets
from fairvision.datasets.readers.captions_file import add_captions
from fairvision.errors import FairvisionWarning, InputError

pytestmark = pytest.mark.filterwarnings("ignore:few pictures")
TEXTS = [["A man, a dog.", 'She says "hi"\nto him'], ["👩‍🦰 rides"], [], ["امرأة", "A"]]
CLEAN = [("A man, a dog.", 'She says "hi" to him'), ("👩‍🦰 rides",), (), ("امرأة", "A")]


def images(folder, n=4, names="{}.png"):
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / names.format(i) for i in range(n)]
    for path in paths:
        Image.new("RGB", (8, 8)).save(path)
    return paths


class TestTables:
    @pytest.mark.parametrize("written", [json.dumps, str])
    def test_lists_in_csv_and_parquet(self, tmp_path, written):
        rows = pd.DataFrame({"image": [p.name for p in images(tmp_path)], "said": TEXTS})
        rows.to_parquet(tmp_path / "t.parquet")
        rows.assign(said=rows["said"].map(written)).to_csv(tmp_path / "t.csv", index=False)
        for kind in ("parquet", "csv"):
            made = datasets.from_table(tmp_path / f"t.{kind}", tmp_path / kind, captions="said")
            assert made.captions == CLEAN
            assert not made.attributes
            assert not made.tasks

    def test_several_columns_are_put_together(self, tmp_path, run_cli):
        images(tmp_path)
        (tmp_path / "t.csv").write_text(
            "image,first,second,sex\n0.png,A man.,A person.,m\n1.png,,A woman.,f\n"
            "2.png,n/a,,f\n3.png,unknown,\"['A', 'B']\",m\n"
        )
        options = ["--captions", "first", "--captions", "second", "--attribute", "sex"]
        options += ["--unknown", "n/a"]
        assert run_cli("data", "csv", tmp_path / "t.csv", tmp_path / "d", *options).code == 0
        made = datasets.load(tmp_path / "d")
        assert made.captions == [
            ("A man.", "A person."),
            ("A woman.",),
            (),
            ("A", "B"),
        ]
        assert list(made.attributes) == ["sex"]

    def test_what_stands_for_no_caption_is_left_out(self, tmp_path):
        images(tmp_path)
        said = ["A man.", "nan", '["N/A", "None of us"]', "unknown"]
        rows = pd.DataFrame({"image": [f"{i}.png" for i in range(4)], "said": said})
        rows.to_csv(tmp_path / "t.csv", index=False)
        rows["said"] = [["A man."], ["nan"], ["N/A", "None of us"], ["unknown"]]
        rows.to_parquet(tmp_path / "t.parquet")
        for kind in ("csv", "parquet"):
            with pytest.warns(FairvisionWarning) as caught:
                made = datasets.from_table(tmp_path / f"t.{kind}", tmp_path / kind, captions="said")
            assert made.captions == [("A man.",), (), ("None of us",), ()]
            (warning,) = [str(w.message) for w in caught if "few pictures" not in str(w.message)]
            assert warning.endswith(
                f"t.{kind}, column 'said': 2 captions are 'nan' or 'N/A', which say nothing, and "
                "are left out"
            )

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"captions": ["caption"]}, "has no column 'caption'"),
            ({"captions": ["said", "said"]}, "'said' is named twice among the captions"),
            ({"captions": "said", "tasks": {"captions": "sex"}}, "cannot be an attribute or task"),
            ({"captions": "said"}, r"t.csv row 2 \(id '1'\), column 'said': the list holds 3"),
        ],
    )
    def test_what_cannot_be_captions(self, tmp_path, options, message):
        images(tmp_path, 2)
        (tmp_path / "t.csv").write_text('image,said,sex\n0.png,A,m\n1.png,"[""A"", 3]",f\n')
        with pytest.raises(InputError, match=message):
            datasets.from_table(tmp_path / "t.csv", tmp_path / "d", **options)
        assert not (tmp_path / "d").exists()

    def test_a_column_of_numbers(self, tmp_path):
        images(tmp_path, 2)
        pd.DataFrame({"image": ["0.png", "1.png"], "said": [1, 2]}).to_parquet(
            tmp_path / "t.parquet"
        )
        message = "t.parquet, column 'said': holds int64: captions are texts, or lists of texts"
        with pytest.raises(InputError, match=message):
            datasets.from_table(tmp_path / "t.parquet", tmp_path / "d", captions="said")


class TestHuggingFace:
    @pytest.mark.parametrize("said", [TEXTS, ["A man.", "A woman.", None, '["A", "B"]']])
    def test_columns_of_parquet(self, tmp_path, run_cli, said):
        cell = {"bytes": images(tmp_path / "i")[0].read_bytes(), "path": None}
        (tmp_path / "hf").mkdir()
        table = pa.table({"image": [cell] * 4, "text": said, "age": ["a", "b"] * 2})
        pq.write_table(table, tmp_path / "hf" / "train-00000-of-00001.parquet")
        made = run_cli(
            "data", "hf", tmp_path / "hf", tmp_path / "d", "--captions", "text", "--attribute",
            "age",
        )  # fmt: skip
        assert made.code == 0, made.err
        expected = CLEAN if said is TEXTS else [("A man.",), ("A woman.",), (), ("A", "B")]
        assert datasets.load(tmp_path / "d").captions == expected

    def test_metadata_beside_images(self, tmp_path):
        images(tmp_path / "a")
        lines = [{"file_name": f"{i}.png", "text": said} for i, said in enumerate(TEXTS)]
        (tmp_path / "a" / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
        made = datasets.from_huggingface(tmp_path / "a", tmp_path / "b", captions=["text"])
        assert made.captions == CLEAN

    def test_a_caption_that_is_no_text(self, tmp_path):
        images(tmp_path / "a", 2)
        lines = [{"file_name": f"{i}.png", "text": said} for i, said in enumerate(["A", ["B", 3]])]
        (tmp_path / "a" / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
        message = r"metadata.jsonl row 2, column 'text': 3 is no text, as captions are"
        with pytest.raises(InputError, match=message):
            datasets.from_huggingface(tmp_path / "a", tmp_path / "b", captions=["text"])


def coco(folder, captions, names="{}.png"):
    listed = [{"id": i, "file_name": names.format(i), "width": 8, "height": 8} for i in range(4)]
    folder.mkdir(parents=True, exist_ok=True)
    instances = {"images": listed, "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    (folder / "instances.json").write_text(json.dumps(instances))
    entries = [{"image_id": i, "caption": text} for i, said in captions.items() for text in said]
    (folder / "captions.json").write_text(json.dumps({"images": listed, "annotations": entries}))
    return folder


class TestCoco:
    def test_all_captions_are_kept(self, tmp_path):
        images(coco(tmp_path, dict(enumerate(TEXTS))))
        made = datasets.from_coco(
            tmp_path / "instances.json", tmp_path / "captions.json", tmp_path, tmp_path / "d"
        )
        assert made.captions == CLEAN
        plain = datasets.from_coco(tmp_path / "instances.json", None, tmp_path, tmp_path / "e")
        assert not plain.has_captions
        assert "captions" not in plain.samples

    def test_what_stands_for_no_caption_is_left_out(self, tmp_path):
        images(coco(tmp_path, {0: ["A man", "nan"], 1: ["None"]}))
        with pytest.warns(FairvisionWarning, match="2 captions are 'nan' or 'None', which say n"):
            made = datasets.from_coco(
                tmp_path / "instances.json", tmp_path / "captions.json", tmp_path, tmp_path / "d"
            )
        assert made.captions == [("A man",), (), (), ()]

    def test_half_of_a_character(self, tmp_path):
        images(coco(tmp_path, {0: ["A man"], 1: ["A \ud83d dog"]}))
        message = "captions.json holds half a character"
        with pytest.raises(InputError, match=message):
            datasets.from_coco(
                tmp_path / "instances.json", tmp_path / "captions.json", tmp_path, tmp_path / "d"
            )

    def test_real_photographs(self, tmp_path, shared):
        mini = shared / "data" / "coco-mini"
        files = [mini / "instances.json", mini / "captions.json", mini / "images"]
        made = datasets.from_coco(*files, tmp_path / "d")
        entries = json.loads(files[1].read_text())["annotations"]
        expected = pd.DataFrame(entries).groupby("image_id", sort=False)["caption"].agg(tuple)
        for name, captions in zip(made.samples["id"], made.captions):
            assert captions == tuple(" ".join(x.split()) for x in expected.get(int(name), ()))


@pytest.fixture
def drawn(tmp_path):
    made = datasets.scenes(tmp_path / "drawn", count=12, bias=0.5, size=16, counterfactuals=True)
    plain = datasets.Dataset(
        made.root, "drawn", made.attributes, made.tasks, made.samples.drop(columns="captions")
    )
    datasets.save(plain, made.root)
    return datasets.load(made.root)


class TestFiles:
    @pytest.mark.parametrize("inside", ["new", "images/new", "../link/new"])
    def test_a_dataset_is_not_written_into_itself(self, tmp_path, drawn, inside):
        (tmp_path / "link").symlink_to(drawn.root)
        (tmp_path / "c.json").write_text("{}")
        with pytest.raises(InputError, match="drawn, which would hold its own copy"):
            add_captions(drawn.root, tmp_path / "c.json", drawn.root / inside)
        assert not (drawn.root / "new").exists()

    def test_a_dataset_gets_captions_and_keeps_the_rest(self, tmp_path, drawn, run_cli):
        file = coco(tmp_path / "c", dict(enumerate(TEXTS)), "{:06d}.png") / "captions.json"
        made = run_cli("data", "captions", drawn.root, file, "-o", tmp_path / "made")
        assert made.code == 0, made.err
        assert "5 captions of 3 of them" in made.out
        again = datasets.load(tmp_path / "made")
        by_id = dict(zip(again.samples["id"], again.captions))
        assert [by_id[f"{i:06d}"] for i in range(5)] == [*CLEAN, ()]
        columns = ["id", "split", "counterfactual_of", "changed", "shirt", "context"]
        pd.testing.assert_frame_equal(again.samples[columns], drawn.samples[columns])
        for column in ("image", "mask"):
            for old, new in zip(drawn.samples[column], again.samples[column]):
                assert (drawn.root / old).read_bytes() == (again.root / new).read_bytes()
        pd.testing.assert_frame_equal(datasets.read_regions(again), datasets.read_regions(drawn))

    def test_only_pictures_with_captions(self, tmp_path, drawn):
        [original, *_] = drawn.counterfactuals().samples["counterfactual_of"]
        made_of = drawn.samples.loc[drawn.samples["counterfactual_of"] == original, "id"]
        said = {name: ["A man."] for name in [made_of.iloc[0], drawn.samples["id"][0]]}
        file = coco(tmp_path / "c", said) / "captions.json"
        some = add_captions(drawn.root, file, tmp_path / "made", only_captioned=True)
        assert some.samples["id"].tolist() == [drawn.samples["id"][0]]  # its original has none
        assert some.captions == [("A man.",)]
        assert not len(datasets.read_regions(some).query("id != @some.samples['id'][0]"))

    def test_names_go_before_numbers(self, tmp_path):
        paths = images(tmp_path, 4, "COCO_{}.png")
        rows = pd.DataFrame({"image": [p.name for p in paths], "id": ["3", "2", "1", "0"]})
        rows.assign(said="").to_csv(tmp_path / "t.csv", index=False)
        dataset = datasets.from_table(tmp_path / "t.csv", tmp_path / "d", captions="said")
        said = {i: [f"Number {i}."] for i in range(4)}
        by_number = coco(tmp_path / "c", said, "elsewhere_{}.png") / "captions.json"
        made = add_captions(dataset.root, by_number, tmp_path / "by-number")
        assert made.captions == [(f"Number {i}.",) for i in (3, 2, 1, 0)]
        by_name = coco(tmp_path / "e", said, "{:04d}.jpg") / "captions.json"
        content = json.loads(by_name.read_text())
        for entry, number in zip(content["images"], (1, 0, 3, 2)):
            entry["file_name"] = f"{number:012d}.jpg"
        by_name.write_text(json.dumps(content))
        made = add_captions(dataset.root, by_name, tmp_path / "by-name")
        assert made.captions == [(f"Number {i}.",) for i in (2, 3, 0, 1)]

    def test_several_files_and_captions_of_others(self, tmp_path, drawn):
        first = coco(tmp_path / "a", {0: ["A"], 3: ["B"]}, "{:06d}.png") / "captions.json"
        second = coco(tmp_path / "b", {0: ["C"], 77: ["D"]}, "{:06d}.png") / "captions.json"
        third = coco(tmp_path / "e", {2: ["E", "F"]}, "elsewhere-{}.png") / "captions.json"
        with pytest.warns(FairvisionWarning) as caught:
            made = add_captions(drawn.root, [first, second, third], tmp_path / "made")
        lines = [str(w.message) for w in caught if "captions of pictures that are not" in str(w)]
        assert ["1 captions" in lines[0], "2 captions" in lines[1]] == [True, True]
        assert made.captions[:4] == [("A", "C"), (), (), ("B",)]

    def test_captions_that_are_there_are_not_lost(self, tmp_path, drawn):
        file = coco(tmp_path / "c", {0: ["A"]}, "{:06d}.png") / "captions.json"
        add_captions(drawn.root, file, tmp_path / "made")
        with pytest.raises(InputError, match=r"has captions of 1 of .* --replace"):
            add_captions(tmp_path / "made", file, tmp_path / "more")
        again = add_captions(tmp_path / "made", file, tmp_path / "more", replace_captions=True)
        assert again.captions[0] == ("A",)

    def test_nothing_fits(self, tmp_path, drawn, run_cli):
        file = coco(tmp_path / "c", {"x": ["A"]}) / "captions.json"
        made = run_cli("data", "captions", drawn.root, file, "-o", tmp_path / "made")
        assert made.code == 2
        assert "has captions of none of the" in made.err
        assert not (tmp_path / "made").exists()

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ({"images": [], "annotations": []}, "holds no captions"),
            (
                {"images": [], "annotations": [{"image_id": 1}]},
                r"annotations\[0\] has no 'caption'",
            ),
            (
                {"images": [], "annotations": [{"image_id": 1, "caption": 2}]},
                r"annotations\[0\]: 'caption' cannot be 2",
            ),
            ([{"image_id": 1, "caption": "A"}], "is not in COCO's format: it has no list"),
        ],
    )
    def test_a_file_without_captions(self, tmp_path, drawn, content, message):
        (tmp_path / "c.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match=message):
            add_captions(drawn.root, tmp_path / "c.json", tmp_path / "made")
        assert not (tmp_path / "made").exists()

    def test_an_attribute_of_that_name(self, tmp_path):
        images(tmp_path)
        rows = pd.DataFrame({"image": [f"{i}.png" for i in range(4)], "captions": list("abab")})
        rows.to_csv(tmp_path / "t.csv", index=False)
        datasets.from_table(tmp_path / "t.csv", tmp_path / "d", attributes=["captions"])
        with pytest.raises(InputError, match="captions is the name of an attribute or task"):
            add_captions(tmp_path / "d", tmp_path / "c.json", tmp_path / "e")

    def test_real_photographs(self, tmp_path, shared):
        file = shared / "data" / "coco-captions" / "captions_coco_gender.json"
        made = add_captions(
            shared / "data" / "coco-gender", file, tmp_path / "d", only_captioned=True
        )
        assert made.samples["split"].value_counts().to_dict() == {
            "train": 226, "test": 89, "val": 40
        }  # fmt: skip
        entries = json.loads(file.read_text())["annotations"]
        expected = pd.DataFrame(entries).groupby("image_id", sort=False)["caption"].agg(tuple)
        for name, captions in zip(made.samples["id"], made.captions):
            assert captions == tuple(" ".join(x.split()) for x in expected.get(int(name), ()))
