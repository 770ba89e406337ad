"""The runners' options."""

from __future__ import annotations

from typing import Any

from polygraphy.tools.args import TrtLoadEngineArgs, TrtRunnerArgs
from polygraphy.tools.args.base import BaseRunnerArgs
from polygraphy.tools.script import make_invocable

from .model import BACKEND, Torch2TRTArgs


class Torch2TRTRunnerArgs(BaseRunnerArgs):
    """
    torch2trt Inference: running an engine of the converted module.

    Depends on:

        - Torch2TRTArgs
        - TrtLoadEngineArgs
        - TrtRunnerArgs
    """

    def get_name_opt_impl(self) -> tuple[str, str]:
        """Readable name and option."""
        return "torch2trt and TensorRT", "torch2trt"

    def get_extra_help_text_impl(self) -> str:
        """What the help adds."""
        return "The module is converted to a network; all TensorRT options apply"

    def add_to_script_impl(self, script: Any) -> None:
        """Add Polygraphy's own runner over an engine of our network."""
        network = self.arg_groups[Torch2TRTArgs].add_network(script)
        engine = self.arg_groups[TrtLoadEngineArgs].add_to_script(script, network_name=network)
        options = self.arg_groups[TrtRunnerArgs]
        script.add_import(imports=["TrtRunner"], frm="polygraphy.backend.trt")
        script.add_runner(
            make_invocable(
                "TrtRunner",
                engine,
                optimization_profile=options.optimization_profile,
                allocation_strategy=options.allocation_strategy,
                weight_streaming_budget=options.weight_streaming_budget,
                weight_streaming_percent=options.weight_streaming_percent,
            )
        )


class Torch2TRTEagerArgs(BaseRunnerArgs):
    """
    torch2trt Eager Inference: running the module itself in PyTorch.

    Depends on:

        - Torch2TRTArgs
    """

    def get_name_opt_impl(self) -> tuple[str, str]:
        """Readable name and option."""
        return "PyTorch", "torch2trt-eager"

    def add_to_script_impl(self, script: Any) -> None:
        """Add the runner."""
        options = self.arg_groups[Torch2TRTArgs]
        script.add_import(imports=["EagerRunner"], frm=BACKEND)
        script.add_runner(
            make_invocable(
                "EagerRunner",
                options.add_to_script(script),
                **options.input_kwargs(),
                output_names=options.output_names,
                device=options.device,
            )
        )


class Torch2TRTDebugArgs(BaseRunnerArgs):
    """
    torch2trt Debug Inference: running the module's trace node by node in PyTorch.

    Depends on:

        - Torch2TRTArgs
    """

    def get_name_opt_impl(self) -> tuple[str, str]:
        """Readable name and option."""
        return "torch2trt's debug mode", "torch2trt-debug"

    def add_to_script_impl(self, script: Any) -> None:
        """Add the runner."""
        options = self.arg_groups[Torch2TRTArgs]
        script.add_import(imports=["DebugRunner"], frm=BACKEND)
        script.add_runner(make_invocable("DebugRunner", options.add_trace(script), output_names=options.output_names))


class Torch2TRTReferenceArgs(BaseRunnerArgs):
    """
    torch2trt Reference Inference: evaluating the converted network without a GPU.

    Depends on:

        - Torch2TRTArgs
    """

    def get_name_opt_impl(self) -> tuple[str, str]:
        """Readable name and option."""
        return "torch2trt's reference evaluator", "torch2trt-reference"

    def add_to_script_impl(self, script: Any) -> None:
        """Add the runner."""
        script.add_import(imports=["ReferenceRunner"], frm=BACKEND)
        script.add_runner(make_invocable("ReferenceRunner", self.arg_groups[Torch2TRTArgs].add_network(script)))
