from __future__ import annotations

import re
import string
import unicodedata
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairvision import metrics
from fairvision.errors import InputError
from fairvision.metrics.caption_tokens import coco_tokens as tokens
from fairvision.metrics.caption_tokens import words_and_letters
from fairvision.metrics.caption_words import GENDER_WORDS, HIDDEN_WORDS, words_for

FEMALE = (
    "girl sister mom wife woman bride female lady women girls ladies females moms actress nun "
    "girlfriend her she"
)
MALE = (
    "boy brother dad husband man groom male guy men males boys guys dads dude policeman policemen "
    "father son fireman actor gentleman boyfriend mans his obama actors"
)
PIECES = [
    "man",
    "woman",
    "Her",
    "SHE",
    "mans",
    "man's",
    "he",
    "'",
    " ",
    "-",
    ".",
    "\n",
    "é",
    "İ",
    "7",
]
# how language models and word processors write, and the same from a plain keyboard
TYPOGRAPHIC = {
    "man\u2019s": "man's",
    "\u2018man\u2019": "'man'",
    "man\u02bcs": "man's",
    "man\uff07s": "man's",
    "man\u00b4s": "man's",
    "\u201cher\u201d": '"her"',
    "man\u2013made": "man-made",
    "woman\u2014her": "woman-her",
    "a\xa0girl": "a girl",
    "a\u202fgirl": "a girl",
    "\uff37\uff4f\uff4d\uff41\uff4e": "Woman",
    "\ufb01reman": "fireman",
    "wo\xadman": "woman",
    "\ufeffshe": "she",
    "he\u0301": "h\u00e9",
}


def is_plain(text: str) -> bool:
    return unicodedata.normalize("NFKC", text) == text and not any(
        unicodedata.category(letter) == "Cf" or letter in "\u2018\u2019\u201b\u02bc\u02b9\u2032"
        for letter in text
    )


texts = st.text(max_size=3).filter(is_plain)
ascii_sentences = st.lists(
    st.sampled_from([piece for piece in PIECES if piece.isascii()]) | st.text(string.printable),
    max_size=12,
).map("".join)
sentences = st.lists(st.sampled_from(PIECES) | texts, max_size=12).map("".join).filter(is_plain)


def test_lists_are_those_of_the_paper() -> None:
    assert {group: set(words) for group, words in GENDER_WORDS.items()} == {
        "woman": set(FEMALE.split()),
        "man": set(MALE.split()),
    }


def test_hidden_words_are_those_of_both_papers() -> None:
    masked = {"mother", "himself", "pregnant", "he", "queen", "cowboy", "hers", "obama", "nun"}
    assert masked <= HIDDEN_WORDS
    assert not {"person", "people", "child", "tie", "a"} & HIDDEN_WORDS


@given(sentences)
def test_tokens_are_maximal_runs_of_the_lower_case_text(caption: str) -> None:
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789'")
    separated = "".join(letter if letter in allowed else " " for letter in caption.lower())
    assert tokens(caption) == separated.split()


@given(st.lists(st.sampled_from(sorted(TYPOGRAPHIC)), min_size=1, max_size=5))
def test_typographic_captions_are_read_as_plain_ones(pieces: list[str]) -> None:
    typed, plain = " ".join(pieces), " ".join(TYPOGRAPHIC[piece] for piece in pieces)
    assert tokens(typed) == tokens(plain)
    assert metrics.caption_genders([typed]).tolist() == metrics.caption_genders([plain]).tolist()
    masked = [tokens(caption) for caption in metrics.mask_words([typed, plain])]
    assert masked[0] == masked[1]


@pytest.mark.parametrize(
    "text", ["man", "Man's", "man\u2019s", "'man'", "boys'", "he'll", "she\u2019s"]
)
def test_a_possessive_hides_its_word_and_stays_one(text: str) -> None:
    (masked,) = metrics.mask_words([f"a {text} hat"])
    assert set(tokens(masked)).isdisjoint(HIDDEN_WORDS)
    assert not {"man's", "he'll", "she's", "boys'"} & set(tokens(masked))
    assert masked.count("maskedword") == 1
    assert masked.startswith("a ")
    assert masked.endswith(" hat")


