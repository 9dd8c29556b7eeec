"""Text from files and people as one line that is safe to show."""

import unicodedata

UNSEEN = ("Cc", "Cf", "Cs")
"""Categories of Unicode that move the cursor, colour, turn or hide text, or are no characters at all."""
LINE_ENDS = ("Zl", "Zp")


def plain(text: str) -> str:
    """One line without control characters: a name in a file cannot move the cursor or colour the screen."""
    if text.isprintable():
        return text
    return "".join(
        " " if character.isspace() else character
        for character in text
        if character.isspace() or unicodedata.category(character) not in UNSEEN
    )


def escaped(json: str) -> str:
    """JSON text in which every such character of a string is written `\\uXXXX`: the same value to whoever
    reads it as JSON, harmless to a terminal. Line feeds between its parts stay."""
    return "\n".join(
        line if line.isprintable() else "".join(map(_escaped, line)) for line in json.split("\n")
    )


def _escaped(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) not in (*UNSEEN, *LINE_ENDS):
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in zip(units[::2], units[1::2], strict=True))

