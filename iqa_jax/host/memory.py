"""How the C library treats memory that XLA's CPU backend frees."""

import ctypes

# mallopt's parameters in <malloc.h>.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8


def keep_freed_memory() -> None:
    """Lets the process reuse large freed buffers instead of returning them to the system.

    XLA on CPU asks for each large buffer anew at every step. By default glibc maps it freshly
    and unmaps it at the end, so the system has to clear every page again: it costs more than
    half of an elementwise pass. Call it once, before the first computation starts threads; where
    the C library has no `mallopt` (macOS, Windows, musl) it does nothing.

    The price is memory: the heap grows over the first few steps, to about four times the largest
    buffer before it settles, and is given back only when the process ends.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, -1)
    # Room to spare lets a buffer slightly larger than the one freed grow in place.
    mallopt(_TOP_PAD, 256 << 20)
    # Only the main heap grows without mmap: keep XLA's threads on it.
    mallopt(_ARENA_MAX, 1)
