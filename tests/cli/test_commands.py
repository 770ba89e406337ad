"""The commands of `torch2trt`: what they print, what they write, and how they end."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.cli.commands import run
from torch2trt.cli.commands.bench import largest_errors
from torch2trt.engine.bundle import Bundle
from torch2trt.modelspec import load_model

IMAGE = "--input image:[1,3,6,6]"


def answer(result, status=0):
    """The JSON that a command printed, which is all that it printed."""
    assert result.status == status, result.text
    return json.loads(result.out)


def expected(folder, image):
    with torch.no_grad():
        return load_model(f"{folder}/models.py").module(image)


# Starting up


def test_help_imports_no_torch_and_is_quick():
    code = (
        "import sys; sys.argv = ['torch2trt', '-h']\nfrom torch2trt.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'rich', 'polygraphy'} & set(sys.modules)))"
    )
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert result.stdout.splitlines()[-1] == "[]"
    for command in (
        "convert",
        "check",
        "verify",
        "run",
        "inspect",
        "bench",
        "ops",
        "refit",
        "template",
        "export-triton",
    ):
        assert f"\n  {command} " in result.stdout
    assert min(times) < 0.3


@pytest.mark.skipif(not (Path(sys.executable).parent / "torch2trt").exists(), reason="the package is not installed")
def test_console_script():
    script = Path(sys.executable).parent / "torch2trt"
    result = subprocess.run([script, "--version"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "torch2trt 0.1.0\n")


def test_completion(folder):
    words = {"_TORCH2TRT_COMPLETE": "complete_bash", "COMP_WORDS": "torch2trt ch", "COMP_CWORD": "1"}
    result = run("torch2trt", folder, **words)
    assert result.status == 0 and result.out.split() == ["check"]


def test_without_typer():
    code = "import sys; sys.modules['typer'] = None; from torch2trt.cli import main; sys.exit(main())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 2 and "pip install typer" in result.stderr


@pytest.mark.parametrize("command", ["", "template"])
def test_help_where_a_command_is_missing(folder, command):
    assert "Commands:" in run(f"torch2trt {command}", folder).text


# check


def test_check(folder):
    result = run(f"torch2trt check models.py {IMAGE}", folder)
    assert result.status == 0 and "all convert" in result.out


def test_check_lists_every_op_in_one_table(folder):
    result = run(f"torch2trt check models.py:make_unsupported {IMAGE}", folder)
    assert result.status == 1 and "2 ops have no handler" in result.out
    found = answer(run(f"torch2trt check models.py:make_unsupported {IMAGE} --json", folder), 1)
    missing = {op["kind"]: op for op in found["missing"]}
    assert set(missing) == {"mystery::second", "mystery::first"}
    assert missing["mystery::second"]["count"] == 2 and not found["ok"] and found["complete"]
    assert "models.py:" in missing["mystery::first"]["first"]["source"]
    for kind in missing:
        assert kind in result.out


def test_check_a_model_that_writes_to_its_input(folder):
    result = run("torch2trt check models.py:make_writing", folder)
    assert result.status == 2 and "writes to its input x" in result.err
    for choice in ("output", "ignore"):
        result = run(f"torch2trt check models.py:make_writing --mutated-inputs {choice}", folder)
        assert result.status == 0 and "all convert" in result.out
    found = answer(run("torch2trt run models.py:make_writing --mutated-inputs output --backend debug --json", folder))
    assert len(found["outputs"]) == 2


# convert


def test_convert_to_a_plain_engine(folder):
    found = answer(run(f"torch2trt convert models.py {IMAGE} -o net.engine --json", folder))
    content = (folder / "net.engine").read_bytes()
    assert found["bytes"] == len(content) > 1000 and not content.startswith(b"PK")
    assert found["inputs"] == [{"name": "image", "dtype": "float32", "shape": [1, 3, 6, 6]}]
    assert found["outputs"] == [{"name": "output", "dtype": "float32", "shape": [1, 6, 6, 5]}]


def test_convert_to_torch2trts_own_file(folder):
    options = "--precision float16 --output-name scores --optimization-level 2 --detailed --workspace 64M"
    found = answer(run(f"torch2trt convert models.py -i image:[b=1:2:4,3,6,6] -o net.trt2 {options} --json", folder))
    assert found["profile"] == {"image": [[1, 3, 6, 6], [2, 3, 6, 6], [4, 3, 6, 6]]}
    bundle = Bundle.read(folder / "net.trt2")
    assert bundle.signature.inputs[0].shape == (-1, 3, 6, 6) and bundle.signature.outputs[0].name == "scores"
    assert bundle.options.optimization_level == 2 and bundle.options.profiling_verbosity == "detailed"
    assert bundle.options.workspace == 64 * 2**20


def test_convert_with_several_profiles(folder):
    command = "torch2trt convert models.py -i image:[1:2:64,3,6,6] -o net.engine --json"
    one = answer(run(command, folder))
    two = answer(run(f"{command} --profile image:[1:1:4,3,6,6] --profile image:[8:32:64,3,6,6]", folder))
    assert two["bytes"] > one["bytes"]
    for profile, words in (
        ("image:[1:1:65,3,6,6]", "not within"),
        ("image:[4,3,6,7]", "fixed at 6"),
        ("[1:2:4,3,6,6]", "names no input"),
    ):
        result = run(f"{command} --profile {profile}", folder)
        assert result.status == 2 and words in result.out


def test_convert_with_an_engine_cache(folder):
    command = f"torch2trt convert models.py {IMAGE} --engine-cache cache --json"
    contents = []
    for name in ("one.engine", "two.engine"):
        answer(run(f"{command} -o {name}", folder))
        contents.append((folder / name).read_bytes())
    assert contents[0] == contents[1]
    assert len(list((folder / "cache").glob("*.entry"))) == 1


def test_quiet_and_verbose(folder):
    quiet = run(f"torch2trt convert models.py {IMAGE} -o net.engine -q", folder)
    loud = run(f"torch2trt convert models.py {IMAGE} -o net.engine -v", folder)
    assert quiet.status == loud.status == 0
    assert len(quiet.out.splitlines()) == 1 and "aten::relu" in loud.out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_engines_without_a_gpu(folder):
    assert run(f"torch2trt convert models.py {IMAGE} -o net.engine", folder).status == 0
    for command in ("inspect", "run"):
        result = run(f"torch2trt {command} net.engine", folder)
        assert result.status == 3 and "net.engine holds an engine" in result.err and "give the model" in result.err
    result = run("torch2trt run models.py:must_not_run --backend engine", folder)
    assert result.status == 3 and "needs an NVIDIA GPU" in result.err


# verify


def test_verify(folder):
    found = answer(run(f"torch2trt verify models.py {IMAGE} --json --save report.json --plot report.png", folder))
    kinds = [row["kind"] for row in found["rows"] if row["kind"] != "aten::dropout"]
    assert found["ok"] and found["first_divergence"] is None
    assert kinds == ["aten::_convolution", "aten::relu", "aten::permute", "aten::linear"]
    assert json.loads((folder / "report.json").read_text())["rows"] == found["rows"]
    assert Image.open(folder / "report.png").size[0] > 100
    text = run(f"torch2trt verify models.py {IMAGE} --all", folder)
    assert text.status == 0 and "all agree" in text.out and "aten::_convolution" in text.out


def test_verify_names_the_first_divergence(folder):
    result = run(f"torch2trt verify models.py:make_wrong {IMAGE}", folder)
    assert result.status == 1 and "first at aten::relu" in result.out and "models.py:" in result.out
    found = answer(run(f"torch2trt verify models.py:make_wrong {IMAGE} --json", folder), 1)
    first = next(row for row in found["rows"] if row["name"] == found["first_divergence"])
    assert first["kind"] == "aten::relu" and first["network"]["relative"] == pytest.approx(0.01, rel=1e-3)
    assert run(f"torch2trt verify models.py:make_wrong {IMAGE} --rtol 0.02", folder).status == 0


# run


@pytest.mark.parametrize("backend", ["eager", "debug", "network"])
def test_run_on_data_from_a_file(folder, backend):
    image = torch.rand(1, 3, 6, 6)  # other numbers than those that the command makes itself
    np.savez(folder / "in.npz", image=image.numpy())
    result = run(f"torch2trt run models.py {IMAGE} --backend {backend} --data in.npz -o out.npz", folder)
    assert result.status == 0, result.text
    with np.load(folder / "out.npz") as found:
        assert found.files == ["output"]
        torch.testing.assert_close(torch.from_numpy(found["output"]), expected(folder, image))


def test_run_with_several_inputs_and_outputs(folder):
    (folder / "in.json").write_text(json.dumps({"tokens": [[7, 8, 9], [1, 2, 3]], "scale": [[0, 0, 0], [1, 1, 1]]}))
    found = answer(run("torch2trt run models.py:make_two --data in.json -o out.json --top 1 --json", folder))
    outputs = json.loads((folder / "out.json").read_text())
    assert outputs["sum"] == [[8, 9, 10], [2, 3, 4]]
    assert np.allclose(outputs["scaled_0"], [[1] * 3, [np.e] * 3]) and outputs["scaled_1"] == [[0] * 3, [2] * 3]
    assert found["outputs"]["sum"]["max"] == 10 and found["outputs"]["sum"]["top"]["indices"] == [[2], [2]]
    assert found["backend"] == ("engine" if torch.cuda.is_available() else "network")


def test_run_reads_what_polygraphy_wrote(folder):
    json_module = pytest.importorskip("polygraphy.json")
    image = torch.rand(1, 3, 6, 6)  # other numbers than those that the command makes itself
    json_module.save_json([{"image": image.numpy()}], str(folder / "in.json"))
    command = f"torch2trt run models.py {IMAGE} --backend network --data in.json -o out.npz"
    assert run(command, folder).status == 0
    with np.load(folder / "out.npz") as found:
        torch.testing.assert_close(torch.from_numpy(found["output"]), expected(folder, image))


@pytest.mark.parametrize("normalize", [True, False])
def test_run_on_a_picture(folder, normalize):
    colour = (255, 51, 102)
    Image.new("RGB", (40, 20), colour).save(folder / "picture.png")
    flag = "" if normalize else "--no-normalize"
    command = f"torch2trt run models.py {IMAGE} --backend eager --image picture.png {flag} -o out.npz"
    assert run(command, folder).status == 0
    pixels = torch.tensor(colour) / 255
    if normalize:
        pixels = (pixels - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    with np.load(folder / "out.npz") as found:
        wanted = expected(folder, pixels.reshape(1, 3, 1, 1).expand(1, 3, 6, 6))
        torch.testing.assert_close(torch.from_numpy(found["output"]), wanted)


def test_run_in_bfloat16(folder):
    command = "torch2trt run models.py:make_half -i input:[2,4]:bfloat16 --backend network -o out.npz --json"
    assert answer(run(command, folder))["outputs"]["output"]["dtype"] == "bfloat16"
    with np.load(folder / "out.npz") as found:
        assert found["output"].dtype == np.float32 and found["output"].shape == (2, 3)


# inspect


def test_inspect_a_network(folder):
    command = "torch2trt inspect models.py -i image:[1:2:4,3,6,6] --show attrs --show weights"
    found = answer(run(f"{command} --json", folder))
    layers = {layer["name"]: layer for layer in found["layers"]}
    convolution = next(layer for layer in found["layers"] if layer["kind"] == "CONVOLUTION")
    assert convolution["scope"] == ["conv"] and convolution["inputs"][0]["shape"] == [-1, 3, 6, 6]
    assert convolution["attributes"]["kernel_size_nd"] == [3, 3] and convolution["attributes"]["num_output_maps"] == 4
    assert convolution["weights"]["kernel"] == {"size": 108, "dtype": "float32", "key": "conv.weight"}
    assert found["outputs"] == [{"name": "output", "dtype": "float32", "shape": [-1, 6, 6, 5]}]
    text = run(command, folder)
    assert text.status == 0 and all(name in text.out for name in layers) and "head.weight" in text.out


def test_inspect_a_network_script(folder):
    found = answer(run("torch2trt inspect models.py:network --json", folder))
    assert [tensor["name"] for tensor in found["inputs"]] == ["x"]
    assert "MATRIX_MULTIPLY" in {layer["kind"] for layer in found["layers"]}


def test_pictures(folder):
    command = f"torch2trt inspect models.py {IMAGE} --graph net.svg"
    assert run(command, folder).status == 0
    root = ElementTree.parse(folder / "net.svg").getroot()
    text = "".join(root.itertext())
    assert "convolution" in text and "activation relu" in text and "conv" in text
    assert run(command.replace("svg", "html"), folder).status == 0
    page = (folder / "net.html").read_text()
    assert (
        page.startswith("<!DOCTYPE html>") and "<svg" in page and "http://" not in page.replace("http://www.w3.org", "")
    )


def test_inspect_an_engine_file(folder):
    assert run(f"torch2trt convert models.py {IMAGE} -o net.trt2", folder).status == 0
    found = answer(run("torch2trt inspect net.trt2 --json", folder))
    assert found["weights"]["conv.weight"] == "conv.weight" and found["arguments"] == ["image"]
    assert found["built"]["torch_version"] == torch.__version__ and found["bytes"]["engine"] > 1000


# ops, template, export


def test_ops(folder):
    found = answer(run("torch2trt ops relu* --json", folder))
    names = [op["name"] for op in found["ops"]]
    assert "aten::relu" in names and all("::relu" in name for name in names)
    assert "| `aten::relu` |" in run("torch2trt ops --markdown", folder).out


def test_templates_are_filled_in(folder):
    options = "-i image:[1:2:4,3,6,6] --precision float16 --keep-float32 head --output-name scores"
    assert run(f"torch2trt template network models.py:make_model -o sub/net.py {options}", folder).status == 3
    (folder / "sub").mkdir()
    assert run(f"torch2trt template network models.py:make_model -o sub/net.py {options}", folder).status == 0
    found = answer(run("torch2trt inspect sub/net.py --json", folder))
    assert found["inputs"][0]["shape"] == [-1, 3, 6, 6] and found["outputs"][0]["name"] == "scores"
    assert any(tensor["dtype"] == "float16" for layer in found["layers"] for tensor in layer["outputs"])
    again = run(f"torch2trt template network models.py:make_model -o sub/net.py {options}", folder)
    assert again.status == 2 and "exists" in again.err
    config = (
        "torch2trt template config -o config.py -i image:[1:2:4,3,6,6] --workspace 1G --optimization-level 1 --tf32"
    )
    assert run(config, folder).status == 0
    text = (folder / "config.py").read_text()
    assert (
        "'image', min=(1, 3, 6, 6), opt=(2, 3, 6, 6), max=(4, 3, 6, 6)" in text
        and "set_flag(trt.BuilderFlag.TF32)" in text
    )
    if os.environ.get("POLYGRAPHY_USE_TENSORRT_RTX"):
        built = run("polygraphy convert sub/net.py --trt-config-script=config.py -o net.engine", folder)
        assert built.status == 0 and (folder / "net.engine").stat().st_size > 1000, built.text


# Mistakes


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        ("check nothing.py", 2, "there is no file nothing.py"),
        ("check models.py", 2, "gives no example inputs"),
        ("check models.py:nothing -i x:[1]", 2, "models.py has no nothing"),
        ("check models.py:raises", 2, "raised ValueError: no such thing here"),
        ("check models.py -i image:[1,3", 2, "cannot be read"),
        ("check models.py:make_with_example -i picture:[1,3,6,6]", 2, "no input 'picture'; its inputs are image"),
        ("check models.py:make_with_example --arg channels", 2, "is not NAME=VALUE"),
        ("check models.py -i image:[1,4,6,6]", 3, "expected input"),
        ("convert models.py:make_unsupported -i image:[1,3,6,6] -o x.engine", 3, "mystery::second"),
        (f"convert models.py {IMAGE} -o no/where/x.engine", 2, "no folder no/where"),
        ("convert models.py:must_not_run -o net.xyz", 2, "net.xyz would not be taken for an engine"),
        ("convert models.py:must_not_run -o .", 3, "cannot write '.': it names a folder"),
        ("convert models.py:must_not_run -o broken.engine/x.engine", 2, "no folder broken.engine"),
        ("convert models.py:must_not_run -o x.engine --optimization-level 9", 2, "optimization_level=9"),
        ("convert models.py:must_not_run -o x.engine --aux-streams -2", 2, "aux_streams=-2"),
        ("convert models.py:must_not_run -o x.engine --compute-capability 9", 2, "compute_capability '9'"),
        ("convert models.py:must_not_run -o x.engine --engine-cache broken.npz/c", 3, "make the cache folder"),
        ("export-triton models.py:must_not_run repository --name net --aux-streams -2", 2, "aux_streams=-2"),
        ("refit net.trt2 none.pt -o net.xyz", 2, "net.xyz would not be taken for an engine"),
        ("verify models.py:must_not_run --save no/report.json", 3, "cannot write no/report.json"),
        ("verify models.py:must_not_run --plot .", 3, "cannot write '.': it names a folder"),
        ("verify models.py:must_not_run --rtol -1", 2, "rtol=-1.0 is no tolerance"),
        ("inspect models.py:must_not_run --graph no/net.svg", 3, "cannot write no/net.svg"),
        ("run models.py:must_not_run --top -1", 2, "--top -1 is negative"),
        ("run models.py:must_not_run -o no/out.npz", 3, "cannot write no/out.npz"),
        ("run models.py:must_not_run -o out.txt", 2, "cannot write outputs to out.txt"),
        ("run broken.trt2", 3, "broken.trt2 is damaged or no engine file"),
        ("run empty.trt2", 3, "empty.trt2 is empty"),
        ("template network models.py:must_not_run -o no/net.py", 3, "cannot write no/net.py"),
        ("check typo.py", 2, "typo.py raised SyntaxError: '(' was never closed at"),
        ("check typo.py", 2, "typo.py:2"),
        ("check typo:make_model", 2, "importing typo raised SyntaxError: '(' was never closed at"),
        ("check models.py:make_writing --mutated-inputs maybe", 2, "maybe is none of error, output, ignore"),
        (f"convert models.py {IMAGE} -o x.engine --precision float8", 2, "float8"),
        (f"verify models.py {IMAGE} --mutated-inputs maybe", 2, "maybe is none of error, output, ignore"),
        (f"convert models.py {IMAGE} -o x.engine --workspace lots", 2, "'lots' is no number of bytes"),
        (f"convert models.py {IMAGE} -o x.engine --weights none.pt", 2, "there is no weights file none.pt"),
        (f"convert models.py {IMAGE}", 2, "Missing option"),
        (f"run models.py {IMAGE} --backend magic", 2, "magic is none of"),
        (f"run models.py {IMAGE} --data none.npz", 2, "there is no file none.npz"),
        (f"run models.py {IMAGE} --data models.py", 2, "cannot read inputs from models.py"),
        (f"run models.py {IMAGE} --data broken.npz", 2, "cannot read inputs from broken.npz"),
        (f"run models.py {IMAGE} --data other.json", 2, "no input picture"),
        (f"run models.py {IMAGE} --data small.json", 2, "has shape [1]"),
        (f"run models.py {IMAGE} --image models.py", 2, "cannot read the image"),
        (f"run models.py {IMAGE} --backend eager -o out.txt", 2, "cannot write outputs to out.txt"),
        (f"inspect models.py {IMAGE} --show everything", 2, "none of layers, attrs, weights"),
        (f"inspect models.py {IMAGE} --graph net.pdf", 2, "cannot draw to net.pdf"),
        ("inspect none.engine", 2, "there is no file none.engine"),
        ("inspect broken.trt2", 3, "broken.trt2"),
        ("inspect net.engine --graph net.svg", 2, "not of engines"),
        ("template config -o config.py -i [1:2:4]", 2, "needs its name"),
        ("template config -o config.py --compute-capability 8.9", 2, "for any TensorRT"),
        ("export-triton broken.engine repository --name net", 2, "plain engine, which does not say"),
        ("refit net.trt2 none.pt -o other.trt2", 2, "there is no weights file"),
        ("nonsense", 2, "No such command"),
        ("check models.py --nonsense", 2, "No such option"),
    ],
)
def test_mistakes_are_told_without_a_traceback(folder, command, status, message):
    (folder / "broken.npz").write_bytes(b"PK\x03\x04 and no more")
    (folder / "broken.trt2").write_bytes(b"PK\x03\x04 and no more")
    (folder / "broken.engine").write_bytes(b"no engine")
    (folder / "empty.trt2").write_bytes(b"")
    (folder / "typo.py").write_text("import torch\nmodel = (torch.nn.ReLU\n")
    (folder / "other.json").write_text('{"picture": [1.0]}')
    (folder / "small.json").write_text('{"image": [1.0]}')
    result = run(f"torch2trt {command}", folder)
    assert result.status == status, result.text
    assert message in " ".join(result.err.split()) and "Traceback" not in result.text
    assert not result.out


def test_debug_shows_the_traceback(folder):
    result = run("torch2trt check models.py:raises --debug", folder)
    assert result.status not in (0, 2) and "Traceback" in result.err and "no such thing here" in result.err


def test_errors_as_json(folder):
    found = answer(run("torch2trt check models.py:raises --json", folder), 2)
    assert found["error"]["type"] == "InputError" and "no such thing here" in found["error"]["message"]
    found = answer(run(f"torch2trt convert models.py:make_unsupported {IMAGE} -o x.engine --json", folder), 3)
    assert set(found["error"]["missing"]) == {"mystery::second", "mystery::first"}


def test_what_a_model_prints_does_not_mix_with_json(folder):
    (folder / "loud.py").write_text(
        "from models import Net\nprint('hello')\ndef make_model():\n print('hi')\n return Net()\n"
    )
    result = run(f"torch2trt check loud.py {IMAGE} --json", folder)
    assert answer(result)["ok"] and "hello" in result.err


def test_weights_from_a_file(folder):
    state = load_model(f"{folder}/models.py", seed=5).module.state_dict()
    save_file(state, folder / "weights.safetensors")
    np.savez(folder / "in.npz", image=np.ones((1, 3, 6, 6), np.float32))
    command = (
        f"torch2trt run models.py {IMAGE} --backend network --data in.npz -o out.npz --weights weights.safetensors"
    )
    assert run(command, folder).status == 0
    with torch.no_grad():
        wanted = load_model(f"{folder}/models.py", seed=5).module(torch.ones(1, 3, 6, 6))
    with np.load(folder / "out.npz") as found:
        torch.testing.assert_close(torch.from_numpy(found["output"]), wanted)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    "command",
    [
        f"bench models.py {IMAGE}",
        f"run models.py {IMAGE} --backend engine",
        "run net.engine",
        "inspect net.engine",
        "inspect net.trt2 --show layers",
        "refit net.trt2 weights.pt -o other.trt2",
        f"verify models.py {IMAGE} --engine",
        f"convert models.py {IMAGE} -o x.trt2 --refittable",
    ],
)
def test_commands_that_need_a_gpu_say_so(folder, command):
    for name in ("net.engine", "net.trt2"):
        if name in command:
            assert run(f"torch2trt convert models.py {IMAGE} -o {name}", folder).status == 0
    torch.save({}, folder / "weights.pt")
    result = run(f"torch2trt {command}", folder)
    assert result.status in (2, 3) and "GPU" in result.err and "Traceback" not in result.text


def test_errors_of_runs_at_once():
    """Kernels that begin too early are right after a pause."""
    right, wrong, idle = torch.tensor([1.0, -4.0]), torch.tensor([1.0, -3.0]), [True]

    def call():
        result, idle[0] = (right if idle[0] else wrong), False
        return {"output": result}

    expected = [torch.tensor([1.0, -4.0])]
    assert largest_errors(call, expected, lambda: idle.__setitem__(0, True)) == (0.0, 0.25)
    assert largest_errors(lambda: (wrong,), expected, lambda: None) == (0.25, 0.25)


# On a GPU

# TensorRT for RTX 1.4 multiplies float32 in TF32 whatever its flag says.
TF32 = {"rtol": 5e-3, "atol": 5e-3}


@pytest.mark.gpu
def test_engine_files_on_a_gpu(folder):
    np.savez(folder / "in.npz", image=np.ones((2, 3, 6, 6), np.float32))
    for name in ("net.trt2", "net.engine"):
        shapes = "-i image:[1:2:4,3,6,6]"
        assert run(f"torch2trt convert models.py {shapes} -o {name} --detailed", folder).status == 0
        result = run(f"torch2trt run {name} --data in.npz -o out.npz", folder)
        assert result.status == 0, result.text
        with np.load(folder / "out.npz") as found:
            torch.testing.assert_close(
                torch.from_numpy(found["output"]), expected(folder, torch.ones(2, 3, 6, 6)), **TF32
            )
        found = answer(run(f"torch2trt inspect {name} --json", folder))
        assert found["layers"] and found["profiles"][0]["image"][2] == [4, 3, 6, 6]


@pytest.mark.gpu
def test_refit_on_a_gpu(folder):
    assert run(f"torch2trt convert models.py {IMAGE} -o net.trt2 --refittable", folder).status == 0
    module = load_model(f"{folder}/models.py", seed=9).module
    save_file(module.state_dict(), folder / "weights.safetensors")
    result = run("torch2trt refit net.trt2 weights.safetensors -o other.trt2", folder)
    assert result.status == 0, result.text
    np.savez(folder / "in.npz", image=np.ones((1, 3, 6, 6), np.float32))
    assert run("torch2trt run other.trt2 --data in.npz -o out.npz", folder).status == 0
    with torch.no_grad(), np.load(folder / "out.npz") as found:
        torch.testing.assert_close(torch.from_numpy(found["output"]), module(torch.ones(1, 3, 6, 6)), **TF32)


@pytest.mark.gpu
def test_bench_and_verify_on_a_gpu(folder):
    found = answer(run(f"torch2trt bench models.py {IMAGE} --runs 5 --warmup 2 --json", folder))
    assert set(found["milliseconds"]) == {"PyTorch", "engine", "engine, CUDA graph"}
    assert all(0 < time < 100 for time in found["milliseconds"].values())
    assert all(0 <= error < 5e-3 for errors in found["errors"].values() for error in errors.values())
    report = answer(run(f"torch2trt verify models.py {IMAGE} --rtol 5e-3 --json", folder))
    assert all(row["engine"] is not None for row in report["rows"])
