"""The folder of the checkout, and the config of a run small enough to train in seconds."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
# Sizes of a tiny run, by key: twelve steps, evaluated after the sixth and the last.
TINY = {
    "tiles.size": 32,
    "tiles.stride": 32,
    "batch_size": 8,
    "epochs": 1,
    "evaluate_every_epochs": 0.5,
    "host.threads": 2,
    "data.features": ("n_tiles", "edge_sum"),
    # Few layers: XLA compiles the 52 convolutions of the usual one for a minute.
    "model.encoder": "shallow_cnn",
    "encoder.mobilenet_v2.width_multiplier": 0.1,
    "model.weights": "none",
    "model.hidden_dim": 8,
    "host.tiles_per_chunk": 16,
}


def make_tiny_config(manifest: Path):
    from configs import default

    config = default.get_config()
    config.update_from_flattened_dict({**TINY, "data.manifest": str(manifest)})
    return config
