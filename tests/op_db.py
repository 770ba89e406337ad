"""PyTorch's own operator database through the converter: ``python -m tests.op_db [op ...] [--dtype float32]``.

Every sample input of every operator (up to ``--most`` an operator) is converted, evaluated and held against eager.
With ``--dynamic`` its axes of each size in turn are dynamic, and it is evaluated at two other sizes, too.
"""

from __future__ import annotations

import argparse
import collections
import functools
import json
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils._python_dispatch import TorchDispatchMode

import torch2trt
from tests import harness
from torch2trt import structure

# Importing the database forbids the whole process to set backend flags, which other tests do.
setattr(torch.backends, "__allow_nonbracketed_mutation_flag", True)

RIGHT, WRONG, REFUSED, UNUSABLE = "right", "wrong", "refused", "unusable"

UNDEFINED = {"empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided"}
"""Their results are whatever lies in memory."""

TIES = {"topk": 1, "kthvalue": 1, "mode": 0, "median": 0, "nanmedian": 0, "sort": 0, "argsort": 0}
"""Ops that PyTorch lets choose among equal elements, and the place of the axis among their arguments."""

RESTS = {"fmod", "remainder", "__rmod__"}
"""Ops whose vectorised kernels give NaN past quotients of 1e38, where their scalar ones give the exact rest."""

BOUND = {"bucketize", "searchsorted", "nn.functional.embedding_bag", "_segment_reduce"}
"""Ops that want inputs whose elements rise, or sum up to a size, which those of another size do not."""

FACTORISED = {"cholesky", "cholesky_inverse", "cholesky_solve", "geqrf", "logdet", "lu", "lu_solve", "lu_unpack"} | {
    "matrix_exp",
    "norm",
    "ormqr",
    "pinverse",
    "qr",
    "svd",
    "triangular_solve",
}
"""Ops of matrices that must be regular for a result that is defined, besides those of ``torch.linalg``."""

ATTENTION = "nn.functional.scaled_dot_product_attention"


