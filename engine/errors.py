"""The one exception that means: the request was wrong."""


class RequestError(Exception):
    """A request that cannot be served: one line that says what is wrong, where, and what would be right.

    The command line prints the line and exits with code 2; nothing has been written when it is raised. What
    files and people said may stand in it: it is made one line, without its middle where it is endless.
    """

    def __init__(self, line: str) -> None:
        super().__init__(_short(" ".join(line.splitlines())))


LONGEST = 1200
"""Characters of a line: enough for two paths and a list of keys."""


def _short(line: str) -> str:
    if len(line) <= LONGEST:
        return line
    # Its end says what would be right.
    return f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"
