"""The one exception that means: the request was wrong."""


class RequestError(Exception):
    """A request that cannot be served: one line that says what is wrong, where, and what would be right.

    The command line prints the line and exits with code 2; nothing has been written when it is raised.
    """
