from __future__ import annotations

import json

import pytest

from torch2trt.engine.inspection import (
    UNKNOWN,
    LayerTime,
    ProfileReport,
    common_scope,
    parse_layers,
    source_layers,
    summarise,
    trace_events,
)
from torch2trt.errors import EngineError, InputError


@pytest.mark.parametrize(
    ("text", "names", "scopes"),
    [
        ("conv1/conv2d.0", ["conv1/conv2d.0"], ["conv1"]),
        ("relu.3", ["relu.3"], [""]),
        ("layer1.0.conv1/conv2d.0 + layer1.0.bn1/batch_norm.1", None, ["layer1.0.conv1", "layer1.0.bn1"]),
        ("PWN(layer1.0/add.0, relu.2)", ["layer1.0/add.0", "relu.2"], ["layer1.0", ""]),
        ("{ForeignNode[a.b/matmul.0...c/softmax.12]}", ["a.b/matmul.0", "c/softmax.12"], ["a.b", "c"]),
        ("a/add.0 + a/add.0", ["a/add.0"], ["a"]),
        ("a/add.0:0", ["a/add.0"], ["a"]),
        ("__myl_FcAdd_myl0_3", [], []),
        ("a path like model.layer.0", [], []),
        ("version 1.5 of sm80_xmma_f32.tile", [], []),
        ("body.act/relu.0\x1fbody.fc2/linear.1", None, ["body.act", "body.fc2"]),
    ],
)
def test_layers_that_a_name_tells(text, names, scopes):
    found, places = source_layers(text)
    if names is not None:
        assert list(found) == names
    assert list(places) == scopes


@pytest.mark.parametrize(
    ("scopes", "shared"),
    [
        ([], ""),
        (["a.b"], "a.b"),
        (["a.b", "a.c"], "a"),
        (["a.b", "a.bc"], "a"),
        (["a", ""], ""),
        (["a.b", "a.b.c"], "a.b"),
    ],
)
def test_common_scope(scopes, shared):
    assert common_scope(scopes) == shared


DETAILED = {
    "Layers": [
        {
            "Name": "conv1/conv2d.0 + conv1/relu.0",
            "LayerType": "CaskConvolution",
            "Inputs": [{"Name": "x", "Dimensions": [1, 3, 8, 8], "Format/Datatype": "Row major linear FP32"}],
            "Outputs": [{"Name": "y", "Dimensions": [1, 8, 8, 8], "Format/Datatype": "Half"}],
            "TacticName": "sm80_xmma",
            "Metadata": "",
        },
        {"Name": "__myl_Fc_0", "LayerType": "kgen", "Inputs": [], "Outputs": [], "Metadata": "head/linear.0"},
        {"Name": "Reformat", "LayerType": "Reformat"},
    ],
    "Bindings": ["x", "y"],
}


def test_layers_from_a_detailed_answer():
    conv, fc, reformat = parse_layers(json.dumps(DETAILED))
    assert (conv.index, conv.type, conv.tactic, conv.scope) == (0, "CaskConvolution", "sm80_xmma", "conv1")
    assert conv.inputs == ("x: Row major linear FP32 [1, 3, 8, 8]",)
    assert conv.sources == ("conv1/conv2d.0", "conv1/relu.0")
    assert conv.details["Metadata"] == ""
    assert fc.scope == "head" and fc.sources == ("head/linear.0",)
    assert reformat.scope == UNKNOWN and reformat.scopes == ()


def test_layers_from_names_only_and_nothing():
    (layer,) = parse_layers('{"Layers": ["a.b/add.0"], "Bindings": []}')
    assert layer.name == "a.b/add.0" and layer.scope == "a.b"
    assert parse_layers("") == parse_layers("{}") == []
    for text in ("[", "[1]", '{"Layers": 3}', '{"Layers": [3]}'):
        with pytest.raises(EngineError, match="inspector"):
            parse_layers(text)


RUNS = [
    [("a.x/conv.0", 1.0), ("k1", 3.0), ("a.y/add.0", 0.5), ("k2", 1.0)],
    [("a.x/conv.0", 9.0), ("k1", 2.0), ("a.y/add.0", 0.5), ("k2", 1.0)],
    [("a.x/conv.0", 2.0), ("k1", 2.0), ("a.y/add.0", 0.5), ("k2", 1.0)],
]


@pytest.fixture
def report():
    return summarise(RUNS, {"k1": "a.x.deep", "a.x/conv.0": "a.x"})


def test_medians_shares_and_scopes(report):
    assert [layer.milliseconds for layer in report.layers] == [2.0, 2.0, 0.5, 1.0]
    assert [layer.scope for layer in report.layers] == ["a.x", "a.x.deep", "a.y", UNKNOWN]
    assert report.total == 5.5 and report.runs == 3
    assert sum(layer.share for layer in report.layers) == pytest.approx(1)
    assert report.by_scope() == {"a.x": 2.0, "a.x.deep": 2.0, UNKNOWN: 1.0, "a.y": 0.5}
    assert report.by_scope(depth=1) == {"a": 4.5, UNKNOWN: 1.0}
    assert "a.x/conv.0" in str(report) and "5.5000" in str(report)


def test_table(report, capsys, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "120")
    report.print(limit=2)
    text = capsys.readouterr().out
    assert "a.x/conv.0" in text and "k1" in text and "2 more" in text and "a.y/add.0" not in text
    assert "1.5000" in text  # of the two left out


def test_plot(report, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "times.png"
    report.plot(path)
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(EngineError, match="absent"):
        report.plot(tmp_path / "absent" / "times.png")


def test_missing_packages(report, tmp_path, monkeypatch):
    from torch2trt.engine import inspection

    def none(name):
        raise ImportError(name)

    monkeypatch.setattr(inspection.importlib, "import_module", none)
    with pytest.raises(InputError, match="rich"):
        report.print()
    with pytest.raises(InputError, match="matplotlib"):
        report.plot(tmp_path / "times.png")


def test_chrome_trace(report, tmp_path):
    path = tmp_path / "trace.json"
    report.chrome_trace(path)
    events = json.loads(path.read_text())["traceEvents"]
    found = {(event["cat"], event["name"]): (event["ts"], event["dur"]) for event in events}
    assert found == {
        ("module", "a"): (0, 4500),
        ("module", "x"): (0, 4000),
        ("module", "deep"): (2000, 2000),
        ("module", "y"): (4000, 500),
        ("module", UNKNOWN): (4500, 1000),
        ("layer", "a.x/conv.0"): (0, 2000),
        ("layer", "k1"): (2000, 2000),
        ("layer", "a.y/add.0"): (4000, 500),
        ("layer", "k2"): (4500, 1000),
    }
    assert all(event["ph"] == "X" and event["pid"] == event["tid"] == 1 for event in events)


def test_trace_of_layers_in_the_root():
    events = trace_events([LayerTime("add.0", 1.0, 0.5, ""), LayerTime("add.1", 1.0, 0.5, "")])
    assert [(event["name"], event["cat"]) for event in events] == [("add.0", "layer"), ("add.1", "layer")]


def test_report_of_nothing_measured():
    assert ProfileReport((), 1).total == 0
    assert summarise([[("a", 0.0)]], {}).layers[0].share == 0