def test_only_the_hidden_word_of_a_possessive_is_hidden() -> None:
    captions = ["the woman's dog's tie", "o'clock", "the cowboy\u2019s hat", "human's"]
    assert metrics.mask_words(captions, mask="_").tolist() == [
        "the _'s dog's tie",
        "o'clock",
        "the _'s hat",
        "human's",
    ]
    assert metrics.mask_words(["ma'am said"], ["ma'am"], mask="_").tolist() == ["_ said"]


@given(st.lists(ascii_sentences | st.none(), max_size=8))
def test_group_of_a_caption_is_its_definition(captions: list[str | None]) -> None:
    def named(caption: str | None) -> str | None:
        if caption is None:
            return None
        said = set(re.findall(r"[a-z0-9']+", caption.lower()))
        female, male = bool(said & set(FEMALE.split())), bool(said & set(MALE.split()))
        return "other" if female == male else "woman" if female else "man"

    found = metrics.caption_genders(captions)
    assert found.tolist() == [named(caption) for caption in captions]
    assert found.dtype == object
    assert found.shape == (len(captions),)


@pytest.mark.parametrize(
    ("caption", "group"),
    [
        ("a Woman, riding", "woman"),
        ("A MAN.", "man"),
        ("a man's hat", "other"),
        ("a mans hat", "man"),
        ("a man’s hat", "other"),  # as with a plain apostrophe
        ("manly womanizer", "other"),
        ("his and hers", "man"),
        ("", "other"),
        ("ein Mann, 一个女人, une femme", "other"),
        ("une femme-man", "man"),
        (["a person", "her bike"], "woman"),
        (("his bike", None, "her bike"), "other"),
        ([], None),
        ([None], None),
        (None, None),
        (float("nan"), None),
        (pd.NA, None),
    ],
)
def test_single_captions(caption: Any, group: str | None) -> None:
    assert metrics.caption_genders([caption]).tolist() == [group]


@pytest.mark.parametrize(
    "container",
    [
        lambda captions: np.array(captions, dtype=object),
        lambda captions: pd.Series(captions, index=range(5, 5 + len(captions))),
        lambda captions: pd.Series(captions, dtype="string"),
        lambda captions: pd.Categorical(captions),
        lambda captions: pd.DataFrame({"image_id": 7, "caption": captions}),
        lambda captions: [{"image_id": 7, "caption": caption} for caption in captions],
        tuple,
        iter,
    ],
)
def test_containers(container: Any) -> None:
    captions = ["a man", None, "a woman", "a dog", "a man"]
    expected = ["man", None, "woman", "other", "man"]
    assert metrics.caption_genders(container(captions)).tolist() == expected


def test_own_words_any_number_of_groups() -> None:
    words = {"old": ["Elderly", "old"], "young": {"young"}, "child": ("kid",)}
    captions = ["an ELDERLY kid", "a kid", "old", "a young dog", "a dog"]
    found = metrics.caption_genders(captions, words=words)
    assert found.tolist() == ["other", "child", "old", "young", "other"]


def test_named_groups_are_predictions_of_every_measure() -> None:
    said = metrics.caption_genders(["a woman", "a man", "a dog", None])
    result = metrics.accuracy(["woman", "woman", "man", "man"], said)
    assert (result.value, result.n) == (1 / 3, 3)


