"""An engine in one file: a zip with the engine, a JSON manifest and, for TensorRT for RTX, its compiled kernels.

Nothing in it is code. Sizes, SHA-256 sums, TensorRT's version and the GPU are checked before TensorRT sees a byte.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import torch

from ..errors import EngineError
from .build import library_identity
from .files import PathLike, read_file, write_file_atomically
from .options import CURRENT, BuildOptions
from .refit import StoredWeights
from .signature import EngineSignature

FORMAT = "torch2trt-engine"
FORMAT_VERSION = 1
PLAN = "engine.plan"
CACHE = "runtime.cache"
MANIFEST = "manifest.json"
_TIME = (1980, 1, 1, 0, 0, 0)  # equal content gives equal files


@dataclass(frozen=True)
class Environment:
    """Where an engine was built.

    Args:
        package: ``tensorrt`` or ``tensorrt_rtx``.
        tensorrt: its version.
        torch_version: torch's.
        cuda: the CUDA version that torch was built for; empty for a build without CUDA.
        gpu: name of the GPU; empty when it was built without one.
        compute_capability: of that GPU, such as ``9.0``; empty without one.
    """

    package: str
    tensorrt: str
    torch_version: str
    cuda: str = ""
    gpu: str = ""
    compute_capability: str = ""

    @classmethod
    def here(cls, device: torch.device | None = None) -> Environment:
        """This process's, with ``device`` as its GPU; None: the current one, if there is any."""
        library = library_identity()
        gpu = capability = ""
        if torch.cuda.is_available():
            gpu = torch.cuda.get_device_name(device)
            capability = compute_capability(device)
        return cls(library["package"], library["version"], torch.__version__, torch.version.cuda or "", gpu, capability)


def compute_capability(device: torch.device | None = None) -> str:
    """Of a CUDA device, such as ``9.0``."""
    return "{}.{}".format(*torch.cuda.get_device_capability(device))


@dataclass(frozen=True, eq=False)
class Bundle:
    """What a file of an engine holds.

    Args:
        plan: the engine's bytes.
        signature: what it takes and gives; None for a plain engine file, which does not say.
        options: how it was built; None when not known.
        environment: where it was built; None when not known.
        weights: where its weights come from.
        state_shapes: shape of each entry of the module's ``state_dict``; None when not known.
        runtime_cache: compiled kernels; empty when there are none.
    """

    plan: bytes
    signature: EngineSignature | None = None
    options: BuildOptions | None = None
    environment: Environment | None = None
    weights: StoredWeights = field(default_factory=StoredWeights)
    state_shapes: Mapping[str, tuple[int, ...]] | None = None
    runtime_cache: bytes = b""

    def _manifest(self) -> bytes:
        files = {PLAN: self.plan, **({CACHE: self.runtime_cache} if self.runtime_cache else {})}
        shapes = self.state_shapes
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "environment": None if self.environment is None else vars(self.environment),
            "options": None if self.options is None else self.options.to_json(),
            "signature": None if self.signature is None else self.signature.to_json(),
            "weights": self.weights.to_json(),
            "state_shapes": None if shapes is None else {key: list(shape) for key, shape in shapes.items()},
            "files": {
                name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
            },
        }
        return json.dumps(content, indent=1).encode()

    def _write(self, file: BinaryIO) -> None:
        entries = [(MANIFEST, self._manifest()), (PLAN, self.plan)]
        if self.runtime_cache:
            entries.append((CACHE, self.runtime_cache))
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for name, data in entries:
                archive.writestr(zipfile.ZipInfo(name, _TIME), data)

    def write(self, path: PathLike) -> None:
        """Write the file; what ``path`` held before stays until all of it is on the disk.

        Raises:
            InputError: the module's arguments or result hold values that JSON cannot.
            EngineError: the file cannot be written.
        """
        write_file_atomically(path, self._write)

    def to_bytes(self) -> bytes:
        """The file's content."""
        buffer = io.BytesIO()
        self._write(buffer)
        return buffer.getvalue()

    @classmethod
    def read(cls, path: PathLike, types: Sequence[type] = ()) -> Bundle:
        """Read and check a file; see :meth:`from_bytes`."""
        return cls.from_bytes(read_file(path), types, name=str(path))

    @classmethod
    def from_bytes(cls, content: bytes, types: Sequence[type] = (), *, name: str = "the engine file") -> Bundle:
        """The bundle that ``content`` holds, with sizes and SHA-256 sums checked.

        Args:
            content: a file's bytes.
            types: classes of named tuples and dataclasses among the module's arguments and results.
            name: what to call it in errors.

        Raises:
            EngineError: it is empty, truncated, damaged, or no file of this kind or version.
        """
        if not content:
            raise EngineError(f"{name} is empty")
        entries = _read_entries(content, name)
        manifest = _read_manifest(entries.pop(MANIFEST), name)
        _check_sums(entries, manifest, name)
        try:
            return cls._from_manifest(manifest, entries, types)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EngineError(f"the manifest of {name} cannot be read: {type(error).__name__}: {error}") from error

    @classmethod
    def _from_manifest(cls, manifest: Mapping[str, Any], files: Mapping[str, bytes], types: Sequence[type]) -> Bundle:
        signature, options, environment = manifest["signature"], manifest["options"], manifest["environment"]
        shapes = manifest["state_shapes"]
        return cls(
            files[PLAN],
            None if signature is None else EngineSignature.from_json(signature, types),
            None if options is None else BuildOptions.from_json(options),
            None if environment is None else Environment(**{str(k): str(v) for k, v in environment.items()}),
            StoredWeights.from_json(manifest["weights"]),
            None if shapes is None else {str(key): tuple(map(int, shape)) for key, shape in shapes.items()},
            files.get(CACHE, b""),
        )

    def check(self, device: torch.device) -> None:
        """Refuse an engine of another TensorRT or another GPU.

        Raises:
            EngineError: it does not fit; the message says what it needs and what is here.
        """
        built = self.environment
        if built is None:
            return
        here = Environment.here(device)
        if (built.package, built.tensorrt) != (here.package, here.tensorrt):
            raise EngineError(
                f"the engine was built by {built.package} {built.tensorrt}, and this is {here.package} {here.tensorrt}",
                hint=f"build it again, or pip install {built.package}=={built.tensorrt}",
            )
        targets = self._targets(built)
        if targets and here.compute_capability not in targets:
            raise EngineError(
                f"the engine was built for compute capability {', '.join(targets)}"
                + (f" ({built.gpu})" if built.gpu else "")
                + f", and {device} is {here.gpu} with {here.compute_capability}",
                hint="build it on this machine",
            )

    def _targets(self, built: Environment) -> tuple[str, ...]:
        """The compute capabilities it runs on; empty when TensorRT chose them."""
        chosen = () if self.options is None else self.options.capabilities
        if chosen and chosen != (CURRENT,):
            return chosen
        return (built.compute_capability,) if built.compute_capability else ()


