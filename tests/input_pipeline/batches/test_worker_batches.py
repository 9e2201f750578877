"""Processes that make batches: each one core's worth, and together what one would make."""

import cv2
import grain

from input_pipeline.batches.worker_batches import WorkerBatches


def _opencv_threads(_):
    return cv2.getNumThreads()


def test_a_worker_is_one_thread_to_opencv():
    made = WorkerBatches(grain.MapDataset.range(1).map(_opencv_threads), workers=1)
    try:
        assert next(made) == 1
    finally:
        made.close()


def test_batches_come_in_order_from_any_position():
    made = WorkerBatches(grain.MapDataset.range(100).map(_square), workers=2)
    try:
        assert [next(made) for _ in range(3)] == [0, 1, 4]
        assert made.get_state() == {"next_index": 3}
        made.set_state({"next_index": 7})
        assert [next(made) for _ in range(3)] == [49, 64, 81]
    finally:
        made.close()


def _square(number):
    return number**2
