"""Input data from files, and results into files."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from .. import structure
from ..binding import Inputs
from ..engine.files import require_writable, write_file_atomically
from ..errors import InputError
from ..inputspec import BoundInputs

# Mean and deviation of ImageNet's channels, RGB in 0..1: what torchvision's classifiers were trained with.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def read_inputs(path: Path) -> dict[str, torch.Tensor]:
    """Tensors by name from ``.npz``, or from ``.json``: ``{"name": [[...]]}`` or what Polygraphy saved.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    if path.suffix not in (".npz", ".json"):
        raise InputError(f"cannot read inputs from {path}", hint="give a .npz or .json file")
    try:
        found = _read_npz(path) if path.suffix == ".npz" else _read_json(path)
        return {str(name): torch.as_tensor(value) for name, value in found.items()}
    except InputError:
        raise
    except Exception as error:  # each reader has its own kinds of error for a damaged file
        raise InputError(f"cannot read inputs from {path}: {type(error).__name__}: {error}") from error


def _read_npz(path: Path) -> Mapping[str, Any]:
    import numpy as np

    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _read_json(path: Path) -> Mapping[str, Any]:
    text = path.read_text()
    found = json.loads(text)
    if "polygraphy_class" in text:
        try:
            polygraphy = importlib.import_module("polygraphy.json")
        except ImportError:
            raise InputError(
                f"reading {path} needs Polygraphy, which wrote it", hint="pip install polygraphy"
            ) from None
        found = polygraphy.load_json(str(path))
    if isinstance(found, list) and found:
        found = found[0]
    if not isinstance(found, Mapping):
        raise InputError(f"{path} holds {type(found).__name__}, and no tensors by name")
    return found


def read_image(path: Path, shape: tuple[int, ...], *, normalize: bool = True) -> torch.Tensor:
    """An image as float32 of shape (1, 3, height, width).

    Args:
        path: the image.
        shape: of the input it is for, whose last two sizes are height and width. The image is resized until it covers
            them, and its centre is taken.
        normalize: subtract ImageNet's mean and divide by its deviation; else values are in 0..1.

    Raises:
        InputError: the file is no image, the input takes none, or pillow is missing.
    """
    if len(shape) != 4 or shape[1] != 3:
        raise InputError(f"an image needs an input of shape [N, 3, height, width], not {list(shape)}")
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise InputError("reading an image needs pillow", hint="pip install pillow") from None
    import numpy as np

    try:
        with Image.open(path) as file:
            fitted = ImageOps.fit(file.convert("RGB"), (shape[3], shape[2]), Image.Resampling.BILINEAR)
    except OSError as error:
        raise InputError(f"cannot read the image {path}: {error}") from error
    pixels = torch.from_numpy(np.asarray(fitted, dtype=np.float32) / 255).permute(2, 0, 1)[None]
    if normalize:
        mean, deviation = (torch.tensor(values).reshape(1, 3, 1, 1) for values in IMAGENET)
        pixels = (pixels - mean) / deviation
    return pixels.contiguous()


def replace_inputs(bound: BoundInputs, given: Mapping[str, torch.Tensor]) -> Inputs:
    """The example inputs with the given tensors in place of those of the same name, in the examples' dtypes.

    Raises:
        InputError: a name is unknown, or a shape does not fit.
    """
    leaves, nesting = structure.flatten(bound.inputs)
    by_name = dict(zip(bound.names, leaves, strict=True))
    unknown = sorted(set(given) - set(by_name))
    if unknown:
        raise InputError(f"the model has no input {', '.join(unknown)}; its inputs are {', '.join(by_name)}")
    for name, tensor in given.items():
        example, axes = by_name[name], bound.dynamic_shapes.get(name, {})
        fits = tensor.dim() == example.dim() and all(
            axes[axis].min <= size <= axes[axis].max if axis in axes else size == example.shape[axis]
            for axis, size in enumerate(tensor.shape)
        )
        if not fits:
            raise InputError(f"input {name!r} has shape {list(tensor.shape)}; the example's is {list(example.shape)}")
        if tensor.is_floating_point() and not example.is_floating_point():
            raise InputError(f"input {name!r} is {tensor.dtype}; the example is {example.dtype}")
        by_name[name] = tensor.to(example.dtype)
    return structure.unflatten([by_name[name] for name in bound.names], nesting)


def require_output(path: Path) -> None:
    """Refuse what :func:`write_outputs` cannot write, before there are outputs.

    Raises:
        InputError: the suffix is neither ``.npz`` nor ``.json``.
        EngineError: the file cannot be written.
    """
    if path.suffix not in (".npz", ".json"):
        raise InputError(f"cannot write outputs to {path}", hint="give a .npz or .json file")
    require_writable(path)


def write_outputs(path: Path, outputs: Mapping[str, torch.Tensor]) -> None:
    """Write tensors by name to ``.npz`` or ``.json``; bfloat16 becomes float32, which holds the same values.

    Raises:
        EngineError: the file cannot be written.
    """
    arrays = {name: _to_numpy(tensor) for name, tensor in outputs.items()}
    if path.suffix == ".json":
        content = json.dumps({name: array.tolist() for name, array in arrays.items()}).encode()
    else:
        import numpy as np

        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        content = buffer.getvalue()
    write_file_atomically(path, content)


def _to_numpy(tensor: torch.Tensor) -> Any:
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
