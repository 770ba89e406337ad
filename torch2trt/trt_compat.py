"""The one place that imports TensorRT and knows its versions.

``trt`` stands for ``tensorrt`` (10 or newer) or ``tensorrt_rtx`` (1.4 or newer), whichever is installed, and is
imported at the first use of an attribute, so that importing torch2trt needs neither.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch

from .errors import DtypeError, InputError, TensorRTNotFoundError

ENVIRONMENT_VARIABLE = "TORCH2TRT_TENSORRT"
CANDIDATES = ("tensorrt", "tensorrt_rtx")

_lock = threading.RLock()
_module: ModuleType | None = None
_logger: Any = None


def load() -> ModuleType:
    """Import TensorRT once and return the module.

    Raises:
        TensorRTNotFoundError: neither package imports; the message gives both pip commands.
    """
    global _module
    with _lock:
        if _module is None:
            _module = _import_tensorrt()
        return _module


def _candidates() -> tuple[str, ...]:
    """The packages to try, in order: the chosen one, or in a Polygraphy process the one that Polygraphy uses."""
    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    if chosen is not None and chosen not in CANDIDATES:
        raise InputError(
            f"{ENVIRONMENT_VARIABLE}={chosen!r} names no TensorRT package", hint=f"use one of {', '.join(CANDIDATES)}"
        )
    if chosen is not None:
        return (chosen,)
    polygraphy = sys.modules.get("polygraphy.config")
    return ("tensorrt_rtx",) if getattr(polygraphy, "USE_TENSORRT_RTX", False) else CANDIDATES


def _import_tensorrt() -> ModuleType:
    failures = []
    for name in _candidates():
        try:
            module = importlib.import_module(name)
        except Exception as error:  # a package without its library raises OSError, RuntimeError or FileNotFoundError
            failures.append(f"{name}: {type(error).__name__}: {error}")
            continue
        if hasattr(module, "Builder"):
            return module
        failures.append(f"{name}: imports, but holds no TensorRT")
    raise TensorRTNotFoundError(
        "TensorRT is needed here and cannot be imported (" + "; ".join(failures) + ")",
        hint="pip install tensorrt  (the full library), or  pip install tensorrt-rtx-cu13  (TensorRT for RTX)",
    )


def is_available() -> bool:
    """Whether a TensorRT package can be imported."""
    try:
        load()
    except TensorRTNotFoundError:
        return False
    return True


class _LazyTensorRT(ModuleType):
    """Forwards every attribute to the TensorRT module, imported at the first one."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(load(), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    trt: Any
else:
    trt = _LazyTensorRT("torch2trt.trt")


def is_rtx() -> bool:
    """Whether the TensorRT in use is TensorRT for RTX."""
    return load().__name__.startswith("tensorrt_rtx")


def logger() -> Any:
    """The process's TensorRT logger (TensorRT keeps the first one it is given); prints warnings and errors."""
    global _logger
    with _lock:
        if _logger is None:
            _logger = trt.Logger(trt.Logger.WARNING)
        return _logger


def use_logger(logger: Any) -> None:
    """Make ``logger`` the process's TensorRT logger, unless another is in use already."""
    global _logger
    with _lock:
        if _logger is None:
            _logger = logger


def create_network(builder: Any) -> Any:
    """An empty, strongly typed network of ``builder``."""
    return builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))


def is_tensor(value: object) -> bool:
    """Whether ``value`` is a ``trt.ITensor``; never imports TensorRT, which no ITensor can exist without."""
    return _module is not None and isinstance(value, _module.ITensor)


def error_recorder() -> Any:
    """A ``trt.IErrorRecorder`` that keeps what TensorRT reports: ``.messages`` lists it, ``.clear()`` empties it.

    A network with a recorder reports there and not to the logger, which lets one failure be raised as one error.
    """
    return _recorder_class()()


_recorder_type: type | None = None


def _recorder_class() -> type:
    global _recorder_type
    if _recorder_type is not None:
        return _recorder_type

    class Recorder(load().IErrorRecorder):  # type: ignore[misc]
        """Keeps TensorRT's error reports in order."""

        def __init__(self) -> None:
            super().__init__()
            self.messages: list[str] = []

        def report_error(self, code: Any, description: str) -> bool:
            # After an API usage error the library adds this line, which says nothing about the mistake.
            if "catchCudaError" not in description:
                self.messages.append(description.strip())
            return False

        def get_num_errors(self) -> int:
            return len(self.messages)

        num_errors = get_num_errors

        def get_error_code(self, index: int) -> Any:
            return trt.ErrorCodeTRT.UNSPECIFIED_ERROR

        def get_error_desc(self, index: int) -> str:
            return self.messages[index]

        def has_overflowed(self) -> bool:
            return False

        def clear(self) -> None:
            self.messages.clear()

    _recorder_type = Recorder
    return Recorder


TORCH_TO_TRT = {
    torch.float32: "float32",
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
    torch.int64: "int64",
    torch.int32: "int32",
    torch.int8: "int8",
    torch.uint8: "uint8",
    torch.bool: "bool",
    torch.float8_e4m3fn: "fp8",
}
"""The dtypes that TensorRT holds, and its names for them."""


