"""Two modules and a layer made by hand, joined in one network through tensors."""

from __future__ import annotations

import torch

import torch2trt
from torch2trt import trt


def main() -> None:
    torch.manual_seed(0)
    backbone = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU()).eval()
    head = torch.nn.Linear(8, 5).eval()
    image = torch.rand(2, 3, 16, 16)

    builder = trt.Builder(trt.Logger(trt.Logger.WARNING))
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    with torch2trt.trt_network(network):
        _, graph = torch2trt.torch2trt(backbone, image, input_names=["image"])
        features = graph.get_resolved_outputs()[0][0]
        # By hand: the mean over height and width, as one reduce layer.
        pooled = network.add_reduce(features, trt.ReduceOperation.AVG, axes=0b1100, keep_dims=False).get_output(0)
        _, graph = torch2trt.torch2trt(head, (pooled,), output_names=["scores"])
    network.mark_output(graph.get_resolved_outputs()[0][0])

    for index in range(network.num_layers):
        layer = network.get_layer(index)
        print(f"{layer.type.name:<18} {layer.name}")
    scores = torch2trt.reference.evaluate(network, {"image": image})["scores"]
    with torch.no_grad():
        expected = head(backbone(image).mean((2, 3)))
    print(f"max error against PyTorch: {(scores - expected).abs().max().item():.1e}")
    config = builder.create_builder_config()
    print(f"engine: {builder.build_serialized_network(network, config).nbytes / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
