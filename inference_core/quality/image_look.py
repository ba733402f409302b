"""How bright, contrasted and sharp an image is: what explains bad answers that the model is not to blame for."""

from __future__ import annotations

import cv2
import numpy as np

from inference_core.records import ImageLook, Uint8Array

LUMA_MAX = 255.0


def look_of(pixels: Uint8Array) -> ImageLook:
    """Measure a decoded image.

    Args:
        pixels: (H, W, 3) uint8 RGB, not modified.

    Returns:
        Mean and standard deviation of the luminance over 255, and the variance of its Laplacian (4 neighbours, edges
        mirrored) in squared steps of 255. Sharpness can be compared among images of one size.

    Cost: two planes of the image's size.

    Source: ITU-R BT.601 (luminance); Peli, Contrast in complex images, JOSA A 1990 (root mean square contrast);
    Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, ICPR 2000 (variance of the Laplacian).
    """
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    mean, std = cv2.meanStdDev(luma)
    _, edges_std = cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_16S))
    return ImageLook(
        brightness=float(np.float32(mean[0, 0] / LUMA_MAX)),
        contrast=float(np.float32(std[0, 0] / LUMA_MAX)),
        sharpness=float(np.float32(edges_std[0, 0] ** 2)),
    )
