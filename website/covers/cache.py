"""Covers on this host's disk: the least used go when there are too many.

A file's name holds the title's id and a digest of its address at the source, so that a new cover
is another file. Its time of change is when it was last used.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

ABSENT_S = 86_400.0  # for so long nobody asks again for what was not there
_USED_S = 3_600.0  # how exactly the last use is kept


class Cover(NamedTuple):
    """A title's cover.

    Attributes:
        path: at the source.
    """

    manga_id: int
    path: str

    @property
    def key(self) -> str:
        return f"{self.manga_id}-{hashlib.sha256(self.path.encode()).hexdigest()[:16]}"


class CoverCache:
    """A directory of covers, of at most so many bytes."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes

    def read(self, cover: Cover, size: int) -> bytes | None:
        """Return the picture; None if it is not here."""
        path = self._place(cover, f"{size}.webp")
        try:
            picture = path.read_bytes()
            if time.time() - path.stat().st_mtime > _USED_S:
                os.utime(path)
        except OSError:
            return None
        return picture

    def is_absent(self, cover: Cover) -> bool:
        """Return whether the source had none within the last day."""
        try:
            return time.time() - self._place(cover, "absent").stat().st_mtime < ABSENT_S
        except OSError:
            return False

    def write(self, cover: Cover, pictures: dict[int, bytes]) -> None:
        """Keep a cover in all sizes, and make room for it.

        Raises:
            OSError: it cannot be written.
        """
        for size, picture in pictures.items():
            self._write(self._place(cover, f"{size}.webp"), picture)
        with suppress(OSError):
            self._place(cover, "absent").unlink()
        self._make_room()

    def note_absent(self, cover: Cover) -> None:
        """Remember that there is none, or none that can be shown.

        Raises:
            OSError: it cannot be written.
        """
        self._write(self._place(cover, "absent"), b"")

    def _place(self, cover: Cover, name: str) -> Path:
        return self._folder / f"{cover.manga_id % 100:02}" / f"{cover.key}.{name}"

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_bytes(content)
        draft.replace(path)

    def _make_room(self) -> None:
        """Delete what was not used for longest, a tenth more than is needed."""
        found = sorted(self._files())
        total = sum(size for _, size, _ in found)
        if total <= self._most_bytes:
            return
        for _, size, path in found:
            with suppress(OSError):
                path.unlink()
            total -= size
            if total <= self._most_bytes * 0.9:
                return

    def _files(self) -> list[tuple[float, int, Path]]:
        found = []
        for path in self._folder.glob("*/*"):
            with suppress(OSError):
                state = path.stat()
                blocks = state.st_blocks * 512  # small files take a whole block
                found.append((state.st_mtime, max(state.st_size, blocks), path))
        return found
