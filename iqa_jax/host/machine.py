"""How a process of iqa_jax uses its host: memory, threads, and what it has compiled before."""

import os

import cv2
import jax

from iqa_jax.host.memory import keep_freed_memory


def set_up_host() -> None:
    """Sets the whole process up for training and scoring; before the first computation."""
    if jax.default_backend() == "cpu":
        keep_freed_memory()
    # The input pipeline's threads work on an image each and keep all cores busy: more of them,
    # inside a call of OpenCV, get in their way.
    cv2.setNumThreads(1)
    # Compiled programs are kept between starts: on a CPU they take longer than a small training.
    if not jax.config.jax_compilation_cache_dir:
        folder = os.path.expanduser("~/.cache/iqa_jax/compiled")
        jax.config.update("jax_compilation_cache_dir", folder)
