"""torchvision's MobileNetV2 features in plain PyTorch, so that peers need no torchvision."""

import numpy as np
import torch
from torch import nn

from iqa_jax.models.encoders.pretrained import load_pretrained, torchvision_prefixes

STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def convolution_norm(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1):
    """Builds convolution, BatchNorm and ReLU6 under torchvision's names."""
    convolution = nn.Conv2d(
        inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False
    )
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """Expands, filters each channel, projects; adds its input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int):
        super().__init__()
        hidden = inputs * expansion
        self.is_residual = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            *([convolution_norm(inputs, hidden)] if expansion > 1 else []),
            convolution_norm(hidden, hidden, 3, stride, hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps [n, channel, height, width] to the block's output."""
        return x + self.conv(x) if self.is_residual else self.conv(x)


class MobileNetV2(nn.Module):
    """Encodes [n, 3, height, width] as [n, 1280]; loads torchvision's state dict."""

    def __init__(self):
        super().__init__()
        blocks, channels = [convolution_norm(3, 32, 3, 2)], 32
        for expansion, outputs, repeats, first_stride in STAGES:
            for block in range(repeats):
                stride = first_stride if block == 0 else 1
                blocks.append(InvertedResidual(channels, outputs, stride, expansion))
                channels = outputs
        self.features = nn.Sequential(*blocks, convolution_norm(channels, 1280))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Gives the mean of the last feature map."""
        return self.features(images).mean((2, 3))


def imagenet_mobilenet_v2() -> MobileNetV2:
    """Makes one with the ImageNet weights that the project carries."""
    weights, state = load_pretrained(), {}
    for index, (convolution, norm) in enumerate(torchvision_prefixes()):
        layer = f"layer_{index:02d}"
        params, statistics = weights["params"][layer], weights["batch_stats"][layer]
        state[f"{convolution}.weight"] = params["kernel"].transpose(3, 2, 0, 1)
        state[f"{norm}.weight"], state[f"{norm}.bias"] = params["scale"], params["bias"]
        state[f"{norm}.running_mean"] = statistics["mean"]
        state[f"{norm}.running_var"] = statistics["var"]
    model = MobileNetV2()
    tensors = {name: torch.tensor(np.ascontiguousarray(value)) for name, value in state.items()}
    model.load_state_dict(tensors, strict=False)
    return model