def to_trt_dtype(dtype: torch.dtype) -> Any:
    """The ``trt.DataType`` that holds the same values as ``dtype``.

    Raises:
        DtypeError: TensorRT has none (float64, int16, complex, ...).
    """
    name = TORCH_TO_TRT.get(dtype)
    if name is None:
        raise DtypeError(
            f"TensorRT has no {dtype}",
            hint="cast the tensor to float32; allow_float64_as_float32=True does it for the whole module"
            if dtype == torch.float64
            else "cast the tensor to a dtype that TensorRT has: " + ", ".join(TORCH_TO_TRT.values()),
        )
    return getattr(trt, name)


_trt_to_torch: dict[Any, torch.dtype] = {}


def to_torch_dtype(dtype: Any) -> torch.dtype:
    """The torch dtype of a ``trt.DataType``.

    Raises:
        DtypeError: torch has none (int4, fp4, ...).
    """
    if not _trt_to_torch:
        _trt_to_torch.update({getattr(trt, name): torch_dtype for torch_dtype, name in TORCH_TO_TRT.items()})
    try:
        return _trt_to_torch[dtype]
    except KeyError:
        raise DtypeError(f"torch has no dtype for TensorRT's {dtype}") from None


_LAYER_CLASSES = {
    "CONVOLUTION": "IConvolutionLayer",
    "GRID_SAMPLE": "IGridSampleLayer",
    "NMS": "INMSLayer",
    "ACTIVATION": "IActivationLayer",
    "POOLING": "IPoolingLayer",
    "LRN": "ILRNLayer",
    "SCALE": "IScaleLayer",
    "SOFTMAX": "ISoftMaxLayer",
    "DECONVOLUTION": "IDeconvolutionLayer",
    "CONCATENATION": "IConcatenationLayer",
    "ELEMENTWISE": "IElementWiseLayer",
    "PLUGIN": "IPluginLayer",
    "PLUGIN_V2": "IPluginV2Layer",
    "PLUGIN_V3": "IPluginV3Layer",
    "UNARY": "IUnaryLayer",
    "PADDING": "IPaddingLayer",
    "SHUFFLE": "IShuffleLayer",
    "REDUCE": "IReduceLayer",
    "TOPK": "ITopKLayer",
    "GATHER": "IGatherLayer",
    "MATRIX_MULTIPLY": "IMatrixMultiplyLayer",
    "RAGGED_SOFTMAX": "IRaggedSoftMaxLayer",
    "CONSTANT": "IConstantLayer",
    "IDENTITY": "IIdentityLayer",
    "CAST": "ICastLayer",
    "SLICE": "ISliceLayer",
    "SHAPE": "IShapeLayer",
    "PARAMETRIC_RELU": "IParametricReLULayer",
    "RESIZE": "IResizeLayer",
    "TRIP_LIMIT": "ITripLimitLayer",
    "RECURRENCE": "IRecurrenceLayer",
    "ITERATOR": "IIteratorLayer",
    "LOOP_OUTPUT": "ILoopOutputLayer",
    "SELECT": "ISelectLayer",
    "ASSERTION": "IAssertionLayer",
    "FILL": "IFillLayer",
    "QUANTIZE": "IQuantizeLayer",
    "DEQUANTIZE": "IDequantizeLayer",
    "CONDITION": "IConditionLayer",
    "CONDITIONAL_INPUT": "IIfConditionalInputLayer",
    "CONDITIONAL_OUTPUT": "IIfConditionalOutputLayer",
    "SCATTER": "IScatterLayer",
    "EINSUM": "IEinsumLayer",
    "ONE_HOT": "IOneHotLayer",
    "NON_ZERO": "INonZeroLayer",
    "REVERSE_SEQUENCE": "IReverseSequenceLayer",
    "NORMALIZATION": "INormalizationLayer",
    "SQUEEZE": "ISqueezeLayer",
    "UNSQUEEZE": "IUnsqueezeLayer",
    "CUMULATIVE": "ICumulativeLayer",
    "DYNAMIC_QUANTIZE": "IDynamicQuantizeLayer",
    "ATTENTION_INPUT": "IAttentionInputLayer",
    "ATTENTION_OUTPUT": "IAttentionOutputLayer",
    "ROTARY_EMBEDDING": "IRotaryEmbeddingLayer",
    "KV_CACHE_UPDATE": "IKVCacheUpdateLayer",
    "MOE": "IMoELayer",
}


def downcast(layer: Any) -> tuple[str, Any]:
    """The layer's type name and the layer as the class of that type, so that its own attributes can be read.

    The type is read before the cast: afterwards ``IActivationLayer.type`` and ``IPoolingLayer.type`` shadow it. The
    cast belongs to this wrapper alone; asking the network again gives a plain ``ILayer``.
    """
    name = layer.type.name
    layer_class = getattr(trt, _LAYER_CLASSES.get(name, "ILayer"), None)
    if layer_class is not None:
        layer.__class__ = layer_class
    return name, layer


def has_plugins() -> bool:
    """Whether networks can hold plugins; those of TensorRT for RTX cannot."""
    return hasattr(load().INetworkDefinition, "add_plugin_v3")


def plugin_registry() -> Any:
    """TensorRT's plugin registry; logs through the process's logger."""
    registry = trt.get_plugin_registry()
    if registry is None:  # there is none before the first builder or runtime
        trt.Builder(logger())
        registry = trt.get_plugin_registry()
    return registry
