"""A disk that can be filled: a small one of its own where one may be mounted, else a limit."""

import os
import random
import resource
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_LARGE = 1 << 28
_PAGE = 4096


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """Limits the size of this process's files to ``size`` bytes within the block."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


class Disk:
    """The disk of a folder.

    ``own`` mounts a disk in memory for it, which root may: there space runs out for all files at
    once, as on a full disk. Otherwise the files of the processes are limited in size.
    """

    def __init__(self, folder: Path, *, own: bool) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={_LARGE}", "tmpfs", str(folder)]
        self.mounted = own and subprocess.run(mount, stderr=subprocess.DEVNULL).returncode == 0

    def fill(self, pids: Iterable[int], largest: int, rng: random.Random) -> None:
        """Leaves almost no space from now on; ``largest`` is the largest file's size."""
        room = rng.randrange(1, 20) * _PAGE
        if self.mounted:
            while not self._resized(self._used() + room):
                pass  # more was written in the meantime
        else:
            self._limit(pids, largest + rng.randrange(3000))

    def free(self, pids: Iterable[int]) -> None:
        """Frees the space again."""
        if self.mounted:
            self._resized(_LARGE)
        else:
            self._limit(pids, resource.RLIM_INFINITY)

    def close(self) -> None:
        """Unmounts the disk."""
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self._folder)], check=True)

    def _used(self) -> int:
        state = os.statvfs(self._folder)
        return (state.f_blocks - state.f_bfree) * state.f_frsize

    def _resized(self, size: int) -> bool:
        remount = ["mount", "-o", f"remount,size={size}", str(self._folder)]
        return subprocess.run(remount, stderr=subprocess.DEVNULL).returncode == 0

    @staticmethod
    def _limit(pids: Iterable[int], size: int) -> None:
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
