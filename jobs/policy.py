"""Should the poller run, how often, and why (SPEC A5.1, A5.3, A5.4, A7.2). Pure."""

from dataclasses import dataclass

DEFAULT_POLL_SECONDS = 30.0
DEFAULT_QUEUE_SECONDS = 5.0
MINIMUM_POLL_SECONDS = 5.0
MINIMUM_QUEUE_SECONDS = 1.0
MAXIMUM_INTERVAL_SECONDS = 86_400.0
# Webhooks get lost: Replicate repeats only the last one of a job, and for about a minute (its documentation).
RECONCILE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class PollingPolicy:
    """Whether to poll, every how many seconds, and the reason in words for the log and the health page.

    ``reconciles``: while polling is off, active jobs that nobody has heard of for a while are still looked after.
    """

    enabled: bool
    interval_seconds: float
    reason: str
    reconciles: bool = False

    def describe(self) -> str:
        """The line that operators look for at start-up (SPEC A5.5)."""
        if self.enabled:
            return f"job status polling is on, every {self.interval_seconds:g} s: {self.reason}"
        silent = (
            f"; jobs not heard of for {RECONCILE_SECONDS:g} s are asked for all the same" if self.reconciles else ""
        )
        return f"job status polling is off: {self.reason}{silent}"


def polling_policy(
    *,
    file_enabled: bool | None,
    file_interval: float | None,
    environment_interval: float | None,
    webhook_configured: bool,
) -> PollingPolicy:
    """An explicit word in the enterprise file wins; else a webhook makes polling needless; else it is on.

    The environment's interval wins over the file's, and the file's over the default of 30 s.
    """
    interval = environment_interval or file_interval or DEFAULT_POLL_SECONDS
    if file_enabled is True:
        return PollingPolicy(True, interval, "the enterprise file enables it")
    if file_enabled is False:
        return PollingPolicy(False, interval, "the enterprise file disables it")
    if webhook_configured:
        return PollingPolicy(False, interval, "a webhook URL is configured", reconciles=True)
    return PollingPolicy(True, interval, "no webhook URL is configured")
