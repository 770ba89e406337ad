"""Packaging of torch2trt: pure Python, and the kernel libraries where nvcc and torch are there to build them.

``TORCH2TRT_BUILD_KERNELS=1`` insists on them, without nvcc as libraries for the CPU; ``0`` leaves them out.
"""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from setuptools import Distribution, find_packages, setup
from setuptools.command.build_py import build_py


def kernel_builder() -> ModuleType:
    """torch2trt/plugins/build.py, which imports nothing of the package."""
    spec = importlib.util.spec_from_file_location("kernel_builder", "torch2trt/plugins/build.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def wants_kernels() -> bool:
    """Whether this build has the kernels; says why not."""
    asked = os.environ.get("TORCH2TRT_BUILD_KERNELS")
    if asked:
        return asked != "0"
    missing = [
        what
        for what, found in (
            ("nvcc", kernel_builder().find_nvcc()),
            ("torch (pip install --no-build-isolation)", importlib.util.find_spec("torch")),
        )
        if not found
    ]
    if missing:
        print(f"torch2trt: no kernel libraries, for want of {' and of '.join(missing)}")
    return not missing


class BuildWithKernels(build_py):
    """Copies the package and, for a wheel, builds the kernel libraries into it."""

    def run(self) -> None:
        """Build into the folder that becomes the wheel; an editable install runs from the checkout."""
        super().run()
        if not self.editable_mode and wants_kernels():
            builder = kernel_builder()
            folder = Path(self.build_lib) / "torch2trt" / "plugins" / "lib"
            built = builder.build(folder, cache=Path("build") / "kernel-objects")
            for leftover in (*folder.glob("*.stamp"), folder / ".lock"):
                leftover.unlink()
            for note in built.notes:
                print(f"torch2trt: {note}")


class MaybeBinary(Distribution):
    """A wheel with libraries is of one platform."""

    def has_ext_modules(self) -> bool:
        """Whether the wheel holds libraries."""
        return wants_kernels()


setup(
    name="torch2trt",
    version="0.1.0",
    description="PyTorch modules to TensorRT networks, checked without a GPU",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.10",
    cmdclass={"build_py": BuildWithKernels},
    distclass=MaybeBinary,
    packages=find_packages(include=["torch2trt", "torch2trt.*"]),
    package_data={"torch2trt": ["py.typed", "ops.json"]},
    install_requires=["torch>=2.6", "torchvision", "numpy", "regex"],
    entry_points={
        "console_scripts": ["torch2trt = torch2trt.cli:main"],
        "polygraphy.run.plugins": ["torch2trt = torch2trt.polygraphy.export:export_argument_groups"],
    },
    extras_require={
        "tensorrt": ["tensorrt>=10"],
        "rtx": ["tensorrt-rtx-cu13>=1.4.0.76"],
        "polygraphy": ["polygraphy>=0.49"],
        "cli": ["typer>=0.12", "rich"],
        "samples": ["matplotlib", "pillow", "rich", "scikit-learn", "tqdm"],
        "test": [
            "pytest",
            "pytest-xdist",
            "onnx",
            "expecttest",
            "ruff",
            "mypy",
            "polygraphy",
            "safetensors",
            "typer",
            "tritonclient",
        ],
    },
)
