"""`polygraphy run` with torch2trt's runners and options."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.cli.commands import RTX, run
from torch2trt.modelspec import load_model

polygraphy_json = pytest.importorskip("polygraphy.json")

BOTH = "--torch2trt-reference --torch2trt-eager"
ALL = f"{BOTH} --torch2trt-debug"


@pytest.fixture
def folder(tmp_path):
    shutil.copy(Path(__file__).parent / "models.py", tmp_path / "models.py")
    return tmp_path


def outputs(folder, name="out.json"):
    """What --save-outputs wrote: for each runner the outputs of its first iteration."""
    results = polygraphy_json.load_json(str(folder / name))
    found = {}
    for runner, iterations in results.items():
        found[runner.split("-N")[0]] = {key: np.array(value) for key, value in iterations[0].items()}
    return found


# It does not get in the way


def python(code, **environment):
    import os

    environment = {**os.environ, **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)


_LOAD = """
import sys, time
import polygraphy.tools.run.run as tool
from polygraphy.tools.base import Tool
import argparse
start = time.process_time()
groups = tool.Run()
from torch2trt.polygraphy.export import export_argument_groups
made = export_argument_groups()
print(1000 * (time.process_time() - start))
print('torch' in sys.modules, len(made))
"""


def test_loading_takes_less_than_20_ms_and_no_torch(tmp_path):
    took = []
    while len(took) < 10 and min(took, default=20.0) >= 20:  # other processes slow it down, and the first run compiles
        result = python(_LOAD, PYTHONDONTWRITEBYTECODE="", PYTHONPYCACHEPREFIX=str(tmp_path))
        milliseconds, *rest = result.stdout.splitlines()
        assert rest == ["False 5"], result.stderr
        took.append(float(milliseconds))
    assert min(took) < 20


_HELP = """
import sys
sys.modules["torch"] = None
from importlib import metadata
from polygraphy.tools._main import main
try:
    main({arguments})
except SystemExit as end:
    print("status", end.code)
