"""What a run says of a fault that ends it."""

from contextlib import suppress

from engine.runs.checkpoints import newest_good_checkpoint
from engine.runs.files import plain
from engine.runs.status_writer import StatusWriter
from engine.runs.store import Run


def failed(status: StatusWriter, reason: str) -> None:
    """Says so; where that cannot be written now, leaving the status writer tries again."""
    with suppress(OSError):
        status.update(state="failed", phase="", error=reason)


def disk_fault(run: Run, error: OSError) -> str:
    """What could not be written, what is kept, and how to go on."""
    saved = newest_good_checkpoint(run)
    kept = f"the last good checkpoint is of iteration {saved.step:,}" if saved else "no checkpoint yet"
    what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
    return plain(f"{what}; {kept}; once that is mended: kshot runs resume {run.id}", 500)
