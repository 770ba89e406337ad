"""Finding and loading the kernel libraries: at the first use, once a process."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .. import torch_compat, trt_compat
from ..errors import InputError
from .build import INFORMATION, INSTALL_FOLDER, OPERATORS, PLUGINS

ENVIRONMENT_VARIABLE = "TORCH2TRT_KERNELS"
ABI = 1
"""``kAbi`` of csrc/kernels/common/api.h."""

_BUILD_HINT = "build them with  python -m torch2trt.plugins.build"

_lock = threading.RLock()
_folder: Path | None = None
_plugins_loaded: dict[Path, str] = {}


@dataclass(frozen=True)
class Availability:
    """What there is; true where the operators are.

    Args:
        operators: whether ``torch.ops.torch2trt.*`` are loaded.
        cuda: whether they run on a GPU too.
        tensorrt: whether networks get the plugins; native layers take their place otherwise.
        reasons: why something is missing, one a line.
    """

    operators: bool
    cuda: bool
    tensorrt: bool
    reasons: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.operators


def load(folder: str | os.PathLike[str] | None = None) -> Path:
    """Load the torch operators, unless they are loaded.

    Args:
        folder: where the libraries are; by default ``TORCH2TRT_KERNELS``, or where the build puts them.

    Returns:
        the folder that they were loaded from.

    Raises:
        InputError: there is no library, or it does not go with this torch2trt or torch; or operators of another
            folder are loaded.
    """
    global _folder
    with _lock:
        chosen = Path(folder or os.environ.get(ENVIRONMENT_VARIABLE) or _folder or INSTALL_FOLDER).resolve()
        if _folder is None:
            library = chosen / OPERATORS
            _check(chosen, library)
            try:
                torch.ops.load_library(str(library))
            except OSError as error:
                raise InputError(f"{library} cannot be loaded: {error}", hint=_BUILD_HINT) from error
            _folder = chosen
        elif folder is not None and chosen != _folder:
            raise InputError(
                f"the operators of {_folder} are loaded, those of {chosen} cannot be loaded too",
                hint="choose the folder before the first use",
            )
        return _folder


def information(folder: Path) -> dict[str, Any]:
    """What the build wrote down about the libraries of a folder; empty where it wrote nothing."""
    try:
        found = json.loads((folder / INFORMATION).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _check(folder: Path, library: Path) -> None:
    if not library.is_file():
        raise InputError(f"the kernels are not built: {library} does not exist", hint=_BUILD_HINT)
    found = information(folder)
    if found.get("abi") != ABI:
        raise InputError(f"{library} is of version {found.get('abi')}, torch2trt needs {ABI}", hint=_BUILD_HINT)
    here = torch.__version__
    if str(found.get("torch")).split(".")[:2] != here.split(".")[:2]:
        raise InputError(f"{library} was built for torch {found.get('torch')}, this is {here}", hint=_BUILD_HINT)


def available() -> Availability:
    """What there is of kernels here; loads the operators, and the plugins where TensorRT is loaded or installed."""
    try:
        load()
    except InputError as error:
        return Availability(False, False, False, (error.message,))
    cuda = torch_compat.has_kernel("torch2trt::roi_align", "CUDA")
    reasons = [] if cuda else ["the kernels were built without CUDA"]
    reason = missing_plugins()
    return Availability(True, cuda, not reason, (*reasons, reason) if reason else tuple(reasons))


def missing_plugins() -> str:
    """Why TensorRT has none of torch2trt's plugins; empty once they are loaded."""
    if not trt_compat.is_available():
        return "TensorRT is not installed"
    if not trt_compat.has_plugins():
        return "this TensorRT has no plugins: TensorRT for RTX builds the native layers"
    try:
        folder = load()
    except InputError as error:
        return error.message
    if not information(folder).get("cuda"):
        return "the TensorRT plugins were built without CUDA, and engines run on a GPU"
    return load_plugins(folder / PLUGINS)


def load_plugins(library: Path) -> str:
    """Load a library of plugins into TensorRT's registry, once; why it could not be loaded, empty if it could."""
    with _lock:
        library = library.resolve()
        if library not in _plugins_loaded:
            _plugins_loaded[library] = _register(library)
        return _plugins_loaded[library]


def _register(library: Path) -> str:
    if not library.is_file():
        return f"there are no TensorRT plugins: {library} does not exist (build with NvInfer's headers)"
    registry = trt_compat.plugin_registry()
    before = len(registry.all_creators)
    handle = registry.load_library(str(library))
    # A library that fails to load gives None or an empty handle, depending on the version.
    loaded = handle is not None and len(registry.all_creators) > before
    return "" if loaded else f"TensorRT could not load {library}; its log says why"
