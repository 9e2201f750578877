"""Losses of embeddings: what is alike should be near. Each anchor's loss looks at the whole batch.

All take embeddings of length 1, how alike each pair of labels is, and which examples are real. An
example that is not real is nobody's neighbour and has a loss of 0, and so has one that no other is
more like than the rest. Alike are labels with a similarity of 1, not at all those with 0.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

# Far below any logit, and finite: an anchor without company has a gradient of 0, not NaN.
_NEVER = -1e30


def same_class(label: Int[Array, " batch"], classes: int) -> Float[Array, "batch batch"]:
    """Calls two labels alike if they are the same."""
    return (label[:, None] == label).astype(jnp.float32)


def near_level(label: Int[Array, " batch"], classes: int) -> Float[Array, "batch batch"]:
    """Calls levels the more alike the fewer lie between them; the ends of the scale not at all."""
    return 1 - jnp.abs(label[:, None] - label) / (classes - 1)


def supervised_contrastive(
    embedding: Float[Array, "batch dim"],
    similarity: Float[Array, "batch batch"],
    is_real: Bool[Array, " batch"],
    temperature: float,
) -> Float[Array, " batch"]:
    """Gives the cross-entropy between which others are alike and which are near.

    Anchor i draws another example j with probability softmax_j(e_i · e_j / temperature); it should
    draw each as often as it is alike.

    Args:
        embedding: of length 1.
        similarity: of the labels, in [0, 1].
        is_real: False for padding.
        temperature: more than 0; the smaller, the more the nearest others count.

    Source:
        Khosla et al. 2020, eq. 2 (L_out), which this is where labels are alike or not; weights
        between as in Dufumier et al. 2021, eq. 3.
    """
    is_pair = _pairs(is_real)
    logits = jnp.where(is_pair, _cosine(embedding, is_real) / temperature, _NEVER)
    alike = jnp.where(is_pair, similarity, 0)
    total = alike.sum(axis=1)
    # The softmax takes its row's maximum off before the exponential.
    drawn = -(alike * jax.nn.log_softmax(logits, axis=1)).sum(axis=1)
    return drawn / jnp.where(total > 0, total, 1)


def semi_hard_triplet(
    embedding: Float[Array, "batch dim"],
    similarity: Float[Array, "batch batch"],
    is_real: Bool[Array, " batch"],
    margin: float,
) -> Float[Array, " batch"]:
    """Gives the mean over an anchor's positives of a hinge against one negative for each.

    A negative is less like the anchor than the positive. It should be farther by the margin, times
    how much less alike it is. Of those farther than the positive the hardest is chosen, and where
    all are nearer, the easiest. Distances are squared.

    Args:
        embedding: of length 1.
        similarity: of the labels, in [0, 1].
        is_real: False for padding.
        margin: of squared distances, which reach from 0 to 4.

    Source:
        Schroff, Kalenichenko, Philbin 2015, section 3.2; they compare classes alone.
    """
    distance = 2 - 2 * _cosine(embedding, is_real)

    def loss_of(anchor):
        distance, similarity, is_pair = anchor
        is_triplet = is_pair[:, None] & is_pair & (similarity[:, None] > similarity)
        hinge = distance[:, None] - distance + margin * (similarity[:, None] - similarity)
        is_semi_hard = is_triplet & (distance > distance[:, None])
        hardest = jnp.where(is_semi_hard, hinge, -jnp.inf).max(axis=1)
        easiest = jnp.where(is_triplet, hinge, jnp.inf).min(axis=1)
        has_negative = is_triplet.any(axis=1)
        chosen = jnp.where(is_semi_hard.any(axis=1), hardest, easiest)
        losses = jnp.where(has_negative, jnp.maximum(chosen, 0), 0)
        return losses.sum() / jnp.maximum(has_negative.sum(dtype=jnp.float32), 1)

    # Anchor by anchor: all triplets of a large batch at once would not fit.
    return jax.lax.map(loss_of, (distance, similarity, _pairs(is_real)))


def _pairs(is_real: Bool[Array, " batch"]) -> Bool[Array, "batch batch"]:
    return is_real[:, None] & is_real & ~jnp.eye(len(is_real), dtype=bool)


def _cosine(
    embedding: Float[Array, "batch dim"], is_real: Bool[Array, " batch"]
) -> Float[Array, "batch batch"]:
    embedding = jnp.where(is_real[:, None], embedding, 0)
    # Accelerators multiply in fewer digits by default, which a small temperature would magnify.
    return jnp.matmul(embedding, embedding.T, precision="highest")
