"""The table of ops, and that the files which hold it are up to date."""

from __future__ import annotations

import json

import pytest
import torch

import torch2trt
from tests import op_table
from torch2trt import optable, refusals, registry
from torch2trt.errors import InputError, UnsupportedOpError


def test_page_is_up_to_date():
    rows = [row for row in optable.rows() if row.refused or registry.handlers()[row.name].builtin]
    page = op_table.PAGE.read_text()
    if f"torch {torch.__version__.partition('+')[0]}." not in page:
        pytest.skip("the page was made with another version of torch, whose schemas differ")
    expected = optable.markdown(rows)
    assert op_table.PAGE.read_text() == expected, "run python -m tests.op_table"


def test_every_handler_is_listed():
    listed = set(json.loads(op_table.FACTS.read_text()))
    builtin = {name for name, handler in registry.handlers().items() if handler.builtin}
    assert listed == builtin, "run python -m tests.op_table"


def test_rows_say_what_an_op_takes():
    rows = {row.name: row for row in optable.rows()}
    relu = rows["aten::relu"]
    assert relu.schema == "aten::relu(Tensor self) -> Tensor"
    assert {"float32", "float16", "int64"} <= set(relu.dtypes)
    assert relu.status == "dynamic"
    zeros = rows["aten::zeros_like"]
    assert "Layout" not in zeros.schema and "dtype" in zeros.schema
    refused = rows["aten::linalg_eig"]
    assert refused.status == "refused" and "symmetric" in refused.note and not refused.dtypes


def test_no_refused_op_has_a_handler():
    assert not set(refusals.REASONS) & set(registry.handlers())


def test_errors_say_why():
    with pytest.raises(UnsupportedOpError, match="not symmetric"):
        torch2trt.convert(torch.linalg.eigvals, torch.randn(3, 3))
    with pytest.raises(InputError, match="sparse_coo"):
        torch2trt.convert(torch.relu, torch.eye(3).to_sparse())
    with pytest.raises(InputError, match="nested"):
        torch2trt.convert(torch.relu, torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]))


def test_users_handlers_are_listed():
    registry.register_node_handler("mylib::twice")(lambda inputs, attributes: [inputs[0] * 2])
    try:
        row = next(row for row in optable.rows() if row.name == "mylib::twice")
    finally:
        registry.unregister("mylib::twice")
    assert (row.status, row.schema, row.dtypes) == ("static", "", ())


@pytest.mark.slow
def test_rows_of_cases_are_in_the_table():
    seen = op_table.from_cases().facts({})
    listed = json.loads(op_table.FACTS.read_text())
    for name, fact in seen.items():
        assert set(fact["dtypes"]) <= set(listed[name]["dtypes"]), f"{name}: run python -m tests.op_table"
        assert listed[name]["dynamic"] or not fact["dynamic"], f"{name}: run python -m tests.op_table"
