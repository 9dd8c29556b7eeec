"""Chance as a function of keys: the same numbers on every machine, in any order and any number of threads.

numpy's generators may change their distributions between versions, and its transcendental functions differ in
the last bit between processors. Here are integer hashing (SplitMix64, Steele et al. 2014) and plain
arithmetic.
"""

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def bits(*keys: np.ndarray | int) -> np.ndarray:
    """64 random bits for each combination of keys, broadcast against one another."""
    state = np.zeros((), np.uint64)
    with np.errstate(over="ignore"):
        for key in keys:
            state = _mix((state ^ np.asarray(key).astype(np.uint64)) + _GOLDEN)
    return state


def uniform(low: float, high: float, *keys: np.ndarray | int) -> np.ndarray:
    """Uniform numbers in [low, high)."""
    return low + (high - low) * ((bits(*keys) >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def normal(*keys: np.ndarray | int) -> np.ndarray:
    """Nearly normal numbers of mean 0, deviation 1: four uniform ones of 16 bits added; never past 3.5."""
    drawn = bits(*keys)
    total = np.zeros(drawn.shape, np.uint64)
    for shift in (0, 16, 32, 48):
        total = total + ((drawn >> np.uint64(shift)) & np.uint64(0xFFFF))
    return (total.astype(np.float64) - 131070.0) * (1.7320508075688772 / 65536.0)


def cosine_sine(angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine of angles in radians by their series; exact to 1e-9 within two turns."""
    quarter = angle * 0.25
    square = quarter * quarter
    cosine, sine = np.ones_like(square), np.ones_like(square)
    for power in range(20, 0, -2):
        cosine = 1.0 - cosine * square / (power * (power - 1))
        sine = 1.0 - sine * square / (power * (power + 1))
    sine = sine * quarter
    for _ in range(2):
        cosine, sine = cosine * cosine - sine * sine, 2.0 * cosine * sine
    return cosine, sine


def exponential(x: np.ndarray) -> np.ndarray:
    """e to the power of x by its series, for |x| below 2."""
    value = np.ones_like(x)
    for power in range(18, 0, -1):
        value = 1.0 + value * x / power
    return value


def _mix(state: np.ndarray) -> np.ndarray:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
