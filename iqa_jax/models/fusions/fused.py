"""What every fusion returns."""

from typing import NamedTuple

from jaxtyping import Array, Float


class Fused(NamedTuple):
    """One bag, fused.

    Attributes:
      embedding: the bag's embedding.
      attention: the share of each tile in it; sums to 1 over the real tiles of a bag, 0 on padding
        and on every tile of an empty bag.
    """

    embedding: Float[Array, "batch dim"]
    attention: Float[Array, "batch tile"]
