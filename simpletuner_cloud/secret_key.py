"""Django's secret key: made once per installation, readable by its owner alone."""

import os
from pathlib import Path

from django.core.management.utils import get_random_secret_key

from simpletuner_cloud import env


def load_or_create(path: Path) -> str:
    """Return ``SIMPLETUNER_SECRET_KEY``, else the key kept in ``path``, which is made if it is missing."""
    given = env.text("SIMPLETUNER_SECRET_KEY")
    if given:
        return given
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii")
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key := get_random_secret_key())
    return key
