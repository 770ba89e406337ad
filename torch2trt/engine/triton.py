"""A model repository for NVIDIA Triton Inference Server: its configuration, and the engine in a version folder."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from .bundle import Bundle
from .files import PathLike, write_file_atomically
from .signature import TensorSpec
from .triton_model import BUNDLE_FILE

PLAN_FILE = "model.plan"
SCRIPT = """# Triton's Python backend reads this file; its environment needs torch and torch2trt.
from torch2trt.engine.triton_model import TritonPythonModel

__all__ = ["TritonPythonModel"]
"""
_NAME = re.compile(r"^[A-Za-z0-9._-]+$")
# Names of inference.DataType in Triton's model_config.proto.
_DTYPES = {
    "float32": "TYPE_FP32",
    "float16": "TYPE_FP16",
    "bfloat16": "TYPE_BF16",
    "int64": "TYPE_INT64",
    "int32": "TYPE_INT32",
    "int8": "TYPE_INT8",
    "uint8": "TYPE_UINT8",
    "bool": "TYPE_BOOL",
}


@dataclass(frozen=True)
class TritonOptions:
    """How Triton serves a model.

    Args:
        max_batch_size: most requests that one run joins along the first axis; 0: none are joined, and the first axis
            is like any other.
        preferred_batch_sizes: batch sizes to wait for.
        queue_delay: microseconds that a request may wait for others.
        instances: copies of the model on each GPU.
        gpus: on which GPUs; none: on all of them.
        version: the number of the version folder.

    Raises:
        InputError: a value is out of range.
    """

    max_batch_size: int = 0
    preferred_batch_sizes: tuple[int, ...] = ()
    queue_delay: int = 0
    instances: int = 1
    gpus: tuple[int, ...] = ()
    version: int = 1

    def __post_init__(self) -> None:
        if self.max_batch_size < 0 or self.queue_delay < 0 or self.instances < 1 or self.version < 1:
            raise InputError(f"{self} holds a number that is too small")
        if any(gpu < 0 for gpu in self.gpus):
            raise InputError(f"GPUs are numbered from 0: {self.gpus}")
        if any(not 0 < size <= self.max_batch_size for size in self.preferred_batch_sizes):
            raise InputError(
                f"preferred batch sizes {self.preferred_batch_sizes} are not between 1 and {self.max_batch_size}"
            )
        if self.queue_delay and not self.max_batch_size:
            raise InputError("a queue delay does nothing without a batch size", hint="give max_batch_size")


def write_model_repository(
    bundle: Bundle, repository: PathLike, name: str, options: TritonOptions | None = None, *, force: bool = False
) -> Path:
    """Write ``repository/name`` as Triton reads it.

    The full TensorRT's engine is served by Triton's TensorRT backend. TensorRT for RTX has none: there its Python
    backend loads torch2trt's own file, in an environment that has torch and torch2trt.

    Args:
        bundle: the engine; the names and shapes of its tensors are taken from its signature.
        repository: the folder of all models; made if missing.
        name: the model's name.
        options: how it is served.
        force: replace what is there of this model and version.

    Returns:
        the model's folder.

    Raises:
        InputError: the name or the options do not fit the engine, or the version exists.
        EngineError: a file cannot be written.
    """
    options = options or TritonOptions()
    if not _NAME.match(name) or name in (".", ".."):
        raise InputError(f"{name!r} is no name of a model", hint="use letters, digits, '.', '_' and '-'")
    folder = Path(repository) / name
    version = folder / str(options.version)
    if version.exists() and not force:
        raise InputError(f"{version} exists", hint="choose another version, or pass force=True (--force)")
    rtx = _is_rtx(bundle)
    config = model_config(bundle, name, options)
    try:
        version.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make {version}: {error.strerror or error}") from error
    if rtx:
        bundle.write(version / BUNDLE_FILE)
        write_file_atomically(version / "model.py", SCRIPT.encode())
    else:
        write_file_atomically(version / PLAN_FILE, bundle.plan)
    # Triton looks for the configuration first: when it is there, so is the model.
    write_file_atomically(folder / "config.pbtxt", config.encode())
    return folder


def _is_rtx(bundle: Bundle) -> bool:
    if bundle.environment is None:
        raise InputError("nothing is known of what built this engine", hint="export the model, or a torch2trt file")
    return bundle.environment.package.startswith("tensorrt_rtx")


def model_config(bundle: Bundle, name: str, options: TritonOptions) -> str:
    """The text of ``config.pbtxt``: an ``inference.ModelConfig`` of Triton's ``model_config.proto``.

    Raises:
        InputError: the engine does not say what it takes, has a dtype that Triton has not, or cannot be batched.
    """
    signature = bundle.signature
    if signature is None:
        raise InputError("this engine does not say what it takes", hint="export the model, or a torch2trt file")
    if options.max_batch_size:
        fixed = [spec.name for spec in (*signature.inputs, *signature.outputs) if not spec.shape or spec.shape[0] != -1]
        if fixed:
            raise InputError(
                f"requests cannot be joined: the first axis of {', '.join(fixed)} is fixed",
                hint="convert with a dynamic first axis everywhere, or leave max_batch_size at 0",
            )
    batched = options.max_batch_size > 0
    lines = [f"name: {json.dumps(name)}"]
    lines.append('backend: "python"' if _is_rtx(bundle) else 'platform: "tensorrt_plan"')
    lines.append(f"max_batch_size: {options.max_batch_size}")
    for role, specs in (("input", signature.inputs), ("output", signature.outputs)):
        lines += [_tensor(role, spec, batched) for spec in specs]
    lines.append(_instances(options))
    if batched:
        lines.append(_batching(options))
    lines.append(f"version_policy {{ specific {{ versions: {options.version} }} }}")
    return "\n".join(lines) + "\n"


def _tensor(role: str, spec: TensorSpec, batched: bool) -> str:
    dtype = str(spec.dtype).removeprefix("torch.")
    if dtype not in _DTYPES:
        raise InputError(f"Triton has no {dtype}, which {role} {spec.name!r} is")
    dims = list(spec.shape[1:] if batched else spec.shape)
    # An entry needs at least one dimension: a tensor without any is [1] that is reshaped to [].
    shape = f"dims: {dims}" if dims else "dims: [1] reshape { shape: [] }"
    return f"{role} {{ name: {json.dumps(spec.name)} data_type: {_DTYPES[dtype]} {shape} }}"


def _instances(options: TritonOptions) -> str:
    gpus = f" gpus: {list(options.gpus)}" if options.gpus else ""
    return f"instance_group {{ count: {options.instances} kind: KIND_GPU{gpus} }}"


def _batching(options: TritonOptions) -> str:
    parts = []
    if options.preferred_batch_sizes:
        parts.append(f"preferred_batch_size: {list(options.preferred_batch_sizes)}")
    if options.queue_delay:
        parts.append(f"max_queue_delay_microseconds: {options.queue_delay}")
    return f"dynamic_batching {{ {' '.join(parts)} }}"


def max_batch_of(profiles: Sequence[dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]]) -> int:
    """The largest first axis that every input's profile takes; 0 when there is none."""
    sizes = [shapes[2][0] for profile in profiles for shapes in profile.values() if shapes[2]]
    return min(sizes, default=0)