def _read_entries(content: bytes, name: str) -> dict[str, bytes]:
    damaged = f"{name} is damaged or no engine file"
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            if len(set(names)) != len(names) or not {MANIFEST, PLAN} <= set(names) <= {MANIFEST, PLAN, CACHE}:
                raise EngineError(f"{damaged}: it holds {', '.join(names) or 'nothing'}")
            for info in infos:
                stored = info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1
                if not stored or info.file_size != info.compress_size or info.file_size > len(content):
                    raise EngineError(f"{damaged}: {info.filename} is not stored plainly")
            return {info.filename: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError, OverflowError) as error:
        raise EngineError(f"{damaged}: {error}") from error


def _read_manifest(content: bytes, name: str) -> dict[str, Any]:
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise EngineError(f"the manifest of {name} is no JSON: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise EngineError(f"{name} is no {FORMAT} file")
    if manifest.get("format_version") != FORMAT_VERSION:
        raise EngineError(
            f"{name} has format version {manifest.get('format_version')}, and this torch2trt reads {FORMAT_VERSION}",
            hint="use the torch2trt that wrote it, or build the engine again",
        )
    return manifest


def _check_sums(entries: Mapping[str, bytes], manifest: Mapping[str, Any], name: str) -> None:
    sums = manifest.get("files")
    if not isinstance(sums, dict) or set(sums) != set(entries):
        raise EngineError(f"{name} does not hold the files that its manifest lists")
    for entry, data in entries.items():
        expected = sums[entry]
        digest = hashlib.sha256(data).hexdigest()
        if expected != {"size": len(data), "sha256": digest}:
            raise EngineError(
                f"{entry} in {name} is not the one that the manifest was written for: "
                f"{len(data)} bytes, SHA-256 {digest[:12]}…",
                hint="copy the file again from where it was saved",
            )


def plain_bundle(content: bytes, signature: EngineSignature | None, options: BuildOptions | None) -> Bundle:
    """The bundle for an engine's bytes alone, as trtexec, Polygraphy and Triton write and read them.

    Raises:
        EngineError: there are no bytes, or they are a file of :class:`Bundle`.
    """
    if not content:
        raise EngineError("the engine is empty: it has no bytes")
    if content[:4] == b"PK\x03\x04":
        raise EngineError("this is a torch2trt engine file, not a plain engine", hint="read it with Engine.load")
    return Bundle(bytes(content), signature, options)
