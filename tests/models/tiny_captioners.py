"""Small captioners of transformers with random weights, in folders as `save_pretrained` writes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel

SIZE = 32
KINDS = ("vision-encoder-decoder", "blip", "git")
WORDS = ("a", "man", "woman", "on", "skis", "dog", "red", "green", "blue", "square")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")

_SHAPE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
_IMAGES = {"image_size": SIZE, "patch_size": 8}


def tiny_captioner(
    folder: Path, kind: str, words: Iterable[str] = WORDS, spread: float = 0.5
) -> Any:
    """Write a captioner into a folder, and return the model of transformers.

    With weights of a small spread it learns, with those of a large one it writes all kinds.
    """
    import transformers

    names = [*SPECIAL, *words]
    tokenizer = Tokenizer(WordLevel({name: i for i, name in enumerate(names)}, SPECIAL[1]))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    pad, unknown, start, end = SPECIAL
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=pad, unk_token=unknown, cls_token=start, sep_token=end,
    ).save_pretrained(folder)  # fmt: skip
    size = {"height": SIZE, "width": SIZE}
    transformers.ViTImageProcessor(size=size, image_mean=[0.4] * 3).save_pretrained(folder)
    ends = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}
    shape = {**_SHAPE, "initializer_range": spread}
    text = {**shape, **ends, "vocab_size": len(names), "max_position_embeddings": 32}
    torch.manual_seed(0)
    model: Any
    if kind == "blip":
        blip = transformers.BlipConfig(
            text_config={**text, "sep_token_id": 3, "encoder_hidden_size": 16},
            vision_config={**shape, **_IMAGES},
        )
        model = transformers.BlipForConditionalGeneration(blip)
    elif kind == "git":
        git = transformers.GitConfig(vision_config={**shape, **_IMAGES}, **text)
        model = transformers.GitForCausalLM(git)
    else:
        gpt = transformers.GPT2Config(
            n_embd=16, n_layer=2, n_head=2, n_positions=32, vocab_size=len(names),
            add_cross_attention=True, is_decoder=True, initializer_range=spread, **ends,
        )  # fmt: skip
        both = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(
            transformers.ViTConfig(**shape, **_IMAGES), gpt
        )
        both.decoder_start_token_id, both.pad_token_id, both.eos_token_id = 2, 0, 3
        model = transformers.VisionEncoderDecoderModel(config=both)
    model.eval().save_pretrained(folder)
    return model
