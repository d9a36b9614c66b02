"""Captioners: what they are shown, what they write one word after another, and their words."""

from __future__ import annotations

from copy import deepcopy
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairvision import models
from fairvision.errors import InputError
from fairvision.models.beam_search import search
from fairvision.models.decoders import NAMES, WIDTH, Memory, make_decoder
from fairvision.models.sentences import padded, write
from fairvision.models.vocabulary import END, LONGEST, PAD, START, UNKNOWN_WORD, Vocabulary

CAPTIONS = ["A man sits at a desk.", "a woman on skis", "two men and a dog", "she reads"]


def memory_of(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Memory(
        torch.randn(n, WIDTH, generator=generator), torch.randn(n, 6, WIDTH, generator=generator)
    )


def decoder_of(name, tokens=9, seed=0):
    torch.manual_seed(seed)
    decoder = make_decoder(name, tokens).eval()
    torch.nn.init.normal_(decoder.bias)
    return decoder


@pytest.mark.parametrize("name", NAMES)
def test_step_by_step_says_what_whole_captions_do(name):
    decoder, memory = decoder_of(name), memory_of(3)
    tokens = torch.tensor([[START, 4, 5, 6], [START, 8, 8, 7], [START, 5, 4, 4]])
    whole = decoder(memory, tokens)
    seen = decoder.seen(memory)
    state = decoder.start(memory, seen)
    for place in range(4):
        logits, state = decoder.step(seen, state, tokens[:, place], place)
        torch.testing.assert_close(logits, whole[:, place], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_captions_of_an_image_share_what_is_made_of_it(name):
    decoder, memory = decoder_of(name), memory_of(2)
    tokens = torch.tensor([[START, 4, 5], [START, 8, 8], [START, 5, 4], [START, 4, 4]])
    twice = memory.rows(torch.tensor([0, 0, 1, 1]))
    whole, seen = decoder(twice, tokens), decoder.seen(memory)
    state = [part.repeat_interleave(2, dim=0) for part in decoder.start(memory, seen)]
    for place in range(3):
        logits, state = decoder.step(seen, state, tokens[:, place], place)
        torch.testing.assert_close(logits, whole[:, place], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_no_word_depends_on_later_ones(name):
    decoder, memory = decoder_of(name), memory_of(1)
    tokens = torch.tensor([[START, 4, 5, 6], [START, 4, 7, 8]])
    first, second = decoder(memory.rows(torch.tensor([0, 0])), tokens)
    torch.testing.assert_close(first[:2], second[:2])
    assert not torch.allclose(first[2], second[2])


def every_caption(tokens, longest):
    """Yield all captions of up to so many tokens, with start and end."""
    words = [word for word in range(tokens) if word not in (PAD, START, END, UNKNOWN_WORD)]
    for length in range(longest - 1):
        for chosen in product(words, repeat=length):
            yield (START, *chosen, END)


def log_probability(decoder, memory, caption):
    logits = decoder(memory, torch.tensor([caption[:-1]])).log_softmax(dim=2)[0]
    return float(logits.detach()[torch.arange(len(caption) - 1), torch.tensor(caption[1:])].sum())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_finds_the_best_of_all_captions(name, seed):
    decoder, memory = decoder_of(name, tokens=7, seed=seed), memory_of(2, seed)
    written = search(decoder, memory, beams=200, longest=5)
    for row in range(2):
        one = memory.rows(torch.tensor([row]))
        best = max(
            every_caption(7, 5), key=lambda c: log_probability(decoder, one, c) / (len(c) - 1)
        )
        kept = tuple(token for token in written.tokens[row].tolist() if token != PAD)
        assert kept == best
        expected = log_probability(decoder, one, best)
        assert float(written.log_probability[row]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_does_not_depend_on_the_batch(name):
    decoder, memory = decoder_of(name), memory_of(7)
    whole = search(decoder, memory, longest=12).tokens
    for row in range(7):
        alone = search(decoder, memory.rows(torch.tensor([row])), longest=12).tokens[0]
        assert alone.tolist() == whole[row, : len(alone)].tolist()
        assert not whole[row, len(alone) :].any()


def test_nothing_is_written_of_no_images():
    assert search(decoder_of("lstm"), memory_of(0)).tokens.shape[0] == 0


@pytest.mark.parametrize("longest", [2, 3])
def test_a_caption_ends_in_time(longest):
    tokens = search(decoder_of("transformer"), memory_of(3), longest=longest).tokens
    assert tokens.shape[1] == longest
    assert ((tokens == END).sum(dim=1) == 1).all()


@pytest.mark.parametrize(
    ("name", "size"),
    [("lecture_cnn", 28), ("resnet18", 64), ("timm:vit_tiny_patch16_224", 64),
     ("timm:swin_tiny_patch4_window7_224", 64)],
)  # fmt: skip
@pytest.mark.parametrize("decoder", NAMES)
def test_any_backbone_is_looked_at(name, size, decoder):
    vocabulary = Vocabulary.learn(CAPTIONS)
    captioner = models.build_captioner(name, vocabulary, size=size, decoder=decoder).eval()
    images = torch.rand(2, 3, size, size)
    shown = captioner.encode(images).grid.shape[1]
    assert shown == (captioner.grid[0] * captioner.grid[1] if decoder == "transformer" else 0)
    assert max(captioner.grid) <= 8
    sentences = write(captioner, vocabulary, images, longest=8)
    assert len(sentences) == 2
    for sentence in sentences:
        for mention in sentence.mentions:
            assert mention.probability <= mention.groups[mention.group] + 1e-6


def test_a_copy_looks_at_its_own_backbone():
    captioner = models.build_captioner("small_cnn", Vocabulary.learn(CAPTIONS), size=32).eval()
    copy = deepcopy(captioner)
    with torch.no_grad():
        for parameter in copy.backbone.parameters():
            parameter.zero_()
    images = torch.rand(2, 3, 32, 32)
    grid = copy.encode(images).grid
    torch.testing.assert_close(grid[0], grid[1])
    assert not torch.allclose(captioner.encode(images).grid[0], captioner.encode(images).grid[1])


@pytest.mark.parametrize("name", ["small_cnn", "inception_v3"])
@pytest.mark.parametrize("decoder", NAMES)
def test_every_weight_learns(name, decoder):
    # Processes that train as one wait for the gradient of each.
    size = 32 if name == "small_cnn" else 299
    vocabulary = Vocabulary.learn(CAPTIONS)
    captioner = models.build_captioner(name, vocabulary, size=size, decoder=decoder)
    models.tune(captioner, "all")
    tokens = padded([[START, 4, 5, END], [START, 6, END]])
    images = torch.rand(2, 3, size, size)
    captioner(images, tokens, torch.tensor([0, 1])).logsumexp(2).sum().backward()
    assert [name for name, p in captioner.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("kind", ["words", "subwords"])
@pytest.mark.parametrize(
    "captions",
    [
        CAPTIONS,
        ["Мужчина сидит за столом", "женщина на лыжах"],
        ["一个男人坐在桌子旁", "一个女人"],
        ["رجل يجلس على مكتب", "امرأة"],
        ["लड़की खेलती है", "ผู้หญิงนั่งอยู่", "مُحَمَّد يكتب", "தமிழ் பெண்"],
        ["word " * 200],
    ],
)
def test_captions_come_back(tmp_path, kind, captions):
    vocabulary = Vocabulary.learn(captions, kind=kind)
    vocabulary.write(tmp_path / "vocabulary.json")
    again = Vocabulary.read(tmp_path / "vocabulary.json")
    for caption in captions:
        encoded = vocabulary.encode(caption)
        assert again.encode(caption) == encoded
        assert UNKNOWN_WORD not in encoded
        plain = " ".join(caption.lower().replace(".", "").split())
        assert again.decode(encoded) == plain


def test_a_vocabulary_does_not_depend_on_the_order_of_captions():
    one, other = (
        Vocabulary.learn(captions, kind="subwords", whole=["man"])
        for captions in (CAPTIONS * 3, CAPTIONS[::-1] * 3)
    )
    assert one.tokenizer.to_str() == other.tokenizer.to_str()


@pytest.mark.parametrize("kind", ["words", "subwords"])
def test_words_of_groups_are_one_token(kind):
    words = {"woman": ["woman", "she", "actress"], "man": ["man", "men"]}
    named = [word for of in words.values() for word in of]
    vocabulary = Vocabulary.learn(CAPTIONS, kind=kind, whole=named)
    tokens = vocabulary.group_tokens(words)
    assert [len(tokens[group]) for group in words] == [2, 2]  # nobody is called an actress
    encoded = vocabulary.encode("a woman, two men and womanly men")
    assert sum(token in tokens["man"] for token in encoded) == 2
    assert sum(token in tokens["woman"] for token in encoded) == 1


def test_there_are_two_decoders():
    with pytest.raises(InputError, match="there is no decoder 'x': choose transformer or lstm"):
        make_decoder("x", tokens=9)


def test_long_captions_are_cut():
    encoded = Vocabulary.learn(["a"]).encode("a " * 1000)
    assert (len(encoded), encoded[0], encoded[-1]) == (LONGEST, START, END)


@given(st.text(max_size=60))
def test_any_text_is_encoded(text):
    vocabulary = Vocabulary.learn(CAPTIONS)
    encoded = vocabulary.encode(text)
    assert (encoded[0], encoded[-1]) == (START, END)
    assert vocabulary.decode(encoded) == vocabulary.decode(
        vocabulary.encode(vocabulary.decode(encoded))
    )


@pytest.mark.parametrize("content", ["", "{}", "[1]", "\udcff", '{"model": {"type": "WordLevel"}}'])
def test_a_damaged_vocabulary_is_refused(tmp_path, content):
    (tmp_path / "vocabulary.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=r"vocabulary\.json"):
        Vocabulary.read(tmp_path / "vocabulary.json")
