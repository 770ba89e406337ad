from __future__ import annotations

import os
import stat
import subprocess
import sys
import textwrap

import pytest

from torch2trt.engine.files import read_file, write_file_atomically
from torch2trt.errors import EngineError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "content", [b"whole", [b"wh", b"ole"], lambda file: file.write(b"whole"), bytearray(b"whole"), memoryview(b"whole")]
)
def test_whole_content(tmp_path, content):
    target = tmp_path / "engine"
    write_file_atomically(target, content)
    assert target.read_bytes() == b"whole" == read_file(target)
    assert names(tmp_path) == ["engine"]


def test_readers_of_the_old_file_are_not_disturbed(tmp_path):
    target = tmp_path / "engine"
    target.write_bytes(b"old")
    with open(target, "rb") as reader:
        write_file_atomically(target, b"new")
        assert reader.read() == b"old"
    assert target.read_bytes() == b"new"


def test_permissions(tmp_path):
    old = os.umask(0o027)
    try:
        write_file_atomically(tmp_path / "new", b"x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    os.chmod(tmp_path / "new", 0o600)
    write_file_atomically(tmp_path / "new", b"y")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


def test_failure_leaves_the_old_file(tmp_path):
    target = tmp_path / "engine"
    target.write_bytes(b"old")

    def chunks():
        yield b"half"
        raise OSError(28, "No space left on device")

    with pytest.raises(EngineError, match=r"engine: No space left on device"):
        write_file_atomically(target, chunks())
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["engine"]


def test_failure_in_the_content_leaves_nothing(tmp_path):
    def fail(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_file_atomically(tmp_path / "engine", fail)
    assert names(tmp_path) == []


@pytest.mark.parametrize("place", ["missing/engine", "file/engine"])
def test_bad_folders(tmp_path, place):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EngineError, match=place):
        write_file_atomically(tmp_path / place, b"x")


def test_target_is_a_folder(tmp_path):
    (tmp_path / "engine").mkdir()
    with pytest.raises(EngineError, match="engine"):
        write_file_atomically(tmp_path / "engine", b"x")
    assert names(tmp_path) == ["engine"]


def test_reading_what_is_not_there(tmp_path):
    with pytest.raises(EngineError, match="nowhere"):
        read_file(tmp_path / "nowhere")


def test_full_disk(tmp_path):
    """A real write error from the kernel, by a limit on the size of files."""
    code = """
        import resource, signal, sys
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
        from torch2trt.engine.files import write_file_atomically
        from torch2trt.errors import EngineError
        try:
            write_file_atomically(sys.argv[1], b"x" * (1 << 20))
        except EngineError as error:
            print("refused:", error)
    """
    target = tmp_path / "engine"
    target.write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(target)], capture_output=True, text=True, check=True
    )
    assert "refused: cannot write" in done.stdout and str(target) in done.stdout
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["engine"]


def test_a_link_stays_one(tmp_path):
    target, link = tmp_path / "engine", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_file_atomically(link, b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"


def test_what_is_no_regular_file_is_written_to(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    handle = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        write_file_atomically(pipe, b"content")
        assert os.read(handle, 100) == b"content"
    finally:
        os.close(handle)
    assert stat.S_ISFIFO(pipe.stat().st_mode) and names(tmp_path) == ["pipe"]


@pytest.mark.parametrize("path", ["", "a\0b", "."])
def test_paths_that_name_no_file(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EngineError, match="cannot write"):
        write_file_atomically(path, b"content")
