"""Captioners of transformers: what they write is what transformers writes; hostile folders."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers import models as tokenizer_models

from fairvision.attribution.word_maps import word_maps
from fairvision.errors import InputError
from fairvision.models.adapters.captioner_files import (
    CaptionerFiles,
    is_captioner,
    open_files,
    open_network,
)
from fairvision.models.beam_search import search
from fairvision.models.pretrained_vocabulary import SHIFT, PretrainedVocabulary
from fairvision.models.sentences import padded, write
from fairvision.models.vocabulary import END, START
from fairvision.runs.caption_model import as_caption_model
from tests.models.tiny_captioners import KINDS, SIZE, tiny_captioner

pytest.importorskip("transformers")
WORDS = {"woman": ["woman", "she"], "man": ["man"]}


@pytest.fixture(scope="module", params=KINDS)
def opened(request, tmp_path_factory):
    """A folder, transformers' model of it, and ours."""
    folder = tmp_path_factory.mktemp("captioners") / request.param
    model = tiny_captioner(folder, request.param)
    files, vocabulary = open_files(f"hf:{folder}")
    network = open_network(f"hf:{folder}", files, vocabulary, WORDS).eval()
    return folder, model, files, vocabulary, network


@pytest.fixture(scope="module")
def git(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captioners") / "git"
    tiny_captioner(folder, "git")
    return folder


@pytest.fixture(scope="module")
def images():
    return torch.rand(6, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def test_one_beam_writes_what_transformers_writes(opened, images):
    _, model, _, _, network = opened
    longest = 12
    with torch.no_grad():
        expected = model.generate(
            pixel_values=(images - 0.4) / 0.5, num_beams=1, do_sample=False, max_length=longest
        )
    written = search(network.decoder, network.encode(images), beams=1, longest=longest).tokens
    for ours, theirs in zip(written.tolist(), expected.tolist()):
        assert ours[0] == START
        own = [token - SHIFT for token in ours[1:] if token >= SHIFT]
        theirs = theirs[1:]
        if 3 in theirs:
            assert own == theirs[: theirs.index(3)]
        else:  # ours always come to an end
            assert own == theirs[: len(own)]
            assert len(own) == longest - 2
    assert len({tuple(row) for row in written.tolist()}) > 1


def test_logits_are_those_of_transformers(opened, images):
    _, model, files, vocabulary, network = opened
    tokens = padded(vocabulary.encode_all(["a man on skis", "woman"]))
    assert tokens.tolist() == [[START, 8, 9, 11, 12, END], [START, 10, END, 0, 0, 0]]
    own = torch.tensor([[2, 4, 5, 7, 8], [2, 6, 3, 0, 0]])
    names = {"input_ids": own}
    if "encoder" in files.config:
        names = {"decoder_input_ids": own}
    with torch.no_grad():
        ours = network(images[:2], tokens[:, :-1], torch.arange(2))
        theirs = model(pixel_values=(images[:2] - 0.4) / 0.5, **names).logits[:, -5:]
    shares, expected = ours.softmax(dim=2), theirs.softmax(dim=2)
    assert torch.allclose(shares[..., END], expected[..., 3], atol=1e-5)
    expected[..., 3] = 0
    assert torch.allclose(shares[..., SHIFT:], expected, atol=1e-5)
    assert shares[..., [0, START, 3]].max() == 0


def test_what_is_kept_makes_the_same_network(opened, images, tmp_path):
    _, _, files, vocabulary, network = opened
    files.write(tmp_path / "captioner.json")
    vocabulary.write(tmp_path / "vocabulary.json")
    again = CaptionerFiles.read(tmp_path / "captioner.json")
    same = again.untrained(again.vocabulary(tmp_path / "vocabulary.json"), WORDS).eval()
    state = load(save({k: v.contiguous() for k, v in network.state_dict().items()}))
    same.load_state_dict(state)
    copied = copy.deepcopy(network)
    expected = write(network, vocabulary, images, longest=10)
    for other in (same, copied):
        assert [one.tokens for one in write(other, vocabulary, images, longest=10)] == [
            one.tokens for one in expected
        ]
    copied.load_state_dict({name: torch.zeros_like(value) for name, value in state.items()})
    assert not any(parameter.any() for parameter in copied.parameters())


def test_images_of_a_batch_do_not_touch_each_other(opened, images):
    _, _, _, vocabulary, network = opened
    together = write(network, vocabulary, images, longest=10)
    for image, sentence in zip(images, together):
        alone = write(network, vocabulary, image[None], longest=10)[0]
        assert alone.text == sentence.text
        assert alone.log_probability == pytest.approx(sentence.log_probability, abs=1e-4)


@pytest.mark.parametrize("method", ["gradcam", "occlusion"])
def test_evidence_for_a_word(opened, images, method):
    _, _, _, vocabulary, network = opened
    tokens = torch.tensor(vocabulary.encode_all(["a man"])).expand(len(images), -1)
    steps = torch.full((len(images),), 2)
    maps = word_maps(network, images, tokens, steps, method)
    assert maps.shape == (len(images), SIZE, SIZE)
    assert maps.isfinite().all()
    assert maps.abs().max() > 0
    with pytest.raises(InputError, match="gives no attention"):
        word_maps(network, images, tokens, steps, "attention")


def subwords(*pieces, after_space):
    """A vocabulary of pieces: WordPiece, or pieces that hold the space before them."""
    numbers = {piece: i for i, piece in enumerate(pieces)}
    if not after_space:
        tokenizer = Tokenizer(tokenizer_models.WordPiece(numbers, unk_token=pieces[0]))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.decoder = decoders.WordPiece()
    else:
        tokenizer = Tokenizer(tokenizer_models.Unigram([(p, -1.0) for p in pieces], unk_id=0))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
    return PretrainedVocabulary(tokenizer, size=len(numbers))


def test_words_of_several_tokens():
    vocabulary = subwords(
        "[UNK]",
        "a",
        "man",
        "##kind",
        "sis",
        "##ter",
        "##al",
        "w",
        "##ife",
        "Man",
        after_space=False,
    )
    words = {"woman": ["sister", "wife", "lady"], "man": ["man", "sisal"]}
    # "sis" begins words of both, "w" is one letter, "lady" not known.
    assert vocabulary.group_tokens(words) == {"woman": (), "man": (2 + SHIFT, 9 + SHIFT)}
    assert vocabulary.group_tokens({"woman": ["sister"]}) == {"woman": (4 + SHIFT,)}
    tokens = vocabulary.encode("a sister , mankind")
    assert vocabulary.word_at(tokens, 2) == "sister"
    assert vocabulary.word_at(tokens, 3) == ""
    assert vocabulary.word_at(tokens, len(tokens) - 3) == "mankind"


def test_tokens_that_hold_a_space():
    vocabulary = subwords("<unk>", "▁a", "▁man", "▁snow", "man", "▁Man", after_space=True)
    assert vocabulary.group_tokens({"man": ["man"]}) == {"man": (2 + SHIFT, 5 + SHIFT)}
    tokens = vocabulary.encode("a snowman")
    assert vocabulary.decode(tokens) == "a snowman"
    assert [vocabulary.word_at(tokens, step) for step in (1, 2, 3)] == ["a", "snowman", ""]


def test_captions_are_text_and_cut(git):
    _, vocabulary = open_files(f"hf:{git}")
    assert vocabulary.encode("a [SEP]  man") == [START, 8, 5, 5, 5, 9, END]
    assert len(vocabulary.encode("a " * 100)) == 32
    assert vocabulary.decode([START, 8, 9, END, 0]) == "a man"
    assert len(vocabulary) == SHIFT + 14


def changed(source: Path, target: Path, name: str, **changes: object) -> str:
    """A folder like another, with other contents in one of its files of JSON."""
    shutil.copytree(source, target)
    content = json.loads((target / name).read_text())
    for key, value in changes.items():
        if value is None:
            content.pop(key, None)
        else:
            content[key] = value
    (target / name).write_text(json.dumps(content))
    return f"hf:{target}"


class Trap:
    def __reduce__(self):
        return Path.touch, (Path("trapped"),)


def refused(source: str) -> str:
    """The line by which a captioner is refused."""
    with pytest.raises(InputError) as error:
        as_caption_model(source)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_folders_that_are_no_captioners(git, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = changed(git, tmp_path / "a", "config.json", model_type="vit", architectures=["ViT"])
    assert "is 'ViT', and no captioner: VisionEncoderDecoderModel, Blip" in refused(named)
    assert not is_captioner(named)
    other = changed(git, tmp_path / "b", "config.json", architectures=["GitModel"])
    assert "is 'GitModel', and no captioner" in refused(other)
    code = changed(git, tmp_path / "c", "config.json", auto_map={"AutoConfig": "trap.Trap"})
    (tmp_path / "c" / "trap.py").write_text("open('trapped', 'w')")
    assert as_caption_model(code).name == "c"
    beyond = changed(git, tmp_path / "d", "config.json", eos_token_id=99)
    (tmp_path / "d" / "generation_config.json").unlink()
    assert "names a token beyond its 14" in refused(beyond)
    fewer = changed(git, tmp_path / "e", "config.json", vocab_size=5)
    assert "has a token 13, the network 5 tokens" in refused(fewer)
    pickled = shutil.copytree(git, tmp_path / "f")
    (pickled / "model.safetensors").unlink()
    (pickled / "pytorch_model.bin").write_bytes(pickle.dumps(Trap()))
    assert "holds no weights in safetensors" in refused(f"hf:{pickled}")
    for name, line in (
        ("tokenizer.json", "has no tokenizer.json"),
        ("preprocessor_config.json", "has no preprocessor_config.json"),
        ("config.json", "is no folder with a config.json"),
    ):
        without = shutil.copytree(git, tmp_path / name)
        (without / name).unlink()
        assert line in refused(f"hf:{without}")
    (git.parent / "empty").mkdir()
    assert "is no folder" in refused(f"hf:{git.parent / 'empty'}")
    damaged = shutil.copytree(git, tmp_path / "g")
    (damaged / "tokenizer.json").write_text("[]")
    assert "holds no tokenizer" in refused(f"hf:{damaged}")
    (damaged / "config.json").write_text("[")
    assert "config.json" in refused(f"hf:{damaged}")
    assert not Path("trapped").exists()
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert "transformers is not installed: pip install 'fairvision[hf]'" in refused(f"hf:{git}")
