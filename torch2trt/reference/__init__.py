"""The reference evaluator: runs any TensorRT network in PyTorch, and compares networks, without a GPU."""

from .diff import Difference, NetworkDiff, diff
from .evaluator import Evaluator, evaluate
from .plugins import PluginCall, register_plugin

__all__ = ["Difference", "Evaluator", "NetworkDiff", "PluginCall", "diff", "evaluate", "register_plugin"]
