"""Module to network, side by side with torch.onnx.export and TensorRT's ONNX parser; needs no GPU.

``python benchmarks/front_end.py [model ...] [--json FILE] [--threads N]`` runs every road in a process of its own and
prints seconds (median of ``--repeat`` runs after one that warms up) and peak host memory above the loaded model.
Needs onnx and onnxscript besides torch2trt.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

MODELS = ("resnet50", "inception_v3", "mobilenet_v3_large", "efficientnet_b0", "convnext_tiny", "vit_b_16", "swin_t")
ROADS = ("ours", "onnx dynamo", "onnx torchscript")


def load(name: str) -> tuple[Any, Any]:
    import torch
    import torchvision

    options = {"init_weights": False} if name in ("inception_v3", "googlenet") else {}
    model = torchvision.models.get_model(name, weights=None, **options).eval()
    size = torchvision.models.get_model_weights(name).DEFAULT.transforms().crop_size[0]
    return model, torch.randn(1, 3, size, size)


def ours(model: Any, image: Any) -> dict[str, float]:
    import torch2trt
    from torch2trt import core

    prepare, traces = core.prepare, []

    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        prepared = prepare(*args, **kwargs)
        traces.append(time.perf_counter() - start)
        return prepared

    core.prepare = timed
    try:
        start = time.perf_counter()
        torch2trt.convert(model, image)
        seconds = time.perf_counter() - start
    finally:
        core.prepare = prepare
    return {"seconds": seconds, "trace": traces[0], "convert": seconds - traces[0]}


def onnx(dynamo: bool) -> Callable[[Any, Any], dict[str, float]]:
    def run(model: Any, image: Any) -> dict[str, float]:
        import torch

        from torch2trt import trt, trt_compat

        start = time.perf_counter()
        buffer = io.BytesIO()
        if dynamo:
            torch.onnx.export(model, (image,), dynamo=True, verbose=False).save(buffer)
        else:
            torch.onnx.export(model, (image,), buffer, dynamo=False)
        exported = time.perf_counter()
        builder = trt.Builder(trt_compat.logger())
        network = trt_compat.create_network(builder)
        parser = trt.OnnxParser(network, trt_compat.logger())
        if not parser.parse(buffer.getvalue()):
            raise RuntimeError(parser.get_error(0).desc())
        end = time.perf_counter()
        return {"seconds": end - start, "trace": exported - start, "convert": end - exported}

    return run


def measure(name: str, road: str, repeat: int, threads: int) -> dict[str, float]:
    """Times of one road in this process."""
    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(threads)
    model, image = load(name)
    run = {"ours": ours, "onnx dynamo": onnx(True), "onnx torchscript": onnx(False)}[road]
    # What importing and loading took is not the road's; a first small model warms up caches and imports.
    run(torch.nn.Linear(4, 4).eval(), torch.randn(2, 4))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = [run(model, image)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    rows += [run(model, image) for _ in range(repeat)]
    result = {key: statistics.median(row[key] for row in rows[1:] or rows) for key in rows[0]}
    size = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    return {**result, "peak_mb": peak / 1024, "model_mb": size / 2**20}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.models[0], options.one, options.repeat, options.threads)))
        return 0
    results: dict[str, dict[str, dict[str, float]]] = {}
    columns = ("seconds", "trace/export", "convert/parse", "peak MB", "ratio")
    print("{:<20} {:<18} {:>8} {:>13} {:>14} {:>8} {:>6}".format("model", "road", *columns))
    for name in options.models:
        results[name] = {}
        for road in ROADS:
            command = [sys.executable, __file__, name, "--one", road]
            command += ["--repeat", str(options.repeat), "--threads", str(options.threads)]
            output = subprocess.run(command, capture_output=True, text=True, check=False)
            if output.returncode:
                print(f"{name:<20} {road:<18} failed: {output.stderr.strip().splitlines()[-1][:80]}")
                continue
            row = results[name][road] = json.loads(output.stdout.splitlines()[-1])
            ratio = row["seconds"] / results[name]["ours"]["seconds"] if "ours" in results[name] else float("nan")
            print(
                f"{name:<20} {road:<18} {row['seconds']:8.2f} {row['trace']:13.2f} {row['convert']:14.2f} "
                f"{row['peak_mb']:8.0f} {ratio:6.1f}",
                flush=True,
            )
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
