"""A worker that notes whatever of its sockets another could reach: `watched_worker.py train|attend ...`."""

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

LISTENING = "0A"


def note(text: str) -> None:
    with Path(os.environ["KSHOT_WATCHED"]).open("a") as file:
        file.write(f"{text}\n")


def listening() -> set[str]:
    """The inodes of this process's TCP sockets that listen, and of its UDP sockets (Linux)."""
    mine = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            mine.add(str(entry.readlink()))
    found = set()
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        with suppress(OSError):
            for line in Path(f"/proc/self/net/{kind}").read_text().splitlines()[1:]:
                words = line.split()
                if (words[3] == LISTENING or kind.startswith("udp")) and f"socket:[{words[9]}]" in mine:
                    found.add(f"{kind} {words[1]}")
    return found


def watch(ended: threading.Event) -> None:
    while not ended.wait(0.05):
        for each in listening():
            note(f"listens: {each}")


def main() -> int:
    # What Python opens is told at once; what native code opens is seen by looking.
    sys.addaudithook(lambda event, details: note(f"bound: {details}") if event == "socket.bind" else None)
    ended = threading.Event()
    threading.Thread(target=watch, args=(ended,), daemon=True).start()
    from engine import worker

    code = worker.main(sys.argv[1:])
    ended.set()
    for each in listening():
        note(f"listens: {each}")
    note(f"{sys.argv[1]} ended with {code}")
    return code


if __name__ == "__main__":
    code = main()
    os._exit(code)
