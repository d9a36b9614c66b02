"""Captions of drawn scenes: what they name, and that drawing does not depend on them."""

import hashlib

import pandas as pd
import pytest

from fairvision import datasets
from fairvision.datasets.readers.scene_captions import (
    NAMED,
    PEOPLE,
    UNNAMED,
    caption_scene,
    in_shirt,
)
from fairvision.datasets.readers.scene_drawing import CONTEXTS, PATTERNS
from fairvision.errors import InputError
from fairvision.metrics import caption_genders

PLACE_WORDS = {
    "desk": {"desk", "office"},
    "slope": {"slope"},
    "pitch": {"pitch"},
    "camp": {"camp"},
}


def words(caption):
    return set(caption.lower().rstrip(".").replace(",", "").split())


@pytest.mark.parametrize("place", CONTEXTS)
def test_every_caption_names_the_place_and_all_but_one_the_group(place):
    others = [PLACE_WORDS.get(other, {other}) for other in CONTEXTS if other != place]
    for seed in range(60):
        for gender, person in PEOPLE.items():
            captions = caption_scene(person, place, str(seed))
            assert len(set(captions)) == NAMED + UNNAMED
            group = {"female": "woman", "male": "man"}[gender]
            assert caption_genders(captions).tolist() == [group] * NAMED + ["other"] * UNNAMED
            for caption in captions:
                assert words(caption) & PLACE_WORDS.get(place, {place})
                assert not any(words(caption) & of_other for of_other in others)
                assert caption[0].isupper()
                assert caption.endswith(".")


def test_shirts_are_the_words_of_other_groups():
    for shirt in PATTERNS:
        captions = caption_scene(in_shirt(shirt), "desk", "1")
        named = [words(caption) & {*PATTERNS} for caption in captions]
        assert named == [{shirt}] * NAMED + [set()] * UNNAMED
        assert set(caption_genders(captions)) == {"other"}


def test_another_person_or_place_has_the_same_wordings():
    for seed in range(40):
        women = caption_scene(PEOPLE["female"], "street", str(seed))
        men = caption_scene(PEOPLE["male"], "street", str(seed))
        swapped = {"woman": "man", "lady": "guy", "girl": "boy", "her": "his"}
        assert [
            " ".join(swapped.get(word, word) for word in caption.lower().split())
            for caption in women
        ] == [caption.lower() for caption in men]


def test_images_and_labels_are_those_without_captions(tmp_path):
    """The digest is that of the rows of this world before there were captions."""
    drawn = datasets.scenes(tmp_path / "a", count=20, bias=0.8, size=16, counterfactuals=True)
    table = drawn.samples[["id", "split", "shirt", "context"]]
    rows = table.to_csv(index=False, lineterminator="\n")
    assert hashlib.sha256(rows.encode()).hexdigest()[:16] == "75bbc5e6089b61ad"
    for row in drawn.originals().samples.to_dict("records"):
        image, _ = datasets.draw_scene(row["shirt"], row["context"], 16, f"0/{row['id']}")
        assert datasets.read_image(drawn.root / row["image"]) == image


def test_counterfactuals_say_what_they_show(tmp_path):
    drawn = datasets.scenes(
        tmp_path / "a", count=40, bias=0.8, size=16, counterfactuals=True, gender=True
    )
    assert drawn.attributes == {"gender": ("female", "male")}
    assert set(drawn.samples["changed"].dropna()) == {"context", "gender"}
    captions = pd.Series(drawn.captions, drawn.samples["id"])
    for row in drawn.samples.to_dict("records"):
        own = captions[row["id"]]
        group = {"female": "woman", "male": "man"}[row["gender"]]
        assert set(caption_genders(own[:NAMED])) == {group}
        place = PLACE_WORDS.get(row["context"], {row["context"]})
        assert all(words(caption) & place for caption in own)
        if row["changed"] == "gender":
            assert own[NAMED:] == captions[row["counterfactual_of"]][NAMED:]


def test_genders_are_the_shirts_under_other_names(tmp_path):
    plain = datasets.scenes(tmp_path / "a", count=12, bias=0.8, size=16, counterfactuals=True)
    named = datasets.scenes(
        tmp_path / "b", count=12, bias=0.8, size=16, counterfactuals=True, gender=True
    )
    assert plain.codes("shirt").tolist() == named.codes("gender").tolist()
    columns = ["id", "image", "split", "counterfactual_of", "context"]
    pd.testing.assert_frame_equal(plain.samples[columns], named.samples[columns])
    for path in plain.samples["image"]:
        assert (plain.root / path).read_bytes() == (named.root / path).read_bytes()


def test_gender_has_two_groups(tmp_path):
    with pytest.raises(InputError, match="gender has 2 groups here, not 3"):
        datasets.scenes(tmp_path / "a", count=12, bias=0.8, groups=3, gender=True)
    assert not (tmp_path / "a").exists()


def test_captions_of_worlds_with_a_known_cause(tmp_path):
    for cause in ("object", "mixture"):
        drawn = datasets.reasons(tmp_path / cause, cause=cause, count=24, size=16)
        rows = drawn.samples.to_dict("records")
        for row, captions in zip(rows, drawn.captions):
            named = [words(caption) & {"first", "second"} for caption in captions]
            assert named == [{row["group"]}] * NAMED + [set()] * UNNAMED
            hats = [words(caption) & {"hat"} for caption in captions]
            assert all(hats) == (row.get("decider") == "person")
            assert any(hats) == all(hats)


def test_the_command_draws_men_and_women(tmp_path, run_cli):
    made = run_cli("data", "scenes", tmp_path / "a", "--count", 12, "--size", 16, "--gender")
    assert made.code == 0
    assert datasets.load(tmp_path / "a").attributes == {"gender": ("female", "male")}
