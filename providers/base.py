"""What every provider can do."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol

from providers.launch import MarkSearch, OnProgress, TrainingRequest, UploadedFile
from providers.snapshots import (
    Account,
    FetchFailure,
    Hardware,
    JobHint,
    JobRef,
    JobSnapshot,
    Listing,
    Page,
    SignedDelivery,
    StatusPage,
)


class Provider(Protocol):
    """A place that trains jobs. Raises ``ProviderError``, never a transport's own error."""

    name: ClassVar[str]
    label: ClassVar[str]
    lists: ClassVar[Sequence[str]]

    def account(self) -> Account:
        """Who we are to the provider; the cheapest check of the credentials."""

    def hardware(self) -> Sequence[Hardware]:
        """The machines on offer."""

    def status_page(self) -> StatusPage:
        """What the provider publishes of its own trouble. Asked without our credentials, and not for long."""

    def list_recent(self, *, limit: int = 100) -> Listing:
        """Return the newest jobs of the account. Raises only if nothing at all could be read."""

    def read_page(self, kind: str, cursor: str | None = None) -> Page:
        """One page of one of ``lists``: the newest, or the one that an earlier page's ``cursor`` leads to.

        Raises ``ProviderRejected`` or ``RemoteJobNotFound`` for a cursor that the provider does not know any more.
        """

    def fetch(self, job: JobRef) -> JobSnapshot:
        """One job, with its whole log."""

    def fetch_many(self, jobs: Sequence[JobRef]) -> Iterator[JobSnapshot | FetchFailure]:
        """Many jobs in as few calls as the provider allows; exactly one answer for each job asked for."""

    def create(self, request: Mapping[str, Any]) -> JobSnapshot:
        """Start a job. Never retried here: after a time-out nobody knows whether it started."""

    def newest_version(self, model: str) -> str:
        """The version of a trainer that a job is to be started with. Asks, and starts nothing."""

    def launch(self, request: TrainingRequest, version: str) -> JobSnapshot:
        """Start a job by one call, which is never repeated here; the snapshot carries the request's mark.

        An error leaves open whether it started, unless it is ``unsent`` or the provider refused it by a 4xx.
        """

    def find_marked(self, marks: Collection[str], *, since: datetime) -> MarkSearch:
        """Look through the provider's lists for jobs with these marks that were started since then.

        Raises ``ProviderError`` unless everything could be read: what is not found then is not there.
        """

    def upload(self, path: Path, name: str, on_progress: OnProgress) -> UploadedFile:
        """Bring a file to the provider, for a job to read."""

    def cancel(self, job: JobRef) -> JobSnapshot:
        """Ask for the job's end, and return what the provider then says of it."""

    def webhook_secret(self) -> str:
        """The secret that this account's webhooks are signed with."""

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> SignedDelivery:
        """Check a delivery's signature, without any call. Raises ``InvalidWebhook``."""

    def read_webhook(self, body: bytes, *, sent_at: datetime) -> JobSnapshot | JobHint:
        """Read a verified delivery. Raises ``UnexpectedPayload``."""
