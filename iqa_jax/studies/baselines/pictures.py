"""Features of whole pictures, fitted on nothing: each is computed once for all splits."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from input_pipeline.files.images import ImageError
from input_pipeline.tiles.nss import nss_features
from input_pipeline.tiles.sources import TileSource
from iqa_jax.host.progress import meter
from iqa_jax.models.encoders.encoder import pool_statistics
from iqa_jax.models.encoders.pretrained import load_pretrained
from iqa_jax.models.quality_model import MEAN, STANDARD_DEVIATION
from iqa_jax.run import build
from iqa_jax.run.config import default_config
from iqa_jax.studies.baselines.rows import Rows


class PictureFeatures:
    """Describes pictures, remembering those of a source for as long as the source is there.

    Args:
        name: what people are told is going on.
        compute: RGB [height, width, 3] uint8 -> [feature].
    """

    def __init__(self, name: str, compute: Callable[[UInt8[np.ndarray, "h w 3"]], np.ndarray]):
        self._name, self._compute = name, compute
        self._known: WeakKeyDictionary[TileSource, dict[int, np.ndarray | str]]
        self._known = WeakKeyDictionary()

    def __call__(
        self, rows: Rows, threads: int
    ) -> tuple[Float[np.ndarray, "image feature"], Sequence[str]]:
        """Gives the features of pictures, NaN for those that cannot be read, and why not."""
        known = self._known.setdefault(rows.source, {})
        missing = [image_id for image_id in rows.image_ids.tolist() if image_id not in known]

        def describe(image_id: int) -> np.ndarray | str:
            try:
                return self._compute(rows.source.image(image_id))
            except ImageError as error:
                return str(error)

        with ThreadPoolExecutor(threads) as pool, meter(self._name, len(missing)) as progress:
            for done, found in enumerate(pool.map(describe, missing), start=1):
                known[missing[done - 1]] = found
                progress.update(done)
        found = [known[image_id] for image_id in rows.image_ids.tolist()]
        width = next((len(one) for one in found if not isinstance(one, str)), 0)
        nothing = np.full(width, np.nan)
        features = [nothing if isinstance(one, str) else one for one in found]
        errors = [one if isinstance(one, str) else "" for one in found]
        return np.array(features, np.float64).reshape(len(found), width), errors


@cache
def _frozen_encoder() -> Callable[[np.ndarray], jax.Array]:
    encoder = build.encoder_from_config(default_config())
    variables = load_pretrained()

    # Compiled anew for every size of picture.
    @jax.jit
    def encode(image):
        normalised = (image / 255 - jnp.array(MEAN)) / jnp.array(STANDARD_DEVIATION)
        return pool_statistics([encoder.apply(variables, normalised[None], method="features")])[0]

    return encode


def _describe_frozen(image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "2560"]:
    return np.asarray(_frozen_encoder()(image))


# Mean and deviation of the last feature map of MobileNetV2 with ImageNet weights.
frozen_statistics = PictureFeatures("frozen features", _describe_frozen)
scene_statistics = PictureFeatures("scene statistics", nss_features)
