"""Freed memory that stays with the process, so that the next block of work does not fault it in again."""

import sys

KEPT = 32 << 20
LARGEST_FROM_HEAP = 4 << 20
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> None:
    """Lets the C library keep up to `KEPT` bytes that were freed; does nothing where it cannot be told (only
    glibc can). Reading a long history frees some MB after each block: giving them back and taking them anew
    was a quarter of its time.
    """
    if sys.platform != "linux":
        return
    import ctypes  # With NumPy, and not before the first frame.

    try:
        tell = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    tell(_TRIM_THRESHOLD, KEPT)
    tell(_MMAP_THRESHOLD, LARGEST_FROM_HEAP)
