"""Which path computes a body's passes, or an mlp's whole walks: the fused core, or the generic one, which can
do everything."""

from copy import copy

import torch

from engine.fused.library import NoKernelsError, kernels
from engine.models import Body
from engine.models.conv4 import Conv4
from engine.models.mlp import Mlp
from engine.presets.schema import Spec
from engine.presets.shapes import training_shape
from engine.whole_walks import kernels_off, no_whole_walks

FUSED = "fused"
"""What a training's path is called; any other begins with the word below and says why."""
GENERIC = "generic"
CAPTURED = "captured"
"""What the path of a training by CUDA graphs is called."""


def chosen_path(spec: Spec, body: Body, device: torch.device, dtype: torch.dtype) -> str:
    """`fused`, or `generic: ` with the reason. Compiles the kernels, if they never were and would serve."""
    reason = _reason(spec, body, device, dtype)
    return FUSED if reason is None else f"{GENERIC}: {reason}"


def generic_body(body: Body) -> Body:
    """The same body on the generic path: what is differentiated forwards has no kernels."""
    if not isinstance(body, Conv4):
        return body
    found = copy(body)
    found.kernels = False
    return found


def _reason(spec: Spec, body: Body, device: torch.device, dtype: torch.dtype) -> str | None:
    if not isinstance(body, Conv4 | Mlp):
        return f"there are no kernels for the body {spec.model.name}"
    if isinstance(body, Conv4) and body.norm != "batch":
        return "there are no kernels for conv4 without batch normalisation"
    if isinstance(body, Mlp):
        if spec.outer.rule not in ("meta-gradient", "interpolate"):
            return f"the kernels for an mlp know nothing of the outer rule {spec.outer.rule}"
        if (unknown := no_whole_walks(spec.model, spec.adaptation)) is not None:
            return f"the kernels for an mlp know nothing of {unknown}"
        ways, shots, _ = training_shape(spec)
        if spec.adaptation.batch is not None and spec.adaptation.batch < ways * shots:
            return "the kernels for an mlp know nothing of mini-batches of the support set"
    if device.type != "cpu":
        return f"the kernels are for the CPU, not for {device.type}"
    if (off := kernels_off()) is not None:
        return off
    try:
        if isinstance(body, Mlp):
            from engine.fused.desk import BITS

            kernels("mlp", BITS[dtype])
            return None
        from engine.fused.maps import lanes

        if body.filters % lanes(dtype):
            return f"the kernels take filters by {lanes(dtype)}, and there are {body.filters}"
    except NoKernelsError as reason:
        return str(reason)
    return None
