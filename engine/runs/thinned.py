"""Events of which a bounded number is kept, evenly spaced over all that came."""

from typing import Any

from engine.runs.column_rows import whole

MOST = 64


class Thinned:
    """At most `MOST` events by rising step: every one, then every second, every fourth."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []
        self._stride, self._since = 1, 0

    def add(self, event: dict[str, Any]) -> None:
        """Keeps an event with a whole step, or passes it over; others have no place in the order."""
        if not whole(event.get("step")):
            return
        if self._since == 0:
            self.kept.append(event)
        self._since = (self._since + 1) % self._stride
        if len(self.kept) > MOST:
            # The one added last is the next in the wider order too: MOST is even.
            self.kept, self._stride = self.kept[::2], 2 * self._stride
            self._since = 1

    def cut(self, step: float) -> None:
        """Drops those beyond a step: a resumed run repeats them."""
        self.kept = [event for event in self.kept if event["step"] <= step]
        self._since = 0

    def said(self) -> dict[str, Any]:
        """For keeping in a file."""
        return {"stride": self._stride, "since": self._since, "kept": self.kept}

    @classmethod
    def heard(cls, said: Any) -> "Thinned":
        """From what was kept. Raises ValueError, KeyError or TypeError for what cannot be that."""
        made = cls()
        made._stride, made._since, made.kept = said["stride"], said["since"], list(said["kept"])
        if not all(isinstance(event, dict) and whole(event.get("step")) for event in made.kept):
            raise ValueError("events without a step")
        if not (whole(made._stride) and whole(made._since) and 0 <= made._since < made._stride):
            raise ValueError("a stride that is none")
        if len(made.kept) > MOST:
            raise ValueError("more events than are kept")
        return made
