"""Django's secret key: made once per installation, readable by its owner alone."""

from pathlib import Path

from django.core.management.utils import get_random_secret_key

from jobs.key_file import load_or_make
from simpletuner_cloud import env


def load_or_create(path: Path) -> str:
    """Return ``SIMPLETUNER_SECRET_KEY``, else the key kept in ``path``, which is made if it is missing."""
    return env.text("SIMPLETUNER_SECRET_KEY") or load_or_make(path, get_random_secret_key)
