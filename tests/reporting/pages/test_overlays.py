"""Maps are laid over photographs."""

import numpy as np

from iqa_jax.reporting.pages.overlays import blend_grad_cam


def test_a_photograph_is_covered_where_the_map_is_relevant_and_seen_elsewhere():
    image = np.full((8, 12, 3), 200, np.uint8)
    grad_cam = np.zeros((8, 12), np.float32)
    grad_cam[:, 6:] = 5
    grad_cam[0, 0] = np.nan
    blended = blend_grad_cam(image, grad_cam)
    assert blended.shape == image.shape and blended.dtype == np.uint8
    grey = blended[4, 1].astype(int)
    assert np.ptp(grey) < 12
    # The upper end of the colours is a light yellow: far more red than blue can be in grey.
    assert int(blended[4, 10, 0]) > int(grey[0]) + 20
    np.testing.assert_array_equal(
        blend_grad_cam(image, np.zeros((8, 12), np.float32))[2, 2], blended[4, 1]
    )
