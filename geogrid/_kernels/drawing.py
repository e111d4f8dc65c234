"""Paint flat shapes and grain into an RGB image."""

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def fill_quads(
    image: NDArray[np.uint8],
    grain: NDArray[np.uint8],
    quads: NDArray[np.float32],
    colours: NDArray[np.uint8],
    grains: NDArray[np.uint8],
) -> None:
    """Fill convex quadrilaterals `(n, 4, 2)` of (x, y) pixels, in order, where they hold a centre.

    Works in place: `image` is (height, width, 3), `grain` (height, width).
    """
    height, width = grain.shape
    for k in range(len(quads)):
        quad = quads[k]
        low_x, high_x = quad[:, 0].min(), quad[:, 0].max()
        low_y, high_y = quad[:, 1].min(), quad[:, 1].max()
        turn = 0.0
        for a in range(4):
            b = (a + 1) % 4
            turn += quad[a, 0] * quad[b, 1] - quad[b, 0] * quad[a, 1]
        sign = 1.0 if turn > 0 else -1.0
        for row in range(max(int(low_y), 0), min(int(high_y) + 1, height)):
            y = row + 0.5
            for col in range(max(int(low_x), 0), min(int(high_x) + 1, width)):
                x = col + 0.5
                inside = True
                for a in range(4):
                    b = (a + 1) % 4
                    cross = (quad[b, 0] - quad[a, 0]) * (y - quad[a, 1]) - (
                        quad[b, 1] - quad[a, 1]
                    ) * (x - quad[a, 0])
                    if cross * sign < 0:
                        inside = False
                        break
                if inside:
                    image[row, col] = colours[k]
                    grain[row, col] = grains[k]


@njit(cache=True)
def draw_segments(
    image: NDArray[np.uint8],
    grain: NDArray[np.uint8],
    segments: NDArray[np.float32],
    half_widths: NDArray[np.float32],
    colours: NDArray[np.uint8],
    grains: NDArray[np.uint8],
) -> None:
    """Draw segments `(n, 2, 2)` of (x, y) pixels, soft at the sides, in order and in place.

    What is narrower than a pixel is mixed into it.
    """
    height, width = grain.shape
    for k in range(len(segments)):
        ax, ay = segments[k, 0, 0], segments[k, 0, 1]
        bx, by = segments[k, 1, 0], segments[k, 1, 1]
        half = half_widths[k]
        reach = half + 1
        strongest = min(1.0, 2 * half)
        dx, dy = bx - ax, by - ay
        square = max(dx * dx + dy * dy, 1e-9)
        for row in range(
            max(int(min(ay, by) - reach), 0), min(int(max(ay, by) + reach) + 1, height)
        ):
            y = row + 0.5
            for col in range(
                max(int(min(ax, bx) - reach), 0), min(int(max(ax, bx) + reach) + 1, width)
            ):
                x = col + 0.5
                way = min(max(((x - ax) * dx + (y - ay) * dy) / square, 0.0), 1.0)
                distance = np.hypot(x - ax - way * dx, y - ay - way * dy)
                part = min(half - distance + 0.5, strongest)
                if part <= 0:
                    continue
                for band in range(3):
                    mixed = image[row, col, band] * (1 - part) + colours[k, band] * part
                    image[row, col, band] = np.uint8(mixed + 0.5)
                if part > 0.5:
                    grain[row, col] = grains[k]


@njit(cache=True)
def weather(
    image: NDArray[np.uint8],
    grain: NDArray[np.uint8],
    light: NDArray[np.float32],
    origin_row: int,
    origin_col: int,
    seed: int,
) -> NDArray[np.uint8]:
    """Return the image under uneven light, with grain and sensor noise.

    The noise of a pixel hangs on its absolute row and column only. `light` is (height, width),
    1 being even.
    """
    height, width = grain.shape
    out = np.empty_like(image)
    for row in range(height):
        for col in range(width):
            state = np.uint64(seed * 1_000_003 + 1)
            state ^= np.uint64(row + origin_row) * np.uint64(0x9E3779B97F4A7C15)
            state ^= np.uint64(col + origin_col) * np.uint64(0xC2B2AE3D27D4EB4F)
            state = (state ^ (state >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state ^= state >> np.uint64(31)
            # Two dice make a tent-shaped distribution between -1 and 1, shared by the bands.
            common = ((state & np.uint64(0xFF)) + ((state >> np.uint64(8)) & np.uint64(0xFF))) / 255
            shared = (common - 1.0) * grain[row, col]
            for band in range(3):
                own = np.float64((state >> np.uint64(16 + 8 * band)) & np.uint64(0xFF)) / 127.5 - 1
                value = image[row, col, band] * light[row, col] + shared + 3.0 * own
                out[row, col, band] = np.uint8(min(max(value, 1.0), 255.0))
    return out
