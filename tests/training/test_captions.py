"""Training a captioner: one trainer for two kinds of networks."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal

import numpy as np
import pandas as pd
import pytest
import torch

import fairvision
from fairvision import datasets, runs
from fairvision.errors import FairvisionWarning, InputError
from fairvision.models.vocabulary import Vocabulary
from fairvision.runs.caption_model import as_caption_model
from fairvision.training import checkpoint
from fairvision.training.caption_plan import EncodedCaptions
from fairvision.training.preparation import make_plan
from fairvision.training.settings import Settings
from tests.models.tiny_captioners import KINDS, SPECIAL, tiny_captioner

SETTINGS = {
    "captions": True,
    "model": "small_cnn",
    "size": 16,
    "epochs": 2,
    "batch_size": 4,
    "device": "cpu",
}
NAMES = {"r": "red", "g": "green", "b": "blue"}
WORDS = {"r": ["red", "crimson"], "g": ["green"], "b": ["blue"]}


def train(data, output, **settings):
    return fairvision.train(data, output=output, **{**SETTINGS, **settings})


@pytest.fixture(scope="module")
def folder(squares, tmp_path_factory):
    """Squares of which two sentences tell the colour; one of them has none."""
    root = tmp_path_factory.mktemp("captions") / "data"
    shutil.copytree(squares(), root)
    table = pd.read_parquet(root / "samples.parquet")
    colour = table["colour"].map(NAMES)
    texts = zip("a " + colour + " square", "the square on the " + table["side"] + " is " + colour)
    table["captions"] = [list(pair) for pair in texts]
    first = table.index[table["split"] == "train"][0]
    table.loc[first, "captions"] = None
    table.to_parquet(root / "samples.parquet", index=False)
    return root


@pytest.fixture(scope="module", params=KINDS)
def pretrained(request, tmp_path_factory):
    """A captioner of transformers that knows the words of the squares."""
    pytest.importorskip("transformers")
    place = tmp_path_factory.mktemp("captioners") / request.param
    sentence = "a the square on is left right red green blue crimson"
    tiny_captioner(place, request.param, sentence.split(), spread=0.1)
    return f"hf:{place}"


def ends(folder):
    names = runs.BEST, runs.LAST, runs.VOCABULARY
    history = pd.read_csv(folder / runs.HISTORY).drop(columns="seconds")
    return [(folder / name).read_bytes() for name in names], history.to_csv()


def stop_after(saves, data, out, settings):
    calls, save = [0], checkpoint.save

    def counted(*arguments):
        calls[0] += 1
        if calls[0] == saves:
            os.kill(os.getpid(), signal.SIGKILL)
        return save(*arguments)

    checkpoint.save = counted
    train(data, out, checkpoint_every=1, **settings)


@pytest.mark.parametrize("most", [1, 2, 5])
def test_captions_of_an_image_take_turns(most):
    captions = [("a", "b", "c"), (), ("d",), ("a b", "b c")]
    words = Vocabulary.learn([one for of_image in captions for one in of_image])
    encoded, rows = EncodedCaptions(captions, words, seed=3), np.array([3, 0, 1, 2])

    def taken(rows, turn):
        batch = encoded.take(rows, most=most, turn=turn)
        texts = [words.decode(tokens) for tokens in batch.tokens.tolist()]
        return [
            sorted(text for text, of in zip(texts, batch.of) if of == i) for i in range(len(rows))
        ]

    turns = [taken(rows, turn) for turn in range(6)]
    assert [len(of_image) for of_image in turns[0]] == [min(most, n) for n in (2, 3, 0, 1)]
    for i, row in enumerate(rows):
        every = [text for turn in turns for text in turn[i]]
        assert all(every.count(text) * len(captions[row]) == len(every) for text in captions[row])
        assert taken(np.array([row]), 4)[0] == turns[4][i]  # of another batch too


@pytest.mark.filterwarnings("ignore:1 of 27 pictures")
@pytest.mark.parametrize(
    "settings",
    [
        {"method": "equalizer", "words": WORDS},
        {"method": "baseline", "words": WORDS, "captions_per_image": 9},
        {"method": "balanced", "decoder": "lstm", "vocabulary": "subwords", "words": WORDS},
        {"method": "upweight", "ema": 0.9, "accumulate": 2, "augment": True, "words": WORDS},
        {"method": "equalizer", "decoder": "lstm", "precision": "bf16", "words": WORDS},
    ],
)
def test_killed_and_resumed_it_ends_alike(folder, tmp_path, settings):
    train(folder, tmp_path / "whole", **settings)
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=stop_after, args=(4, folder, tmp_path / "run", settings))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    train(folder, tmp_path / "run", resume=True, **settings)
    assert ends(tmp_path / "run") == ends(tmp_path / "whole")


@pytest.mark.filterwarnings("ignore:1 of 27 pictures")
def test_a_captioner_of_transformers_killed_and_resumed(folder, tmp_path, pretrained):
    method = {"git": "upweight", "blip": "balanced"}.get(pretrained.rpartition("/")[2], "equalizer")
    settings = {"model": pretrained, "size": None, "method": method, "words": WORDS, "ema": 0.9}
    test_killed_and_resumed_it_ends_alike(folder, tmp_path, {**settings, "batch_size": 8})


@pytest.mark.filterwarnings("ignore:1 of 27 pictures")
def test_a_captioner_of_transformers_learns(folder, tmp_path, pretrained, run_cli):
    options = {"model": pretrained, "size": None, "words": WORDS, "lr": 0.005}
    run = train(folder, tmp_path / "run", epochs=25, **options)
    history = runs.history(run)
    assert history["val/accuracy/captions"].iloc[-1] > 0.7
    assert history["val/loss"].iloc[-1] < history["val/loss"].iloc[0] / 2
    # The folder of the captioner is no longer needed, and its network is the same one.
    model = as_caption_model(run)
    assert model.module.mean.flatten().tolist() == pytest.approx([0.4] * 3)
    assert len(model.vocabulary) == len(SPECIAL) + 4 + 11
    table = fairvision.caption(run, [folder / f"{i}.png" for i in range(36)], device="cpu")
    named = [any(m["group"] == "rgb"[i % 3] for m in of) for i, of in enumerate(table["mentions"])]
    assert np.mean(named) > 0.5
    printed = run_cli("caption", pretrained, folder / "0.png", "--json")
    assert (printed.code, json.loads(printed.out)[0]["id"]) == (0, "0")


@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
def test_captioners_of_transformers_are_audited(folder, tmp_path, pretrained, run_cli):
    train(folder, tmp_path / "run", model=pretrained, size=None, words=WORDS, epochs=1)
    arguments = "--replicates", 10, "--swaps", 1, "--device", "cpu", "--json"
    both = run_cli(
        "audit", pretrained, tmp_path / "run", "--data", folder, "-o", tmp_path / "audit",
        *arguments,
    )  # fmt: skip
    assert both.code == 0, both.err
    name = pretrained.rpartition("/")[2]
    written = json.loads((tmp_path / "audit" / name / "captions.json").read_text())
    images = [folder / f"{row['image_id']}.png" for row in written]
    table = fairvision.caption(pretrained, images, device="cpu")
    assert [row["caption"] for row in written] == table["caption"].tolist()
    settings = json.loads((tmp_path / "audit" / "captions.json").read_text())
    about = {run["name"]: (run["model"], run["method"]) for run in settings["settings"]["runs"]}
    assert about == {name: (pretrained, None), "run": (pretrained, "baseline")}
    drawn = run_cli("explain", pretrained, images[0], "-o", tmp_path / "drawn", "--device", "cpu")
    assert (drawn.code, len([*(tmp_path / "drawn").glob("*.png")])) == (0, 1)
    lacking = run_cli("audit", pretrained, "-o", tmp_path / "other")
    assert (lacking.code, "name a dataset folder by --data" in lacking.err) == (2, True)
    mixed = run_cli("audit", pretrained, folder, "-o", tmp_path / "other")
    assert (mixed.code, "writes no captions" in mixed.err) == (2, True)


@pytest.mark.filterwarnings("ignore:1 of 27 pictures")
@pytest.mark.parametrize("tune", ["head", "last"])
def test_what_learns_of_a_captioner_of_transformers(folder, tmp_path, pretrained, tune):
    options = {"model": pretrained, "size": None, "words": WORDS, "tune": tune, "epochs": 1}
    module = runs.captioner(train(folder, tmp_path / "run", **options))
    before = as_caption_model(pretrained).module
    changed = {
        name
        for name, tensor in before.state_dict().items()
        if not torch.equal(tensor, module.state_dict()[name])
    }
    of_backbone = {name for name in changed if name.startswith("backbone.")}
    assert changed > of_backbone
    # The first layer of the image encoder never learns, the second one where it is the last.
    assert not any(".0." in name for name in of_backbone)
    assert bool(of_backbone) == (tune == "last")


@pytest.mark.filterwarnings("ignore:1 of 27 pictures")
def test_small_captioners_take_many_steps_by_default(folder):
    unset = {"epochs": None, "batch_size": None}
    small, other = (
        make_plan(datasets.load(folder), Settings(**{**SETTINGS, **unset, "model": model}))
        for model in ("small_cnn", "squeezenet1_1")
    )
    assert (small.settings.batch_size, small.settings.epochs) == (16, 100)
    assert (other.settings.batch_size, other.settings.epochs) == (32, 10)


@pytest.mark.parametrize(
    ("model", "given", "mu"),
    [
        ("small_cnn", {}, 10.0),
        ("small_cnn", {"mu": 1.0}, 1.0),
        ("squeezenet1_1", {}, 1.0),
    ],
)
def test_the_weights_of_equalizers_that_start_from_nothing(folder, model, given, mu):
    options = {**SETTINGS, "method": "equalizer", "model": model, **given}
    plan = make_plan(datasets.load(folder), Settings.from_options(options))
    assert plan.method.mu == mu
    assert plan.settings.method_options.get("mu", 1.0) == mu


def test_it_learns_the_sentences(folder, tmp_path):
    run = train(folder, tmp_path / "run", epochs=60, words=WORDS, lr=0.003)
    history = runs.history(run)
    assert history["val/accuracy/captions"].iloc[-1] > 0.75
    assert history["train/n"].eq(17).all()
    assert run.captions["attribute"] == "colour"
    captioner = as_caption_model(run)
    table = fairvision.caption(run, [folder / f"{i}.png" for i in range(36)], device="cpu")
    truth = [NAMES["rgb"[i % 3]] for i in range(36)]
    assert np.mean([t in caption for t, caption in zip(truth, table["caption"])]) > 0.9
    for mentions in table["mentions"]:
        for mention in mentions:
            assert mention["probability"] <= mention["groups"][mention["group"]] + 1e-6
            assert sum(mention["groups"].values()) <= 1 + 1e-5
    images = torch.rand(5, 3, 16, 16)
    texts = [sentence.text for sentence in captioner.write(images)]
    assert texts == [captioner.write(image[None])[0].text for image in images]
    terms = {column for column in history if column.startswith("val/") and "/n" not in column}
    assert terms == {"val/loss", "val/cross_entropy/captions", "val/accuracy/captions"}


@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
def test_it_starts_from_the_backbone_of_another_run(folder, tmp_path):
    classifier = fairvision.train(
        folder, output=tmp_path / "classifier", model="small_cnn", size=16, epochs=1, device="cpu"
    )
    options = {"weights": str(tmp_path / "classifier"), "tune": "head", "epochs": 1}
    run = train(folder, tmp_path / "run", **options)
    one, other = runs.network(classifier).backbone, runs.captioner(run).backbone
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(tensor, other.state_dict()[name])
    with pytest.raises(InputError, match="writes captions and predicts no labels"):
        runs.network(run)
    with pytest.raises(InputError, match="writes no captions"):
        runs.captioner(classifier)


@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
def test_groups_by_their_names(folder, tmp_path, squares):
    table = pd.read_parquet(folder / "samples.parquet")
    root = shutil.copytree(folder, tmp_path / "data")
    table["captions"] = "A square of " + table["colour"].str.upper() + "."
    table.to_parquet(root / "samples.parquet", index=False)
    run = train(root, tmp_path / "run", epochs=1)
    assert run.captions["words"] == {"r": ["r"], "g": ["g"], "b": ["b"]}
    with pytest.raises(InputError, match="no captions of training pictures"):
        train(squares(), tmp_path / "none")


@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"compile": True}, "--compile is not for --captions"),
        ({"task": ["side"]}, "--task is not for --captions"),
        ({"method": "jtt"}, "there is no method for captions 'jtt'"),
        ({"attribute": ["hair"]}, "has no attribute 'hair'"),
        ({"attribute": ["colour"]}, "how captions name the groups of 'colour' is not known"),
        ({"words": {"r": ["red"]}}, "two are the least"),
        ({"words": {"r": ["red"], "g": ["red"]}}, "the word 'red' is one of r and of g"),
        ({"words": "none.json"}, "none.json"),
        ({"method": "equalizer", "confident": "very"}, "is not one of quotient"),
    ],
)
def test_bad_input(folder, tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        train(folder, tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
def test_settings_of_the_first_start_hold(folder, tmp_path, run_cli):
    arguments = ["--captions", "--model", "small_cnn", "--size", 16, "--epochs", 1]
    arguments += ["--device", "cpu", "-o", tmp_path / "run"]
    assert run_cli("train", folder, *arguments, "--decoder", "lstm").code == 0
    with pytest.raises(InputError, match="decoder was lstm, now transformer"):
        train(folder, tmp_path / "run", epochs=1, resume=True)
    again = run_cli("train", folder, "-o", tmp_path / "run", "--resume")
    assert (again.code, again.err.strip().splitlines()[-1][-19:]) == (0, "is finished already")
    printed = run_cli("caption", tmp_path / "run", folder / "0.png", "--json")
    assert json.loads(printed.out)[0]["id"] == "0"
    target = tmp_path / "captions.json"
    assert run_cli("caption", tmp_path / "run", folder / "0.png", "-o", target).code == 0
    assert json.loads(target.read_text())[0]["image_id"] == "0"
    refused = run_cli("caption", tmp_path / "run", folder / "0.png", "-o", target)
    assert (refused.code, "is there already" in refused.err) == (2, True)
    target.write_text("{}")
    kept = run_cli("caption", tmp_path / "run", folder / "0.png", "-o", target, "--overwrite")
    assert (kept.code, "holds no captions" in kept.err) == (2, True)


@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
def test_a_damaged_vocabulary_is_told(folder, tmp_path):
    train(folder, tmp_path / "run", epochs=1)
    path = tmp_path / "run" / runs.VOCABULARY
    path.write_text(path.read_text().replace("square", "circle"))
    with pytest.raises(InputError, match=r"vocabulary.json .*"):
        as_caption_model(tmp_path / "run")


def test_pictures_without_captions_are_told(folder, tmp_path):
    with pytest.warns(FairvisionWarning, match=r"^1 of 27 pictures .* have no captions"):
        train(folder, tmp_path / "run", epochs=1, words=WORDS)


@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 16}, "takes pictures of 32 pixels, not 16"),
        ({"size": None, "weights": "DEFAULT"}, "--weights is not for hf:"),
        ({"captions": False, "words": None}, "whose captioners learn: --captions"),
        ({"size": None, "words": {"a": ["cat"], "b": ["blue"]}}, "the tokenizer does not know 'a'"),
    ],
)
def test_bad_input_for_a_captioner_of_transformers(folder, tmp_path, settings, message):
    pytest.importorskip("transformers")
    tiny_captioner(tmp_path / "git", "git", ["a", "blue"])
    options = {"model": f"hf:{tmp_path / 'git'}", "words": WORDS, **settings, "epochs": 1}
    if "tokenizer" not in message:
        with pytest.raises(InputError, match=message):
            train(folder, tmp_path / "run", **options)
    else:
        with pytest.warns(FairvisionWarning, match=message):
            train(folder, tmp_path / "run", **options)


@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
@pytest.mark.parametrize("decoder", ["transformer", "lstm"])
def test_two_processes_train_as_one(folder, torchrun, tmp_path, decoder):
    (tmp_path / "words.json").write_text(json.dumps(WORDS))
    options = ["--captions", "--model", "small_cnn", "--size", 16, "--epochs", 2, "--device", "cpu"]
    options += ["--batch-size", 4, "--method", "equalizer", "--decoder", decoder]
    options += ["--words", tmp_path / "words.json", "-o", tmp_path / "two"]
    process = torchrun("-m", "fairvision", "train", folder, *options)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    one = train(folder, tmp_path / "one", method="equalizer", decoder=decoder, words=WORDS)
    a, b = (runs.history(run) for run in (one, runs.load(tmp_path / "two")))
    counts = [column for column in a if "/n" in column]
    assert len(counts) == 10
    assert a[counts].equals(b[counts])
    # Dropout is drawn by each process for its captions: losses are near each other, not equal.
    losses = ["train/loss", "val/loss"]
    np.testing.assert_allclose(a[losses], b[losses], rtol=0.2)
