"""Colours in which a text can be read on its ground."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import to_rgb

#: Contrast of a text with its ground that WCAG 2 asks for; the luminance with which black and white contrast equally.
CONTRAST, MIDDLE = 4.5, 0.179


def legible(color: Any, ground: Any = "w") -> tuple[float, float, float]:
    """The nearest colour in which a text can be read: mixed with black, or on dark ground with white.

    Args:
        color: As matplotlib takes it.
        ground: What the text stands on.
    """
    own, end = np.array(to_rgb(color)), np.zeros(3) if luminance(ground) > MIDDLE else np.ones(3)
    for share in np.linspace(0, 1, 51):
        light, dark = sorted((luminance(own + share * (end - own)), luminance(ground)), reverse=True)
        if (light + 0.05) / (dark + 0.05) >= CONTRAST:
            break
    red, green, blue = own + share * (end - own)
    return float(red), float(green), float(blue)


def luminance(color: Any) -> float:
    """Relative luminance of a colour, from 0 (black) to 1 (white); WCAG 2.

    Args:
        color: As matplotlib takes it.
    """
    parts = np.array(to_rgb(color))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))
