"""BatchNorm folded into the convolutions before it, for inference."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from iqa_jax.models.layers.batch_norm import EPSILON

_STATISTICS = ("mean", "var")


def fold_batch_norm(variables: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Folds the running statistics of every `ConvolutionNorm` into its kernel and bias.

    With them, y = scale * (x * kernel - mean) / sqrt(var + e) + bias is one convolution and one
    addition:

        kernel' = kernel * scale / sqrt(var + e),   bias' = bias - mean * scale / sqrt(var + e).

    Computed in float64 on the host. Modules apply folded variables as they apply others, for
    prediction only; folding twice changes nothing.

    Args:
        variables: `params` and `batch_stats` of any module, and whatever else it has.

    Returns:
        The same tree, without `scale` and the statistics of these layers. Everything else, such
        as the statistics of an `EmbeddingNorm`, is as it was.
    """
    params: dict[tuple[str, ...], Any] = flatten_dict(variables["params"])
    statistics = flatten_dict(variables.get("batch_stats", {}))
    for *layer, last in list(params):
        if last != "scale" or (*layer, "mean") not in statistics:
            continue
        kernel, scale, bias = (
            np.asarray(params[*layer, name], np.float64) for name in ("kernel", "scale", "bias")
        )
        mean, var = (np.asarray(statistics.pop((*layer, name)), np.float64) for name in _STATISTICS)
        factor = scale / np.sqrt(var + EPSILON)
        del params[*layer, "scale"]
        params[*layer, "kernel"] = (kernel * factor).astype(np.float32)
        params[*layer, "bias"] = (bias - mean * factor).astype(np.float32)
    folded = {"params": unflatten_dict(params), "batch_stats": unflatten_dict(statistics)}
    return {**variables, **folded}
