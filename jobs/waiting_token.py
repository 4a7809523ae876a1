"""A real account's token in the live store's folder: that it was stored, and, until the live store has it, itself.

A sandbox that is given a token goes on as it is; the token waits here, encrypted, for the next start. That the file is
there tells the next start that the live store is meant (simpletuner_cloud.store_mode); no database is asked for that.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from jobs.key_file import replace

SUFFIX = "-token.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingToken:
    """A token on its way into the live store. ``ciphertext`` is text; ``set_at`` in ISO 8601."""

    ciphertext: str
    last_four: str
    set_at: str
    set_by: str

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.set_at)


def exists_any(folder: Path) -> bool:
    """Whether a token of any provider was stored for the store that lies in ``folder``."""
    return any(folder.glob(f"*{SUFFIX}"))


def keep(folder: Path, provider: str, token: WaitingToken) -> None:
    """Put a token there, instead of one that waits. Raises ``OSError``."""
    replace(_path(folder, provider), json.dumps(asdict(token)))


def read(folder: Path, provider: str) -> WaitingToken | None:
    """The token that waits; ``None`` if none does, or what is there cannot be read."""
    try:
        token = WaitingToken(**json.loads(_path(folder, provider).read_text(encoding="ascii")))
        _ = token.moment
    except (OSError, ValueError, TypeError):
        return None
    return token


def mark(folder: Path, provider: str) -> None:
    """From now on the token is in the live store's database, and only the fact stands here. Raises ``OSError``."""
    replace(_path(folder, provider), "{}")


def remove(folder: Path, provider: str) -> None:
    """Neither token nor fact any more. Raises ``OSError``."""
    _path(folder, provider).unlink(missing_ok=True)


def _path(folder: Path, provider: str) -> Path:
    return folder / f"{provider}{SUFFIX}"
