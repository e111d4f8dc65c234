"""The stretch of an image's values to 0-255, decided once for everything that is shown together."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_PERCENTILES = (1.0, 98.5)

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Stretch:
    """The values of red, green and blue that become 0 and 255."""

    low: Triple = (0.0, 0.0, 0.0)
    high: Triple = (255.0, 255.0, 255.0)

    @classmethod
    def of(cls, colours: NDArray[np.float64]) -> "Stretch":
        """Return the stretch between two percentiles of colours `(n, 3)`, n > 0."""
        low, high = np.percentile(colours, _PERCENTILES, axis=0)
        flat = high <= low
        high[flat] = low[flat] + 1
        return cls((low[0], low[1], low[2]), (high[0], high[1], high[2]))

    def applied(self, pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Return pixels `(height, width, 3)` of any number type as 8-bit colours."""
        if self == Stretch() and pixels.dtype == np.uint8:
            return np.ascontiguousarray(pixels.astype(np.uint8, copy=False))
        if pixels.dtype == np.uint8:
            table = self._scaled(np.arange(256)[:, None].repeat(3, axis=1))
            contiguous = np.ascontiguousarray(pixels.astype(np.uint8, copy=False))
            return np.asarray(cv2.LUT(contiguous, table[None]), np.uint8)
        return self._scaled(pixels)

    def _scaled(self, pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
        low, high = np.array(self.low, np.float32), np.array(self.high, np.float32)
        scaled = (pixels.astype(np.float32) - low) * (255 / (high - low))
        return np.clip(scaled + 0.5, 0, 255).astype(np.uint8)
