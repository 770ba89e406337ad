"""The benchmark runs without a GPU, and its report says what was measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from benchmarks import report, run  # noqa: E402
from benchmarks.models import sensible  # noqa: E402
from benchmarks.unet import UNet  # noqa: E402

RESULTS: report.Results = {
    "a": {"onnx": {"graph_ms": 2.0, "plain_ms": 3.0, "stages": {"trace": 4.0}}, "ours": {"graph_ms": 1.0}},
    "b": {"onnx": {"plain_ms": 8.0}, "ours": {"plain_ms": 4.0, "graph_ms": 2.0}},
    "c": {"onnx": {"failed": "no"}, "ours": {"graph_ms": 5.0}},
}


def test_without_a_gpu_the_stages_are_measured(tmp_path):
    files = {name: tmp_path / name for name in ("json", "markdown", "chart")}
    command = [sys.executable, "benchmarks/run.py", "smoke", "--roads", "eager", "ours", "--cpu"]
    command += [text for name, path in files.items() for text in (f"--{name}", str(path))]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment).stdout
    assert "smoke" in output and "failed" not in output
    row = json.loads(files["json"].read_text())["results"]["smoke float32"]["ours"]
    assert set(row["stages"]) == {"trace", "convert", "build"} and min(row["stages"].values()) >= 0
    assert row["engine_mb"] > 0 and row["layers"] > 0 and "graph_ms" not in row
    assert "| smoke float32 | - | **" in files["markdown"].read_text()
    assert ElementTree.parse(files["chart"]).getroot().tag.endswith("svg")


def test_a_road_that_fails_says_why(tmp_path):
    from argparse import Namespace

    tasks = [("smoke", "float32", "eager"), ("smoke", "float64", "ours"), ("smoke", "float32", "ours")]
    rows = dict(run.run(tasks, Namespace(runs=1, cpu=True, timeout=120, jobs=2, caches=None)))
    assert list(rows) == tasks and "failed" not in rows[tasks[0]] and rows[tasks[2]]["layers"]
    row = rows[tasks[1]]
    assert "float64" in row["failed"] and run.describe(row).startswith("failed: ")


def test_a_road_that_takes_too_long_is_ended():
    from argparse import Namespace

    ((_, row),) = run.run([("smoke", "float32", "ours")], Namespace(runs=1, cpu=True, timeout=0.5, jobs=1, caches=None))
    assert row == {"failed": "took longer than 0.5 s"}


def test_table_and_ratios():
    assert report.table(RESULTS, ["onnx", "ours"], "ms").splitlines()[2:] == [
        "| a | 2.00 | **1.00** |",
        "| b | 8.00 | **2.00** |",
        "| c | - | **5.00** |",
    ]
    assert report.table(RESULTS, ["onnx"], "ready_s").splitlines()[2] == "| a | **4.00** |"
    assert report.ratios(RESULTS) == {"onnx": (0.5 * 0.25) ** 0.5, "the fastest other": (0.5 * 0.25) ** 0.5}


def test_a_bar_is_as_long_as_its_number():
    root = ElementTree.fromstring(report.chart(RESULTS, ["onnx", "ours"], title="<t>"))
    bars = [float(item.get("width")) for item in root if item.tag.endswith("rect") and item.get("height") == "12"]
    assert len(bars) == 5 and bars[0] == 2 * bars[1] and bars[2] == 4 * bars[3]


def test_sensible_weights_keep_outputs_of_order_one():
    torch.manual_seed(0)
    layers = [layer for _ in range(6) for layer in (torch.nn.Conv2d(8, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU())]
    head = torch.nn.Linear(8 * 16, 10)
    torch.nn.init.zeros_(head.weight)
    model = torch.nn.Sequential(*layers, torch.nn.Flatten(), head)
    x = torch.randn(2, 8, 16, 16)
    assert 0.2 < sensible(model, x)(x).std() < 5 and not model.training


def test_unet_halves_and_doubles():
    torch.manual_seed(0)
    model = sensible(UNet(width=32, context=16))
    x, context = torch.randn(1, 4, 16, 16), torch.randn(1, 5, 16)
    with torch.no_grad():
        first, second = (model(x, torch.tensor([step]), context) for step in (10.0, 500.0))
    assert first.shape == x.shape and 0.05 < first.std() < 20
    assert not torch.allclose(first, second)


def test_a_model_that_is_late_makes_no_other_late(tmp_path, monkeypatch):
    script = tmp_path / "model.py"
    script.write_text(
        "import subprocess, sys, time\n"
        "if sys.argv[1] == 'slow':\n"
        "    subprocess.Popen(['sleep', '3'])  # the pipe stays open for a while, as that of a process on a GPU\n"
        "    time.sleep(60)\n"
        f"print({run.READY!r}, flush=True)\n"
        "sys.stdin.readline()\n"
        "print('{\"plain_ms\": 1}')\n"
    )
    monkeypatch.setattr(run, "__file__", str(script))
    options = run.parse(["--timeout", "2", "--jobs", "2"])
    rows = dict(run.run([(name, "float16", "ours") for name in ("slow", "fast")], options))
    assert "longer than 2 s" in rows["slow", "float16", "ours"]["failed"]
    assert rows["fast", "float16", "ours"] == {"plain_ms": 1}