@pytest.mark.parametrize(
    ("captions", "words", "message"),
    [
        ("a man", None, "one text"),
        (7, None, "one text"),
        ({"a": "b"}, None, "not one dict"),
        (pd.DataFrame({"text": ["a man"]}), None, "not one DataFrame"),
        ([{"image_id": 7}], None, "row 0 holds {'image_id': 7}"),
        (["a man", 7], None, "row 1 holds 7"),
        ([["a man", 7]], None, "row 0 holds 7"),
        (["a"], ["man", "woman"], "mapping"),
        (["a"], {}, "mapping"),
        (["a"], {"m": "man"}, "list of words"),
        (["a"], {"m": ["fire man"]}, "'fire man'"),
        (["a"], {"m": ["se-ñora"]}, "'se-ñora'"),
        (["a"], {"m": [""]}, "''"),
        (["a"], {"m": [], "f": ["woman"]}, "is empty: no caption could name that group"),
        (["a"], {"m": [7]}, "7"),
        (["a"], {"other": ["man"]}, "other"),
        (["a"], {1: ["man"]}, "needs a name"),
        (["a"], {"m": ["man"], "f": ["Man", "woman"]}, "'man' is one of m and of f"),
    ],
)
def test_bad_input_is_one_clear_line(captions: Any, words: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        metrics.caption_genders(captions, words)
    assert "\n" not in str(error.value)


@given(st.lists(ascii_sentences, max_size=5))
def test_masked_captions_name_nobody_and_keep_the_rest(captions: list[str]) -> None:
    masked = metrics.mask_words(captions)
    for caption, text in zip(captions, masked):
        kept = [word for word in tokens(caption) if HIDDEN_WORDS.isdisjoint(word.split("'"))]
        assert [word for word in tokens(text) if "maskedword" not in word] == kept
        assert len(tokens(text)) == len(tokens(caption))
    assert metrics.mask_words(masked).tolist() == masked.tolist()


def test_masking_of_lists_and_own_words() -> None:
    masked = metrics.mask_words([["A Dog!", "dogs"], None, "A cat"], ["dog", "cat"], mask="[x]")
    assert masked.tolist() == [["a [x]!", "dogs"], None, "a [x]"]
    assert metrics.mask_words(["a man"], []).tolist() == ["a man"]
    with pytest.raises(InputError, match="list of words"):
        metrics.mask_words(["a man"], "man")


@given(ascii_sentences)
def test_words_of_ascii_texts_are_those_of_coco(caption: str) -> None:
    assert words_and_letters(caption) == tokens(caption)


WORDS = {
    "woman": ["Frau", "женщина", "महिला", "女人", "女", "ผู้หญิง", "여자가", "γυναίκα"],
    "man": ["Mann", "мужчина", "आदमी", "人", "ผู้ชาย", "남자가", "άντρας", "her"],
}


@pytest.mark.parametrize(
    ("caption", "group"),
    [
        ("Früher schön", "other"),  # no "her" is in it
        ("her é", "man"),
        ("Eine FRAU fährt", "woman"),
        ("Мужчина на лыжах", "man"),
        ("एक महिला साइकिल चला रही है", "woman"),
        ("एक आदमी", "man"),
        ("महिलाएँ", "other"),
        ("一个女人在骑车", "woman"),  # of which the last letter alone would be a man
        ("一个人在骑车", "man"),
        ("一只猫", "other"),
        ("ผู้หญิงขี่จักรยาน", "woman"),
        ("여자가 자전거를 탄다", "woman"),
        ("Η γυναίκα και ο άντρας", "other"),
        ("2女2", "woman"),
    ],
)
def test_words_of_other_scripts(caption: str, group: str) -> None:
    assert metrics.caption_genders([caption], WORDS).tolist() == [group]
    (masked,) = metrics.mask_words([caption], WORDS)
    assert metrics.caption_genders([masked], WORDS).tolist() == ["other"]
    assert (masked == caption.lower()) == (group == "other" and "γ" not in caption)


def test_a_hidden_word_of_several_letters_leaves_the_others() -> None:
    assert metrics.mask_words(["一个女人，人。"], WORDS, mask="_").tolist() == ["一个_,_。"]


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        (["woman", "man"], ["woman", "man"]),
        (["man"], ["woman", "man"]),
        (["Male", "Female"], ["Female", "Male"]),
        (["F", "M"], ["F", "M"]),
        ([], ["woman", "man"]),
    ],
)
def test_default_words_go_by_the_names_of_the_groups(groups: list[str], names: list[str]) -> None:
    found = words_for(groups, None)
    assert list(found) == names
    assert [set(words) for words in found.values()] == [set(FEMALE.split()), set(MALE.split())]


@pytest.mark.parametrize(
    "groups", [["woman", "male"], ["cat"], [0, 1], ["Man", "man"], ["x", "man"]]
)
def test_groups_without_words_are_an_error(groups: list[Any]) -> None:
    with pytest.raises(InputError, match="give words"):
        words_for(groups, None)
