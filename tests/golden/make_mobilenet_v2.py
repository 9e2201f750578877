"""Writes mobilenet_v2.npz: what PyTorch computes with torchvision's weights on a photo.

    PYTHONPATH=. python tests/golden/make_mobilenet_v2.py mobilenet_v2-b0353104.pth

needs torch (requirements-bench.txt). The photo is scikit-image's cat, 288 x 416 of it, a size that
is no multiple of 64, so that padding at stride 2 shows. The training golden is one forward pass on
two crops of it in training mode.
"""

import sys
from pathlib import Path

import numpy as np
import skimage.data
import torch

from benchmarks.torch_mobilenet_v2 import MobileNetV2

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def main(source: str) -> None:
    """Runs the peer and writes the golden file beside this script."""
    state = torch.load(source, weights_only=True)
    model = MobileNetV2()
    model.load_state_dict({k: v for k, v in state.items() if k.startswith("features")})
    photo = skimage.data.chelsea()[:288, :416]
    images = torch.tensor((photo / 255 - MEAN) / DEVIATION, dtype=torch.float32)
    images = images.permute(2, 0, 1)[None]
    crops = torch.cat([images[:, :, :128, :128], images[:, :, 128:256, 256:384]])
    with torch.no_grad():
        features = model.eval().features(images)[0]
        trained = model.train()(crops)
    np.savez_compressed(
        Path(__file__).with_name("mobilenet_v2.npz"),
        embedding=features.mean((1, 2)).numpy(),
        corner=features[:64, :3, -3:].permute(1, 2, 0).numpy(),
        train_embedding=trained.numpy(),
        train_running_mean=model.features[18][1].running_mean.numpy(),
        train_running_var=model.features[1].conv[0][1].running_var.numpy(),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
