"""What is kept between processes: measured tactics, compiled kernels, whole engines.

Every entry is a file that is written under another name and renamed, carries its own SHA-256 sum, and counts towards
a limit of the folder's size; a damaged entry is as good as none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import EngineError, InputError
from .build import library_identity
from .files import PathLike, write_file_atomically

ENVIRONMENT_VARIABLE = "TORCH2TRT_CACHE_DIR"
DEFAULT_LIMIT = 8 << 30
_HINT = f"set {ENVIRONMENT_VARIABLE} to a folder that can be written"
_HINT_FOR_CHOSEN = "choose a folder that can be written"
_SUFFIX = ".entry"
_SUM = 32


def cache_folder() -> Path:
    """Where caches are kept: ``TORCH2TRT_CACHE_DIR``, or the platform's folder for caches.

    Raises:
        EngineError: the user has no home that it could be in.
    """
    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or _home() / "AppData" / "Local") / "torch2trt" / "Cache"
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches" / "torch2trt"
    return Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache") / "torch2trt"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:  # as of a user that only a container's numbers know
        raise EngineError(f"there is no folder for caches: {error}", hint=_HINT) from error


def make_key(**parts: Any) -> str:
    """A name for an entry that depends on all of ``parts``, which are JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class DiskCache:
    """A folder of entries, the least recently used ones dropped when it grows over its limit.

    Args:
        folder: the folder, made when it is first written to; None: ``name`` inside :func:`cache_folder`.
        name: what the entries are, such as ``kernels``.
        limit: most bytes that the entries may take together.

    Raises:
        InputError: the limit is not positive.
    """

    def __init__(self, folder: PathLike | None = None, *, name: str = "", limit: int = DEFAULT_LIMIT) -> None:
        if limit <= 0:
            raise InputError(f"a cache of {limit} bytes holds nothing")
        self.folder = cache_folder() / name if folder is None else Path(folder)
        self.limit = limit
        self._hint = _HINT if folder is None else _HINT_FOR_CHOSEN

    def _path(self, key: str) -> Path:
        return self.folder / (hashlib.sha256(key.encode()).hexdigest() + _SUFFIX)

    def get(self, key: str) -> bytes | None:
        """The entry's content; None when there is none, or it is damaged, in which case it is removed."""
        path = self._path(key)
        try:
            with open(path, "rb") as file:
                total, content = file.read(_SUM), file.read()
        except OSError:
            return None
        if hashlib.sha256(content).digest() != total:
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # marks it as used
        return content

    def put(self, key: str, content: bytes) -> None:
        """Store an entry; one larger than the limit is not stored.

        Raises:
            EngineError: the folder cannot be written.
        """
        if len(content) + _SUM > self.limit:
            return
        self._make_folder()
        write_file_atomically(self._path(key), (hashlib.sha256(content).digest(), content))
        with self._lock("size"):
            self._shrink(keep=self._path(key))

    def remove(self, key: str) -> None:
        """Drop an entry, if there is one."""
        with contextlib.suppress(OSError):
            self._path(key).unlink()

    def clear(self) -> None:
        """Drop all entries."""
        for path, _, _ in self._entries():
            with contextlib.suppress(OSError):
                path.unlink()

    @property
    def size(self) -> int:
        """Bytes that the entries take."""
        return sum(size for _, size, _ in self._entries())

    @contextlib.contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Keep other processes and threads from being in this block with the same key.

        Raises:
            EngineError: the folder cannot be written.
        """
        self._make_folder()
        with self._lock(hashlib.sha256(key.encode()).hexdigest()[:16]):
            yield

    @contextlib.contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        from filelock import FileLock  # torch needs it itself

        lock = FileLock(self.folder / f"{name}.lock", thread_local=False)
        try:
            lock.acquire()
        except (OSError, NotImplementedError) as error:  # not every network file system has locks
            raise EngineError(f"cannot lock the cache folder {self.folder}: {error}", hint=self._hint) from error
        try:
            yield
        finally:
            lock.release()

    def require_writable(self) -> None:
        """Make the folder and write to it, before the work whose result is to be kept there.

        Raises:
            EngineError: that is impossible.
        """
        self._make_folder()
        with self._lock("size"):
            pass

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EngineError(
                f"cannot make the cache folder {self.folder}: {error.strerror or error}",
                hint=self._hint,
            ) from error

    def _entries(self) -> list[tuple[Path, int, float]]:
        found = []
        for path in self.folder.glob(f"*{_SUFFIX}"):
            with contextlib.suppress(OSError):  # another process may have dropped it
                status = path.stat()
                found.append((path, status.st_size, status.st_mtime))
        return found

    def _shrink(self, keep: Path) -> None:
        entries = sorted(self._entries(), key=lambda entry: (entry[0] == keep, entry[2]))
        excess = sum(size for _, size, _ in entries) - self.limit
        for path, size, _ in entries:
            if excess <= 0:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            excess -= size


def _machine(device: torch.device | None = None) -> dict[str, str]:
    """What measured tactics and compiled kernels depend on."""
    identity = {**library_identity(), "cuda": torch.version.cuda or ""}
    if torch.cuda.is_available():
        identity["gpu"] = torch.cuda.get_device_name(device)
        identity["capability"] = "{}.{}".format(*torch.cuda.get_device_capability(device))
    return identity


@dataclass(frozen=True)
class KernelFile:
    """The kernels that TensorRT for RTX compiled for an engine, kept for engines of the same form.

    Kernels hold no weights: an engine built again with other weights has a plan of the same size, and finds them. One
    of another network that happens to share tensors and size does not find its own among them, and compiles those.

    Args:
        cache: where to keep them.
        key: what the engine's form and the machine are, as :meth:`of` makes it.
    """

    cache: DiskCache
    key: str

    @classmethod
    def of(cls, cache: DiskCache, plan_size: int, tensors: Mapping[str, Any], device: torch.device) -> KernelFile:
        """The file of an engine.

        Args:
            cache: where to keep them.
            plan_size: bytes of the engine.
            tensors: what it takes and gives, as JSON values.
            device: where it runs.
        """
        return cls(cache, make_key(kind="kernels", size=plan_size, tensors=tensors, **_machine(device)))

    def read(self) -> bytes:
        """The stored kernels; empty when there are none."""
        return self.cache.get(self.key) or b""

    def write(self, content: bytes) -> None:
        """Store kernels; where that is impossible, it warns."""
        with kernels_may_go():
            self.cache.put(self.key, content)


@contextlib.contextmanager
def kernels_may_go() -> Iterator[None]:
    """Warns where no folder can be had to keep kernels in: the engine runs without."""
    try:
        yield
    except EngineError as error:
        hint = f" ({error.hint})" if error.hint else ""
        warnings.warn(f"the engine's kernels are not kept for the next load: {error.message}{hint}", stacklevel=4)


@dataclass(frozen=True)
class TimingCacheFile:
    """Measured tactics of this machine, for :func:`torch2trt.engine.build.serialize_network`.

    Two builds at once both write theirs, and the later one stays.

    Args:
        cache: where to keep them.
    """

    cache: DiskCache

    def read(self) -> bytes:
        """The stored tactics; empty when there are none."""
        return self.cache.get(make_key(kind="timing", **_machine())) or b""

    def write(self, content: bytes) -> None:
        """Store tactics."""
        self.cache.put(make_key(kind="timing", **_machine()), content)


@dataclass(frozen=True)
class CachedEngine:
    """What :meth:`EngineCache.get_or_build` found or made.

    Args:
        content: the engine's file content, as ``Engine.to_bytes`` gives it.
        fresh: whether it was built now.
        same_weights: whether its weights are those that were asked for; False: it has to be refitted.
    """

    content: bytes
    fresh: bool
    same_weights: bool


@dataclass(frozen=True)
class EngineCache:
    """Built engines, found again by what they were built from.

    Args:
        cache: where to keep them.
    """

    cache: DiskCache

    def get_or_build(
        self,
        structure: Mapping[str, Any],
        weights: str,
        build: Callable[[], bytes],
        *,
        refittable: bool = False,
    ) -> CachedEngine:
        """The engine for a structure, from the cache or built now and stored.

        Of several processes that ask for the same engine at once, one builds it and the others wait.

        Args:
            structure: everything but weights that the engine depends on, as JSON values: the model's structure,
                shapes, profiles, options.
            weights: a digest of the weights that a refit can replace, by :mod:`torch2trt.engine.fingerprint`.
            build: makes the content of the engine's file.
            refittable: whether an engine with other weights will do, because it can be refitted.

        Raises:
            EngineError: the cache folder cannot be made.
        """
        identity = make_key(kind="engine", **_machine(), structure=structure)
        key = identity if refittable else make_key(engine=identity, weights=weights)
        with self.cache.locked(key):
            stored = self.cache.get(key)
            if stored is not None:
                known, _, content = stored.partition(b"\n")
                return CachedEngine(content, fresh=False, same_weights=known == weights.encode())
            content = build()
            try:
                self.cache.put(key, weights.encode() + b"\n" + content)
            except EngineError as error:  # a full disk: what took so long to build is not thrown away for it
                warnings.warn(f"the engine is built, but not kept in the cache: {error.message}", stacklevel=2)
            return CachedEngine(content, fresh=True, same_weights=True)
