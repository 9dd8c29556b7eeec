"""What can be told of a copy of a published data set: whether its images can be those that were published.

Files of a lossy encoding are not, where the images were published without loss. Where they were published as
a list of photographs alone, every copy is somebody's own, and nobody can tell one from another.
"""

from collections.abc import Sequence

from engine.data.datasets import Dataset
from engine.data.sources import Member, Source
from engine.errors import RequestError

LOSSY = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WebP"}
LOOKED_INTO = 20
"""Files of a source that are opened, spread evenly: a name may end in another encoding than its file has."""
UNKNOWN = "unknown copy"


def copy_note(dataset: Dataset, listed: Sequence[tuple[Source, list[Member]]]) -> tuple[str, ...]:
    """What a reader of a result must know of how these files are encoded; nothing of one's own images."""
    if dataset.source_size is None:
        return ()
    found = {kind for source, members in listed for kind in _encodings(source, members)}
    if dataset.as_files or found == {"WebP"}:
        return (f"recompressed ({', '.join(sorted(found))})",) if found else ()
    kinds = ", ".join(sorted(found)) or "lossless"
    return (f"{UNKNOWN} ({kinds}): published as a list of photographs, not as files",)


def _encodings(source: Source, members: Sequence[Member]) -> set[str]:
    """The lossy encodings of a source's files."""
    named = {member.name[member.name.rfind(".") :].lower() for member in members}
    found = {kind for suffix, kind in LOSSY.items() if suffix in named}
    for member in members[:: max(1, len(members) // LOOKED_INTO)]:
        try:
            content = source.read(member)
        except RequestError:  # said where the images are read
            continue
        if content.startswith(b"\xff\xd8\xff"):
            found.add("JPEG")
        elif content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            found.add("WebP")
    source.close()
    return found
