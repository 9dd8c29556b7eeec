"""The workbench, whose trainings are done by the stand-in worker: they stream, but cost nothing."""

import sys
from pathlib import Path

from engine.runs import processes
from tui import cli

WORKER = Path(__file__).with_name("standin_worker.py")
processes.worker_command = lambda *asked: [sys.executable, "-P", str(WORKER), *asked]

if __name__ == "__main__":
    cli.main()
