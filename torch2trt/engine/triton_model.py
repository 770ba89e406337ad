"""What Triton's Python backend runs: an engine of TensorRT for RTX, which Triton has no backend of its own for."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from .bundle import Bundle
from .run import Engine

BUNDLE_FILE = "model.trt2"


class TritonPythonModel:
    """One instance of the model; Triton makes as many as ``config.pbtxt`` says, and calls each from one thread."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the engine on the GPU that Triton chose.

        Args:
            args: Triton's: the configuration as JSON, the folder, the version, the device.
        """
        config = json.loads(args["model_config"])
        self._utilities = importlib.import_module("triton_python_backend_utils")  # exists inside Triton only
        self._batched = int(config.get("max_batch_size", 0)) > 0
        self._outputs = [entry["name"] for entry in config["output"]]
        self._device = torch.device("cuda", int(args["model_instance_device_id"]))
        path = os.path.join(args["model_repository"], args["model_version"], BUNDLE_FILE)
        # Triton calls by tensor names: the nesting of the module's arguments and results plays no part.
        bundle = dataclasses.replace(Bundle.read(path), signature=None)
        self._engine = Engine(bundle, device=self._device)
        self._inputs = [spec.name for spec in self._engine.inputs]

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Run the requests: one response for each, in order. Those of a batched model run together.

        Args:
            requests: Triton's.
        """
        tensors = [self._read(request) for request in requests]
        groups = self._groups(tensors)
        responses: list[Any] = [None] * len(requests)
        for group in groups:
            try:
                results = self._run([tensors[index] for index in group])
                made = [self._respond(result) for result in results]
            except Exception as error:  # one request's mistake must not end the server's others
                failure = self._utilities.TritonError(f"{type(error).__name__}: {error}")
                made = [self._utilities.InferenceResponse(error=failure) for _ in group]
            for index, response in zip(group, made, strict=True):
                responses[index] = response
        return responses

    def finalize(self) -> None:
        """Free the GPU memory."""
        self._engine.close()

    def _read(self, request: Any) -> list[torch.Tensor]:
        found = []
        for name in self._inputs:
            tensor = self._utilities.get_input_tensor_by_name(request, name)
            found.append(torch.from_dlpack(tensor.to_dlpack()).to(self._device).contiguous())
        return found

    def _groups(self, tensors: Sequence[Sequence[torch.Tensor]]) -> list[list[int]]:
        """Which requests run together: those whose shapes agree but for the first axis."""
        if not self._batched:
            return [[index] for index in range(len(tensors))]
        groups: dict[tuple[torch.Size, ...], list[int]] = {}
        for index, inputs in enumerate(tensors):
            groups.setdefault(tuple(tensor.shape[1:] for tensor in inputs), []).append(index)
        return list(groups.values())

    def _run(self, group: Sequence[Sequence[torch.Tensor]]) -> list[list[torch.Tensor]]:
        """One run for all requests of a group; the outputs of each."""
        joined = [tensors[0] if len(tensors) == 1 else torch.cat(tensors) for tensors in zip(*group, strict=True)]
        results = self._engine(*joined)
        outputs = list(results) if isinstance(results, tuple) else [results]
        if len(group) == 1:
            return [outputs]
        sizes = [inputs[0].shape[0] for inputs in group]
        split = [output.split(sizes) for output in outputs]
        return [[pieces[index] for pieces in split] for index in range(len(group))]

    def _respond(self, outputs: Sequence[torch.Tensor]) -> Any:
        by_name = dict(zip([spec.name for spec in self._engine.outputs], outputs, strict=True))
        torch.cuda.current_stream(self._device).synchronize()  # Triton reads the memory on a stream of its own
        tensors = [
            self._utilities.Tensor.from_dlpack(name, torch.to_dlpack(by_name[name].contiguous()))
            for name in self._outputs
        ]
        return self._utilities.InferenceResponse(output_tensors=tensors)
