"""Should the poller run, how often, and why (SPEC A5.1, A5.3, A5.4, A7.2). Pure."""

from dataclasses import dataclass

DEFAULT_POLL_SECONDS = 30.0
DEFAULT_QUEUE_SECONDS = 5.0
MINIMUM_POLL_SECONDS = 5.0
MINIMUM_QUEUE_SECONDS = 1.0
MAXIMUM_INTERVAL_SECONDS = 86_400.0
# Webhooks get lost: Replicate repeats only the last one of a job, and for about a minute (its documentation).
DEFAULT_RECONCILE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class PollingPolicy:
    """Whether to poll, every how many seconds, and the reason in words for the log and the health page.

    ``reconcile_seconds``: while webhooks stand in for polling, an active job that nobody has heard of for so long is
    asked for all the same; 0: never. ``None`` if webhooks do not stand in.
    """

    enabled: bool
    interval_seconds: float
    reason: str
    reconcile_seconds: float | None = None

    @property
    def reconciles(self) -> bool:
        """Whether a round covers the silent jobs alone."""
        return not self.enabled and bool(self.reconcile_seconds)

    def describe(self) -> str:
        """The line that operators look for at start-up (SPEC A5.5)."""
        if self.enabled:
            return f"job status polling is on, every {self.interval_seconds:g} s: {self.reason}"
        silent = ""
        if self.reconcile_seconds is not None:
            silent = (
                f"; jobs not heard of for {self.reconcile_seconds:g} s are asked for all the same"
                if self.reconcile_seconds
                else "; jobs not heard of are never reconciled"
            )
        return f"job status polling is off: {self.reason}{silent}"


def polling_policy(
    *,
    file_enabled: bool | None,
    file_interval: float | None,
    environment_interval: float | None,
    webhook_configured: bool,
    file_reconcile: float | None = None,
    environment_reconcile: float | None = None,
) -> PollingPolicy:
    """An explicit word in the enterprise file wins; else a webhook makes polling needless; else it is on.

    The environment's interval wins over the file's, and the file's over the default of 30 s. So it is with the
    seconds after which silent jobs are reconciled, where 0 is a word of its own, and the default 300 s.
    """
    interval = environment_interval or file_interval or DEFAULT_POLL_SECONDS
    if file_enabled is True:
        return PollingPolicy(True, interval, "the enterprise file enables it")
    if file_enabled is False:
        return PollingPolicy(False, interval, "the enterprise file disables it")
    if webhook_configured:
        said = (environment_reconcile, file_reconcile, DEFAULT_RECONCILE_SECONDS)
        reconcile = next(seconds for seconds in said if seconds is not None)
        return PollingPolicy(False, interval, "a webhook URL is configured", reconcile_seconds=reconcile)
    return PollingPolicy(True, interval, "no webhook URL is configured")
