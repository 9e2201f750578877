"""What a picture looks like at the size of a thumbnail, in a form that copies of it share.

A signature holds a 64-bit perceptual hash (the signs of the lowest 8×8 DCT coefficients of a 32×32
grey thumbnail, against their median), that thumbnail at 16×16, and a hash of the file. A picture
without structure says nothing by the first two, and is known by its file alone.
"""

import cv2
import numpy as np
from jaxtyping import UInt8

FLAT_GREY_LEVELS = 4.0
SIGNATURE = np.dtype(
    [
        ("perceptual_hash", np.uint64),
        ("thumbnail", np.uint8, (256,)),
        ("is_flat", bool),
        ("content", np.uint64),  # Of the file's hash; 0 where a file cannot be read.
    ]
)
# Goes up when a picture gets another signature than before.
VERSION = 1


def sign_picture(image: UInt8[np.ndarray, "height width 3"], content: bytes) -> np.void:
    """Makes the signature of a picture.

    Args:
        image: RGB.
        content: a digest of the file that it is of, 8 bytes or more.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    thumbnail = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA)
    coefficients = cv2.dct(thumbnail.astype(np.float32))[:8, :8].ravel()
    signature = np.zeros(1, SIGNATURE)
    signature["perceptual_hash"] = np.packbits(coefficients > np.median(coefficients)).view(
        np.uint64
    )[0]
    small = cv2.resize(thumbnail, (16, 16), interpolation=cv2.INTER_AREA)
    signature["thumbnail"] = small.ravel()
    signature["is_flat"] = thumbnail.std() < FLAT_GREY_LEVELS
    signature["content"] = np.frombuffer(content[:8], np.uint64)[0]
    return signature[0]


def unknown_signature() -> np.void:
    """Gives the signature of what cannot be read, which is like no other."""
    signature = np.zeros(1, SIGNATURE)
    signature["is_flat"] = True
    return signature[0]
