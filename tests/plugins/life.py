"""A plugin's life in the harness, and what was said of it."""

from __future__ import annotations

import subprocess

import torch

from tests.plugins.draws import draw

NAMES = {
    "correlation": "Correlation",
    "deform_conv2d": "DeformConv2d",
    "grid_sample_3d": "GridSample3d",
    "ms_deform_attn": "MsDeformAttn",
    "roi_align": "RoiAlign",
    "scatter_reduce": "ScatterReduce",
}
TYPES = {torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16"}
FLOATS = set(TYPES.values())
TYPES |= {torch.int32: "int32", torch.int64: "int64"}


def fields_of(made):
    """A draw's options as the plugin's fields."""
    found = dict(made.options)
    if made.name == "scatter_reduce":
        found["dim"] = made.between[1]
        found["reduce"] = ["sum", "prod", "mean", "amax", "amin"].index(found["reduce"])
    if made.name == "deform_conv2d":
        found |= {"has_mask": made.tensors[3] is not None, "has_bias": made.tensors[4] is not None}
    return found


def written(fields):
    lines = []
    for name, value in fields.items():
        numbers = value if isinstance(value, list) else [value]
        kind = "f" if any(isinstance(number, float) for number in numbers) else "i"
        lines.append(f"field {name} {kind} {len(numbers)} {' '.join(str(float(number)) for number in numbers)}")
    return lines


def some_draw(name):
    """The first draw without a 0-d tensor."""
    return next(made for seed in range(2, 99) if (made := draw(name, seed)).tensors[0].dim())


class Life:
    """What the harness said of a plugin's life."""

    def __init__(self, harness, library, folder, name, fields, tensors, edits=(), prefix=()):
        lines = [f"plugin {NAMES.get(name, name)}", *written(fields), *edits, f"output {folder / 'output'}"]
        for index, tensor in enumerate(tensor for tensor in tensors if tensor is not None):
            path = folder / f"input{index}"
            path.write_bytes(bytes(tensor.contiguous().view(-1).view(torch.uint8).numpy()) if tensor.numel() else b"")
            shape = " ".join(map(str, tensor.shape))
            lines.append(f"input {TYPES[tensor.dtype]} {tensor.dim()} {shape} {path}")
        (folder / "script").write_text("\n".join(lines))
        result = subprocess.run(
            [*prefix, harness, library, folder / "script"], capture_output=True, text=True, check=False, timeout=120
        )
        assert result.returncode == 0, (result.returncode, result.stdout, result.stderr)
        self.lines = result.stdout.splitlines()
        self.output = folder / "output"

    def said(self, word):
        return [line.split()[1:] for line in self.lines if line.split()[0] == word]

    @property
    def end(self):
        return self.lines[-1]

    @property
    def log(self):
        return "\n".join(line for line in self.lines if line.startswith("log "))

    def result(self, like):
        data = bytearray(self.output.read_bytes())
        flat = torch.frombuffer(data, dtype=like.dtype) if data else torch.empty(0, dtype=like.dtype)
        return flat.view(like.shape)
