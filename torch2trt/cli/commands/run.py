"""``torch2trt run``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import EngineError, InputError
from ..options import ConvertOptions, ModelOptions, parse_mutated_inputs
from ..output import Output
from ..target import is_engine_file

if TYPE_CHECKING:
    import torch

    from ...inputspec import BoundInputs

BACKENDS = ("eager", "debug", "network", "engine")


def run(
    out: Output,
    target: Annotated[str, typer.Argument(metavar="MODEL|ENGINE", help="A model, or the file of an engine.")],
    source: ModelOptions,
    conversion: ConvertOptions,
    backend: Annotated[
        str | None,
        typer.Option(help=f"{', '.join(BACKENDS)}; by default engine where there is a GPU, else network."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Inputs by name: .npz or .json; random without.")] = None,
    image: Annotated[list[str], typer.Option(metavar="[NAME=]FILE", help="A picture as an input.")] = [],  # noqa: B006
    normalize: Annotated[bool, typer.Option(help="Normalise the picture as ImageNet is.")] = True,
    top: Annotated[int, typer.Option(help="Show where the largest entries of each vector or row are.")] = 0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the outputs: .npz or .json.")] = None,
) -> None:
    """Run a model or an engine on data from files."""
    import torch

    from ...engine.loaded import cuda_device
    from ..data import read_image, read_inputs, replace_inputs, require_output, write_outputs

    chosen = backend or ("engine" if torch.cuda.is_available() or is_engine_file(target) else "network")
    if chosen not in BACKENDS:
        raise InputError(f"--backend {chosen} is none of {', '.join(BACKENDS)}")
    if top < 0:
        raise InputError(f"--top {top} is negative")
    if output is not None:
        require_output(output)
    if chosen == "engine" and not is_engine_file(target):
        cuda_device(None)
    runner = _EngineFile(target, source.seed) if is_engine_file(target) else _Model(target, source, conversion, chosen)
    given = {} if data is None else read_inputs(data)
    shapes = {name: tuple(leaf.shape) for name, leaf in zip(runner.bound.names, runner.leaves, strict=True)}
    for text in image:
        name, _, path = text.rpartition("=")
        name = name or runner.bound.names[0]
        if name not in shapes:
            raise InputError(f"there is no input {name!r}; the inputs are {', '.join(shapes)}")
        given[name] = read_image(Path(path), shapes[name], normalize=normalize)
    inputs = replace_inputs(runner.bound, given)
    with out.working("running"):
        start = time.perf_counter()
        outputs = runner.run(inputs)
        seconds = time.perf_counter() - start
    if output is not None:
        write_outputs(output, outputs)
    _print(out, outputs, chosen, seconds, top)


def _print(out: Output, outputs: dict[str, torch.Tensor], backend: str, seconds: float, top: int) -> None:
    rows, found = [], {}
    for name, tensor in outputs.items():
        values = tensor.detach().cpu().double()
        summary: dict[str, Any] = {"shape": list(tensor.shape), "dtype": tensor.dtype}
        if values.numel():
            summary |= {"min": values.min().item(), "max": values.max().item(), "mean": values.mean().item()}
        if top and values.dim() in (1, 2) and values.shape[-1]:
            best = values.topk(min(top, values.shape[-1]))
            summary["top"] = {"values": best.values.tolist(), "indices": best.indices.tolist()}
        found[name] = summary
        numbers = [f"{summary[key]:.5g}" if key in summary else "" for key in ("min", "max", "mean")]
        rows.append((name, str(tensor.dtype).removeprefix("torch."), list(tensor.shape), *numbers))
    out.table(f"{backend}, {seconds:.3f} s", ("output", "dtype", "shape", "min", "max", "mean"), rows)
    for name, summary in found.items():
        if "top" in summary:
            out.line(f"{name}: largest at {summary['top']['indices']}")
    out.result({"ok": True, "backend": backend, "seconds": seconds, "outputs": found})


class _Model:
    """A model and the way it is run."""

    def __init__(self, spec: str, source: ModelOptions, conversion: ConvertOptions, backend: str) -> None:
        from ... import structure

        self._named = source.load(spec)
        self.bound: BoundInputs = source.bind(self._named)
        self.leaves = structure.flatten(self.bound.inputs)[0]
        self._conversion = conversion
        self._backend = backend

    def run(self, inputs: Any) -> dict[str, torch.Tensor]:
        """The outputs by name."""
        import torch

        from ... import binding, core, structure
        from ...outputs import default_output_names

        if self._backend in ("network", "engine"):
            return self._run_converted(inputs)
        args, kwargs = binding.normalize_inputs(inputs)
        if self._backend == "eager":
            with torch.no_grad():
                result = self._named.module(*args, **kwargs)
        else:
            prepared = core.prepare(
                self._named.module,
                self.bound.inputs,
                input_names=self.bound.names,
                mutated_inputs=parse_mutated_inputs(self._conversion.mutated_inputs),
            )
            result = core.debug_call_graph(prepared.graph, inputs)
        tensors, nesting = structure.flatten(result)
        names = self._conversion.output_name or default_output_names(nesting, self.bound.names)
        return dict(zip(names, tensors, strict=True))

    def _run_converted(self, inputs: Any) -> dict[str, torch.Tensor]:
        from ... import binding, structure

        converted = self._conversion.convert(self._named, self.bound)
        args, kwargs = binding.normalize_inputs(inputs)
        if self._backend == "network":
            result = converted.evaluate(*args, **kwargs)
        else:
            result = converted.build(auto_device=True)(*args, **kwargs)
        return dict(zip(converted.output_names, structure.flatten(result)[0], strict=True))


class _EngineFile:
    """The file of an engine."""

    def __init__(self, path: str, seed: int) -> None:
        import torch

        from ...inputspec import BoundInputs, random_tensor
        from ..target import load_engine

        self._engine = load_engine(Path(path), auto_device=True)
        generator = torch.Generator().manual_seed(seed)
        ranges = self._engine.profiles[0] if self._engine.profiles else {}
        specs = self._engine.inputs
        self.leaves = [
            random_tensor(ranges[spec.name][1] if spec.name in ranges else spec.shape, spec.dtype, generator)
            for spec in specs
        ]
        names = [spec.name for spec in specs]
        self.bound = BoundInputs(tuple(self.leaves), names, {})

    def run(self, inputs: Any) -> dict[str, torch.Tensor]:
        """The outputs by name."""
        from ... import structure

        engine = self._engine
        if not engine.signature.is_flat:
            raise EngineError(
                "this engine's module takes nested arguments, which the command line cannot make",
                hint="load it in Python: Engine.load(path)",
            )
        results = structure.flatten(engine(*inputs))[0]
        names = [spec.name for spec in engine.outputs]
        if len(results) != len(names):
            names = [f"output_{index}" for index in range(len(results))]
        return dict(zip(names, results, strict=True))
