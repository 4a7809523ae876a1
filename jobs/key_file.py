"""Keys that are made once and kept in a file of their own, which its owner alone can read."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def load_or_make(path: Path, make: Callable[[], str]) -> str:
    """Return what stands in ``path``; made and written if it is not there. Raises ``OSError``.

    Processes that need it at the same moment get the same key: the file appears whole or not at all, and once.
    """
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    written = write_beside(path, make())
    try:
        # A link is refused if somebody else was quicker, where a rename would replace what he may have used already.
        os.link(written, path)
    except FileExistsError:
        pass
    finally:
        written.unlink()
    return path.read_text(encoding="ascii").strip()


def replace(path: Path, text: str) -> None:
    """Write the file anew: whoever reads it meanwhile sees the old text or the new one. Raises ``OSError``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(write_beside(path, text), path)


def write_beside(path: Path, text: str) -> Path:
    """Write a new file in the same directory, for its owner alone, down to the disk; returns its path."""
    # mkstemp makes it with mode 0600.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)
