"""`kshot`: the commands, and the one place where a wrong request becomes one line and exit code 2."""

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tui.terminal import can_show

COMPLETION = "_KSHOT_COMPLETE"
"""Set by the shell: what it completes, or the script for it, is asked of the command tree."""
DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130


def main() -> None:
    """The entry point `kshot`."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs one command; returns its exit code: 0 done, 1 a run failed, 2 a wrong request, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    refusal = refuse()
    if refusal is not None:
        # Said without `tui.output`, which needs the engine that was not found.
        print(f"kshot: {refusal}", file=sys.stderr)
        return WRONG
    from engine.errors import RequestError

    try:
        code = _invoke(arguments)
        sys.stdout.flush()
        return code
    except RequestError as error:
        return _wrong(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has left (`kshot runs list | head`); nothing more can be said to it.
        sys.stdout = sys.__stdout__
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return DONE
    except OSError as error:
        if error.strerror is None:
            raise
        return _wrong(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)


def refuse() -> str | None:
    """Why kshot cannot run here at all, in one line; None where it can."""
    if sys.platform == "win32":
        return (
            "native Windows is not supported; run kshot inside WSL (https://learn.microsoft.com/windows/wsl)"
        )
    found = importlib.util.find_spec("engine")
    beside = Path(__file__).resolve().parent.parent / "engine" / "__init__.py"
    if found is None or found.origin is None or Path(found.origin).resolve() != beside:
        return (
            f"the package `engine` that Python finds ({found.origin if found else 'none'}) is not the one "
            f"installed with kshot ({beside}); install kshot in an environment of its own"
        )
    return None


def _invoke(arguments: Sequence[str]) -> int:
    if not arguments and COMPLETION not in os.environ and can_show():
        # The workbench alone: the command tree would only hold up its first frame.
        from tui.app import run_workbench
        from tui.folders import folders

        return run_workbench(*folders(None, None))
    return _command(arguments)


def _command(arguments: Sequence[str]) -> int:
    import typer

    from tui.commands import app
    from tui.parameters import read_texts_plainly

    # Some versions of typer ship a copy of click: its exceptions are reached through one that typer exports.
    base: type[Exception] = next(
        kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
    )
    read_texts_plainly()
    command = typer.main.get_command(app)
    try:
        code = command.main(args=list(arguments), prog_name="kshot", standalone_mode=False)
    except typer.Abort:
        return INTERRUPTED
    except typer.Exit as leave:
        return leave.exit_code
    except SystemExit as leave:
        # click turns a reader that left into exit code 1; it is none of our codes.
        if isinstance(leave.__context__, BrokenPipeError):
            raise leave.__context__ from None
        raise
    except base as error:
        return _wrong(_usage(error))
    return code if isinstance(code, int) else DONE


def _usage(error: BaseException) -> str:
    """A usage error's message, with the command whose help says more."""
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "kshot"
    return f"{message.rstrip('.')}; see {path} --help"


def _wrong(message: str) -> int:
    from tui.output import say

    say("kshot: " + " ".join(message.split()))
    return WRONG


if __name__ == "__main__":
    main()
