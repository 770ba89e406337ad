"""Builds the kernel libraries from ``csrc``: ``python -m torch2trt.plugins.build``.

Two libraries come out: the torch operators, and the TensorRT plugins where NvInfer's headers are found. Without nvcc
both compute on the CPU alone. The module imports nothing of the package, so that ``setup.py`` can run it too.

Environment: ``CXX``, ``NVCC`` and ``CUDA_HOME`` name the compilers; ``TORCH2TRT_CUDA_ARCHS`` the architectures, such as
``80;90``; ``TENSORRT_ROOT`` or ``TENSORRT_INCLUDE_DIR`` where NvInfer.h is.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

OPERATORS = "libtorch2trt_ops.so"
PLUGINS = "libtorch2trt_plugins.so"
INFORMATION = "kernels.json"
DEFAULT_ARCHS = "80;86;89;90a;100;120"
OPS = ("correlation", "deform_conv2d", "grid_sample_3d", "ms_deform_attn", "roi_align", "scatter_reduce")
INSTALL_FOLDER = Path(__file__).parent / "lib"
SOURCES = Path(__file__).parents[2] / "csrc"
_SYSTEM_INCLUDES = (
    "/usr/include",
    "/usr/include/x86_64-linux-gnu",
    "/usr/include/aarch64-linux-gnu",
    "/usr/local/include",
    "/usr/local/tensorrt/include",
    "/opt/tensorrt/include",
)


class KernelBuildError(RuntimeError):
    """A compiler failed, or something that was asked for is missing; the message says what."""


@dataclass
class Built:
    """What a build made.

    Args:
        operators: the library of torch operators; None when torch is missing.
        plugins: the library of TensorRT plugins; None without NvInfer's headers.
        cuda: whether the kernels are CUDA's.
        notes: what was left out, and why.
    """

    operators: Path | None = None
    plugins: Path | None = None
    cuda: bool = False
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Toolchain:
    """The compilers.

    Args:
        cxx: the C++ compiler.
        nvcc: CUDA's compiler; None for a build without CUDA.
        archs: such as ``("80", "90")``.
    """

    cxx: str
    nvcc: str | None
    archs: tuple[str, ...]


def find_nvcc() -> str | None:
    """CUDA's compiler: ``NVCC``, that of ``CUDA_HOME``, that of the path, or /usr/local/cuda's."""
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    candidates = [os.environ.get("NVCC"), f"{home}/bin/nvcc" if home else None, "nvcc", "/usr/local/cuda/bin/nvcc"]
    return next((found for name in candidates if name and (found := shutil.which(name))), None)


def find_toolchain(cuda: bool | None = None) -> Toolchain:
    """The compilers to use.

    Args:
        cuda: whether to build for CUDA; None: if nvcc is there.

    Raises:
        KernelBuildError: there is no C++ compiler, or no nvcc though asked for, or an architecture cannot be had.
    """
    cxx = shutil.which(os.environ.get("CXX", "g++")) or shutil.which("c++")
    if cxx is None:
        raise KernelBuildError("there is no C++ compiler: install g++, or name one in CXX")
    nvcc = None if cuda is False else find_nvcc()
    if cuda and nvcc is None:
        raise KernelBuildError("there is no nvcc: install the CUDA toolkit, or name it in NVCC or CUDA_HOME")
    return Toolchain(cxx, nvcc, parse_archs(os.environ.get("TORCH2TRT_CUDA_ARCHS") or DEFAULT_ARCHS))


def parse_archs(text: str) -> tuple[str, ...]:
    """``80;9.0`` as ``("80", "90")``.

    Raises:
        KernelBuildError: one is malformed, or older than 8.0.
    """
    archs = [arch.strip().replace(".", "") for arch in text.replace(",", ";").split(";") if arch.strip()]
    for arch in archs:
        number = arch.rstrip("af")
        if not number.isdigit() or int(number) < 80:
            raise KernelBuildError(f"TORCH2TRT_CUDA_ARCHS={text!r}: {arch!r} is no architecture from 80 on")
    return tuple(archs)


def cuda_include() -> Path | None:
    """The folder of cuda_runtime_api.h: the toolkit's, or that of NVIDIA's Python packages."""
    nvcc = find_nvcc()
    found = [Path("/usr/local/cuda/include"), *map(Path, _SYSTEM_INCLUDES)]
    if nvcc is not None:
        dry = subprocess.run([nvcc, "--dryrun", "-x", "cu", "/dev/null"], capture_output=True, text=True, check=False)
        tops = [line.split("=", 1)[1].strip() for line in dry.stderr.splitlines() if line.startswith("#$ TOP=")]
        found = [Path(top) / "include" for top in tops] + found
    spec = importlib.util.find_spec("nvidia")
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        found += sorted(Path(location).glob("*/include"))
    return next((folder for folder in found if (folder / "cuda_runtime_api.h").is_file()), None)


def find_tensorrt_headers() -> Path | None:
    """The folder of NvInfer.h: ``TENSORRT_INCLUDE_DIR``, ``TENSORRT_ROOT/include``, or a system folder.

    Raises:
        KernelBuildError: one of the variables is set and NvInfer.h is not there.
    """
    named = os.environ.get("TENSORRT_INCLUDE_DIR")
    root = os.environ.get("TENSORRT_ROOT")
    for folder in [*([named] if named else []), *([f"{root}/include", root] if root else [])]:
        if (Path(folder) / "NvInfer.h").is_file():
            return Path(folder)
    if named or root:
        raise KernelBuildError(f"NvInfer.h is not in TENSORRT_INCLUDE_DIR={named!r}, TENSORRT_ROOT={root!r}")
    return next((Path(folder) for folder in _SYSTEM_INCLUDES if (Path(folder) / "NvInfer.h").is_file()), None)


class Compiler:
    """Compiles and links, keeping what has not changed.

    Args:
        tools: the compilers.
        cache: where objects are kept.
    """

    def __init__(self, tools: Toolchain, cache: Path, sources: Path = SOURCES) -> None:
        self.tools = tools
        self.cache = cache
        self.sources = sources
        cache.mkdir(parents=True, exist_ok=True)
        headers = sorted(path for path in sources.rglob("*") if path.suffix in (".h", ".cuh"))
        self._headers = hashlib.sha256(b"".join(path.read_bytes() for path in headers)).digest()
        for compiler in filter(None, (tools.cxx, tools.nvcc)):
            version = subprocess.run([compiler, "--version"], capture_output=True, check=False).stdout
            self._headers += hashlib.sha256(version).digest()

    def objects(self, sources: Sequence[Path], flags: Sequence[str] = ()) -> list[Path]:
        """Compile every source, as many at once as there are processors."""
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return list(pool.map(lambda source: self._object(source, flags), sources))

    def _object(self, source: Path, flags: Sequence[str]) -> Path:
        common = ["-std=c++17", "-DNDEBUG", *flags]
        if source.suffix == ".cu":
            archs = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in self.tools.archs]
            newest = self.tools.archs[-1].rstrip("af")
            archs.append(f"-gencode=arch=compute_{newest},code=compute_{newest}")
            command = [str(self.tools.nvcc), "-O3", *archs, "-Xcompiler", "-fPIC,-fvisibility=hidden", *common]
        else:
            command = [self.tools.cxx, "-O2", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", *common]
        key = hashlib.sha256(self._headers + "\0".join(command).encode() + source.read_bytes()).hexdigest()[:24]
        target = self.cache / f"{source.parent.name}.{source.stem}.{key}.o"
        if not target.is_file():
            self._run([*command, "-c", str(source), "-o", f"{target}.partial"])
            Path(f"{target}.partial").replace(target)
        return target

    def link(self, target: Path, objects: Sequence[Path], flags: Sequence[str] = ()) -> Path:
        """Link a shared library, unless one of the same objects is there."""
        linker = [self.tools.nvcc, "-shared"] if self.tools.nvcc else [self.tools.cxx, "-shared", "-Wl,--gc-sections"]
        command = [*map(str, linker), *map(str, objects), *flags]
        key = hashlib.sha256("\0".join(command).encode()).hexdigest()
        stamp = target.with_suffix(".stamp")
        if not (target.is_file() and stamp.is_file() and stamp.read_text() == key):
            target.parent.mkdir(parents=True, exist_ok=True)
            self._run([*command, "-o", f"{target}.partial"])
            Path(f"{target}.partial").replace(target)
            stamp.write_text(key)
        return target

    def _run(self, command: Sequence[str]) -> None:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise KernelBuildError(f"{' '.join(command)}\nfailed:\n{result.stderr or result.stdout}")


def build(output: Path = INSTALL_FOLDER, *, cache: Path | None = None, cuda: bool | None = None) -> Built:
    """Build what can be built here.

    Args:
        output: the folder that the libraries go to.
        cache: the folder of object files; ``output/objects`` by default.
        cuda: whether for CUDA; None: if nvcc is there.

    Raises:
        KernelBuildError: a compiler is missing or failed.
    """
    if not SOURCES.is_dir():
        raise KernelBuildError(f"the sources are not in {SOURCES}: build from a checkout of the repository")
    tools = find_toolchain(cuda)
    output.mkdir(parents=True, exist_ok=True)
    with locked(output / ".lock"):
        compiler = Compiler(tools, cache or output / "objects")
        built = Built(cuda=tools.nvcc is not None)
        if tools.nvcc is None:
            why = "as asked" if cuda is False else "there is no nvcc"
            built.notes.append(f"no CUDA, {why}: the kernels run on the CPU alone")
        kernels = compiler.objects(_kernel_sources(built.cuda))
        built.operators = _build_operators(compiler, kernels, output, built)
        built.plugins = _build_plugins(compiler, kernels, output, built)
        (output / INFORMATION).write_text(json.dumps(_information(built, tools)) + "\n")
    return built


def _information(built: Built, tools: Toolchain) -> dict[str, object]:
    """What the loader compares with what it needs."""
    declared = (SOURCES / "kernels/common/api.h").read_text()
    found = re.search(r"kAbi = (\d+);", declared)
    if found is None:
        raise KernelBuildError("kernels/common/api.h declares no kAbi")
    torch_version = importlib.metadata.version("torch") if built.operators else None
    archs = list(tools.archs) if built.cuda else []
    return {"abi": int(found.group(1)), "torch": torch_version, "cuda": built.cuda, "archs": archs}


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One build at a time in a folder."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _kernel_sources(cuda: bool) -> list[Path]:
    kernels = SOURCES / "kernels"
    sources = [kernels / op / "cpu.cpp" for op in OPS]
    return sources + ([kernels / op / "cuda.cu" for op in OPS] if cuda else [kernels / "common" / "host.cpp"])


def torch_flags(*, cuda: bool) -> tuple[list[str], list[str]]:
    """What a library of torch operators is compiled with, and what it is linked with.

    Raises:
        KernelBuildError: torch is not installed.
    """
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        raise KernelBuildError("torch is not installed")
    torch = Path(spec.origin).parent
    flags = [f"-isystem{torch / 'include'}", f"-isystem{torch / 'include/torch/csrc/api/include'}"]
    flags.append(f"-D_GLIBCXX_USE_CXX11_ABI={int(_has_cxx11_abi())}")
    include = cuda_include() if cuda else None
    flags += [f"-isystem{include}"] if include else []
    return flags, [f"-L{torch / 'lib'}", "-lc10", "-ltorch_cpu", *(["-lc10_cuda"] if cuda else [])]


def _build_operators(compiler: Compiler, kernels: Sequence[Path], output: Path, built: Built) -> Path | None:
    if importlib.util.find_spec("torch") is None:
        built.notes.append("no torch operators: torch is not installed")
        return None
    flags, libraries = torch_flags(cuda=built.cuda)
    # torch's headers take longer than all of the operators: one file of them all.
    parts = sorted((SOURCES / "torch_ops").glob("*.cpp"))
    digest = hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()
    whole = compiler.cache / "torch_ops.cpp"
    whole.write_text(f"// {digest}\n" + "".join(f'#include "{part}"\n' for part in parts))
    objects = compiler.objects([whole], [*flags, *(["-DT2T_CUDA"] if built.cuda else [])])
    return compiler.link(output / OPERATORS, [*objects, *kernels], libraries)


def _has_cxx11_abi() -> bool:
    import torch

    return torch.compiled_with_cxx11_abi()


def _build_plugins(compiler: Compiler, kernels: Sequence[Path], output: Path, built: Built) -> Path | None:
    headers, cuda = find_tensorrt_headers(), cuda_include()
    if headers is None or cuda is None:
        what = "NvInfer.h (set TENSORRT_INCLUDE_DIR)" if headers is None else "cuda_runtime_api.h"
        built.notes.append(f"no TensorRT plugins: {what} was not found")
        (output / PLUGINS).unlink(missing_ok=True)  # an older one would not go with these operators
        return None
    flags = [f"-isystem{headers}", f"-isystem{cuda}"]
    objects = compiler.objects(sorted((SOURCES / "trt_plugins").glob("*.cpp")), flags)
    return compiler.link(output / PLUGINS, [*objects, *kernels])


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: builds, and says what was built and what was left out."""
    parser = argparse.ArgumentParser(prog="python -m torch2trt.plugins.build", description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=INSTALL_FOLDER, help="folder of the libraries")
    parser.add_argument("--cache", type=Path, help="folder of the object files")
    parser.add_argument("--cuda", action=argparse.BooleanOptionalAction, help="whether to build for CUDA")
    options = parser.parse_args(arguments)
    try:
        built = build(options.output, cache=options.cache, cuda=options.cuda)
    except KernelBuildError as error:
        print(error, file=sys.stderr)
        return 1
    for path in filter(None, (built.operators, built.plugins)):
        print(path)
    for note in built.notes:
        print(note)
    return 0


if __name__ == "__main__":
    sys.exit(main())
