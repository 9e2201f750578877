"""One process at a time writes a folder or a table.

A file beside what is written is locked with `flock`: the system gives the lock back when its
process ends, however it ends, so that one left by a kill needs no clock and no list of processes.
Linux hands such locks on to NFS servers, but a mount or another file system may keep them to one
host, or know none. So a file that a process of another host has left is not taken over: whether
that process still runs cannot be told from here.
"""

import errno
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from iqa_jax.host.progress import say

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there.
    fcntl = None

# Name of the file in a folder.
LOCK = "in_use.lock"
# What systems answer where a file system knows no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
# What this process holds.
_held: set[Path] = set()


class InUseError(RuntimeError):
    """Says which process writes there and what to do."""


@contextmanager
def sole_writer(folder: Path, doing: str) -> Iterator[None]:
    """Keeps other processes from writing a folder meanwhile; makes it, and drops it if empty.

    Args:
        folder: within it, this process may ask again.
        doing: what for, such as `--mode=train`.

    Raises:
        InUseError: another process writes there.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder / LOCK, folder, doing):
            yield
    finally:
        if is_new:
            with suppress(OSError):  # It is not empty.
                folder.rmdir()


@contextmanager
def locked(path: Path, what: Path, doing: str) -> Iterator[None]:
    """Holds a lock; its file goes at the end.

    Args:
        path: of its file.
        what: is written meanwhile, for people.
        doing: as in `sole_writer`.

    Raises:
        InUseError: another process holds it.
    """
    path = path.resolve()
    if path in _held or fcntl is None:
        yield
        return
    file = _acquire(path, what)
    _held.add(path)
    try:
        about = {"pid": os.getpid(), "host": platform.node(), "doing": doing,
                 "since": time.strftime("%Y-%m-%d %H:%M:%S")}  # fmt: skip
        path.write_text(json.dumps(about), encoding="utf-8")
        yield
    finally:
        # Before the lock goes, and with it the right to the file.
        with suppress(OSError):
            path.unlink()
        os.close(file)
        _held.remove(path)


def _acquire(path: Path, what: Path) -> int:
    """Opens and locks the file; gives its descriptor."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            is_locked, before = _lock(file), _read(file)
            if is_locked is False:
                raise InUseError(
                    f"{what} is in use: {_describe(before)} writes there. Wait until it has ended, "
                    "stop it, or name another place."
                )
            # Whoever held it may have deleted it since it was opened.
            if _is_at(file, path):
                if before:
                    _take_over(before, is_locked is True, path, what)
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _lock(file: int) -> bool | None:
    """Says whether the file is now locked; None where its file system knows no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise
    return True


def _take_over(before: dict[str, str], is_locked: bool, path: Path, what: Path) -> None:
    """Takes over what a process of this host has left."""
    if before["host"] != platform.node() or not is_locked:
        raise InUseError(
            f"{what} is in use, or was left by a kill: {_describe(before)} wrote there, and "
            f"whether it still runs cannot be told from here. If it does not, delete {path} and "
            "start the same command again."
        )
    say(f"taking over {what}, which {_describe(before)} did not finish")


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _read(file: int) -> dict[str, str]:
    """Reads who holds the lock; empty where that is not written yet."""
    try:
        about = json.loads(os.pread(file, 4096, 0))
        return {name: str(about[name]) for name in ("pid", "host", "doing", "since")}
    except (ValueError, KeyError, TypeError):
        return {}


def _describe(about: dict[str, str]) -> str:
    if not about:
        return "another process"
    return "process {pid} on host {host} ({doing}, since {since})".format(**about)
