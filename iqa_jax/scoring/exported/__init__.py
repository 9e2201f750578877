"""A scorer for other programs: its network as StableHLO or ONNX, without Flax or this package."""
