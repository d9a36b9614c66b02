"""Images of what a captioner looked at for each word that it wrote, as PNG files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.progress import track

from fairvision.attribution import word_maps
from fairvision.core import files
from fairvision.core.version import __version__
from fairvision.datasets import image_tensor, read_image
from fairvision.datasets.images import Doubts
from fairvision.drawing.sheets import Row, Tile, full_scale, overlay, resized, sheet
from fairvision.errors import InputError
from fairvision.inference.explanations import MARKER
from fairvision.inference.predictions import image_files
from fairvision.models import find_device
from fairvision.models.beam_search import BEAMS
from fairvision.models.sentences import Sentence, padded
from fairvision.report.explanations import render
from fairvision.runs import Run
from fairvision.runs.caption_model import CaptionModel, as_caption_model

PER_ROW, SIDE = 6, 224
AT_ONCE = 16  # words
HEAD = "each word"


def explain_words(
    run: Run | CaptionModel | str | Path,
    images: str | Path | Iterable[str | Path],
    *,
    output: str | Path,
    method: str = "auto",
    beams: int = BEAMS,
    device: str = "auto",
    overwrite: bool = False,
    quiet: bool = True,
) -> Path:
    """Draw, for each word of the captions of images, what in the image it was written for.

    The folder is that of `fairvision.explain`: a sheet per image, `index.html` and `explain.json`,
    which holds the captions and the probabilities of the groups.

    Parameters
    ----------
    run : a run folder of `fairvision train --captions`, the run loaded from it, or hf:FOLDER, a
        captioner of transformers
    images : image files, and folders of them
    output : folder to write
    method : one of `fairvision.attribution.word_maps.METHODS`; "auto" is gradcam
    beams : of the beam search
    device : "auto", "cpu", "cuda" or "mps"
    overwrite : replace what an earlier call wrote into `output`
    quiet : show no progress on the terminal

    Returns
    -------
    The folder.

    Raises
    ------
    InputError
        If the run, an image or the method cannot be used, or the folder is full. Nothing is written
        then.
    """
    files.check_vacant(output, marker=MARKER, overwrite=overwrite)
    method = word_maps.DEFAULT if method == "auto" else method
    if method not in word_maps.METHODS:
        raise InputError(
            f"of words attribution {method!r} is not one of {', '.join(word_maps.METHODS)}"
        )
    paths: Iterable[Path] = image_files(images)
    model = run
    if not isinstance(model, CaptionModel):
        model = as_caption_model(model, find_device(device))
    if not quiet:
        paths = track(list(paths), "pictures", console=Console(stderr=True), transient=True)
    settings = {"fairvision": __version__, "run": model.name, "method": method, "head": HEAD}
    entries: list[dict[str, object]] = []
    doubts = Doubts()
    with files.whole_folder(output, marker=MARKER, overwrite=overwrite) as folder:
        for path in paths:
            image = read_image(path, doubts=doubts)
            batch = image_tensor(image, model.geometry)[None].to(model.device)
            if model.geometry.shorter is not None:  # the maps are of the middle
                image = Image.fromarray(model.geometry.image(image))
            sentence = model.write(batch, beams=beams)[0]
            drawn = word_sheet(model, path.name, image, batch, sentence, method)
            name = f"{len(entries) + 1:03d}-{files.plain_name(path.stem)}-words.png"
            drawn.save(folder / name)
            entries.append(
                {
                    "image": str(path),
                    "answers": sentence.text,
                    "evidence": name,
                    "groups": [
                        {"word": mention.word, **mention.groups} for mention in sentence.mentions
                    ],
                }
            )
        files.write_json(folder / MARKER, settings | {"pictures": entries})
        files.write_text(folder / "index.html", render(settings, entries))
    doubts.tell()
    return Path(output)


def word_sheet(
    model: CaptionModel,
    title: str,
    image: Image.Image,
    batch: torch.Tensor,
    sentence: Sentence,
    method: str,
) -> Image.Image:
    """Draw an image, and the evidence for each word of its caption on one colour scale.

    Words that name a group are bold, with the probability of each group in their place.
    """
    pixels, named = np.asarray(image), {mention.step: mention for mention in sentence.mentions}
    tiles = [Tile(resized(pixels, SIDE), "picture")]
    steps = range(1, len(sentence.tokens) - 1)
    highest = 0.0
    if steps:
        tokens = padded([sentence.tokens], model.device)
        evidence = [
            word_maps.word_maps(
                model.module,
                batch.expand(len(places), -1, -1, -1),
                tokens.expand(len(places), -1),
                places,
                method,
            )
            for places in torch.split(torch.tensor([*steps], device=model.device), AT_ONCE)
        ]
        maps = torch.cat(evidence).clamp(min=0).cpu().numpy()
        highest = max(full_scale(map) for map in maps)
        for step, map in zip(steps, maps):
            word, mention = model.vocabulary.decode([sentence.tokens[step]]), named.get(step)
            shares = {} if mention is None else mention.groups
            lines = [f"{group} {share:.2f}" for group, share in shares.items()]
            drawn = overlay(pixels, map, maximum=highest, side=SIDE)
            tiles.append(Tile(drawn, word, bool(lines), lines if map.any() else ["no evidence"]))
    heading = "Evidence for each word, on one scale; bold: it names a group, with probabilities"
    rows = [
        Row("" if start else heading, tiles[start : start + PER_ROW])
        for start in range(0, len(tiles), PER_ROW)
    ]
    scale = ("no evidence", f"{highest:.3g} and more" if highest > 0 else "")
    notes = [f"{model.name} · {method}", sentence.text or "(nothing was written)"]
    return sheet(title, notes, rows, scale=scale)
