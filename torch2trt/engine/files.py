"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from ..errors import EngineError

PathLike = str | os.PathLike[str]


def write_file_atomically(path: PathLike, content: bytes | Iterable[bytes] | Callable[[BinaryIO], None]) -> None:
    """Write a file so that ``path`` holds either all of ``content`` or what it held before, also after a crash.

    The content goes to a temporary file in the same folder, is flushed to the disk and then renamed. A link stays one,
    and what is no regular file, such as a pipe or a device, is written to as it is.

    Args:
        path: the file; its folder must exist.
        content: the bytes, whole or in chunks, or a function that writes them to an open file.

    Raises:
        EngineError: the folder is missing, may not be written, or the disk is full; the message names the path.
    """
    target = Path(_real_path(path))
    if target.exists() and not target.is_file():
        _write_straight(target, content)
        return
    temporary = target.parent / f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(temporary, flags, 0o666), "wb") as file:
            _write(file, content)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            os.chmod(temporary, target.stat().st_mode & 0o777)
        os.replace(temporary, target)
    except OSError as error:
        raise EngineError(
            f"cannot write {target}: {error.strerror or error}", hint="nothing was left behind, and no file changed"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # gone already after a successful rename
            os.unlink(temporary)
    _sync_folder(target.parent)


def _real_path(path: PathLike) -> str:
    try:
        real = os.path.realpath(path)
    except ValueError as error:  # a null character
        raise EngineError(f"cannot write {path!r}: {error}") from error
    if not os.fspath(path) or os.path.isdir(real):
        raise EngineError(f"cannot write {os.fspath(path)!r}: it names {'a folder' if os.fspath(path) else 'no file'}")
    return real


def require_writable(path: PathLike) -> None:
    """Refuse a path that :func:`write_file_atomically` cannot write, before the work whose result goes there.

    Raises:
        EngineError: it is a folder, or its folder is missing or may not be written; the message names the path.
    """
    target = Path(_real_path(path))
    try:
        if target.is_file() or not target.exists():  # no device or pipe
            with tempfile.TemporaryFile(dir=target.parent):
                pass
    except OSError as error:
        raise EngineError(f"cannot write {os.fspath(path)}: {error.strerror or error}") from error


def _write_straight(target: Path, content: bytes | Iterable[bytes] | Callable[[BinaryIO], None]) -> None:
    try:
        with target.open("wb") as file:
            _write(file, content)
    except OSError as error:
        raise EngineError(f"cannot write {target}: {error.strerror or error}") from error


def _write(file: BinaryIO, content: bytes | Iterable[bytes] | Callable[[BinaryIO], None]) -> None:
    if callable(content):
        content(file)
    elif isinstance(content, (bytes, bytearray, memoryview)):
        file.write(content)
    else:
        for chunk in content:
            file.write(chunk)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the platform lets a folder be opened."""
    flag = getattr(os, "O_DIRECTORY", None)
    if flag is None:
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | flag)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read_file(path: PathLike) -> bytes:
    """The whole file.

    Raises:
        EngineError: it cannot be read; the message names the path.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise EngineError(f"cannot read {os.fspath(path)}: {error.strerror or error}") from error
