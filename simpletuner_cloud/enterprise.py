"""``simpletuner-enterprise.yaml`` -> one frozen, checked value (SPEC A5.3, A7.1).

Only the parts that this product reads are checked; the file may hold more for others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from django.core.exceptions import ImproperlyConfigured

from jobs.outgoing_urls import Rules, check_form
from jobs.policy import MAXIMUM_INTERVAL_SECONDS, MINIMUM_POLL_SECONDS, MINIMUM_QUEUE_SECONDS

NEVER_RECONCILE = 0.0
SANDBOX_RULES = Rules(loopback=True)


@dataclass(frozen=True, slots=True)
class EnterpriseConfig:
    """What the file says; ``None`` where it says nothing. Intervals are in seconds; never to reconcile is 0."""

    job_polling_enabled: bool | None = None
    job_polling_interval: float | None = None
    reconcile_seconds: float | None = None
    queue_processing_enabled: bool | None = None
    queue_processing_interval: float | None = None
    webhook_urls: Mapping[str, str] = field(default_factory=dict)


def load(path: Path, rules: Rules = SANDBOX_RULES) -> EnterpriseConfig:
    """Read the file; without one, nothing is configured. Raises ``ImproperlyConfigured`` naming the setting.

    ``rules``: which addresses a webhook URL may lead to. Names are looked up when they are used: no start waits for it.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return EnterpriseConfig()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{path.name} cannot be read: {error}.") from error
    try:
        document = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2026-13-01
        raise ImproperlyConfigured(f"{path.name} is not valid YAML: {error}") from error
    return parse(document, rules, name=path.name)


def parse(
    document: object, rules: Rules = SANDBOX_RULES, *, name: str = "simpletuner-enterprise.yaml"
) -> EnterpriseConfig:
    """Check a parsed document; ``name`` stands before every complaint."""
    try:
        return _read(_Section("", document), rules)
    except ImproperlyConfigured as error:
        raise ImproperlyConfigured(f"{name}: {error}") from error


def _read(root: "_Section", rules: Rules) -> EnterpriseConfig:
    background = root.section("background")
    polling = background.section(
        "job_status_polling", known=("enabled", "interval_seconds", "job_polling_interval", "reconcile_seconds")
    )
    queue = background.section("queue_processing", known=("enabled", "interval_seconds"))
    intervals = (
        polling.seconds("interval_seconds", MINIMUM_POLL_SECONDS),
        polling.seconds("job_polling_interval", MINIMUM_POLL_SECONDS),
        background.seconds("job_polling_interval", MINIMUM_POLL_SECONDS),
        root.seconds("job_polling_interval", MINIMUM_POLL_SECONDS),
    )
    enabled = (polling.flag("enabled"), background.flag("job_polling_enabled"), root.flag("job_polling_enabled"))
    return EnterpriseConfig(
        job_polling_enabled=next((value for value in enabled if value is not None), None),
        job_polling_interval=next((value for value in intervals if value is not None), None),
        reconcile_seconds=polling.seconds("reconcile_seconds", NEVER_RECONCILE),
        queue_processing_enabled=queue.flag("enabled"),
        queue_processing_interval=queue.seconds("interval_seconds", MINIMUM_QUEUE_SECONDS),
        webhook_urls=_webhook_urls(root.section("providers"), rules),
    )


def _webhook_urls(providers: "_Section", rules: Rules) -> dict[str, str]:
    found = {}
    for provider in providers.names():
        section = providers.section(provider)
        url = section.values.get("webhook_url")
        if url not in (None, ""):
            try:
                found[provider] = check_form(url, rules)
            except ValueError as error:
                raise ImproperlyConfigured(f"{section.path('webhook_url')} {error}.") from error
    return found


class _Section:
    """A mapping of the document, with the dotted name that error messages use."""

    def __init__(self, name: str, values: object, *, known: tuple[str, ...] | None = None) -> None:
        self.name = name
        if values is None:
            values = {}
        if not isinstance(values, dict):
            raise ImproperlyConfigured(f"{name or 'the document'} must be a mapping; it is {type(values).__name__}.")
        self.values: dict[Any, Any] = values
        unknown = sorted(str(key) for key in values if known is not None and key not in known)
        if unknown:
            raise ImproperlyConfigured(
                f"{self.path(unknown[0])} is not a known setting; known: {', '.join(known or ())}."
            )

    def names(self) -> list[str]:
        return [str(key) for key in self.values]

    def section(self, key: str, *, known: tuple[str, ...] | None = None) -> "_Section":
        return _Section(self.path(key), self.values.get(key), known=known)

    def path(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key

    def flag(self, key: str) -> bool | None:
        value = self.values.get(key)
        if value is None or isinstance(value, bool):
            return value
        raise ImproperlyConfigured(f"{self.path(key)} must be true or false; it is {value!r}.")

    def seconds(self, key: str, minimum: float) -> float | None:
        value = self.values.get(key)
        if value is None:
            return None
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        # Not a number (.nan) fails both comparisons.
        if not is_number or not minimum <= value <= MAXIMUM_INTERVAL_SECONDS:
            limits = f"{minimum:g} and {MAXIMUM_INTERVAL_SECONDS:g}"
            raise ImproperlyConfigured(
                f"{self.path(key)} must be a number of seconds between {limits}; it is {value!r}."
            )
        return float(value)
