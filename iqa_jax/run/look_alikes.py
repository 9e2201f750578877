"""Makes one group of the images of a manifest that look alike: `data.group_near_duplicates`."""

import functools
import os
from collections.abc import Mapping
from typing import Any

import ml_collections
import numpy as np
from jaxtyping import Int

from input_pipeline.checks.kept_signatures import KeptSignatures
from input_pipeline.checks.look_alikes import cluster
from input_pipeline.checks.signatures import SIGNATURE
from input_pipeline.tables.groups import join_groups
from input_pipeline.tables.manifest import Manifest
from iqa_jax.host.progress import meter, say


def group_look_alikes(
    config: ml_collections.ConfigDict, manifest: Manifest, draw: Mapping[str, Any]
) -> Manifest:
    """Makes one group of images that look alike, and of the groups that the manifest gives them.

    Args:
        config: of the run.
        manifest: as read.
        draw: `fractions` and `seed`, for splits that the manifest does not give.

    Raises:
        ManifestError: there are fewer groups left than splits.
        OSError: the signatures cannot be kept.
    """
    host = config.host
    folder = os.path.expanduser(host.signature_folder)
    kept = KeptSignatures(manifest, folder, config.data.max_pixels)
    if kept.missing:
        with meter("signatures of", len(kept.missing)) as progress:
            kept.make(host.threads, progress.update)
    return join_groups(manifest, _cluster(kept.signatures.tobytes()), **draw)


# A study reads its manifest once for every run.
@functools.lru_cache(maxsize=4)
def _cluster(signatures: bytes) -> Int[np.ndarray, " image"]:
    found = cluster(np.frombuffer(signatures, SIGNATURE))
    _, sizes = np.unique(found, return_counts=True)
    if (joined := sizes[sizes > 1]).size:
        say(f"{joined.sum()} of {len(found)} images look like another: {joined.size} groups of "
            f"them, the largest of {joined.max()}")  # fmt: skip
    return found
