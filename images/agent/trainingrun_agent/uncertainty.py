"""How far a measured score may be off because few images were measured.

Wilson's interval (Wilson, 1927), which holds for small numbers too (Brown, Cai, DasGupta, Statistical Science 2001). It
is for shares, such as the recall of n objects. An average precision is treated as the mean over n images of a number
from 0 to 1, whose variance is that of a share at most. That is an approximation.
"""

from __future__ import annotations

from math import sqrt

Z = 1.96
"""Standard deviations of a 95 % interval."""
FEW_IMAGES, FEW_OBJECTS = 20, 5
"""Below these, an interval is reported: it reaches 0.2 and 0.3 to each side. Rules of thumb."""


def uncertainty(score: float, count: int) -> float:
    """The distance from a score that was measured on `count` images or objects to the farther end of its interval."""
    if count < 1:
        return 1.0
    share = min(1.0, max(0.0, score))
    shrink = 1 + Z * Z / count
    centre = (share + Z * Z / (2 * count)) / shrink
    half = Z / shrink * sqrt(share * (1 - share) / count + Z * Z / (4 * count * count))
    return abs(centre - share) + half
