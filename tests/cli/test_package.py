"""The package's names: complete, and imported only when they are used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import torch2trt

SOURCE = Path(torch2trt.__file__)


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_importing_the_package_imports_no_torch():
    result = python("import sys, torch2trt, torch2trt.errors; print('torch' in sys.modules)")
    assert result.stdout == "False\n", result.stderr


def test_every_public_name_is_there():
    missing = [name for name in torch2trt.__all__ if not hasattr(torch2trt, name)]
    assert not missing and set(torch2trt.__all__) <= set(dir(torch2trt))
    with pytest.raises(AttributeError, match="no attribute 'converts'"):
        _ = torch2trt.converts


def test_what_type_checkers_see_is_what_there_is():
    """The imports under TYPE_CHECKING, the table of homes and __all__ name the same things."""
    block = next(node for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.If))
    seen = {}
    for node in block.body:
        for name in node.names:
            seen[name.asname or name.name] = (node.module, name.name)
    assert set(seen) == set(torch2trt.__all__)
    for name, (module, original) in seen.items():
        if module is not None:
            home = __import__(f"torch2trt.{module}", fromlist=[original])
            assert getattr(torch2trt, name) is getattr(home, original)


@pytest.mark.parametrize("first", ["verify", "registry", "compilation"])
def test_modules_do_not_hide_functions_whatever_comes_first(first):
    code = f"import torch2trt.{first}, torch2trt.convert, torch2trt.verify; import torch2trt as t\n"
    code += "print(callable(t.convert), callable(t.verify), 'aten::relu' in t.registry.handlers())"
    assert python(code).stdout == "True True True\n"


def test_a_handler_for_a_taken_op_is_refused_before_anything_else_is_imported():
    code = (
        "from torch2trt.registry import register_node_handler as r\nr('aten::relu')(lambda inputs, attributes: inputs)"
    )
    assert "has a handler already" in python(code).stderr
