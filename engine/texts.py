"""Text from files and people as one line that is safe to show."""

import unicodedata


def plain(text: str) -> str:
    """One line without control characters: a name in a file cannot move the cursor or colour the screen."""
    if text.isprintable():
        return text
    return "".join(
        " " if character.isspace() else character
        for character in text
        if character.isspace() or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
    )
