"""Packaging of torch2trt."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="torch2trt",
    version="0.1.0",
    description="PyTorch modules to TensorRT networks, checked without a GPU",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.10",
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
