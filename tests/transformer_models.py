"""Transformers architectures as rows: a model class, a small configuration of random weights, inputs.

``python -m tests.transformer_models`` measures all of them and prints the table of docs/models.md.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

import torch2trt
from torch2trt import structure

Inputs = dict[str, torch.Tensor]
Make = Callable[[int, int], Inputs]
"""Inputs for a batch size and a length (of the text, the sound, or one side of the image)."""


@dataclass(frozen=True)
class Row:
    """One architecture.

    Args:
        name: unique.
        model: a model class of transformers.
        config: fields of its configuration class.
        make: makes inputs.
        sizes: batch size and length to trace with.
        others: two pairs of sizes that are evaluated without having been traced; empty: sizes are fixed.
        axes: the dynamic axes by input name: the letter of each axis, ``b`` for the batch and ``l`` for the length;
            another character is a fixed size.
        implementation: of attention; by default what the model takes itself, ``sdpa`` where it can.
        call: further arguments of ``forward``.
    """

    name: str
    model: str
    config: Mapping[str, Any]
    make: Make
    sizes: tuple[int, int] = (2, 10)
    others: tuple[tuple[int, int], ...] = ()
    axes: Mapping[str, str] = field(default_factory=dict)
    implementation: str | None = None
    call: Mapping[str, Any] = field(default_factory=dict)


def tokens(batch: int, length: int, name: str = "input_ids") -> Inputs:
    return {name: torch.randint(3, 90, (batch, length))}


def masked(batch: int, length: int) -> Inputs:
    """Tokens, and a mask whose last row is shorter."""
    mask = torch.ones(batch, length, dtype=torch.int64)
    mask[-1, length * 2 // 3 :] = 0
    return {**tokens(batch, length), "attention_mask": mask}


def both_sides(batch: int, length: int) -> Inputs:
    """Tokens of an encoder, with a mask, and of its decoder."""
    return {**masked(batch, length), **tokens(batch, 7, "decoder_input_ids")}


def image(batch: int, length: int) -> Inputs:
    return {"pixel_values": torch.randn(batch, 3, length, length)}


def sound(batch: int, length: int) -> Inputs:
    return {"input_values": torch.randn(batch, length)}


def spectrogram(batch: int, length: int) -> Inputs:
    return {"input_features": torch.randn(batch, 16, length)}


def heard(batch: int, length: int) -> Inputs:
    """What a speech decoder takes: tokens and the encoder's result."""
    return {**tokens(batch, length), "encoder_hidden_states": torch.randn(batch, 12, 32)}


def captioned(batch: int, length: int) -> Inputs:
    return {**masked(batch, length), **image(batch, 32)}


def placed(batch: int, length: int) -> Inputs:
    """Tokens with a mask and the box of each on its page."""
    corners = torch.randint(0, 100, (batch, length, 2))
    return {**masked(batch, length), "bbox": torch.cat([corners, corners + torch.randint(1, 100, corners.shape)], -1)}


TEXT = {"input_ids": "bl", "attention_mask": "bl"}
BATCH_AND_LENGTH = ((3, 13), (1, 5))
BATCH = ((3, 10), (1, 10))

