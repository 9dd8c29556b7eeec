"""How a shared training begins: its processes meet, and rank 0 tells the others what is trained and from
where."""

import json
from pathlib import Path
from typing import Any

import torch

from engine.presets import spec_from_dict, spec_to_dict
from engine.ranks.alone import Ranks
from engine.ranks.companions import Sharing
from engine.runs import read_verified
from engine.training import Trainer

LENGTH = 8
"""Bytes that say how long the header is."""


def met(sharing: Sharing | None, device: torch.device) -> Ranks:
    """The processes of a training as rank 0 has them; by itself, where nobody shares it. Raises Lost."""
    if sharing is None:
        return Ranks()
    # torch.distributed takes a moment to import, which nobody else needs.
    from engine.ranks.group import joined

    if device.type == "cuda":
        torch.cuda.set_device(device)
    return joined(0, sharing.processes, sharing.store, sharing.who)


def tell(trainer: Trainer, checkpoint: Path | None, **more: bool) -> None:
    """Tells the others the spec, the checkpoint's bytes (none: from the start), threads, path and `more`:
    whether a validation is due first (`unvalidated`) and whether the time is `over`.

    Then all make sure that they begin with the same numbers.
    """
    ranks, learner = trainer.ranks, trainer.learner
    if ranks.count == 1:
        return
    facts = {"spec": spec_to_dict(trainer.spec), "threads": torch.get_num_threads(), "path": learner.path}
    head = json.dumps(facts | more).encode()
    data = b"" if checkpoint is None else read_verified(checkpoint)
    ranks.told(len(head).to_bytes(LENGTH, "big") + head + data)
    trainer.agree()


def heard(ranks: Ranks) -> tuple[dict[str, Any], bytes]:
    """What `tell` said, its `spec` as a Spec; and the checkpoint's bytes."""
    said = ranks.told()
    end = LENGTH + int.from_bytes(said[:LENGTH], "big")
    head = json.loads(said[LENGTH:end])
    return head | {"spec": spec_from_dict(head["spec"], "the spec of process 0")}, said[end:]
