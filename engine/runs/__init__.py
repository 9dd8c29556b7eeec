"""Run directories: the one place where those who train and those who look meet. Never imports torch."""

from engine.runs.checkpoints import (
    Checkpoint,
    CheckpointError,
    checkpoint_name,
    damaged_checkpoints,
    list_checkpoints,
    newest_good_checkpoint,
    prune_checkpoints,
    read_verified,
    write_checkpoint,
)
from engine.runs.control import ask, asked, clear
from engine.runs.events import EventWriter, last_seq, latest, read_events
from engine.runs.files import plain
from engine.runs.listing import Summary, list_runs, summarise
from engine.runs.locks import adopt
from engine.runs.processes import fork_run, resume_run, spawn, start_worker
from engine.runs.results import (
    evaluation_id,
    pending_requests,
    read_evaluations,
    read_result,
    read_results,
    withdraw_request,
    write_request,
    write_result,
)
from engine.runs.reuse import choose
from engine.runs.slots import hold_slot
from engine.runs.status import Status, StatusWatcher, read_status
from engine.runs.status_writer import StatusWriter
from engine.runs.store import Run, acquire, all_runs, create_run, find_run, is_held, runs_folder
from engine.runs.trash import Pruned, prune, remove, undo_remove

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "EventWriter",
    "Pruned",
    "Run",
    "Status",
    "StatusWatcher",
    "StatusWriter",
    "Summary",
    "acquire",
    "adopt",
    "all_runs",
    "ask",
    "asked",
    "checkpoint_name",
    "choose",
    "clear",
    "create_run",
    "damaged_checkpoints",
    "evaluation_id",
    "find_run",
    "fork_run",
    "hold_slot",
    "is_held",
    "last_seq",
    "latest",
    "list_checkpoints",
    "list_runs",
    "newest_good_checkpoint",
    "pending_requests",
    "plain",
    "prune",
    "prune_checkpoints",
    "read_evaluations",
    "read_events",
    "read_result",
    "read_results",
    "read_status",
    "read_verified",
    "remove",
    "resume_run",
    "runs_folder",
    "spawn",
    "start_worker",
    "summarise",
    "undo_remove",
    "withdraw_request",
    "write_checkpoint",
    "write_request",
    "write_result",
]
