"""What every provider can do."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from providers.snapshots import Account, FetchFailure, Hardware, JobRef, JobSnapshot, Listing


class Provider(Protocol):
    """A place that trains jobs. Raises ``ProviderError``, never a transport's own error."""

    name: ClassVar[str]
    label: ClassVar[str]

    def account(self) -> Account:
        """Who we are to the provider; the cheapest check of the credentials."""

    def hardware(self) -> Sequence[Hardware]:
        """The machines on offer."""

    def list_recent(self, *, limit: int = 100) -> Listing:
        """Return the newest jobs of the account. Raises only if nothing at all could be read."""

    def fetch(self, job: JobRef) -> JobSnapshot:
        """One job, with its whole log."""

    def fetch_many(self, jobs: Sequence[JobRef]) -> Iterator[JobSnapshot | FetchFailure]:
        """Many jobs in as few calls as the provider allows; exactly one answer for each job asked for."""

    def create(self, request: Mapping[str, Any]) -> JobSnapshot:
        """Start a job. Never retried here: after a time-out nobody knows whether it started."""

    def cancel(self, job: JobRef) -> JobSnapshot:
        """Ask for the job's end, and return what the provider then says of it."""
