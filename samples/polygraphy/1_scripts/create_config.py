"""Builder configurations for Polygraphy's `--trt-config-script`."""

from typing import Any

from polygraphy.mod.trt_importer import lazy_import_trt

trt = lazy_import_trt()  # TensorRT, or TensorRT for RTX where POLYGRAPHY_USE_TENSORRT_RTX=1


def load_config(builder: Any, network: Any) -> Any:
    """No TF32 (TensorRT for RTX 1.4 uses it all the same), and details of the layers kept for inspection."""
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    return config


def load_dynamic(builder: Any, network: Any) -> Any:
    """The same with a profile for batches of 1 to 16."""
    config = load_config(builder, network)
    profile = builder.create_optimization_profile()
    profile.set_shape("image", min=(1, 3, 32, 32), opt=(4, 3, 32, 32), max=(16, 3, 32, 32))
    config.add_optimization_profile(profile)
    return config
