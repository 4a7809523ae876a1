"""Replicate's endpoints, below `/v1`."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from . import creation, paging, payloads
from .account import Account
from .answers import REMAINING_CREATES, REMAINING_OTHERS, REMAINING_READS, Problem, answer, json_object, not_found
from .catalogue import HARDWARE, MODELS
from .clock import from_iso
from .plan import JobPlan, Kind
from .population import ACCOUNT, DAY
from .signing import PUBLISHED_TEST_SECRET

WEB_PREDICTIONS_GO_BACK_DAYS = 14
MODELS_CREATED_AT = 1_735_689_600.0


class Api:
    def __init__(self, account: Account) -> None:
        self._account = account

    def routes(self) -> list[Route]:
        kinds = (Kind.PREDICTION, Kind.TRAINING)
        model = "/v1/models/{owner}/{name}"
        return [
            Route("/v1/account", self.account),
            Route("/v1/hardware", self.hardware),
            Route("/v1/webhooks/default/secret", self.webhook_secret),
            *(Route(f"/v1/{kind}s", getattr(self, f"list_{kind}s"), methods=["GET"]) for kind in kinds),
            Route("/v1/predictions", self.create_prediction, methods=["POST"]),
            *(Route(f"/v1/{kind}s/{{id}}", getattr(self, f"get_{kind}")) for kind in kinds),
            *(Route(f"/v1/{kind}s/{{id}}/cancel", getattr(self, f"cancel_{kind}"), methods=["POST"]) for kind in kinds),
            Route(model, self.model),
            Route(f"{model}/versions", self.versions),
            Route(f"{model}/versions/{{version}}", self.version),
            Route(f"{model}/predictions", self.create_by_model, methods=["POST"]),
            Route(f"{model}/versions/{{version}}/trainings", self.create_training, methods=["POST"]),
            Route("/v1/deployments/{owner}/{name}/predictions", self.create_by_deployment, methods=["POST"]),
        ]

    async def account(self, request: Request) -> Response:  # noqa: ARG002
        return answer(
            {
                "type": "organization",
                "username": ACCOUNT,
                "name": "Studio North (sandbox)",
                "github_url": f"https://github.com/{ACCOUNT}",
            }
        )

    async def hardware(self, request: Request) -> Response:  # noqa: ARG002
        return answer(HARDWARE)

    async def webhook_secret(self, request: Request) -> Response:  # noqa: ARG002
        return answer({"key": PUBLISHED_TEST_SECRET})

    async def list_predictions(self, request: Request) -> Response:
        query = request.query_params
        since, until = _time(query.get("created_after")), _time(query.get("created_before"))
        source = query.get("source")
        if source not in (None, "web"):
            raise Problem(400, 'Only "web" is supported as a source.')
        if source == "web":
            oldest = self._account.clock.now() - WEB_PREDICTIONS_GO_BACK_DAYS * DAY
            since = oldest if since is None else max(since, oldest)
        return self._list(request, Kind.PREDICTION, since=since, until=until, source=source)

    async def list_trainings(self, request: Request) -> Response:
        return self._list(request, Kind.TRAINING)

    async def get_prediction(self, request: Request) -> Response:
        # Both kinds share one space of ids, and a training's id is understood here too.
        return answer(self._as_prediction(request, self._find(request)), remaining=REMAINING_READS)

    async def get_training(self, request: Request) -> Response:
        return answer(self._full(request, self._find(request, Kind.TRAINING)))

    async def cancel_prediction(self, request: Request) -> Response:
        return answer(self._as_prediction(request, self._account.cancel(self._find(request))))

    async def cancel_training(self, request: Request) -> Response:
        job = self._account.cancel(self._find(request, Kind.TRAINING))
        # The answers to cancelling and creating have the URLs of predictions, also for trainings (recorded).
        return answer(self._full(request, job, urls_of=Kind.PREDICTION))

    async def create_prediction(self, request: Request) -> Response:
        job = creation.prediction(await json_object(request), **self._now())
        return self._created(request, job, remaining=REMAINING_CREATES)

    async def create_by_model(self, request: Request) -> Response:
        job = creation.prediction_by_model(_model_name(request), await json_object(request), **self._now())
        return self._created(request, job, remaining=REMAINING_CREATES)

    async def create_by_deployment(self, request: Request) -> Response:
        job = creation.prediction_by_deployment(_model_name(request), await json_object(request), **self._now())
        return self._created(request, job, remaining=REMAINING_CREATES)

    async def create_training(self, request: Request) -> Response:
        body, version = await json_object(request), request.path_params["version"]
        return self._created(request, creation.training(_model_name(request), version, body, **self._now()))

    async def model(self, request: Request) -> Response:
        known = MODELS.get(_model_name(request))
        if known is None:
            raise not_found()
        used = sum(job.model == known.name for job in self._account.jobs())
        return answer(
            payloads.model(known.name, description=known.description, run_count=used, created_at=MODELS_CREATED_AT)
        )

    async def versions(self, request: Request) -> Response:
        name = _model_name(request)
        if name not in MODELS:
            raise not_found()
        only = payloads.version(name, created_at=MODELS_CREATED_AT)
        return answer({"previous": None, "next": None, "results": [only]})

    async def version(self, request: Request) -> Response:
        name = _model_name(request)
        if name not in MODELS or MODELS[name].version != request.path_params["version"]:
            raise not_found()
        return answer(payloads.version(name, created_at=MODELS_CREATED_AT))

    def _list(
        self,
        request: Request,
        kind: Kind,
        *,
        since: float | None = None,
        until: float | None = None,
        source: str | None = None,
    ) -> Response:
        self._account.welcome_newcomers()
        cursor = request.query_params.get("cursor")
        try:
            place, newer = paging.decode(cursor) if cursor else (None, False)
        except ValueError as error:
            raise Problem(404, str(error)) from error
        jobs, has_newer, has_older = self._account.page(
            kind,
            size=paging.PAGE_SIZE,
            before=None if newer else place,
            after=place if newer else None,
            since=since,
            until=until,
            source=source,
        )
        url = f"{_origin(request)}{request.url.path}"
        filters = {key: value for key, value in request.query_params.items() if key != "cursor"}

        def link(job: JobPlan, *, newer: bool) -> str:
            return paging.link(url, filters, paging.encode((job.created_at, job.id), newer=newer))

        now, origin, retention = self._account.clock.now(), _origin(request), self._account.options.retention_seconds
        return answer(
            {
                "previous": link(jobs[0], newer=True) if jobs and has_newer else None,
                "next": link(jobs[-1], newer=False) if jobs and has_older else None,
                "results": [payloads.row(job, now=now, origin=origin, retention_seconds=retention) for job in jobs],
            }
        )

    def _find(self, request: Request, kind: Kind | None = None) -> JobPlan:
        job = self._account.get(request.path_params["id"])
        if job is None or (kind is not None and job.kind is not kind):
            raise not_found()
        return job

    def _created(self, request: Request, job: JobPlan, *, remaining: int = REMAINING_OTHERS) -> Response:
        deadline = creation.deadline_seconds(request.headers.get("cancel-after"))
        job = self._account.add(replace(job, deadline_seconds=deadline))
        return answer(self._full(request, job, urls_of=Kind.PREDICTION), status=201, remaining=remaining)

    def _as_prediction(self, request: Request, job: JobPlan) -> payloads.Json:
        """The job in the shape of a prediction, which always has an output."""
        return {"output": None, **self._full(request, job, urls_of=Kind.PREDICTION)}

    def _full(self, request: Request, job: JobPlan, *, urls_of: Kind | None = None) -> payloads.Json:
        return payloads.full(
            job,
            now=self._account.clock.now(),
            origin=_origin(request),
            retention_seconds=self._account.options.retention_seconds,
            urls_of=urls_of,
        )

    def _now(self) -> dict[str, float]:
        return {"now": self._account.clock.now(), "speed": self._account.options.speed}


def _origin(request: Request) -> str:
    """Where the caller reached us, so that links lead back the same way."""
    return f"{request.url.scheme}://{request.url.netloc}"


def _model_name(request: Request) -> str:
    return f"{request.path_params['owner']}/{request.path_params['name']}"


def _time(text: str | None) -> float | None:
    try:
        return None if text is None else from_iso(text)
    except ValueError as error:
        raise Problem(400, f"Not an ISO 8601 date-time: {text}") from error
