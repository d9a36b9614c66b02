from __future__ import annotations

import gzip
import json

import pytest

from fairvision.captioning.labels import identity, read_captions, read_human
from fairvision.core.word_files import read_words
from fairvision.errors import FairvisionWarning, InputError


def test_results_are_read_whatever_kind_of_id_they_have(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"image_id": 7, "caption": "x"}, {"caption": "y", "image_id": "p_1"}]')
    assert read_captions(path) == {"7": "x", "p_1": "y"}


@pytest.mark.parametrize("value", [36, 36.0, "36", "000000000036", " 36 "])
def test_ids_of_all_spellings_meet(value):
    assert identity(value) == "36"


@pytest.mark.parametrize("value", [None, "", "  ", float("nan"), True])
def test_no_id(value):
    assert identity(value) is None


def test_zero_is_an_id():
    assert identity("000") == identity(0) == "0"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{nonsense", "line 1 is not valid JSON"),
        ('{"a": 1}', "is not a list of captions"),
        ("[]", "holds no captions"),
        ("[3]", "entry 1 is not an object"),
        ('[{"image_id": 1}]', "entry 1 has no field 'caption'"),
        ('[{"caption": "a"}]', "entry 1 has no field 'image_id'"),
        ('[{"image_id": 1, "caption": null}]', "entry 1, caption: has to be text"),
        ('[{"image_id": 1.5, "caption": ""}]', "entry 1, image_id: has to be a whole number or te"),
        ('[{"image_id": true, "caption": ""}]', "entry 1, image_id: has to be a whole number or t"),
        ('[{"image_id": "", "caption": ""}]', "entry 1, image_id: is empty"),
        (
            '[{"image_id": 1, "caption": ""}, {"image_id": "01", "caption": ""}]',
            "entry 2, image_id: 1 is there twice",
        ),
    ],
)
def test_what_is_wrong_is_said_with_file_entry_and_field(tmp_path, text, says):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match=f"a.json.*{says}"):
        read_captions(path)


def test_people_write_several_captions_in_either_format(tmp_path):
    path = tmp_path / "human.json"
    entries = [{"image_id": 1, "caption": "x"}, {"image_id": 1, "caption": "y"}]
    for value in (entries, {"annotations": entries, "images": []}):
        path.write_text(json.dumps(value))
        assert read_human(path) == {"1": ("x", "y")}
    path.write_text('{"images": []}')
    with pytest.raises(InputError, match="neither a list of captions nor has it"):
        read_human(path)


def test_what_stands_for_no_caption_was_written_by_nobody(tmp_path):
    path = tmp_path / "human.json"
    texts = ["x", "n/a", "unknown", ""]
    path.write_text(json.dumps([{"image_id": 1, "caption": text} for text in texts]))
    with pytest.warns(FairvisionWarning, match=r"human\.json: 3 captions are 'n/a' or 'unknown'"):
        assert read_human(path) == {"1": ("x",)}


def test_captions_of_people_may_be_compressed(tmp_path):
    path = tmp_path / "human.json.gz"
    text = json.dumps([{"image_id": 1, "caption": "é"}])
    path.write_bytes(gzip.compress(text.encode()))
    assert read_human(path) == {"1": ("é",)}
    for damaged in (path.read_bytes()[:-9], text.encode(), gzip.compress(b"[")):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"human\.json\.gz .*not valid JSON"):
            read_human(path)


@pytest.mark.parametrize("text", ["[]", "{}", '{"a": "word"}', '{"a": [1]}'])
def test_words_map_names_to_lists(tmp_path, text):
    path = tmp_path / "words.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"words\.json"):
        read_words(path)


def test_lone_surrogates_are_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"image_id": 1, "caption": "a \\ud800 man"}]')
    with pytest.raises(InputError, match=r"a\.json holds half a character"):
        read_captions(path)
