"""Small affine warps of images: the same drawing as another hand, another lens would give it.

Each image is turned, sheared, scaled and shifted a little, by numbers drawn for its place in its task, so
that neither batch size nor a resumed run changes them.
"""

import torch
import torch.nn.functional as functional
from torch import Tensor

NUMBERS = 6
"""Numbers in [0, 1) that one warp takes."""
TURN = torch.pi / 18
SHEAR = 0.1
LOG_SCALE = 0.1
SHIFT = 0.05
"""Most that a warp turns (radians), shears, stretches each axis (log) and shifts (of a side)."""


def warped(images: Tensor, fraction: Tensor) -> Tensor:
    """Images `[..., C, H, W]` warped by `fraction [..., 6]`, each uniform in [0, 1); one half is no change.

    Bilinear; what comes in from outside repeats the edge.
    """
    flat = images.flatten(0, -4)
    matrices = _matrices(fraction.flatten(0, -2)).to(flat.device, flat.dtype)
    grid = functional.affine_grid(matrices, list(flat.shape), align_corners=False)
    found = functional.grid_sample(flat, grid, "bilinear", "border", align_corners=False)
    return found.reshape(images.shape)


def _matrices(fraction: Tensor) -> Tensor:
    """`[B, 2, 3]`: where each point of the warped image lies in the original, sides from −1 to 1."""
    turn, shear, wide, high, right, down = (2 * fraction - 1).unbind(-1)
    cosine, sine = torch.cos(TURN * turn), torch.sin(TURN * turn)
    # A turn after a shear along x after a stretch.
    x_of_x, y_of_y = torch.exp(LOG_SCALE * wide), torch.exp(LOG_SCALE * high)
    x_of_y = SHEAR * shear * y_of_y
    first = torch.stack([cosine * x_of_x, cosine * x_of_y - sine * y_of_y, 2 * SHIFT * right], -1)
    second = torch.stack([sine * x_of_x, sine * x_of_y + cosine * y_of_y, 2 * SHIFT * down], -1)
    return torch.stack([first, second], -2)
