"""What ratings say beyond their mean: their distribution and how far people agree. NumPy, float64.

Computed once per run, on the host, from columns of the manifest.
"""

import numpy as np
from jaxtyping import Float

_NEWTON_STEPS = 200
# Keeps the parameters finite where the moments leave only one distribution; shifts the moments by
# less than float32 resolves.
_RIDGE = 1e-9


def maximum_entropy(
    mean: Float[np.ndarray, " image"],
    std: Float[np.ndarray, " image"] | None,
    scores: Float[np.ndarray, " bins"],
) -> Float[np.ndarray, "image bins"]:
    """Gives the least committed distributions over scores that have some mean, and std if given.

    They are p_k ∝ exp(a·x_k) or, with a std, p_k ∝ exp(a·x_k + b·x_k²): the exponential families
    of these moments. A std that no distribution over these scores has with that mean (below what
    the space between two scores allows, above what the scale's ends allow) counts as the nearest
    one that is possible.

    Args:
        mean: in [scores[0], scores[-1]].
        std: of single ratings, 0 or more; None to fix the mean alone.
        scores: evenly spaced, rising.

    Returns:
        Probabilities; each row sums to 1.

    Source:
        Talebi and Milanfar 2018 (NIMA), section III, for the use; Cover and Thomas, chapter 12, for
        the form.
    """
    middle, half = (scores[0] + scores[-1]) / 2, (scores[-1] - scores[0]) / 2
    position = (np.asarray(scores, np.float64) - middle) / half
    moments = [(np.asarray(mean, np.float64) - middle) / half]
    if std is not None:
        moments.append(_possible_variance(moments[0], std / half, position) + moments[0] ** 2)
    moments = np.stack(moments, axis=-1)
    powers = np.stack([position ** (1 + power) for power in range(moments.shape[-1])])

    def distribution(parameters):
        logits = parameters @ powers
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return weights / weights.sum(axis=-1, keepdims=True)

    def objective(parameters):
        """The convex dual, whose gradient is the error of the moments."""
        logits = parameters @ powers
        top = logits.max(axis=-1)
        log_sum = top + np.log(np.exp(logits - top[:, None]).sum(axis=-1))
        return log_sum - (parameters * moments).sum(-1) + _RIDGE / 2 * (parameters**2).sum(-1)

    parameters = np.zeros_like(moments)
    for _ in range(_NEWTON_STEPS):
        probabilities = distribution(parameters)
        expected = probabilities @ powers.T
        gradient = expected - moments + _RIDGE * parameters
        if np.abs(gradient).max(initial=0) < 1e-9:
            break
        centred = powers - expected[..., None]
        hessian = np.einsum("nik,njk,nk->nij", centred, centred, probabilities)
        hessian += _RIDGE * np.eye(len(powers))
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        # Halved until the dual falls: far from the solution a full step overshoots.
        start, slope, size = objective(parameters), (gradient * step).sum(-1), np.ones(len(step))
        for _ in range(50):
            there = objective(parameters - size[:, None] * step)
            # Near the solution a fall is smaller than rounding.
            is_too_far = there > start - size * slope / 4 + 1e-12
            if not is_too_far.any():
                break
            size[is_too_far] /= 2
        parameters -= size[:, None] * step
    return distribution(parameters)


def _possible_variance(mean, std, position):
    below = position[np.clip(np.searchsorted(position, mean, "right") - 1, 0, len(position) - 2)]
    above = below + (position[1] - position[0])
    # All ratings on the two scores next to the mean; all of them on the two ends.
    narrowest, widest = (mean - below) * (above - mean), (mean + 1) * (1 - mean)
    return np.clip(std**2, narrowest, widest)


def agreement_weights(
    std: Float[np.ndarray, " image"], is_train: np.ndarray
) -> Float[np.ndarray, " image"]:
    """Gives images on whose score people agree more weight: 1 / (s² + mean s²), scaled.

    The mean stands for what is unsure about every label, and keeps an image with s = 0 from
    ruling: no weight exceeds that of an image with the mean s² more than twice.

    Args:
        std: of single ratings, in any unit.
        is_train: [image] bool; the mean and the scale come from these alone.

    Returns:
        Weights, 1 on the mean of the training images.

    Raises:
        ValueError: no training image has a std above 0.
    """
    variance = np.asarray(std, np.float64) ** 2
    typical = variance[is_train].mean()
    if not typical > 0:
        raise ValueError("every std is 0, so no image can weigh more than another")
    weights = 1 / (variance + typical)
    return weights / weights[is_train].mean()