SMALL = {
    "vocab_size": 99,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
    "max_position_embeddings": 64,
}
DECODER = {**SMALL, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0}
SEQ2SEQ = {
    "vocab_size": 99,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 37,
    "decoder_ffn_dim": 37,
    "max_position_embeddings": 64,
}
VISION = {
    "initializer_range": 0.02,  # some have 1e-10, with which every result would be right
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
}
WHISPER = {**SEQ2SEQ, "num_mel_bins": 16, "max_source_positions": 12, "max_target_positions": 32, "pad_token_id": 0}
GPT2 = {"vocab_size": 99, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
XLNET = {"vocab_size": 99, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 37}
T5 = {"vocab_size": 99, "d_model": 32, "d_kv": 8, "d_ff": 37, "num_layers": 2, "num_heads": 4}
WAV2VEC2 = {
    **SMALL,
    "conv_dim": (16, 16),
    "conv_kernel": (8, 4),
    "conv_stride": (4, 2),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
SWIN = {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}
SEGFORMER = {
    "num_encoder_blocks": 3,
    "depths": [1, 1, 1],
    "sr_ratios": [4, 2, 1],
    "hidden_sizes": [16, 24, 32],
    "num_attention_heads": [1, 2, 4],
    "patch_sizes": [7, 3, 3],
    "strides": [4, 2, 2],
    "mlp_ratios": [2, 2, 2],
    "decoder_hidden_size": 32,
}
DETR = {
    **SEQ2SEQ,
    "num_queries": 9,
    "use_timm_backbone": False,
    "use_pretrained_backbone": False,
    "backbone": None,
    "backbone_config": {
        "model_type": "resnet",
        "embedding_size": 16,
        "hidden_sizes": [16, 24, 32, 48],
        "depths": [1, 1, 1, 1],
        "out_features": ["stage4"],
    },
}
SAM = {
    **VISION,
    "image_size": 64,
    "output_channels": 16,
    "window_size": 3,
    "global_attn_indexes": [1],
    "mlp_dim": 37,
}
TWO_TOWERS = {"text_config": {**SMALL, "projection_dim": 24}, "vision_config": VISION}
LONGFORMER = {**SMALL, "attention_window": 4, "max_position_embeddings": 80}


def text(name: str, model: str, config: Mapping[str, Any], **options: Any) -> Row:
    """A row of a language model with a mask, batch and length dynamic."""
    return Row(name, model, config, masked, others=BATCH_AND_LENGTH, axes=TEXT, **options)


FAST = (
    text("bert", "BertModel", SMALL),
    text("gpt2", "GPT2LMHeadModel", GPT2, call={"use_cache": False}),
    text("llama", "LlamaForCausalLM", DECODER, call={"use_cache": False}),
    Row(
        "t5",
        "T5ForConditionalGeneration",
        T5,
        both_sides,
        others=BATCH_AND_LENGTH,
        axes={**TEXT, "decoder_input_ids": "b7"},
        call={"use_cache": False},
    ),
    Row("vit", "ViTForImageClassification", VISION, image, (2, 32), ((3, 32), (1, 32)), {"pixel_values": "b333"}),
    Row(
        "clip",
        "CLIPModel",
        TWO_TOWERS,
        captioned,
        others=BATCH,
        axes={"input_ids": "b0", "attention_mask": "b0", "pixel_values": "b333"},
    ),
)

SLOW = (
    text("llama-eager", "LlamaForCausalLM", DECODER, implementation="eager", call={"use_cache": False}),
    text("gpt2-cache", "GPT2LMHeadModel", GPT2),
    text("bert-eager", "BertForMaskedLM", SMALL, implementation="eager"),
    text("roberta", "RobertaModel", SMALL),
    text("distilbert", "DistilBertModel", {"vocab_size": 99, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 37}),
    text("albert", "AlbertModel", {**SMALL, "embedding_size": 16}),
    text("electra", "ElectraForTokenClassification", {**SMALL, "embedding_size": 16}),
    text("deberta-v2", "DebertaV2Model", {**SMALL, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]}),
    text("xlnet", "XLNetModel", XLNET),
    Row("longformer", "LongformerModel", LONGFORMER, masked, (2, 16)),
    text("gpt-neox", "GPTNeoXForCausalLM", SMALL, call={"use_cache": False}),
    text(
        "opt",
        "OPTForCausalLM",
        {**SMALL, "ffn_dim": 37, "word_embed_proj_dim": 32},
        call={"use_cache": False},
    ),
    text(
        "bloom",
        "BloomForCausalLM",
        {"vocab_size": 99, "hidden_size": 32, "n_layer": 2, "n_head": 4},
        call={"use_cache": False},
    ),
    text("mistral", "MistralForCausalLM", {**DECODER, "sliding_window": 4}, call={"use_cache": False}),
    text("qwen2", "Qwen2ForCausalLM", DECODER, call={"use_cache": False}),
    text("qwen3", "Qwen3ForCausalLM", DECODER, call={"use_cache": False}),
    text("gemma2", "Gemma2ForCausalLM", {**DECODER, "sliding_window": 4}, call={"use_cache": False}),
    text("phi3", "Phi3ForCausalLM", DECODER, call={"use_cache": False}),
    text(
        "mixtral",
        "MixtralForCausalLM",
        {**DECODER, "num_local_experts": 4, "intermediate_size": 48},
        call={"use_cache": False},
    ),
    Row("mamba", "MambaForCausalLM", {**SMALL, "state_size": 4}, tokens, call={"use_cache": False}),
    Row(
        "bart",
        "BartModel",
        SEQ2SEQ,
        both_sides,
        others=BATCH_AND_LENGTH,
        axes={**TEXT, "decoder_input_ids": "b7"},
        call={"use_cache": False},
    ),
    Row("whisper-encoder", "whisper.modeling_whisper.WhisperEncoder", WHISPER, spectrogram, (2, 24)),
    Row(
        "whisper-decoder",
        "whisper.modeling_whisper.WhisperDecoder",
        WHISPER,
        heard,
        others=BATCH_AND_LENGTH,
        axes={"input_ids": "bl", "encoder_hidden_states": "b00"},
        call={"use_cache": False},
    ),
    Row(
        "wav2vec2",
        "Wav2Vec2ForCTC",
        WAV2VEC2,
        sound,
        (2, 400),
        ((3, 640), (1, 320)),
        {"input_values": "bl"},
    ),
    Row("deit", "DeiTModel", VISION, image, (2, 32), ((3, 32), (1, 32)), {"pixel_values": "b333"}),
    Row("swin", "SwinModel", SWIN, image, (2, 32), ((3, 32), (1, 32)), {"pixel_values": "b333"}),
    Row("dinov2", "Dinov2Model", VISION, image, (2, 48), ((3, 48), (1, 48)), {"pixel_values": "b333"}),
    Row(
        "siglip",
        "SiglipModel",
        TWO_TOWERS,
        captioned,
        others=BATCH,
        axes={"input_ids": "b0", "attention_mask": "b0", "pixel_values": "b333"},
    ),
    Row("blip-vision", "BlipVisionModel", VISION, image, (2, 32), ((3, 32), (1, 32)), {"pixel_values": "b333"}),
    Row(
        "segformer",
        "SegformerForSemanticSegmentation",
        SEGFORMER,
        image,
        (2, 64),
        ((3, 96), (1, 128)),
        {"pixel_values": "b3ll"},
    ),
    Row("detr", "DetrForObjectDetection", DETR, image, (2, 64)),
    Row("sam-vision", "SamVisionModel", SAM, image, (2, 64), ((3, 64), (1, 64)), {"pixel_values": "b333"}),
    Row(
        "layoutlm",
        "LayoutLMModel",
        SMALL,
        placed,
        others=BATCH_AND_LENGTH,
        axes={**TEXT, "bbox": "bl4"},
    ),
)

ROWS = {row.name: row for row in (*FAST, *SLOW)}


def load(row: Row) -> torch.nn.Module:
    """The model in eval mode; needs transformers."""
    module, _, name = row.model.rpartition(".")
    owner = importlib.import_module(f"transformers.models.{module}" if module else "transformers")
    cls = getattr(owner, name)
    torch.manual_seed(0)
    options = {} if row.implementation is None else {"attn_implementation": row.implementation}
    return cls._from_config(cls.config_class(**row.config), **options).eval()


def dynamic_shapes(row: Row) -> dict[str, dict[int, Any]]:
    """Ranges over the row's sizes, one name for all batch axes and one for all lengths."""
    ranges = {}
    for letter, place in (("b", 0), ("l", 1)):
        sizes = [pair[place] for pair in (row.sizes, *row.others)]
        ranges[letter] = (letter, min(sizes), row.sizes[place], max(sizes))
    return {
        name: {axis: ranges[letter] for axis, letter in enumerate(letters) if letter in ranges}
        for name, letters in row.axes.items()
    }


def relative_error(actual: Any, expected: Any) -> float:
    """The largest over the outputs, which must be nested alike; infinities must be in the same places."""
    found, nesting = structure.flatten(actual)
    wanted, expected_nesting = structure.flatten(expected)
    assert nesting == expected_nesting
    worst = 0.0
    for left, right in zip(found, wanted, strict=True):
        assert left.shape == right.shape and left.dtype == right.dtype
        finite = right.isfinite()
        assert torch.equal(left.isfinite(), finite)
        scale = right[finite].abs().max().item()
        assert scale > 1e-6, "an output of zeros shows nothing"
        worst = max(worst, (left[finite].double() - right[finite].double()).abs().max().item() / scale)
    return worst


def measure(row: Row) -> tuple[float, torch2trt.Converted]:
    """The largest relative error at the traced size and the row's others, and what was converted."""
    model, worst = load(row), 0.0
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converted = torch2trt.convert(model, {**row.make(*row.sizes), **row.call}, dynamic_shapes=dynamic_shapes(row))
        for sizes in (row.sizes, *row.others):
            inputs = row.make(*sizes)
            error = relative_error(converted.evaluate(**inputs, **row.call), model(**inputs, **row.call))
            worst = max(worst, error)
    return worst, converted


def print_table() -> None:
    """The table of docs/models.md."""
    print("| row | class | dynamic axes | nodes | largest relative error |\n| --- | --- | --- | --- | --- |")
    for row in ROWS.values():
        worst, converted = measure(row)
        letters = "".join(row.axes.values())
        axes = [name for letter, name in (("b", "batch"), ("l", "length")) if row.others and letter in letters]
        nodes = len(converted.graph.nodes)
        print(f"| {row.name} | {row.model.rpartition('.')[2]} | {', '.join(axes) or '-'} | {nodes} | {worst:.1e} |")


if __name__ == "__main__":
    print_table()
