"""How the threads of this process share its cores."""

import cv2


def keep_opencv_to_one_thread() -> None:
    """Stops OpenCV from sharing out one call among threads, for the whole process.

    The input pipeline's threads work on an image each and keep all cores busy; more of them get in
    their way.
    """
    cv2.setNumThreads(1)
