"""Runs command lines quickly: each in a process of its own, forked from one that has imported torch already."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import runpy
import shlex
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

RTX = importlib.util.find_spec("tensorrt_rtx") is not None and importlib.util.find_spec("tensorrt") is None
if RTX:
    os.environ.setdefault("POLYGRAPHY_USE_TENSORRT_RTX", "1")

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    ["torch", "torchvision", "torch2trt.convert", "torch2trt.verify", "torch2trt.cli.app", "polygraphy.tools.registry"]
)


@dataclass(frozen=True)
class Result:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def text(self):
        return self.out + self.err


def run(command, cwd, *, timeout=300, rtx=RTX, **environment):
    """Run ``torch2trt ...``, ``polygraphy ...`` or ``python script.py`` in ``cwd``."""
    arguments = shlex.split(command) if isinstance(command, str) else list(command)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / "out", Path(folder) / "err"]
        process = _context.Process(target=_child, args=(arguments, str(cwd), files, rtx, environment))
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
            raise TimeoutError(f"{command} took more than {timeout} s")
        out, err = (path.read_text(errors="replace") if path.exists() else "" for path in files)
    return Result(process.exitcode, out, err)


def _child(arguments, cwd, files, rtx, environment):
    for descriptor, path in zip((1, 2), files, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = arguments
    try:
        status = _run(arguments, rtx)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(status)


def _run(arguments, rtx):
    program, *rest = arguments
    if program == "torch2trt":
        from torch2trt.cli import main

        return main()
    if program == "polygraphy":
        import polygraphy.config
        from polygraphy.tools._main import main

        polygraphy.config.USE_TENSORRT_RTX = rtx
        return main(rest)
    if program == "python":
        sys.argv = rest
        sys.path.insert(0, os.path.dirname(os.path.abspath(rest[0])))
        runpy.run_path(rest[0], run_name="__main__")
        return 0
    raise ValueError(f"unknown program {program}")
