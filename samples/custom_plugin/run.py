"""A kernel of one's own: from CUDA source to torch operator, TensorRT plugin, debug run and engine.

Builds into a temporary folder; without nvcc the kernel is built for the CPU alone, without NvInfer.h
(``TENSORRT_INCLUDE_DIR``) there is no plugin. TensorRT for RTX has no plugins: the operator then stays in PyTorch.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

import torch2trt
from torch2trt import plugins, trt_compat
from torch2trt.plugins import build

HERE = Path(__file__).parent


def build_libraries(folder: Path) -> tuple[Path, Path | None]:
    """The torch operator's library, and the plugin's where NvInfer's headers are."""
    tools = build.find_toolchain()
    compiler = build.Compiler(tools, folder / "objects", HERE)
    flags = ["-DWITH_CUDA"] if tools.nvcc else []
    kernel = compiler.objects([HERE / "kernel.cpp", *([HERE / "kernel.cu"] if tools.nvcc else [])], flags)
    includes, libraries = build.torch_flags(cuda=tools.nvcc is not None)
    operator = compiler.objects([HERE / "operator.cpp"], [*flags, *includes])
    library = compiler.link(folder / "libsample_ops.so", [*operator, *kernel], libraries)
    headers, cuda = build.find_tensorrt_headers(), build.cuda_include()
    if headers is None or cuda is None:
        return library, None
    plugin = compiler.objects([HERE / "plugin.cpp"], [f"-isystem{headers}", f"-isystem{cuda}"])
    return library, compiler.link(folder / "libsample_plugin.so", [*plugin, *kernel])


class Model(torch.nn.Module):
    """A convolution and the kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.ops.sample_plugin.leaky_clip(self.conv(image), -0.2, 0.3, 0.1)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        operator, plugin = build_libraries(Path(folder))
        print("built:", operator.name, plugin.name if plugin else "(no plugin: NvInfer.h was not found)")
        torch.ops.load_library(operator)
        plugins.register(
            "sample_plugin::leaky_clip",
            plugin=("LeakyClip", "1", "sample"),
            fields=["low", "high", "slope"],
            library=plugin,
        )
        demonstrate(plugin)


def demonstrate(plugin: Path | None) -> None:
    torch.manual_seed(0)
    model, image = Model().eval(), torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        expected = model(image)
        plain = model.conv(image)
        by_hand = torch.where(plain < -0.2, -0.2 + 0.1 * (plain + 0.2), plain.clamp(max=0.3))
        by_hand = torch.where(plain > 0.3, 0.3 + 0.1 * (plain - 0.3), by_hand)
    print(f"torch operator against its definition: max error {(expected - by_hand).abs().max():.1e}")

    with torch2trt.torch_network():
        _, graph = torch2trt.torch2trt(model, image)
    error = (torch2trt.debug_call_graph(graph, image) - expected).abs().max().item()
    print(f"debug mode: max error {error:.1e}")

    if plugin is None or not trt_compat.is_available() or not trt_compat.has_plugins():
        compiled = torch2trt.compile(model, image, backend="reference")
        print("no plugins here; torch2trt.compile keeps the operator in PyTorch:")
        print(f"max error {(compiled(image) - expected).abs().max().item():.1e}")
        return
    converted = torch2trt.convert(model, image)
    print(f"network with the plugin, evaluated: max error {(converted.evaluate(image) - expected).abs().max():.1e}")
    if torch.cuda.is_available():
        result = converted.build()(image.cuda()).cpu()
        print(f"engine: max error {(result - expected).abs().max().item():.1e}")


if __name__ == "__main__":
    main()
