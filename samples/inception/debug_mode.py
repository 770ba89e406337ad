"""Debug mode: the traced graph in eager PyTorch, node by node; and an op added in ten lines."""

from __future__ import annotations

import torch

import torch2trt

torch.library.define("sample::shifted_relu", "(Tensor x, float shift) -> Tensor")


def shifted_relu(x: torch.Tensor, shift: float) -> torch.Tensor:
    """The operator itself."""
    return torch.relu(x - shift)


torch.library.impl("sample::shifted_relu", "CompositeExplicitAutograd", shifted_relu)


class Model(torch.nn.Module):
    """A convolution and an operator that torch2trt has never seen."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.ops.sample.shifted_relu(self.conv(image), 0.25).mean((2, 3))


def main() -> None:
    torch.manual_seed(0)
    model, image = Model().eval(), torch.rand(1, 3, 8, 8)

    print("1. what would not convert:")
    print(torch2trt.check(model, image))

    print("\n2. the missing handler, added:")

    @torch2trt.register_node_handler("sample::shifted_relu")
    def sample_shifted_relu(inputs: list, attributes: dict) -> list:
        x, shift = inputs
        if not torch2trt.has_trt_tensor(inputs):
            return [shifted_relu(x, shift)]
        trt, net = torch2trt.trt, torch2trt.current_network()
        minus = net.add_constant((1,) * len(x.shape), torch.tensor([-shift]).numpy()).get_output(0)
        shifted = net.add_elementwise(x, minus, trt.ElementWiseOperation.SUM).get_output(0)
        return [net.add_activation(shifted, trt.ActivationType.RELU).get_output(0)]

    print(torch2trt.check(model, image))

    print("\n3. debug mode: every node in eager PyTorch, the new handler included:")
    with torch2trt.torch_network():
        _, graph = torch2trt.torch2trt(model, image, verbose=True)
    other = torch.rand(1, 3, 8, 8)
    everything = torch2trt.debug_call_graph(graph, other, return_all=True)
    print(f"{len(everything)} values, on an image that was not traced")

    print("\n4. the network, against PyTorch:")
    converted = torch2trt.convert(model, image)
    with torch.no_grad():
        error = (converted.evaluate(other) - model(other)).abs().max().item()
    print(f"max error {error:.1e}")


if __name__ == "__main__":
    main()
