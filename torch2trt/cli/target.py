"""Files of engines: which they are, and loading them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EngineError, InputError

if TYPE_CHECKING:
    from ..engine.run import Engine

PLAIN_SUFFIXES = (".engine", ".plan", ".trt")
BUNDLE_SUFFIX = ".trt2"
_ZIP = b"PK\x03\x04"


def is_engine_file(text: str) -> bool:
    """Whether ``text`` names the file of an engine rather than a model."""
    return Path(text).suffix in (*PLAIN_SUFFIXES, BUNDLE_SUFFIX)


def require_engine_path(path: Path) -> None:
    """Refuse where no engine can be written, or where no command would take the file for one, before the build.

    Raises:
        InputError: the folder is missing, or the suffix is another.
        EngineError: the path is a folder, or may not be written.
    """
    from ..engine.files import require_writable

    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent}")
    if not path.is_dir() and not is_engine_file(str(path)):
        raise InputError(
            f"{path} would not be taken for an engine",
            hint=f"name it {BUNDLE_SUFFIX}, or a plain engine {', '.join(PLAIN_SUFFIXES)}",
        )
    require_writable(path)


def is_bundle(path: Path) -> bool:
    """Whether a file is torch2trt's own, with the engine and what is known about it.

    Raises:
        InputError: there is no such file.
        EngineError: it cannot be read.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    try:
        with path.open("rb") as file:
            return file.read(len(_ZIP)) == _ZIP
    except OSError as error:
        raise EngineError(f"cannot read {path}: {error.strerror or error}") from error


def load_engine(path: Path, **options: Any) -> Engine:
    """Load either kind; needs a GPU.

    Raises:
        InputError: there is no such file.
        EngineError: there is no GPU, or the file is damaged or does not fit.
    """
    import torch

    from ..engine.bundle import Bundle
    from ..engine.run import Engine

    ours = is_bundle(path) or path.suffix == BUNDLE_SUFFIX
    if not torch.cuda.is_available():
        if ours:
            Bundle.read(path)  # which says whether it is damaged
        raise EngineError(
            f"{path} holds an engine, which needs an NVIDIA GPU, and torch sees none",
            hint="give the model instead: without a GPU its network is evaluated on the CPU",
        )
    return Engine.load(path, **options) if ours else Engine.import_plan(path, **options)
