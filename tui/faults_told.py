"""Which faults of the looking are news: one that stands, or comes and goes, is told once."""

import time

AGAIN_SECONDS = 60.0
"""After so long a fault that had gone is told again."""


class FaultsTold:
    """What was told of pictures' faults, a picture after the other."""

    def __init__(self) -> None:
        self._standing: str | None = None
        self._seen: dict[str, float] = {}

    def is_news(self, fault: str | None) -> bool:
        """Whether a picture's fault has to be told."""
        if fault is None or fault == self._standing:
            self._standing = fault
            return False
        self._standing, now = fault, time.monotonic()
        self._seen = {text: seen for text, seen in self._seen.items() if now - seen < AGAIN_SECONDS}
        is_news = fault not in self._seen
        self._seen[fault] = now
        return is_news
