"""A CLIP in a folder, audited from the shell to the report: its figures are those by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fairvision import datasets
from fairvision.core.files import read_json

TEXTS = {"striped": ["a striped shirt", "stripes"], "dotted": ["a dotted shirt"]}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    place = tmp_path_factory.mktemp("clip") / "drawn"
    return datasets.scenes(place, count=24, bias=0.8, size=32)


def by_transformers(clip, images):
    folder, network = clip
    transformers = pytest.importorskip("transformers")
    processor = transformers.CLIPProcessor.from_pretrained(folder)
    texts = [text for of_label in TEXTS.values() for text in of_label]
    inputs = processor(text=texts, images=images, return_tensors="pt", padding=True)
    with torch.no_grad():
        output = network(**inputs)
    first = torch.nn.functional.normalize(output.text_embeds[:2].mean(dim=0), dim=0)
    vectors = torch.stack([first, output.text_embeds[2]])
    return (network.logit_scale.exp() * output.image_embeds @ vectors.T).softmax(dim=1).detach()


def by_open_clip(open_clip, images):
    library, _, network = open_clip
    transform = library.transform.image_transform(32, False, (0.5,) * 3, (0.5,) * 3)
    words = library.SimpleTokenizer(context_length=16)
    with torch.no_grad():
        stack = torch.stack([transform(image) for image in images])
        seen = network.encode_image(stack, normalize=True)
        texts = [network.encode_text(words(t), normalize=True).mean(dim=0) for t in TEXTS.values()]
        vectors = torch.nn.functional.normalize(torch.stack(texts), dim=1)
        return (network.logit_scale.exp() * seen @ vectors.T).softmax(dim=1)


@pytest.mark.parametrize("library", ["clip", "open_clip"])
def test_audited_in_one_command(library, request, run_cli, drawn, tmp_path):
    made = request.getfixturevalue(library)
    folder: Path = made[0] if library == "clip" else made[1]
    prompts = [f"shirt/{label}={text}" for label, texts in TEXTS.items() for text in texts]
    done = run_cli(
        *("audit", f"clip:{folder}", "--data", drawn.root, "-o", tmp_path / "audit"),
        *(part for prompt in prompts for part in ("--prompt", prompt)),
        *("--name", "zero-shot", "--replicates", 20, "--swaps", 1),
    )
    assert done.code == 0, done.err
    assert "zero-shot was shown" in done.out
    truth = drawn.split("test").samples
    images = [Image.open(drawn.root / path).convert("RGB") for path in truth["image"]]
    expected = by_transformers(made, images) if library == "clip" else by_open_clip(made, images)
    samples = pd.read_parquet(tmp_path / "audit" / "zero-shot" / "samples.parquet")
    scores = samples[["score/shirt/striped", "score/shirt/dotted"]].to_numpy()
    assert scores == pytest.approx(expected.numpy(), abs=2e-3)
    right = truth["shirt"].to_numpy() == np.array([*TEXTS])[expected.argmax(dim=1)]
    figures = pd.read_csv(tmp_path / "audit" / "metrics.csv", keep_default_na=False)
    (accuracy,) = figures.query("metric == 'accuracy' and attribute == 'shirt' and group == ''")[
        "value"
    ]
    assert float(accuracy) == pytest.approx(right.mean())
    assert samples["hidden/shirt/striped"].notna().all()
    assert any(column.startswith("evidence/") for column in samples)
    assert (tmp_path / "audit" / "report.html").stat().st_size > 10_000
    noted = read_json(tmp_path / "audit" / "audit.json")["settings"]["runs"]
    assert noted[0]["source"] == "model zero-shot"
