from __future__ import annotations

import multiprocessing
import os
import threading
import time

import pytest
import torch

from torch2trt.engine import cache as caches
from torch2trt.engine.cache import (
    DiskCache,
    EngineCache,
    KernelFile,
    TimingCacheFile,
    cache_folder,
    make_key,
)
from torch2trt.errors import EngineError, InputError


def test_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH2TRT_CACHE_DIR", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    assert DiskCache(name="kernels").folder == tmp_path / "mine" / "kernels"
    assert not (tmp_path / "mine").exists()
    monkeypatch.delenv("TORCH2TRT_CACHE_DIR")
    monkeypatch.setattr(caches.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "torch2trt"
    monkeypatch.setattr(caches.sys, "platform", "darwin")
    assert cache_folder().parts[-3:] == ("Library", "Caches", "torch2trt")
    monkeypatch.setattr(caches.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert cache_folder() == tmp_path / "torch2trt" / "Cache"


def test_a_user_without_a_home(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("TORCH2TRT_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(caches.Path, "home", no_home)
    with pytest.raises(EngineError, match="no folder for caches: Could not determine") as error:
        DiskCache()
    assert "TORCH2TRT_CACHE_DIR" in error.value.hint
    with pytest.warns(UserWarning, match=r"kernels are not kept .* \(set TORCH2TRT_CACHE_DIR"), caches.kernels_may_go():
        DiskCache()


def test_a_folder_without_locks(monkeypatch, tmp_path):
    def no_locks(self):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("filelock.FileLock.acquire", no_locks)
    with pytest.raises(EngineError, match="cannot lock the cache folder .* No locks available"):
        DiskCache(tmp_path).put("a", b"x")
    with pytest.raises(EngineError, match="cannot lock"), DiskCache(tmp_path).locked("a"):
        pass


def test_entries(tmp_path):
    cache = DiskCache(tmp_path / "c")
    assert cache.get("a") is None
    cache.put("a", b"one")
    cache.put("b", b"")
    assert cache.get("a") == b"one" and cache.get("b") == b""
    assert DiskCache(tmp_path / "c").get("a") == b"one"
    cache.put("a", b"two")
    assert cache.get("a") == b"two"
    cache.remove("a")
    cache.remove("a")
    assert cache.get("a") is None
    cache.clear()
    assert cache.get("b") is None and cache.size == 0


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b"", lambda b: bytes([b[0] ^ 1]) + b[1:], lambda b: b + b"x"]
)
def test_damaged_entries_are_dropped(tmp_path, damage):
    cache = DiskCache(tmp_path)
    cache.put("a", b"content")
    (path,) = tmp_path.glob("*.entry")
    path.write_bytes(damage(path.read_bytes()))
    assert cache.get("a") is None
    assert not path.exists()


def test_limit_drops_the_least_recently_used(tmp_path):
    cache = DiskCache(tmp_path, limit=3 * (100 + 32))
    for age, key in enumerate("abc"):
        cache.put(key, key.encode() * 100)
        os.utime(cache._path(key), (1000 + age, 1000 + age))
    assert cache.get("a")  # used now
    cache.put("d", b"d" * 100)
    assert [key for key in "abcd" if cache.get(key)] == ["a", "c", "d"]
    assert cache.size <= cache.limit
    cache.put("big", b"x" * 1000)
    assert cache.get("big") is None and cache.get("d")


def test_bad_limit_and_folder(tmp_path, monkeypatch):
    with pytest.raises(InputError):
        DiskCache(tmp_path, limit=0)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EngineError, match="choose a folder that can be written"):
        DiskCache(tmp_path / "file" / "c").put("a", b"x")
    monkeypatch.setenv("TORCH2TRT_CACHE_DIR", str(tmp_path / "file" / "c"))
    with pytest.raises(EngineError, match="set TORCH2TRT_CACHE_DIR"):
        DiskCache().put("a", b"x")


def test_keys_depend_on_every_part():
    base = make_key(a=1, b=[2, {"c": 3}])
    assert base == make_key(b=[2, {"c": 3}], a=1)
    assert len({base, make_key(a=2, b=[2, {"c": 3}]), make_key(a=1, b=[2, {"c": 4}]), make_key(a=1)}) == 4


def test_timing_cache_file(tmp_path):
    timing = TimingCacheFile(DiskCache(tmp_path))
    assert timing.read() == b""
    timing.write(b"tactics")
    assert TimingCacheFile(DiskCache(tmp_path)).read() == b"tactics"


def test_kernel_file(tmp_path, monkeypatch):
    monkeypatch.setattr(caches, "_machine", lambda device=None: {"gpu": str(device)})
    cache, device = DiskCache(tmp_path), torch.device("cuda", 0)
    kernels = KernelFile.of(cache, 100, {"specs": [["x", "torch.float16", (1, 2)]]}, device)
    assert kernels.read() == b""
    kernels.write(b"kernels")
    assert KernelFile.of(cache, 100, {"specs": [["x", "torch.float16", (1, 2)]]}, device).read() == b"kernels"
    others = [
        KernelFile.of(cache, 101, {"specs": [["x", "torch.float16", (1, 2)]]}, device),
        KernelFile.of(cache, 100, {"specs": [["x", "torch.float16", (1, 3)]]}, device),
        KernelFile.of(cache, 100, {"specs": [["x", "torch.float16", (1, 2)]]}, torch.device("cuda", 1)),
    ]
    assert [other.read() for other in others] == [b""] * 3


def test_kernels_that_cannot_be_kept_are_no_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.warns(UserWarning, match="kernels are not kept for the next load: cannot make the cache folder"):
        KernelFile(DiskCache(tmp_path / "file" / "c"), "key").write(b"kernels")


class Builder:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return b"engine %d\nwith lines" % self.calls


def test_engine_cache(tmp_path):
    cache, build = EngineCache(DiskCache(tmp_path)), Builder()
    first = cache.get_or_build({"shape": [1, 2]}, "w1", build)
    assert first.fresh and first.content == b"engine 1\nwith lines"
    again = cache.get_or_build({"shape": [1, 2]}, "w1", build)
    assert not again.fresh and again.same_weights and again.content == first.content
    assert cache.get_or_build({"shape": [1, 3]}, "w1", build).fresh
    assert cache.get_or_build({"shape": [1, 2]}, "w2", build).fresh
    assert build.calls == 3


def test_engine_cache_with_refittable_engines(tmp_path):
    cache, build = EngineCache(DiskCache(tmp_path)), Builder()
    cache.get_or_build({"s": 1}, "w1", build, refittable=True)
    other = cache.get_or_build({"s": 1}, "w2", build, refittable=True)
    assert not other.fresh and not other.same_weights and other.content == b"engine 1\nwith lines"
    assert cache.get_or_build({"s": 1}, "w1", build, refittable=True).same_weights
    assert cache.get_or_build({"s": 1}, "w1", build).fresh


def test_failed_build_leaves_no_entry(tmp_path):
    cache = EngineCache(DiskCache(tmp_path))

    def fail():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.get_or_build({}, "w", fail)
    assert cache.get_or_build({}, "w", Builder()).fresh


def _process(folder, ready, log):
    def build():
        with open(log, "a") as file:
            file.write("built\n")
        time.sleep(0.3)
        return b"x" * 100_000

    ready.wait(30)
    found = EngineCache(DiskCache(folder)).get_or_build({"s": 1}, "w", build)
    assert found.content == b"x" * 100_000


def test_several_processes_build_once(tmp_path):
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    log = tmp_path / "log"
    workers = [context.Process(target=_process, args=(tmp_path / "c", ready, log)) for _ in range(4)]
    for worker in workers:
        worker.start()
    ready.set()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert log.read_text() == "built\n"


def test_several_threads_write_one_entry(tmp_path):
    cache = DiskCache(tmp_path, limit=20_000)
    wrong = []

    def work(number):
        for index in range(30):
            cache.put("shared", bytes([number]) * 5000)
            found = cache.get("shared")
            if found is not None and (len(found) != 5000 or len(set(found)) != 1):
                wrong.append(found)
            cache.put(f"{number}.{index}", b"y" * 5000)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert cache.size <= cache.limit
    assert not list(tmp_path.glob("*.tmp"))
