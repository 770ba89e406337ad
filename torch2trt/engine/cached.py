"""``engine_cache=``: an engine that was built before is found again instead of built.

The choice is None (build always), True (the folder of :func:`torch2trt.engine.cache.cache_folder`), a folder, or a
:class:`~torch2trt.engine.cache.DiskCache` with a limit of its own. An engine is found by all that it depends on: the
network's layers and their settings, the shapes it was optimised for, the build options, TensorRT's version, the GPU,
and the weights. A refittable engine is found whatever its replaceable weights are, and refitted. TensorRT's measured
tactics, and the kernels that TensorRT for RTX compiles at loading, are kept in the same place.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from ..errors import BuildError, InputError
from ..trt_compat import is_rtx
from ..weights import WeightMap
from .build import serialize_network
from .cache import DiskCache, EngineCache, TimingCacheFile
from .files import PathLike
from .fingerprint import Place, fingerprint, fixed_weights
from .options import BuildOptions, Profile

CacheChoice = bool | PathLike | DiskCache | None
"""Where engines are kept: see this module."""


def open_cache(choice: CacheChoice) -> DiskCache | None:
    """The cache that ``choice`` stands for; None for none.

    Raises:
        InputError: it is no such choice.
    """
    if choice is None or choice is False:
        return None
    if isinstance(choice, DiskCache):
        return choice
    if choice is True:
        return DiskCache()
    try:
        return DiskCache(choice)
    except TypeError:
        raise InputError(f"{choice!r} is no place for a cache", hint="use True, a folder, or a DiskCache") from None


def open_engine_cache(choice: CacheChoice) -> DiskCache | None:
    """As :func:`open_cache`, and sure that an engine can be kept there before one is built.

    Raises:
        InputError: it is no such choice.
        EngineError: the cache folder cannot be made or written.
    """
    cache = open_cache(choice)
    if cache is not None:
        cache.require_writable()
    return cache


def find_or_build(
    builder: Any,
    network: Any,
    options: BuildOptions,
    *,
    profiles: Sequence[Profile],
    weights: WeightMap,
    cache: DiskCache | None,
    progress: bool = False,
) -> tuple[bytes, bool]:
    """The engine's bytes, and whether they hold the network's weights; if not, they have to be refitted.

    Args:
        builder: the ``trt.Builder`` that made the network.
        network: a finished network.
        options: how to build it.
        profiles: optimisation profiles.
        weights: the weights that a refit can replace.
        cache: where engines are kept; None: build.
        progress: show progress bars.

    Raises:
        InputError: the network holds a plugin, whose settings cannot be read, and there is a cache.
        BuildError: it cannot be built.
        EngineError: the cache folder cannot be made.
    """
    timing = None if cache is None else TimingCacheFile(cache)
    every_place = {place for used in weights.places.values() for place in used}
    # A constant that comes from no parameter is no refit's to give: it stays in an engine without weights.
    refittable = sorted(weights.places) if options.strip_weights else None
    if options.strip_weights and is_rtx():
        _require_parameters_alone(network, every_place)
        refittable = None

    def build() -> bytes:
        return serialize_network(
            builder,
            network,
            options,
            profiles=profiles,
            progress=progress,
            timing_cache=timing,
            refittable=refittable,
        )

    if cache is None:
        return build(), True
    digests = fingerprint(network, every_place if options.refit else ())
    structure = {
        "network": digests.structure,
        "names": {name: [list(place) for place in used] for name, used in weights.places.items()},
        "options": options.to_json(),
        "profiles": [{name: [list(part) for part in shapes] for name, shapes in p.items()} for p in profiles],
    }
    found = EngineCache(cache).get_or_build(structure, digests.weights, build, refittable=options.refit)
    # A stripped engine holds no weights: its owner refits it anyway.
    return found.content, found.same_weights or options.strip_weights


def _require_parameters_alone(network: Any, places: Collection[Place]) -> None:
    """TensorRT for RTX strips all weights or none: with REFIT_INDIVIDUAL, version 1.4 builds fixed engines (H200).

    Raises:
        BuildError: there are weights that no refit could give back.
    """
    fixed = [f"{layer}.{role}" for layer, role in fixed_weights(network, places)]
    if fixed:
        raise BuildError(
            f"TensorRT for RTX would strip weights that come from no parameter: {', '.join(fixed[:5])}"
            + (f" and {len(fixed) - 5} more" if len(fixed) > 5 else ""),
            hint="build without strip_weights; refit=True alone keeps them",
        )
