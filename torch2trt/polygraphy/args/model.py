"""Options about the module: which, how it is loaded, and how it becomes a network."""

from __future__ import annotations

from typing import Any

from polygraphy.logger import G_LOGGER
from polygraphy.mod.trt_importer import tensorrt_module_and_version_string
from polygraphy.tools.args import ModelArgs, TrtConfigArgs, TrtLoadNetworkArgs
from polygraphy.tools.args import util as args_util
from polygraphy.tools.args.base import BaseArgs
from polygraphy.tools.script import make_invocable, make_invocable_if_nondefault_kwargs

BACKEND = "torch2trt.polygraphy.backend"
PRECISIONS = ("float32", "float16", "bfloat16")


class Torch2TRTArgs(BaseArgs):
    """
    torch2trt Model: loading a PyTorch module and converting it with torch2trt.

    The model file is a Python file with a function, ``model.py:make_model``, that returns a module or
    (module, example inputs).

    Depends on:

        - ModelArgs
        - TrtConfigArgs: its profiles decide which axes are dynamic
        - TrtLoadNetworkArgs: its changes of a network are applied
    """

    def add_parser_args_impl(self) -> None:
        """Add the options; each has the prefix ``torch2trt``, so that it clashes with none of Polygraphy's."""
        add = self.group.add_argument
        add("--torch2trt-weights", metavar="FILE", help="Weights to load: .safetensors, or .pt without pickled code")
        add("--torch2trt-seed", type=int, metavar="SEED", help="Seed while the module is made. Defaults to 0")
        add("--torch2trt-input-names", nargs="+", metavar="NAME", help="Names of the inputs, in order")
        add("--torch2trt-output-names", nargs="+", metavar="NAME", help="Names of the outputs, in order")
        add("--torch2trt-param-exclude", metavar="REGEX", help="Parameters that must not be used, by name")
        add(
            "--torch2trt-precision",
            choices=PRECISIONS,
            help="What the module's maths is cast to in the network. TensorRT's own precision flags have no effect on "
            "strongly typed networks",
        )
        add("--torch2trt-keep-float32", metavar="REGEX", help="Module scopes that stay in float32")
        add(
            "--torch2trt-float64-as-float32",
            action="store_true",
            default=None,
            help="Convert float64 to float32 instead of refusing it",
        )
        add(
            "--torch2trt-allow-random",
            action="store_true",
            default=None,
            help="Draw TensorRT's random numbers where the module draws some, instead of refusing it",
        )
        add(
            "--torch2trt-allow-other-signs",
            action="store_true",
            default=None,
            help="Convert singular and eigenvectors, whose signs may be others than PyTorch's, instead of refusing it",
        )
        add(
            "--torch2trt-mutated-inputs",
            choices=("error", "output", "ignore"),
            help="What to do when the module writes to an input: refuse it, add an output, or nothing",
        )
        add("--torch2trt-no-optimize", action="store_true", default=None, help="Do not rewrite the graph")
        add("--torch2trt-device", metavar="DEVICE", help="Where --torch2trt-eager runs. Defaults to cpu")

    def parse_impl(self, args: Any) -> None:
        """
        Parses command-line arguments and populates the following attributes:

        Attributes:
            function (str): The function in the model file.
            weights (str): Path of the weights, or None.
            seed (int): Seed while the module is made, or None.
            input_names (List[str]): Names of the inputs, or None.
            output_names (List[str]): Names of the outputs, or None.
            param_exclude (str): A pattern over parameter names, or None.
            precision (str): What the maths is cast to, or None.
            keep_float32 (str): A pattern over module scopes, or None.
            float64_as_float32 (bool): Whether to convert float64 to float32, or None.
            allow_random (bool): Whether TensorRT may draw random numbers, or None.
            allow_other_signs (bool): Whether singular and eigenvectors may have other signs, or None.
            mutated_inputs (str): What to do when the module writes to an input, or None.
            no_optimize (bool): Whether to leave the graph as it is, or None.
            device (str): Where the module itself runs, or None.
        """
        for name in (
            "weights",
            "seed",
            "input_names",
            "output_names",
            "param_exclude",
            "precision",
            "keep_float32",
            "float64_as_float32",
            "allow_random",
            "allow_other_signs",
            "mutated_inputs",
            "no_optimize",
            "device",
        ):
            setattr(self, name, args_util.get(args, f"torch2trt_{name}"))
        _, self.function = args_util.parse_script_and_func_name(args_util.get(args, "model_file"))

    def add_to_script_impl(self, script: Any) -> Any:
        """Add the loader of the module; the name of its variable."""
        model = self.arg_groups[ModelArgs]
        if model.model_type != "trt-network-script":
            G_LOGGER.critical(
                f"torch2trt takes a Python file with a function that returns a module, such as model.py:make_model.\n"
                f"Note: Provided model was: {model.path}"
            )
        script.add_import(imports=["ModelFromScript"], frm=BACKEND)
        loader = make_invocable(
            "ModelFromScript", model.path, function=self.function, weights=self.weights, seed=self.seed
        )
        return script.add_loader(loader, "load_module")

    def input_kwargs(self) -> dict[str, Any]:
        """Keyword arguments of our loaders and runners that describe the inputs."""
        shapes = {name: tuple(shape) for name, (_, shape) in self.arg_groups[ModelArgs].input_shapes.items()}
        profiles = [
            {name: tuple(map(tuple, triple)) for name, triple in profile.items()}
            for profile in self.arg_groups[TrtConfigArgs].profile_dicts
        ]
        return {"input_shapes": shapes or None, "profiles": profiles or None, "input_names": self.input_names}

    def add_trace(self, script: Any) -> Any:
        """Add the loader of the traced graph; the name of its variable."""
        script.add_import(imports=["TraceFromModule"], frm=BACKEND)
        loader = make_invocable(
            "TraceFromModule",
            self.add_to_script(script),
            **self.input_kwargs(),
            mutated_inputs=self.mutated_inputs,
        )
        return script.add_loader(loader, "trace_module")

    def add_network(self, script: Any) -> Any:
        """Add the loader of the network, changed as Polygraphy's options say; the name of its variable."""
        script.add_import(imports=["NetworkFromModule"], frm=BACKEND)
        loader = make_invocable(
            "NetworkFromModule",
            self.add_to_script(script),
            **self.input_kwargs(),
            output_names=self.output_names,
            param_exclude=self.param_exclude,
            precision=self.precision,
            keep_float32=self.keep_float32,
            allow_float64_as_float32=self.float64_as_float32,
            allow_random=self.allow_random,
            allow_other_signs=self.allow_other_signs,
            mutated_inputs=self.mutated_inputs,
            optimize=False if self.no_optimize else None,
        )
        return self._add_changes(script, script.add_loader(loader, "convert_module"))

    def _add_changes(self, script: Any, loader: Any) -> Any:
        """What Polygraphy's own options change in a network, in the order in which Polygraphy does it.

        Its group has no method for this step alone: it always loads the network too.
        """
        options = self.arg_groups[TrtLoadNetworkArgs]
        for index, (path, function) in enumerate(options.postprocess_scripts):
            script.add_import(imports=["InvokeFromScript"], frm="polygraphy.backend.common")
            script.add_import(imports=["PostprocessNetwork"], frm="polygraphy.backend.trt")
            invoke = make_invocable("InvokeFromScript", path, name=function)
            step = make_invocable("PostprocessNetwork", loader, func=invoke, name=f"{path}:{function}")
            loader = script.add_loader(step, f"postprocess_step_{index}")
        changes = {
            "ModifyNetworkOutputs": {
                "outputs": args_util.get_outputs_for_script(script, options.outputs),
                "exclude_outputs": options.exclude_outputs,
                "mark_layer_types": getattr(options, "mark_layer_types", None),  # from Polygraphy 0.50
            },
            "SetLayerPrecisions": {"layer_precisions": options.layer_precisions},
            "SetTensorDatatypes": {"tensor_datatypes": options.tensor_datatypes},
            "SetTensorFormats": {"tensor_formats": options.tensor_formats},
            "MarkDebug": {"mark_debug": options.mark_debug},
        }
        for name, arguments in changes.items():
            step = make_invocable_if_nondefault_kwargs(name, loader, **arguments)
            if step is not None:
                script.add_import(imports=[name], frm="polygraphy.backend.trt")
                script.add_import(imports=tensorrt_module_and_version_string(), imp_as="trt")
                loader = script.add_loader(step, name)
        return loader
