"""What tests of submissions share."""

import io
import zipfile
from typing import Any

from jobs.access import ROLES, Actor

CONFIG: dict[str, Any] = {"model_family": "flux", "model_type": "lora", "max_train_steps": 1500}
DATASETS: list[dict[str, Any]] = [{"id": "images", "type": "local"}]
SECRET = "hubsecret-0123456789-wxyz"


def actor_of_role(user: Any, role: str) -> Actor:
    """An account as an actor of a role."""
    return Actor(user_id=user.pk, name=user.get_username(), permissions=ROLES[role], via="session")


def zip_bytes(size: int = 1000) -> bytes:
    """A zip archive of about that size."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("images/1.png", b"\x89PNG" + b"x" * size)
    return buffer.getvalue()
