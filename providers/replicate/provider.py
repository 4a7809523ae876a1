"""Replicate, by its HTTP API (https://replicate.com/docs/reference/http)."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from providers import names
from providers.calls import CallGovernor
from providers.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderNotThere,
    ProviderRateLimited,
    ProviderRejected,
    RemoteJobNotFound,
    UnexpectedPayload,
)
from providers.http import ApiAnswer, ApiClient
from providers.launch import MarkSearch, OnProgress, TrainingRequest, UploadedFile
from providers.multipart import FileForm
from providers.pool import ContextThreadPool
from providers.replicate import launching, mapping, status_page, webhooks
from providers.replicate.patience import Patience
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

TRAINING, PREDICTION = "training", "prediction"
COLLECTIONS = {TRAINING: "/v1/trainings", PREDICTION: "/v1/predictions"}

# Both lists hold 100 rows a page and take no page size (Replicate's OpenAPI).
PAGE_ROWS = 100
CONCURRENT_CALLS = 16
# Below this, asking one by one is cheaper than the two lists, and brings the logs.
FEW_JOBS = 2
# A page without a wanted job is worth the eighth part of the single calls that the pages behind it may save.
SINGLE_CALLS_PER_BLANK_PAGE = 8
MAX_PAGES = 200
# One refresh reads list pages for so long at most; what is behind them is asked for singly.
LISTS_SECONDS = 20.0
STATUS_URL = "https://www.replicatestatus.com/api/v1/summary"
STATUS_SECONDS = 5.0
# created_at is not stable at Replicate (it moves by fractions of a second between answers).
CREATED_AT_SLACK = timedelta(minutes=1)
# By so much Replicate's clock may be behind ours without a job of ours being overlooked.
CLOCK_SLACK = timedelta(minutes=15)
LONGEST_UPLOAD_SECONDS = 900.0


class ReplicateProvider:
    """Jobs of one Replicate account: its predictions and its trainings, which share one space of ids."""

    name: ClassVar[str] = mapping.PROVIDER
    label: ClassVar[str] = names.LABELS[name]
    lists: ClassVar[Sequence[str]] = tuple(COLLECTIONS)

    def __init__(
        self,
        *,
        token: str,
        base_url: str = "https://api.replicate.com",
        status_url: str = STATUS_URL,
        governor: CallGovernor | None = None,
    ) -> None:
        self._api = ApiClient(
            label=self.label, base_url=base_url, token=token, pool_size=2 * CONCURRENT_CALLS, governor=governor
        )
        # Another host, which is not to see the token, and whose trouble says nothing of the API's.
        self._status_page = ApiClient(
            label=f"{self.label}'s status page",
            base_url=status_url,
            token=None,
            pool_size=1,
            deadline_seconds=STATUS_SECONDS,
        )
        self._pool = ContextThreadPool(CONCURRENT_CALLS, thread_name_prefix="replicate")

    def account(self) -> Account:
        return mapping.account(self._api.get("/v1/account").payload)

    def hardware(self) -> Sequence[Hardware]:
        return mapping.hardware(self._api.get("/v1/hardware").payload)

    def status_page(self) -> StatusPage:
        """What https://www.replicatestatus.com says."""
        try:
            return status_page.status_page(self._status_page.get("").payload)
        except (ProviderAuthError, ProviderRejected, RemoteJobNotFound) as error:
            raise ProviderNotThere(f"{self.label}'s status page is not at {self._status_page.base_url}.") from error

    def webhook_secret(self) -> str:
        """The key that Replicate signs this account's webhooks with."""
        payload = self._api.get("/v1/webhooks/default/secret").payload
        return webhooks.check_secret(payload.get("key") if isinstance(payload, dict) else None)

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> SignedDelivery:
        return webhooks.verify(headers, body, secrets)

    def read_webhook(self, body: bytes, *, sent_at: datetime) -> JobSnapshot | JobHint:
        return webhooks.read(body, sent_at=sent_at)

    def list_recent(self, *, limit: int = 100) -> Listing:
        """Return the newest ``limit`` jobs of both lists together, each once.

        Raises an error only if neither list could be read; otherwise errors stand beside what was read.
        """
        reads = {kind: self._pool.submit(self._read_newest, kind, limit) for kind in COLLECTIONS}
        found: dict[str, JobSnapshot] = {}
        errors: list[ProviderError] = []
        failed_lists = 0
        for read in reads.values():
            try:
                snapshots, unreadable = read.result()
            except ProviderError as error:
                failed_lists += 1
                errors.append(error)
                continue
            errors.extend(unreadable)
            for snapshot in snapshots:
                found.setdefault(snapshot.external_id, snapshot)
        if failed_lists == len(COLLECTIONS):
            # Of two, the one that says when to ask again.
            raise next((error for error in errors if isinstance(error, ProviderRateLimited)), errors[0])
        newest = sorted(found.values(), key=_age_key, reverse=True)[:limit]
        return Listing(snapshots=tuple(newest), errors=tuple(errors))

    def read_page(self, kind: str, cursor: str | None = None) -> Page:
        """One page of the list of predictions or of trainings: 100 rows, without their logs."""
        snapshots, errors, following = self._read_rows(kind, cursor)
        return Page(snapshots=tuple(snapshots), errors=tuple(errors), cursor=self._cursor(following, COLLECTIONS[kind]))

    def fetch(self, job: JobRef) -> JobSnapshot:
        """One job with its log. Of unknown kind, both endpoints are asked before it counts as not found."""
        return self._ask_for(job, self._api.get)

    def fetch_many(self, jobs: Sequence[JobRef]) -> Iterator[JobSnapshot | FetchFailure]:
        """List pages first (100 jobs a call, without logs), single calls for what they lack."""
        wanted = {job.external_id: job for job in jobs}
        patience = Patience()
        if len(wanted) > FEW_JOBS:
            for snapshot in self._from_lists(wanted.values(), patience):
                if wanted.pop(snapshot.external_id, None) is not None:
                    yield snapshot
        yield from self._pool.map(lambda job: self._fetch_or_fail(job, patience), wanted.values())

    def create(self, request: Mapping[str, Any]) -> JobSnapshot:
        """Start a training (``model``, ``version``, ``destination``) or, without a destination, a prediction."""
        body = {key: value for key, value in request.items() if key != "model" and value is not None}
        model = request.get("model")
        if model is not None and not (isinstance(model, str) and mapping.MODEL.match(model)):
            raise ProviderRejected("The model must be named as owner/name.")
        if "destination" in body:
            version = body.pop("version", None)
            if model is None or not (isinstance(version, str) and mapping.VERSION.match(version)):
                raise ProviderRejected("A training needs a model and its version.")
            return self._create_at(f"/v1/models/{model}/versions/{version}/trainings", body, TRAINING)
        path = COLLECTIONS[PREDICTION] if model is None else f"/v1/models/{model}/predictions"
        return self._create_at(path, body, PREDICTION)

    def newest_version(self, model: str) -> str:
        if not mapping.MODEL.match(model):
            raise ProviderRejected("The model must be named as owner/name.")
        try:
            answer = self._api.get(f"/v1/models/{model}")
        except RemoteJobNotFound as error:
            raise ProviderRejected(f"{self.label} has no trainer {model}, or does not let us use it.") from error
        return launching.newest_version(answer.payload)

    def launch(self, request: TrainingRequest, version: str) -> JobSnapshot:
        snapshot = self._create_at(COLLECTIONS[PREDICTION], launching.prediction(request, version), PREDICTION)
        # Whatever the answer shows of it: it is the answer to our own request.
        return replace(snapshot, mark=request.mark)

    def find_marked(self, marks: Collection[str], *, since: datetime) -> MarkSearch:
        """Trainers run as predictions, so their list alone is read."""
        oldest = since - CLOCK_SLACK
        found: dict[str, JobSnapshot] = {}
        hidden: dict[str, JobSnapshot] = {}
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            rows, errors, following = self._read_rows(PREDICTION, cursor, created_after=oldest)
            if errors:
                raise errors[0]
            found |= {row.external_id: row for row in rows if row.mark in marks}
            hidden |= {row.external_id: row for row in rows if row.mark is None and row.metadata.get("data_removed")}
            cursor = self._cursor(following, COLLECTIONS[PREDICTION])
            if cursor is None or _is_past(rows, oldest):
                return MarkSearch(found=tuple(found.values()), hidden=tuple(hidden.values()))
        raise UnexpectedPayload(f"{self.label}'s list does not end.")

    def upload(self, path: Path, name: str, on_progress: OnProgress) -> UploadedFile:
        """By the Files API, which takes up to 100 MiB and keeps a file for a day."""
        try:
            file = path.open("rb")
        except OSError as error:
            raise ProviderRejected(f"The file cannot be read here ({type(error).__name__}).", unsent=True) from error
        with file:
            size = path.stat().st_size
            if size > launching.MAX_FILE_BYTES:
                limit = launching.MAX_FILE_BYTES // 1024**2
                found = f"{size / 1024**2:.1f}"
                raise ProviderRejected(f"{self.label} takes files of up to {limit} MiB; this has {found}.", unsent=True)
            form = FileForm(file, name=name, size=size, seconds=LONGEST_UPLOAD_SECONDS, on_progress=on_progress)
            return launching.uploaded_file(self._api.send_file("/v1/files", form).payload)

    def cancel(self, job: JobRef) -> JobSnapshot:
        return self._ask_for(job, self._api.post, "/cancel")

    def _create_at(self, path: str, body: Mapping[str, Any], kind: str) -> JobSnapshot:
        try:
            answer = self._api.post(path, body)
        except RemoteJobNotFound as error:
            # It is the model or the destination that does not exist; no job was asked for.
            raise ProviderRejected(error.message) from error
        return self._snapshot(answer, kind)

    def _snapshot(self, answer: ApiAnswer, kind: str | None) -> JobSnapshot:
        return mapping.snapshot(answer.payload, as_of=answer.as_of, kind=kind)

    def _ask_for(self, job: JobRef, call: Callable[[str], ApiAnswer], action: str = "") -> JobSnapshot:
        """Call one job's endpoint; of a job of unknown kind both, before it counts as not found."""
        if not mapping.ID.match(job.external_id):
            raise RemoteJobNotFound("Replicate has no job of such an id.")
        *others, last = (job.kind,) if job.kind in COLLECTIONS else (PREDICTION, TRAINING)
        for kind in others:
            try:
                return self._read(job, call(f"{COLLECTIONS[kind]}/{job.external_id}{action}"))
            except RemoteJobNotFound:
                continue
        return self._read(job, call(f"{COLLECTIONS[last]}/{job.external_id}{action}"))

    def _read(self, job: JobRef, answer: ApiAnswer) -> JobSnapshot:
        # /predictions/{id} answers for a training too: only a list tells the kind for certain.
        snapshot = mapping.snapshot(answer.payload, as_of=answer.as_of, kind=job.kind, tells_log=True)
        if snapshot.external_id != job.external_id:
            raise UnexpectedPayload(f"Replicate answered for another job than {job.external_id}.")
        return snapshot

    def _fetch_or_fail(self, job: JobRef, patience: Patience) -> JobSnapshot | FetchFailure:
        if patience.lost_to is not None:
            return FetchFailure(external_id=job.external_id, error=patience.lost_to)
        try:
            snapshot = self.fetch(job)
        except ProviderError as error:
            patience.note(error)
            return FetchFailure(external_id=job.external_id, error=error)
        patience.note(None)
        return snapshot

    def _read_newest(self, kind: str, limit: int) -> tuple[list[JobSnapshot], list[ProviderError]]:
        """Up to ``limit`` rows of one list, newest first, and what was wrong with single rows or later pages."""
        found: dict[str, JobSnapshot] = {}
        errors: list[ProviderError] = []
        pages = self._pages(kind)
        while len(found) < limit:
            try:
                snapshots, unreadable = next(pages)
            except StopIteration:
                break
            except ProviderError as error:
                if not found:
                    raise
                errors.append(error)
                break
            # A job that is created between two page reads moves the last row of one page onto the next.
            found |= {snapshot.external_id: snapshot for snapshot in snapshots}
            errors.extend(unreadable)
        return list(found.values()), errors

    def _from_lists(self, jobs: Iterable[JobRef], patience: Patience) -> Iterator[JobSnapshot]:
        """What the list pages say of ``jobs``; pages are read only while they save calls."""
        wanted = {
            kind: [job for job in jobs if job.kind == kind or job.kind not in COLLECTIONS] for kind in COLLECTIONS
        }
        reads = [self._pool.submit(self._find_in_list, kind, some) for kind, some in wanted.items() if some]
        outcomes = [read.result() for read in reads]
        patience.note_lists([error for _, error in outcomes])
        for found, _ in outcomes:
            yield from found

    def _find_in_list(self, kind: str, jobs: Sequence[JobRef]) -> tuple[list[JobSnapshot], ProviderError | None]:
        missing = {job.external_id for job in jobs}
        oldest = min((job.created_at for job in jobs if job.created_at), default=None)
        found: list[JobSnapshot] = []
        blank_pages = 0
        deadline = time.monotonic() + LISTS_SECONDS
        try:
            for rows, _ in self._pages(kind):
                hits = [row for row in rows if row.external_id in missing]
                found.extend(hits)
                missing.difference_update(row.external_id for row in hits)
                blank_pages = 0 if hits else blank_pages + 1
                if not missing or time.monotonic() > deadline:
                    break
                if not hits and (_is_past(rows, oldest) or blank_pages > len(missing) // SINGLE_CALLS_PER_BLANK_PAGE):
                    break
        except ProviderError as error:
            # Whatever the list could not say is asked for singly, and each single call reports its own error.
            return found, error
        return found, None

    def _pages(self, kind: str) -> Iterator[tuple[list[JobSnapshot], list[ProviderError]]]:
        """The pages of a list, newest first."""
        cursor: str | None = None
        seen: set[str] = set()
        for _ in range(MAX_PAGES):
            snapshots, errors, following = self._read_rows(kind, cursor)
            yield snapshots, errors
            cursor = self._cursor(following, COLLECTIONS[kind])
            if cursor is None or cursor in seen:
                return
            seen.add(cursor)

    def _read_rows(
        self, kind: str, cursor: str | None, *, created_after: datetime | None = None
    ) -> tuple[list[JobSnapshot], list[ProviderError], str | None]:
        """The rows of a page, and the link to the next. One bad row spoils neither its page nor the rest."""
        query = {"cursor": cursor} if cursor else {}
        if created_after is not None:
            query["created_after"] = created_after.astimezone(UTC).isoformat().replace("+00:00", "Z")
        try:
            answer = self._api.get(COLLECTIONS[kind], query or None)
        except RemoteJobNotFound as error:
            if cursor:
                raise
            # Every account has both lists. Taken for the jobs' own trouble, this would mark all of them as lost.
            raise ProviderNotThere(f"{self.label}'s list of {kind}s is not at {self._api.base_url}.") from error
        rows, following = mapping.page(answer.payload)
        snapshots: list[JobSnapshot] = []
        errors: list[ProviderError] = []
        for row in rows:
            try:
                snapshots.append(mapping.snapshot(row, as_of=answer.as_of, kind=kind))
            except UnexpectedPayload as error:
                errors.append(error)
        return snapshots, errors, following

    def _cursor(self, following: str | None, path: str) -> str | None:
        """The cursor in a ``next`` link. The link itself is never followed: the token stays on our own origin."""
        if following is None:
            return None
        if not self._api.owns(following) or urlsplit(following).path.rstrip("/") != urlsplit(path).path:
            raise UnexpectedPayload("Replicate's list continues at another address; it was not followed.")
        return next(iter(parse_qs(urlsplit(following).query).get("cursor", [])), None)


def _age_key(snapshot: JobSnapshot) -> float:
    return snapshot.created_at.timestamp() if snapshot.created_at else 0.0


def _is_past(rows: Sequence[JobSnapshot], oldest: datetime | None) -> bool:
    """Whether a page already reaches behind the oldest job that is looked for."""
    times = [row.created_at for row in rows if row.created_at]
    return oldest is not None and bool(times) and oldest - min(times) > CREATED_AT_SLACK