print([name for name in sys.modules if name.startswith("torch2trt.polygraphy.args")])
"""


@pytest.mark.parametrize("arguments", [["-h"], ["run", "-h"], ["convert", "-h"]])
def test_help_works_without_torch(arguments):
    result = python(_HELP.format(arguments=arguments))
    assert "status 0" in result.stdout and "Failed to load plugin" not in result.stdout + result.stderr
    if arguments == ["run", "-h"] and "torch2trt.polygraphy.args" in result.stdout:
        assert "--torch2trt-reference" in result.stdout and "--torch2trt-weights" in result.stdout


def test_every_option_has_our_prefix(folder):
    result = run("polygraphy run -h", folder)
    assert result.status == 0
    ours = {
        word.strip("[],") for word in result.out.split() if "torch2trt" in word and word.lstrip("[").startswith("-")
    }
    assert len(ours) == 17 and all(option.startswith("--torch2trt") for option in ours)


def test_polygraphys_own_runs_are_as_before(folder):
    result = run("polygraphy run", folder)
    assert "No runners have been selected" in result.text


# Runners agree


def test_three_runners_without_a_gpu(folder):
    result = run(f"polygraphy run models.py:make_model {ALL} --save-outputs out.json --save-inputs in.json", folder)
    assert result.status == 0 and "Pass Rate: 100.00%" in result.text, result.text
    feed = polygraphy_json.load_json(str(folder / "in.json"))[0]
    module = load_model(f"{folder}/models.py").module
    with torch.no_grad():
        expected = module(torch.from_numpy(np.array(feed["features"])), torch.from_numpy(np.array(feed["mask"])))
    found = outputs(folder)
    assert set(found) == {"torch2trt-reference", "torch2trt-eager", "torch2trt-debug"}
    for results in found.values():
        assert list(results) == ["scores", "hidden"]
        for name, value in results.items():
            torch.testing.assert_close(torch.from_numpy(value), expected[name])


def test_shapes_for_a_model_without_examples(folder):
    result = run(f"polygraphy run models.py:without_examples {BOTH} --input-shapes input:[1,3,4]", folder)
    assert result.status == 0 and "shape=(1, 3, 3)" in result.text, result.text
    other = run(f"polygraphy run models.py:without_examples {BOTH} --input-shapes features:[2,4]", folder)
    assert other.status == 0 and "features [dtype=float32, shape=(2, 4)]" in other.text, other.text


def test_one_module_instance_for_all_runners(folder):
    calls = folder / "calls"
    result = run(f"polygraphy run models.py:make_model {ALL}", folder, CALLS_FILE=str(calls))
    assert result.status == 0 and calls.read_text() == "made\n"
    assert run(f"polygraphy run models.py:unseeded {ALL}", folder).status == 0


def test_names_of_inputs_and_outputs(folder):
    names = "--torch2trt-input-names a b --torch2trt-output-names c d"
    result = run(f"polygraphy run models.py:make_model {ALL} {names} --save-outputs out.json", folder)
    assert result.status == 0 and "a [dtype=float32, shape=(2, 4)]" in result.text, result.text
    assert all(list(results) == ["c", "d"] for results in outputs(folder).values())


RANGES = (
    "--trt-min-shapes features:[1,4] mask:[1,1] --trt-opt-shapes features:[2,4] mask:[2,1] "
    "--trt-max-shapes features:[8,4] mask:[8,1]"
)


def test_dynamic_shapes_come_from_polygraphys_options(folder):
    command = f"polygraphy run models.py:make_model {ALL} {RANGES} --input-shapes features:[5,4] mask:[5,1]"
    result = run(command, folder)
    assert result.status == 0 and "shape=(5, 3)" in result.text, result.text
    fixed = run(f"polygraphy run models.py:make_model {BOTH} --input-shapes features:[5,4] mask:[5,1]", folder)
    assert fixed.status == 0 and "shape=(5, 3)" in fixed.text, fixed.text


def test_several_profiles(folder):
    more = "--trt-min-shapes features:[16,4] mask:[16,1] --trt-opt-shapes features:[16,4] mask:[16,1] "
    more += "--trt-max-shapes features:[32,4] mask:[32,1]"
    command = f"polygraphy run models.py:make_model {BOTH} {RANGES} {more} --input-shapes features:[20,4] mask:[20,1]"
    result = run(command, folder)
    assert result.status == 0 and "shape=(20, 3)" in result.text, result.text


def test_bfloat16(folder):
    options = "--data-loader-backend-module torch --atol 1e-2 --rtol 1e-2"  # NumPy has no bfloat16
    result = run(f"polygraphy run models.py:make_half {ALL} {options}", folder)
    assert result.status == 0 and "dtype=bfloat16" in result.text, result.text


def test_a_module_that_writes_to_its_input_changes_nobody_elses(folder):
    command = f"polygraphy run models.py:make_writer {ALL}"
    result = run(f"{command} --torch2trt-mutated-inputs ignore", folder)
    assert result.status == 0, result.text
    refused = run(command, folder)
    assert refused.status == 1 and "writes to its input" in refused.text


def test_inputs_that_are_outputs_and_outputs_that_are_one(folder):
    result = run(f"polygraphy run models.py:make_passing {ALL} --save-outputs out.json", folder)
    assert result.status == 0, result.text
    assert all(list(results) == ["output_0", "output_1"] for results in outputs(folder).values())


# Options


def test_seed_and_weights(folder):
    state = load_model(f"{folder}/models.py", seed=7).module.state_dict()
    save_file(state, folder / "seven.safetensors")
    torch.save(state, folder / "seven.pt")
    base = "polygraphy run models.py:make_model --torch2trt-reference --load-inputs in.json"
    run("polygraphy run models.py:make_model --torch2trt-eager --save-inputs in.json", folder)
    assert run(f"{base} --torch2trt-seed 7 --save-outputs seven.json", folder).status == 0
    for weights in ("seven.safetensors", "seven.pt"):
        assert run(f"{base} --torch2trt-weights {weights} --load-outputs seven.json", folder).status == 0
    assert run(f"{base} --load-outputs seven.json", folder).status == 1


def test_precision_and_kept_scopes(folder):
    base = "polygraphy run models.py:make_model --torch2trt-reference --load-inputs in.json"
    run("polygraphy run models.py:make_model --torch2trt-eager --save-inputs in.json --save-outputs out.json", folder)
    half = f"{base} --torch2trt-precision float16 --load-outputs out.json --atol"
    assert run(f"{half} 1e-6 --rtol 0", folder).status == 1
    assert run(f"{half} 2e-2 --rtol 0", folder).status == 0
    assert run(f"{half} 1e-6 --rtol 0 --torch2trt-keep-float32 'first|second|^$'", folder).status == 0


def test_excluded_parameters_are_refused(folder):
    result = run("polygraphy run models.py:make_model --torch2trt-reference --torch2trt-param-exclude second.*", folder)
    assert result.status == 1 and "'second.weight' is excluded" in result.text


def test_polygraphys_own_changes_of_networks_apply(folder):
    base = "polygraphy run models.py:make_model --torch2trt-reference --save-outputs out.json --load-inputs in.json"
    run("polygraphy run models.py:make_model --torch2trt-eager --save-inputs in.json --save-outputs eager.json", folder)
    eager = outputs(folder, "eager.json")["torch2trt-eager"]
    assert run(f"{base} --trt-npps models.py:double", folder).status == 0
    doubled = outputs(folder)["torch2trt-reference"]
    assert set(doubled) == {"doubled_scores", "doubled_hidden"}
    np.testing.assert_allclose(doubled["doubled_scores"], 2 * eager["scores"], rtol=1e-5, atol=1e-6)
    assert run(f"{base} --trt-outputs scores", folder).status == 0
    assert set(outputs(folder)["torch2trt-reference"]) == {"scores"}


def test_generated_script(folder):
    result = run(f"polygraphy run models.py:make_model {BOTH} {RANGES} --gen-script compare.py", folder)
    assert result.status == 0, result.text
    text = (folder / "compare.py").read_text()
    assert "NetworkFromModule(" in text and "'features': ((1, 4), (2, 4), (8, 4))" in text
    again = run("python compare.py", folder)
    assert again.status == 0 and "Pass Rate: 100.00%" in again.text, again.text


# Mistakes


def test_runners_that_disagree(folder):
    result = run(f"polygraphy run models.py:make_stateful {BOTH}", folder)
    assert result.status == 1 and "FAILED | Output: 'output_1'" in result.text
    assert "PASSED | Output: 'output_0'" in result.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (f"models.py:nothing {BOTH}", "has no nothing"),
        (f"models.py:raises {BOTH}", "raised RuntimeError: the model is not at home"),
        (f"models.py:gives_a_string {BOTH}", "gave str"),
        (f"models.py:without_examples {BOTH}", "gives no example inputs"),
        (
            f"models.py:make_model {BOTH} --input-shapes featurs:[2,4]",
            "no input 'featurs'; its inputs are features, mask",
        ),
        (f"models.py:make_model {BOTH} --input-shapes features:[2,5]", "mat1 and mat2 shapes"),
        (f"models.py:make_model {BOTH} --torch2trt-input-names one", "1 input names"),
        (f"models.py:make_model {BOTH} --torch2trt-weights none.pt", "there is no weights file"),
        (f"models.py:make_model {BOTH} --torch2trt-weights trap.pt", "is refused: it holds pickled objects"),
        (f"models.py:make_model {BOTH} --torch2trt-keep-float32 '('", "is no regular expression"),
        (f"none.py:make_model {BOTH}", "none.py"),
        (f"model.onnx {BOTH}", "takes a Python file"),
    ],
)
def test_mistakes_end_with_status_1_and_a_reason(folder, arguments, message):
    torch.save({"first.weight": torch.zeros(1), "code": Path("x")}, folder / "trap.pt")
    (folder / "model.onnx").write_bytes(b"")
    result = run(f"polygraphy run {arguments}", folder)
    assert result.status == 1 and message in result.text and "Traceback" not in result.text, result.text


def test_outputs_that_cannot_be_written(folder):
    """Polygraphy's own error, with a traceback of Polygraphy's; the status says that it failed."""
    result = run(f"polygraphy run models.py:make_model {BOTH} --save-outputs models.py/out.json", folder)
    assert result.status == 1 and "models.py/out.json" in result.text


def test_a_wrong_precision_is_refused_by_the_parser(folder):
    result = run(f"polygraphy run models.py:make_model {BOTH} --torch2trt-precision float8", folder)
    assert result.status == 2 and "invalid choice" in result.err


@pytest.mark.skipif(not RTX, reason="about TensorRT for RTX")
def test_a_polygraphy_that_looks_for_another_tensorrt(folder):
    result = run(f"polygraphy run models.py:make_model {BOTH}", folder, rtx=False)
    assert result.status == 0 and "Set POLYGRAPHY_USE_TENSORRT_RTX=1" in result.text


# Engines


@pytest.mark.skipif(torch.cuda.is_available() or not RTX, reason="builds without a GPU")
def test_the_engine_is_built_and_saved_before_a_missing_gpu_ends_the_run(folder):
    result = run("polygraphy run models.py:make_model --torch2trt --save-engine net.engine", folder)
    assert result.status == 1 and (folder / "net.engine").stat().st_size > 1000, result.text


@pytest.mark.gpu
def test_engine_and_module_agree(folder):
    command = "polygraphy run models.py:make_model --torch2trt --torch2trt-eager --save-engine net.engine"
    tolerance = "--atol 5e-3 --rtol 5e-3"  # TensorRT for RTX 1.4 multiplies in TF32
    result = run(f"{command} {tolerance}", folder)
    assert result.status == 0, result.text
    assert (folder / "net.engine").stat().st_size > 1000
    dynamic = run(f"{command} {RANGES} --input-shapes features:[5,4] mask:[5,1] {tolerance}", folder)
    assert dynamic.status == 0 and "shape=(5, 3)" in dynamic.text, dynamic.text


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("model", ["resnet18", "vit_b_16", "bert"])
def test_real_models(folder, model, precision):
    (folder / "real.py").write_text(_REAL)
    shutil.copy(Path(__file__).parents[2] / "samples" / "polygraphy" / "3_data" / "config.py", folder)  # no TF32
    # In float32 too: TensorRT for RTX 1.4 multiplies in TF32, which has float16's bits.
    tolerances = {"float32": "--atol 1e-2 --rtol 1e-2", "float16": "--atol 2e-2 --rtol 2e-2"}[precision]
    command = f"polygraphy run real.py:{model} --torch2trt --torch2trt-eager --torch2trt-device cuda {tolerances}"
    result = run(f"{command} --torch2trt-precision {precision} --trt-config-script config.py", folder)
    assert result.status == 0, result.text[-5000:]


_REAL = """
import torch, torchvision

def resnet18():
    return torchvision.models.resnet18(weights=None), {"x": torch.randn(1, 3, 224, 224)}

def vit_b_16():
    return torchvision.models.vit_b_16(weights=None), {"x": torch.randn(1, 3, 224, 224)}

def bert():
    from transformers import BertConfig, BertModel
    model = BertModel(BertConfig(attn_implementation="eager"))
    return model, {"input_ids": torch.randint(0, 1000, (2, 32)), "attention_mask": torch.ones(2, 32, dtype=torch.int64)}
"""