def samples(op: Any, dtype: torch.dtype, most: int) -> Iterator[Any]:
    """Up to ``most`` sample inputs, spread evenly over what the database gives."""
    torch.manual_seed(0)
    found = list(op.sample_inputs("cpu", dtype, requires_grad=False))
    step = max(1, len(found) // most) if most else 1
    yield from found[::step][: most or None]


def _arguments(sample: Any) -> tuple[list[torch.Tensor], Any]:
    """The tensors that a sample calls its operator with, and how they are nested."""
    return structure.flatten(((sample.input, *sample.args), dict(sample.kwargs)))


def run_sample(op: Any, sample: Any, build: bool = False, engine: bool = False) -> tuple[str, str]:
    """What came of one sample, and why.

    Args:
        op: one of the database.
        sample: what it is called with.
        build: whether an engine is built, too.
        engine: whether it runs, too, on a GPU.
    """
    status, why, converted = convert_sample(op, sample)
    if converted is None or status != RIGHT:
        return status, why
    try:
        if engine:
            _run_engine(converted, _arguments(sample)[0])
        elif build:
            converted.serialize(optimization_level=0)
    except torch2trt.errors.BuildError as error:
        return REFUSED, _line(error)
    except Exception as error:
        return WRONG, f"engine: {_line(error)}"
    return status, why


def _run_engine(converted: torch2trt.Converted, leaves: Sequence[torch.Tensor]) -> None:
    inputs = tuple(leaf.detach().clone() for leaf in leaves)
    with converted.build(auto_device=True, auto_contiguous=True, kernel_cache=None) as engine:
        harness.assert_same(engine(*inputs), converted.evaluate(*inputs), **harness.engine_tolerance())


def convert_sample(op: Any, sample: Any) -> tuple[str, str, torch2trt.Converted | None]:
    """What came of one sample, why, and the network if there is one."""
    leaves, nesting = _arguments(sample)
    if not leaves:
        return UNUSABLE, "no tensor among the inputs", None
    function = _function_of(op, nesting)
    inputs = tuple(leaf.detach().clone() for leaf in leaves)
    try:
        expected = harness.call(function, inputs)
        torch.jit.trace(function, harness.clone(inputs), check_trace=False, strict=False)
    except Exception as error:
        return UNUSABLE, f"eager or trace: {type(error).__name__}: {str(error)[:150]}", None
    if not structure.flatten(expected)[0]:
        return UNUSABLE, "no tensor among the outputs", None
    if op.name in UNDEFINED:
        return UNUSABLE, "its result is whatever lies in memory", None
    made: list[torch2trt.Converted] = []

    def run() -> None:
        made.append(torch2trt.convert(function, harness.clone(inputs), mutated_inputs="output"))
        wanted = expected
        if len(made[0].output_names) > len(structure.flatten(expected)[0]):
            wanted = (*(expected if type(expected) is tuple else (expected,)), *_written(function, inputs))
        _compare(op, sample, made[0].evaluate(*inputs), wanted, function, inputs)

    return *_outcome(run), made[0] if made else None


def _function_of(op: Any, nesting: Any) -> Callable[..., Any]:
    """The operator as a function of the tensors that a sample calls it with."""

    def function(*tensors: torch.Tensor) -> Any:
        args, kwargs = structure.unflatten(tensors, nesting)
        return op(*args, **kwargs)

    return function


def _outcome(run: Callable[[], None]) -> tuple[str, str]:
    try:
        run()
    except (torch2trt.errors.InternalError, torch2trt.errors.EvaluationError) as error:
        return WRONG, _line(error)
    except torch2trt.errors.Torch2TRTError as error:
        return REFUSED, _line(error)
    except Exception as error:  # an assertion, or what no error of torch2trt's is
        return WRONG, _line(error)
    return RIGHT, ""


def run_dynamic(op: Any, sample: Any) -> Iterator[tuple[str, str]]:
    """What came of one sample whose axes of one size are dynamic, size by size: right if it is at two others, too."""
    leaves, nesting = _arguments(sample)
    function = _function_of(op, nesting)
    for size in sorted({size for leaf in leaves for size in leaf.shape if size > 1}):
        try:
            factorised = op.name.startswith("linalg.") or op.name in FACTORISED
            others = (size, size + 1, size + 3)
            calls = [tuple(_resized(leaf, size, other, factorised) for leaf in leaves) for other in others]
            expected = [harness.call(function, inputs) for inputs in calls]
        except Exception as error:
            yield UNUSABLE, f"eager: {_line(error)}"
            continue
        nestings = [structure.flatten(result)[1] for result in expected]
        if op.name in UNDEFINED | BOUND or nestings != nestings[:1] * 3 or not structure.flatten(expected)[0]:
            yield UNUSABLE, "what is wanted is not defined, or in number another at each size"
        else:
            yield _outcome(functools.partial(_run_at_sizes, op, nesting, calls, expected, size))


def _run_at_sizes(op: Any, nesting: Any, calls: Sequence[Any], expected: Sequence[Any], size: int) -> None:
    """Convert the first call, its axes of ``size`` elements dynamic, and compare all."""
    function, inputs = _function_of(op, nesting), harness.clone(calls[0])
    shapes = {
        f"input{index}": dict.fromkeys(_axes(value, size), (size, size, size + 3)) for index, value in enumerate(inputs)
    }
    converted = torch2trt.convert(
        function, inputs, input_names=list(shapes), dynamic_shapes=shapes, mutated_inputs="ignore"
    )
    for call, wanted in zip(calls, expected, strict=True):
        args, kwargs = structure.unflatten(call, nesting)
        sample = SimpleNamespace(input=args[0], args=args[1:], kwargs=kwargs)
        _compare(op, sample, converted.evaluate(*harness.clone(call)), wanted, function, call)


def _axes(value: torch.Tensor, size: int) -> list[int]:
    return [axis for axis, length in enumerate(value.shape) if length == size]


def _resized(value: torch.Tensor, size: int, other: int, factorised: bool) -> torch.Tensor:
    """``value`` with its axes of ``size`` elements ``other`` long: the first elements follow the last ones.

    Of matrices that are factorised the diagonal is larger there, so that those that were regular still are.
    """
    axes = _axes(value, size)
    for axis in axes:
        value = value.index_select(axis, torch.arange(other, device=value.device) % size)
    if factorised and value.dtype.to_real().is_floating_point and {value.dim() - 2, value.dim() - 1} & set(axes):
        rows, columns = value.shape[-2:]
        value = value + torch.eye(rows, columns, dtype=value.dtype) * (torch.arange(columns) >= size)
    return value.detach().clone()


class _Written(TorchDispatchMode):
    """The memory that operators write to whose schemas say so; batch norm's running statistics are not among it."""

    def __init__(self) -> None:
        super().__init__()
        self.storages: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for argument, value in zip(func._schema.arguments, args, strict=False):
            if argument.alias_info is not None and argument.alias_info.is_write and isinstance(value, torch.Tensor):
                self.storages.add(value.untyped_storage().data_ptr())
        return func(*args, **(kwargs or {}))


def _written(function: Callable[..., Any], inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """What the inputs hold afterwards that an operator writes to."""
    after = harness.clone(inputs)
    with torch.no_grad(), _Written() as found:
        function(*after)
    return [value for value in after if value.numel() and value.untyped_storage().data_ptr() in found.storages]


def _line(error: Exception) -> str:
    name = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
    return f"{name}{error}".replace("\n", " ")[:300]


def _compare(
    op: Any, sample: Any, actual: Any, expected: Any, function: Callable[..., Any], inputs: Sequence[torch.Tensor]
) -> None:
    """Equal, or, of ops that may choose among equal elements, indices of the same elements.

    Half precision that eager computes in half precision throughout, as it samples grids on a CPU, may also be nearer to
    the same in float64 than eager is.
    """
    try:
        harness.assert_same(actual, expected, rtol=1e-4, atol=1e-5)
    except AssertionError:
        if op.name in RESTS:
            precise = _in_float64(function, inputs)
            harness.assert_same(actual, _without_nan(expected, precise), rtol=1e-4, atol=1e-5)
            return
        if op.name == ATTENTION and expected.dtype in _HALF:
            harness.assert_same(actual, _rounded_attention(sample.input, *sample.args, **sample.kwargs))
            return
        if _is_nearer(actual, expected, lambda: _in_float64(function, inputs)):
            return
        place = TIES.get(op.name)
        if place is None or sample.kwargs.get("stable"):
            raise
        axis = sample.kwargs.get("dim", sample.args[place] if len(sample.args) > place else -1)
        harness.assert_same(
            _elements(sample.input, actual, axis), _elements(sample.input, expected, axis), rtol=1e-4, atol=1e-5
        )


_HALF = (torch.float16, torch.bfloat16)


def _in_float64(function: Callable[..., Any], inputs: Sequence[torch.Tensor]) -> Any:
    return harness.call(function, tuple(value.double() if value.is_floating_point() else value for value in inputs))


def _without_nan(expected: torch.Tensor, precise: torch.Tensor) -> torch.Tensor:
    """What eager gives, what float64 does in place of each NaN."""
    return torch.where(expected.isnan(), precise.to(expected.dtype), expected)


def _rounded_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """Attention whose scores are rounded to half precision, which eager keeps in float32, and an unfused engine not."""
    if enable_gqa:
        key, value = (x.repeat_interleave(query.shape[-3] // x.shape[-3], -3) for x in (key, value))
    scores = (query @ key.mT).float() * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if attn_mask is not None:
        added = attn_mask.dtype != torch.bool
        scores = scores + attn_mask if added else scores.masked_fill(~attn_mask, float("-inf"))
    return scores.softmax(-1).nan_to_num().to(query.dtype) @ value


def _is_nearer(actual: Any, expected: Any, precise: Callable[[], Any]) -> bool:
    """Whether all results are half precision, and none is further from ``precise`` than eager's."""
    found, wanted = (structure.flatten(results)[0] for results in (actual, expected))
    if len(found) != len(wanted) or not all(value.dtype in _HALF for value in wanted):
        return False
    exact = structure.flatten(precise())[0]
    return all(
        left.shape == right.shape
        and left.dtype == right.dtype
        and bool((left.double() - truth).abs().max() <= (right.double() - truth).abs().max())
        for left, right, truth in zip(found, wanted, exact, strict=True)
    )


def _elements(value: torch.Tensor, results: Any, axis: int) -> list[torch.Tensor]:
    """The results, the indices, which come last, replaced by what lies there."""
    *values, index = structure.flatten(results)[0]
    if not value.dim():
        return [*values, index]
    whole = index if index.dim() == value.dim() else index.unsqueeze(axis)
    return [*values, value.gather(axis, whole)]


def _time_out(*_: Any) -> None:
    raise TimeoutError("a sample took more than 60 s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ops", nargs="*", help="names of operators; all by default; a trailing . takes a prefix")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--most", type=int, default=8, help="samples an operator; 0 for all")
    parser.add_argument("--build", action="store_true", help="build an engine of each too")
    parser.add_argument("--engine", action="store_true", help="run an engine of each too; needs a GPU")
    parser.add_argument("--dynamic", action="store_true", help="at other sizes of dynamic axes, too")
    parser.add_argument("--shard", default="0/1", help="this part of so many, such as 2/8")
    parser.add_argument("--json", help="write every result here")
    parser.add_argument("--quiet", action="store_true", help="print the totals only")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _time_out)
    dtype = getattr(torch, options.dtype)
    results: dict[str, list[tuple[str, str]]] = {}
    part, parts = map(int, options.shard.split("/"))
    for op in op_db[part::parts]:
        name = f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name
        wanted = not options.ops or any(
            want in (op.name, name) or (want.endswith(".") and name.startswith(want)) for want in options.ops
        )
        if not wanted or dtype not in op.dtypes:
            continue
        rows = results[name] = []
        try:
            for sample in samples(op, dtype, options.most):
                signal.alarm(60)
                if options.dynamic:
                    rows += run_dynamic(op, sample)
                else:
                    rows.append(run_sample(op, sample, options.build, options.engine))
                signal.alarm(0)
        except Exception as error:
            rows.append((UNUSABLE, f"samples: {error}"))
        bad = collections.Counter(row for row in rows if row[0] in (WRONG, REFUSED))
        if bad and not options.quiet:
            for (status, why), count in bad.items():
                print(f"{name}: {count}x {status}: {why}", flush=True)
    totals = collections.Counter(status for rows in results.values() for status, _ in rows)
    usable = sum(totals.values()) - totals[UNUSABLE]
    clean = sum(all(status in (RIGHT, UNUSABLE) for status, _ in rows) for rows in results.values())
    print(
        f"{options.dtype}: {totals[RIGHT]} of {usable} right, {totals[WRONG]} wrong, {totals[REFUSED]} refused; "
        f"{clean} of {len(results)} operators clean; {totals[UNUSABLE]} samples unusable"
    )
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
