"""Classifiers of transformers, and CLIPs, in folders: their own figures, and hostile folders."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from fairvision import models
from fairvision.datasets.geometry import Geometry
from fairvision.errors import FairvisionWarning, InputError
from fairvision.models.heads import Head
from fairvision.models.preprocessing import recognised

TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
TEXTS = {"female": ["a woman", "a photo of a woman"], "male": ["a man"]}
PROMPTS = models.SourceOptions(prompts={"gender": TEXTS})


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def vit(transformers, tmp_path_factory):
    """A vision transformer with two labels, as save_pretrained writes it."""
    folder = tmp_path_factory.mktemp("models") / "vit"
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        **TINY, intermediate_size=32, image_size=112, patch_size=16, initializer_range=0.3,
        id2label={0: "male", 1: "female"}, label2id={"male": 0, "female": 1},
    )  # fmt: skip
    network = transformers.ViTForImageClassification(config).eval()
    network.save_pretrained(folder)
    size = {"height": 112, "width": 112}
    transformers.ViTImageProcessor(size=size).save_pretrained(folder)
    return folder, network


def test_a_classifier_gives_what_transformers_gives(
    vit, transformers, gender, photograph, seen, explained
):
    folder, network = vit
    model = models.open_source(f"hf:{folder}", gender)
    pixels = np.asarray(photograph.resize((112, 112), Image.Resampling.BILINEAR)) / 255
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    with torch.no_grad():
        exact = network(torch.tensor(pixels).permute(2, 0, 1)[None].float() * 2 - 1).logits
        rounded = network(**processor(photograph, return_tensors="pt")).logits
    female = model.predict(seen(model))["gender"][:, 0]
    # The folder says which output is called what; its processor rounds in another way than Pillow.
    assert torch.allclose(female, exact.softmax(dim=1)[:, 1], atol=1e-5)
    assert torch.allclose(female, rounded.softmax(dim=1)[:, 1], atol=1e-3)
    assert model.geometry == Geometry(112)
    assert str(model.preprocessing).endswith("(as its preprocessor_config.json says)")
    for method in ("gradcam", "occlusion", "saliency"):
        explained(model, method)


def test_a_convolutional_classifier(transformers, tmp_path, gender, photograph, seen, explained):
    torch.manual_seed(0)
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"
    )
    network = transformers.ResNetForImageClassification(config).eval()
    network.save_pretrained(tmp_path)
    processor = transformers.ConvNextImageProcessor(size={"shortest_edge": 64})
    processor.save_pretrained(tmp_path)
    model = models.open_source(f"hf:{tmp_path}", gender)
    with torch.no_grad():
        logits = network(**processor(photograph, return_tensors="pt")).logits
    expected = logits.softmax(dim=1)
    assert torch.allclose(model.predict(seen(model))["gender"], expected, atol=1e-4)
    explained(model, "hirescam")


def test_a_folder_without_a_word_on_images(vit, transformers, tmp_path, gender):
    vit[1].save_pretrained(tmp_path)
    with pytest.raises(InputError, match="give --size, --mean and --std"):
        models.open_source(f"hf:{tmp_path}", gender)
    options = replace(gender, size=112, mean=[0.5], std=[0.5])
    model = models.open_source(f"hf:{tmp_path}", options)
    same = models.open_source(f"hf:{vit[0]}", gender)
    images = torch.rand(2, 3, 112, 112)
    assert torch.equal(model.predict(images)["gender"], same.predict(images)["gender"])
    with pytest.raises(InputError, match="fails on images of shape"):
        models.open_source(f"hf:{vit[0]}", replace(gender, size=48))


def test_a_classifier_of_many_labels(vit, tmp_path, gender):
    folder = copied(vit[0], tmp_path / "many", problem_type="multi_label_classification")
    with pytest.warns(FairvisionWarning, match="many = true in --heads"):
        models.open_source(f"hf:{folder}", gender)
    many = replace(gender, heads={"gender": Head(("female", "male"), many=True)})
    model = models.open_source(f"hf:{folder}", many)
    images = torch.rand(2, 3, 112, 112)
    with torch.no_grad():
        expected = vit[1](images * 2 - 1).logits.sigmoid().flip(1)
    assert torch.allclose(model.predict(images)["gender"], expected, atol=1e-5)


class Trap:
    def __reduce__(self):
        return Path.touch, (Path("trapped"),)


def copied(source: Path, target: Path, **changes: object) -> Path:
    """A folder like another, with other settings in its config.json."""
    target.mkdir()
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    config = json.loads((target / "config.json").read_text()) | changes
    (target / "config.json").write_text(json.dumps(config))
    return target


def test_hostile_folders_do_nothing(vit, gender, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "open('trapped', 'w')\nclass Mine: pass\n"
    pickled = copied(vit[0], tmp_path / "pickled")
    (pickled / "model.safetensors").unlink()
    (pickled / "pytorch_model.bin").write_bytes(pickle.dumps(Trap()))
    own_code = {"AutoConfig": "mine.Mine", "AutoModelForImageClassification": "mine.Mine"}
    remote = copied(vit[0], tmp_path / "remote", auto_map=own_code, model_type="mine")
    (remote / "mine.py").write_text(code)
    processor = copied(vit[0], tmp_path / "processor")
    (processor / "mine.py").write_text(code)
    (processor / "preprocessor_config.json").write_text(
        json.dumps(
            {"image_processor_type": "Mine", "auto_map": {"AutoImageProcessor": "mine.Mine"}}
        )
    )
    broken = copied(vit[0], tmp_path / "broken")
    (broken / "model.safetensors").write_text("none")
    untrained = copied(vit[0], tmp_path / "untrained")
    state = {k: v for k, v in vit[1].state_dict().items() if not k.startswith("classifier")}
    save_file(state, untrained / "model.safetensors", {"format": "pt"})
    for folder, problem in {
        pickled: "holds no weights in safetensors",
        remote: "cannot be read: ",
        processor: "cannot be read: ",
        broken: "cannot be read: ",
        untrained: "2 of the network's tensors are missing .* 'classifier.bias'",
        tmp_path / "no" / "such": "there is no folder",
    }.items():
        with pytest.raises(InputError, match=problem) as raised:
            models.open_source(f"hf:{folder}", gender)
        assert "\n" not in str(raised.value)
        assert str(folder) in str(raised.value)
        assert not Path("trapped").exists()


def test_what_is_fetched_is_told(gender, monkeypatch, caplog, transformers):
    def refuse(reference, **arguments):
        assert arguments["use_safetensors"]
        assert not arguments["trust_remote_code"]
        raise OSError(f"{reference} is not a model\nand more")

    monkeypatch.setattr(transformers.AutoModelForImageClassification, "from_pretrained", refuse)
    with pytest.raises(InputError, match=r"hf:nobody/nothing cannot be read: .* is not a model$"):
        models.open_source("hf:nobody/nothing", gender)
    assert caplog.messages == [
        "hf:nobody/nothing is fetched from huggingface.co, unless it lies in $HF_HOME already"
    ]


def test_texts_decide_as_clip_decides(clip, transformers, photograph, seen, explained):
    folder, network = clip
    model = models.open_source(f"clip:{folder}", PROMPTS)
    assert model.schema.attributes == {"gender": ("female", "male")}
    processor = transformers.CLIPProcessor.from_pretrained(folder)
    texts = [text for of_label in TEXTS.values() for text in of_label]
    inputs = processor(text=texts, images=photograph, return_tensors="pt", padding=True)
    with torch.no_grad():
        output = network(**inputs)
    female = torch.nn.functional.normalize(output.text_embeds[:2].mean(dim=0), dim=0)
    vectors = torch.stack([female, output.text_embeds[2]])
    logits = network.logit_scale.exp() * output.image_embeds @ vectors.T
    expected = logits.softmax(dim=1).detach()
    assert torch.allclose(model.predict(seen(model))["gender"], expected, atol=1e-3)
    for method in ("saliency", "occlusion", "integrated_gradients"):
        explained(model, method)


def test_the_middle_is_where_transformers_cuts_it(transformers):
    processor = transformers.CLIPImageProcessor(
        size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32}
    )
    ours = recognised(lambda image: processor(image, return_tensors="pt"), "CLIP").geometry
    assert ours == Geometry(32, 40, "bicubic", is_floored=True)
    generator = np.random.default_rng(0)
    for more in range(8):
        image = Image.fromarray(generator.integers(0, 256, (61 + more, 50, 3), np.uint8))
        theirs = processor(image, do_normalize=False, return_tensors="np")["pixel_values"][0]
        difference = np.abs(ours.image(image) / 255 - theirs.transpose(1, 2, 0))
        assert (difference > 1.5 / 255).mean() < 0.01


def test_two_heads_and_their_order(clip, seen):
    prompts = {"gender": TEXTS, "sport": {"golf": ["golf"], "judo": ["judo"], "none": ["x"]}}
    model = models.open_source(f"clip:{clip[0]}", replace(PROMPTS, prompts=prompts))
    one = models.open_source(f"clip:{clip[0]}", PROMPTS)
    images = seen(model)
    assert torch.allclose(model.predict(images)["gender"], one.predict(images)["gender"])
    assert model.predict(images)["sport"].shape == (1, 3)
    heads = {"gender": Head(("male", "female"))}
    turned = models.open_source(f"clip:{clip[0]}", replace(PROMPTS, heads=heads))
    expected = one.predict(images)["gender"].flip(1)
    assert torch.allclose(turned.predict(images)["gender"], expected)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (models.SourceOptions(), 'needs a text for each label, such as --prompt "gender/female='),
        (
            replace(PROMPTS, heads={"gender": Head(("female", "boy"))}),
            "no text says what gender 'boy' is",
        ),
        (replace(PROMPTS, prompts={"gender": {"female": ["x"]}}), "between two labels or more"),
        (
            replace(PROMPTS, prompts={"gender": {"female": ["x" * 40], "male": ["y"]}}),
            "a text is longer than 24 tokens",
        ),
    ],
)
def test_texts_that_do_not_do_are_one_line(clip, options, problem):
    with pytest.raises(InputError, match=problem) as raised:
        models.open_source(f"clip:{clip[0]}", options)
    assert "\n" not in str(raised.value)


def test_texts_decide_as_open_clip_decides(open_clip, photograph, seen, explained):
    library, folder, network = open_clip
    model = models.open_source(f"clip:{folder}", PROMPTS)
    transform = library.transform.image_transform(32, False, (0.5,) * 3, (0.5,) * 3)
    words = library.SimpleTokenizer(context_length=16)
    with torch.no_grad():
        images = network.encode_image(transform(photograph).unsqueeze(0), normalize=True)
        texts = [network.encode_text(words(t), normalize=True).mean(dim=0) for t in TEXTS.values()]
        vectors = torch.nn.functional.normalize(torch.stack(texts), dim=1)
        expected = (network.logit_scale.exp() * images @ vectors.T).softmax(dim=1)
    assert torch.allclose(model.predict(seen(model))["gender"], expected, atol=1e-4)
    assert model.geometry == Geometry(32, 32, "bicubic")
    explained(model, "gradcam")


def test_folders_of_open_clip_that_are_refused(open_clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, folder, _ = open_clip
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"] = {
        "hf_tokenizer_name": "x", "tokenizer_kwargs": {"trust_remote_code": True},
    }  # fmt: skip
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    (hostile / "open_clip_config.json").write_text(json.dumps(config))
    Path("trap.pt").write_bytes(pickle.dumps(Trap()))
    for source, problem in {
        f"clip:{hostile}": "texts go through a network of huggingface.co",
        "clip:RN51@trap.pt": "open_clip has no network 'RN51'",
        "clip:convnext_tiny@trap.pt": "trap.pt",
    }.items():
        with pytest.raises(InputError, match=problem) as raised:
            models.open_source(source, PROMPTS)
        assert "\n" not in str(raised.value)
    assert not Path("trapped").exists()
