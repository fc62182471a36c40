"""Pictures from elsewhere, decoded in a process of its own with little memory.

A picture is input like any other: it may be broken, enormous once decoded, or meant to exploit a
decoder. The process has no files, no secrets and no database; it reads a picture from stdin and
writes covers to stdout, and ends.
"""

from __future__ import annotations

import io
import resource
import struct
import subprocess
import sys

from website.rules.covers import SIZES

MAX_PIXELS = 40_000_000
_MEMORY_BYTES = 512 * 1024 * 1024
_CPU_S = 5
_PATIENCE_S = 10.0
_QUALITY = 80
_LENGTH = struct.Struct(">I")
_MAGIC = {"JPEG": (b"\xff\xd8\xff",), "PNG": (b"\x89PNG\r\n\x1a\n",), "WEBP": (b"RIFF",)}


class NotAPicture(Exception):
    """These bytes cannot be made into a cover."""


def make_covers(picture: bytes) -> dict[int, bytes]:
    """Return WebP pictures by their width.

    Raises:
        NotAPicture: it is no JPEG, PNG or WebP, is too large, or is broken.
    """
    if kind_of(picture) is None:
        raise NotAPicture("it is no JPEG, PNG or WebP")
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=picture,
            capture_output=True,
            timeout=_PATIENCE_S,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(filter(None, sys.path))},
        )
    except subprocess.TimeoutExpired:
        raise NotAPicture("decoding takes too long") from None
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise NotAPicture(reason[:200] or f"the decoder ended with {done.returncode}")
    return dict(zip(SIZES, _split(done.stdout), strict=True))


def kind_of(picture: bytes) -> str | None:
    """Return the picture's format by its first bytes; None for what is no picture."""
    kind = next((k for k, starts in _MAGIC.items() if picture.startswith(starts)), None)
    return None if kind == "WEBP" and picture[8:12] != b"WEBP" else kind


def _split(stream: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(stream):
        (length,) = _LENGTH.unpack_from(stream, at)
        at += _LENGTH.size
        found.append(stream[at : at + length])
        at += length
    return found


# --- the process -------------------------------------------------------------------------------


def main() -> None:
    """Read a picture from stdin and write a cover of each size to stdout."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    picture = sys.stdin.buffer.read()
    try:
        covers = _decode(picture)
    except Exception as exc:
        sys.exit(f"{type(exc).__name__}: {exc}")
    for cover in covers:
        sys.stdout.buffer.write(_LENGTH.pack(len(cover)) + cover)


def _decode(picture: bytes) -> list[bytes]:
    from PIL import Image  # an extra, and needed in this process alone

    with Image.open(io.BytesIO(picture), formats=list(_MAGIC)) as opened:
        if opened.width * opened.height > MAX_PIXELS or min(opened.size) < 1:
            raise ValueError(f"{opened.width} x {opened.height} pixels are too many")
        opened.draft("RGB", (2 * SIZES[-1], 2 * SIZES[-1]))
        whole = opened.convert("RGB")
    return [_scaled(whole, width) for width in SIZES]


def _scaled(whole: object, width: int) -> bytes:
    """Return a cover of this width; very long strips are cut."""
    from PIL import Image

    assert isinstance(whole, Image.Image)
    height = max(1, min(2 * width, round(whole.height * width / whole.width)))
    kept = whole.crop((0, 0, whole.width, max(1, round(height * whole.width / width))))
    out = io.BytesIO()
    scaled = kept.resize((width, height), Image.Resampling.LANCZOS)
    scaled.save(out, "WEBP", quality=_QUALITY, method=4)
    return out.getvalue()


if __name__ == "__main__":
    main()
