"""Every model by every road, in one run: ``python benchmarks/run.py [model ...]``.

Each is measured in a process of its own. A road's output is held against float32 eager before its time counts. Latency
is the median of ``--runs`` calls in milliseconds, with and without a CUDA graph, and its spread the range from the 10th
to the 90th percentile; throughput is items a second at that latency. The stages of getting there, the size of the
engine, and the peak of host and GPU memory above the loaded model are kept beside it.

Without a GPU, or with ``--cpu``, nothing is timed but the stages: trace, conversion and build ahead of time.

``--jobs`` makes that many ready at once, which saves time where there are many processors, and makes the stages longer
than they are alone. Latency is measured one after the other all the same, when all of them are ready.

Compiled kernels that a road keeps for later processes are not found, each has a new folder; with ``--caches FOLDER``
those of an earlier run are.

``--json``, ``--markdown`` and ``--chart`` name the files to write; ``--roads`` and ``--dtypes`` choose.
"""

from __future__ import annotations

import argparse
import copy
import datetime
import json
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

import torch  # noqa: E402

from benchmarks import report  # noqa: E402
from benchmarks.models import ALL, MODELS  # noqa: E402
from benchmarks.roads import ROADS, available, first, to_dtype  # noqa: E402

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
Task = tuple[str, str, str]  # model, precision, road
READY = "ready to be timed"
THREADS = ("OMP_NUM_THREADS", "TORCHINDUCTOR_COMPILE_THREADS")
"""What says how many processors a process takes: those that are made ready at once share them."""
CACHES = ("TORCH2TRT_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
"""Where the roads keep compiled kernels for later processes."""
TOLERANCES = {"float16": 5e-2, "bfloat16": 2e-1, "float32": 1e-2}
"""The largest error, by the largest output, with which a time counts; float32 multiplies in TF32."""


def times(call: Callable[[], torch.Tensor], runs: int) -> tuple[float, float]:
    """Median and spread of ``runs`` calls, in milliseconds."""
    for _ in range(10):
        call()
    torch.cuda.synchronize()
    rows = []
    for _ in range(runs):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        end.record()
        rows.append((start, end))
    torch.cuda.synchronize()
    numbers = sorted(start.elapsed_time(end) for start, end in rows)
    return statistics.median(numbers), numbers[int(0.9 * runs)] - numbers[int(0.1 * runs)]


class GpuPeak:
    """The most GPU memory in use while it runs, in MB above what was in use before."""

    def __enter__(self) -> GpuPeak:
        self.peak = 0.0
        self._stop = threading.Event()
        self._before = self._used()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _used(self) -> float:
        if not torch.cuda.is_available():
            return 0.0
        free, total = torch.cuda.mem_get_info()
        return (total - free) / 1e6

    def _watch(self) -> None:
        while not self._stop.wait(0.01):
            self.peak = max(self.peak, self._used() - self._before)


def measure(name: str, road: str, dtype: str, runs: int) -> dict[str, Any]:
    """One model by one road, in this process; once it is ready to be timed it says so and waits to be told."""
    torch.manual_seed(0)
    model, inputs = ALL[name].load()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, inputs = model.to(device), tuple(value.to(device) for value in inputs)
    row: dict[str, Any] = {"batch": ALL[name].batch}
    with torch.no_grad():
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        expected = first(model(*inputs)).float() if device == "cuda" else None
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        ROADS[road](*_warm_up(device))
        half = copy.deepcopy(model).to(DTYPES[dtype])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with GpuPeak() as gpu:
            ready = ROADS[road](half, to_dtype(inputs, DTYPES[dtype]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        row |= {"stages": ready.stages, "engine_mb": ready.engine_mb, "layers": ready.layers}
        row |= {"host_mb": peak / 1024, "gpu_mb": gpu.peak if device == "cuda" else None}
        print(READY, flush=True)
        sys.stdin.readline()
        if expected is not None:
            tolerance = TOLERANCES[dtype] * ALL[name].slack
            _time(row, {"plain": ready.plain, "graph": ready.graphed}, expected, tolerance, runs)
    return row


def _warm_up(device: str) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    """A small model: what imports and caches take at first is no model's."""
    return torch.nn.Linear(4, 4).eval().to(device), (torch.randn(2, 4, device=device),)


def _time(row: dict[str, Any], calls: dict[str, Any], expected: torch.Tensor, tolerance: float, runs: int) -> None:
    for how, call in calls.items():
        if call is None:
            continue
        actual = call().float()
        error = ((actual - expected).abs().max() / expected.abs().max()).item()
        row["error"] = max(error, row.get("error", 0.0))
        if not error <= tolerance:
            raise RuntimeError(f"the output is wrong by {error:.1e}")
        row[f"{how}_ms"], row[f"{how}_spread"] = times(call, runs)
    best = report.best(row)
    if best is not None:
        row["per_second"] = 1000 * row["batch"] / best


class Job:
    """One model by one road, in a process of its own.

    Args:
        task: model, precision, road.
        options: the command's.
    """

    def __init__(self, task: Task, options: argparse.Namespace) -> None:
        name, dtype, road = task
        self.task = task
        self._timeout = options.timeout
        command = [sys.executable, __file__, name, "--one", road, "--dtypes", dtype, "--runs", str(options.runs)]
        threads = str(max(1, (os.cpu_count() or 1) // options.jobs))
        self._folder = tempfile.TemporaryDirectory()
        caches = {name: str(Path(options.caches or self._folder.name) / name) for name in CACHES}
        environment = {**dict.fromkeys(THREADS, threads), **os.environ, **caches}
        if options.cpu:
            environment["CUDA_VISIBLE_DEVICES"] = ""
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=self._errors, text=True, env=environment, cwd=ROOT
        )
        self._watch()
        self._ready = threading.Thread(target=self._await_ready, daemon=True)
        self._ready.start()

    def _watch(self) -> None:
        self._late = threading.Timer(self._timeout, self._process.kill)
        self._late.start()

    def _await_ready(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip() == READY:
                break
        self._late.cancel()  # however long the others that are made ready beside it take

    def wait_until_ready(self) -> None:
        """Wait until it waits to be timed, or has failed."""
        self._ready.join()

    def finish(self) -> dict[str, Any]:
        """Let it time its calls; its row, or why it has ``failed``."""
        self._watch()
        output, _ = self._process.communicate("\n")
        self._late.cancel()
        self._folder.cleanup()
        with self._errors as file:
            file.seek(0)
            said = file.read().strip().splitlines()
        if self._process.returncode == -signal.SIGKILL:
            return {"failed": f"took longer than {self._timeout} s"}
        if self._process.returncode:
            errors = [line for line in said if re.match(r"[\w.]+(Error|Exception)\b", line)]
            last = (errors or said or [f"exit status {self._process.returncode}"])[-1]
            return {"failed": last[:200]}
        found: dict[str, Any] = json.loads(output.splitlines()[-1])
        return found


def run(tasks: Sequence[Task], options: argparse.Namespace) -> Iterator[tuple[Task, dict[str, Any]]]:
    """The rows of all tasks, ``options.jobs`` of them made ready at once and timed one after the other."""
    for start in range(0, len(tasks), options.jobs):
        jobs = [Job(task, options) for task in tasks[start : start + options.jobs]]
        for job in jobs:
            job.wait_until_ready()
        for job in jobs:
            yield job.task, job.finish()


def describe(row: dict[str, Any]) -> str:
    if "failed" in row:
        return f"failed: {row['failed']}"
    parts = [
        f"{how} {row[f'{how}_ms']:.3f} ms (+-{row[f'{how}_spread']:.3f})"
        for how in ("plain", "graph")
        if f"{how}_ms" in row
    ]
    parts += [f"{stage} {seconds:.2f} s" for stage, seconds in row["stages"].items()]
    parts += [f"engine {row['engine_mb']:.1f} MB, {row['layers']} layers"] if row["engine_mb"] else []
    parts += [f"host {row['host_mb']:.0f} MB"]
    return ", ".join(parts + ([f"error {row['error']:.1e}"] if "error" in row else []))


def environment() -> dict[str, str]:
    """What the figures hold for."""
    from torch2trt import trt, trt_compat

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    found = {"date": str(datetime.date.today()), "gpu": gpu, "torch": torch.__version__}
    if trt_compat.is_available():
        found[trt.__name__] = trt.__version__
    return found


def write(options: argparse.Namespace, about: dict[str, str], results: report.Results, roads: list[str]) -> None:
    """What was measured so far, into the files that were asked for."""
    title = ", ".join(f"{key} {value}" for key, value in about.items())
    on_cpu = about["gpu"] == "no GPU"
    key = "ready_s" if on_cpu else "ms"
    if options.json:
        Path(options.json).write_text(json.dumps({"about": about, "results": results}, indent=1))
    if options.markdown:
        heading = "Seconds of trace, conversion and build" if on_cpu else "Milliseconds, with CUDA graph where faster"
        tables = [f"{heading} ({title})", report.table(results, roads, key, 2 if on_cpu else 3)]
        if not on_cpu:
            tables += ["Seconds from module to first result", report.table(results, roads, "ready_s")]
            tables += [f"ours / {road}: {ratio:.2f}" for road, ratio in report.ratios(results).items()]
        tables += ["Peak host memory, MB", report.table(results, roads, "host_mb", 0)]
        Path(options.markdown).write_text("\n\n".join(tables) + "\n")
    if options.chart:
        Path(options.chart).write_text(report.chart(results, roads, key, title))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help=f"of {', '.join(ALL)}; all but the last by default")
    parser.add_argument("--roads", nargs="*", choices=list(ROADS), help="those that are installed by default")
    parser.add_argument("--dtypes", nargs="*", choices=list(DTYPES), help="those that a model lists by default")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--timeout", type=int, default=1800, help="seconds for one model by one road")
    parser.add_argument("--jobs", type=int, default=1, help="how many are made ready at once")
    parser.add_argument("--cpu", action="store_true", help="hide the GPU: the stages alone")
    parser.add_argument("--caches", help="a folder of compiled kernels that are found again")
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    parser.add_argument("--chart", help="an SVG file")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    unknown = [name for name in options.models if name not in ALL]
    if unknown:
        parser.error(f"no such model: {', '.join(unknown)}")
    return options


def main() -> int:
    options = parse()
    warnings.simplefilter("ignore")
    if options.one:
        print(json.dumps(measure(options.models[0], options.one, options.dtypes[0], options.runs)), flush=True)
        os._exit(0)  # at once: taking everything down takes a second, and what it can fail at was not asked
    if options.cpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    about, roads = environment(), options.roads or available()
    print(", ".join(f"{key} {value}" for key, value in about.items()), flush=True)
    chosen = [(name, dtype) for name in options.models or MODELS for dtype in options.dtypes or ALL[name].dtypes]
    results: report.Results = {f"{name} {dtype}": {} for name, dtype in chosen}
    # What is made ready at once takes about as long: by road, then by model.
    for (name, dtype, road), row in run([(*model, road) for road in roads for model in chosen], options):
        results[f"{name} {dtype}"][road] = row
        print(f"{name:<22} {dtype:<9} {road:<18} {describe(row)}", flush=True)
        write(options, about, results, roads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
