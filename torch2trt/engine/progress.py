"""Watching a build: progress bars, and stopping it."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

from .. import trt_compat
from ..errors import InputError


class Display(Protocol):
    """What shows the phases of a build."""

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        """A phase of ``steps`` steps begins inside ``parent``."""

    def step(self, phase: str, done: int) -> None:
        """``done`` steps of the phase are over."""

    def finish(self, phase: str) -> None:
        """The phase is over."""

    def close(self) -> None:
        """The build is over."""


class _Silent:
    def start(self, phase: str, parent: str | None, steps: int) -> None:
        pass

    def step(self, phase: str, done: int) -> None:
        pass

    def finish(self, phase: str) -> None:
        pass

    def close(self) -> None:
        pass


class _RichBars:
    """One bar for each phase that is under way, nested by indentation."""

    def __init__(self, rich_progress: Any) -> None:
        columns = rich_progress.Progress.get_default_columns()
        self._progress = rich_progress.Progress(*columns, transient=True)
        self._tasks: dict[str, Any] = {}
        self._depth: dict[str, int] = {}
        self._progress.start()

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        self._depth[phase] = self._depth.get(parent, -1) + 1 if parent else 0
        self._tasks[phase] = self._progress.add_task("  " * self._depth[phase] + phase, total=steps)

    def step(self, phase: str, done: int) -> None:
        if phase in self._tasks:
            self._progress.update(self._tasks[phase], completed=done)

    def finish(self, phase: str) -> None:
        task = self._tasks.pop(phase, None)
        if task is not None:
            self._progress.remove_task(task)

    def close(self) -> None:
        self._progress.stop()


class _TqdmBars:
    def __init__(self, tqdm: Any) -> None:
        self._tqdm = tqdm
        self._bars: dict[str, Any] = {}

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        self._bars[phase] = self._tqdm.tqdm(total=steps, desc=phase, leave=False, file=sys.stderr)

    def step(self, phase: str, done: int) -> None:
        bar = self._bars.get(phase)
        if bar is not None:
            bar.update(done - bar.n)

    def finish(self, phase: str) -> None:
        bar = self._bars.pop(phase, None)
        if bar is not None:
            bar.close()

    def close(self) -> None:
        for phase in list(self._bars):
            self.finish(phase)


def display(show: bool) -> Display:
    """Progress bars on the terminal, by rich or else tqdm; nothing when ``show`` is False.

    Raises:
        InputError: bars are wanted and neither package is installed.
    """
    if not show:
        return _Silent()
    makers: tuple[tuple[str, Callable[[Any], Display]], ...] = (("rich.progress", _RichBars), ("tqdm", _TqdmBars))
    for name, make in makers:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        return make(module)
    raise InputError("progress=True needs rich or tqdm", hint="pip install rich")


_monitor_type: type | None = None


def monitor(shown: Display) -> Any:
    """A ``trt.IProgressMonitor`` that feeds ``shown``; ``.cancel()`` stops the build at its next step.

    An exception inside ``shown`` must not cross TensorRT's frames: it is kept in ``.error`` and stops the build.
    """
    global _monitor_type
    if _monitor_type is None:
        _monitor_type = _make_monitor_type()
    return _monitor_type(shown)


def _make_monitor_type() -> type:
    class Monitor(trt_compat.load().IProgressMonitor):  # type: ignore[misc]
        """Forwards TensorRT's calls, which may come from several threads at once."""

        def __init__(self, shown: Display) -> None:
            super().__init__()
            self.error: Exception | None = None
            self._shown = shown
            self._cancelled = threading.Event()
            self._lock = threading.Lock()

        def cancel(self) -> None:
            self._cancelled.set()

        def _forward(self, call: Callable[..., None], *args: Any) -> None:
            with self._lock:
                try:
                    if self.error is None:
                        call(*args)
                except Exception as error:
                    self.error = error
                    self._cancelled.set()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._forward(self._shown.start, phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._forward(self._shown.step, phase_name, step + 1)
            return not self._cancelled.is_set()

        def phase_finish(self, phase_name: str) -> None:
            self._forward(self._shown.finish, phase_name)

    return Monitor
