"""The least time that MobileNetV2 can take on a device: its arithmetic, and what must move.

Counted as if every convolution with its BatchNorm and ReLU6 were one operation that reads its
input once and writes its output once. BatchNorm with batch statistics must see all of its input
before it can write, so training reads that once more. A backward pass does twice the arithmetic; it
reads the gradient of the output and the two tensors that the forward pass kept, and writes the
gradient of the input. Parameters are small beside this and are left out.
"""

from typing import NamedTuple

from iqa_jax.models.encoders.mobilenet_v2 import STAGES


class Layer(NamedTuple):
    """One convolution for one tile: multiply-adds, and elements of input and output."""

    multiply_adds: int
    inputs: int
    outputs: int


def list_layers(size: int) -> list[Layer]:
    """Lists the 52 convolutions of MobileNetV2 1.0 for a tile with sides of `size` pixels."""
    layers, side, channels = [], size, 3

    def add(outputs: int, kernel: int = 1, stride: int = 1, is_depthwise: bool = False):
        nonlocal side, channels
        inputs = side * side * channels
        side = -(-side // stride)
        per_output = kernel * kernel * (1 if is_depthwise else channels)
        channels = outputs
        layers.append(Layer(side * side * outputs * per_output, inputs, side * side * outputs))

    add(32, 3, 2)
    for expansion, outputs, blocks, first_stride in STAGES:
        for block in range(blocks):
            hidden = channels * expansion
            if expansion > 1:
                add(hidden)
            add(hidden, 3, first_stride if block == 0 else 1, is_depthwise=True)
            add(outputs)
    add(1280)
    return layers


def least_seconds(
    size: int, batch: int, *, is_training: bool, element_bytes: int, flops: float, bandwidth: float
) -> float:
    """Gives the time below which no program can get, layer by layer.

    Args:
        size: side of a tile in pixels.
        batch: tiles.
        is_training: forward and backward pass, else the forward pass alone.
        element_bytes: of activations.
        flops: operations per second that the device reaches.
        bandwidth: bytes per second that its memory reaches.
    """
    total = 0.0
    for multiply_adds, inputs, outputs in list_layers(size):
        moved = [inputs + outputs]
        if is_training:
            # Convolution and statistics; then normalising; then the way back.
            moved = [inputs + outputs, 2 * outputs, 3 * outputs + 2 * inputs]
        arithmetic = [2 * multiply_adds, 0, 4 * multiply_adds]
        total += sum(
            max(operations / flops, elements * element_bytes / bandwidth)
            for operations, elements in zip(arithmetic, moved, strict=False)
        )
    return total * batch
