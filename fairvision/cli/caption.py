"""`fairvision caption`: what a captioner writes of any images."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from fairvision.cli import config, options
from fairvision.cli.printing import say, say_json
from fairvision.cli.sources import SOURCE
from fairvision.errors import InputError, shown


@click.command(name="caption")
@click.argument("run", type=SOURCE)
@click.argument(
    "images", nargs=-1, required=True, metavar="IMAGE…", type=options.PATH, cls=options.Repeated
)
@config.option
@click.option(
    "--beams",
    type=click.IntRange(1, 64),
    default=3,
    show_default=True,
    help="Beginnings that the beam search keeps; 1 takes the likeliest word each time.",
)
@click.option(
    "--output",
    "-o",
    type=options.FILE,
    help="JSON file to write, in COCO's format of results, in place of printing.",
)
@options.overwrite
@options.device
@options.quiet
@options.as_json
def command(
    run: Path | str,
    images: tuple[Path, ...],
    beams: int,
    output: Path | None,
    overwrite: bool,
    device: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Print what a captioner writes of pictures, and how sure it is of whom it names.

    RUN is a folder of `fairvision train --captions`, or hf:FOLDER, a captioner of transformers
    (VisionEncoderDecoder, BLIP or GIT). IMAGE… are picture files, or folders of them.
    After each sentence stand the words that name a group, and the probabilities of the words of
    each group in their place.
    """
    from fairvision.core.files import write_json
    from fairvision.inference.sentences import caption

    if output is not None:
        _check_replaceable(output, overwrite)
    quiet = quiet or not sys.stderr.isatty()
    table = caption(run, images, beams=beams, device=device, quiet=quiet)
    if output is not None:
        if table["id"].duplicated().any():
            twice = table["id"][table["id"].duplicated()].iloc[0]
            raise InputError(
                f"{shown(twice)} is there twice: a file has one caption of each picture"
            )
        pairs = zip(table["id"], table["caption"])
        write_json(output, [{"image_id": image, "caption": text} for image, text in pairs])
        say(f"{len(table)} captions: {output}")
    elif as_json:
        say_json(json.loads(table.to_json(orient="records")))
    else:
        columns = (table[name].tolist() for name in ("image", "caption", "mentions"))
        for image, text, mentions in zip(*columns):
            say(f"{image}: {text or '(nothing)'}{_sureness(mentions)}")


def _check_replaceable(output: Path, overwrite: bool) -> None:
    """Raise `InputError` where there is a file, unless it holds captions and may be replaced."""
    from fairvision.captioning.labels import read_captions

    if not output.exists():
        return
    if not overwrite:
        raise InputError(f"{output} is there already: choose another file or add --overwrite")
    try:
        read_captions(output)
    except InputError:
        raise InputError(
            f"{output} holds no captions: --overwrite does not touch it; choose another file"
        ) from None


def _sureness(mentions: list[Mapping[str, Any]]) -> str:
    """Return the probabilities of the groups in the place of each word that names one.

    >>> _sureness([{"word": "man", "groups": {"woman": 0.118, "man": 0.834}}])
    '  [man: woman 12%, man 83%]'
    """
    parts = [
        f"{mention['word']}: "
        + ", ".join(f"{group} {share:.0%}" for group, share in mention["groups"].items())
        for mention in mentions
    ]
    return f"  [{'; '.join(parts)}]" if parts else ""
