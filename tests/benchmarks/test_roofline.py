import pytest

from benchmarks.roofline import least_seconds, list_layers

_WORK = {"size": 224, "batch": 8, "element_bytes": 2}


def test_the_layers_are_those_of_the_paper():
    layers = list_layers(224)
    assert len(layers) == 52
    # 300 million multiply-adds with the classifier's 1280 x 1000 (table 4 of the paper).
    total = sum(layer.multiply_adds for layer in layers) + 1280 * 1000
    assert total == pytest.approx(300e6, rel=0.01)
    assert layers[0].inputs == 224 * 224 * 3 and layers[-1].outputs == 7 * 7 * 1280
    for before, after in zip(layers, layers[1:], strict=False):
        assert before.outputs == after.inputs


def test_the_slower_of_arithmetic_and_memory_counts():
    layers = list_layers(224)
    by_arithmetic = least_seconds(**_WORK, is_training=False, flops=1e9, bandwidth=1e30)
    assert by_arithmetic == pytest.approx(8 * 2 * sum(a.multiply_adds for a in layers) / 1e9)
    by_memory = least_seconds(**_WORK, is_training=False, flops=1e30, bandwidth=1e8)
    moved = sum(a.inputs + a.outputs for a in layers)
    assert by_memory == pytest.approx(8 * 2 * moved / 1e8)
    both = least_seconds(**_WORK, is_training=False, flops=1e9, bandwidth=1e8)
    assert max(by_arithmetic, by_memory) < both < by_arithmetic + by_memory


def test_training_takes_three_times_the_arithmetic():
    keys = _WORK | {"flops": 1e9, "bandwidth": 1e30}
    ratio = least_seconds(**keys, is_training=True) / least_seconds(**keys, is_training=False)
    assert ratio == pytest.approx(3)
