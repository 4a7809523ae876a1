"""Calling the operations of the published schema with generated requests, good and bad, and judging the answers."""

import copy
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from drf_spectacular.generators import SchemaGenerator
from hypothesis import strategies as st
from schemathesis import Case, Config
from schemathesis.core.failures import Failure
from schemathesis.engine import from_schema
from schemathesis.engine.events import NonFatalError, ScenarioFinished
from schemathesis.engine.recorder import ScenarioRecorder

from tests.jobs.submitting import zip_bytes

Json = dict[str, Any]

METHODS = ("get", "post", "put", "patch", "delete")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "negative_data_rejection",
)
EXAMPLES = 10
SEED = 20261125

# What is uploaded is an archive as often as not.
schemathesis.openapi.format("binary", st.just(zip_bytes()) | st.binary())


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path of the schema."""

    path: str
    method: str
    operation_id: str
    is_open: bool
    responses: frozenset[int]

    @property
    def label(self) -> str:
        return f"{self.method.upper()} {self.path}"


@dataclass(slots=True)
class Report:
    """What was answered, by status, and what is wrong with it."""

    statuses: Counter[int] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    @property
    def calls(self) -> int:
        return self.statuses.total()

    @property
    def succeeded(self) -> int:
        return sum(count for status, count in self.statuses.items() if 200 <= status < 300)


def published_schema() -> Json:
    """The document as /api/schema gives it."""
    schema: Json = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return schema


def operations(document: Json) -> Iterator[Operation]:
    """All that the schema names."""
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                found = methods[method]
                yield Operation(
                    path=path,
                    method=method,
                    operation_id=found["operationId"],
                    is_open=not any(found.get("security", ())),
                    responses=frozenset(map(int, found["responses"])),
                )


def fuzz(
    document: Json,
    operation: Operation,
    base_url: str,
    *,
    known: Mapping[str, Sequence[Any]] | None = None,
    headers: Mapping[str, str] | None = None,
    examples: int = EXAMPLES,
    thorough: bool = True,
) -> Report:
    """Call one operation with every boundary of its schema, and with some random requests.

    ``known``: values of parameters that lead somewhere. ``thorough``: bad requests too, and every boundary.
    """
    config = Config.from_dict(
        {
            "seed": SEED,
            "base-url": base_url,
            "headers": dict(headers or {}),
            "request-timeout": 30,
            "continue-on-failure": True,
            "workers": 1,
            "suppress-health-check": ["all"],
            "generation": {
                "mode": "all" if thorough else "positive",
                "deterministic": True,
                "max-examples": examples,
                "no-shrink": True,
                "database": "none",
                "with-security-parameters": False,
            },
            "checks": {"enabled": False, **{name: {"enabled": True} for name in CHECKS}},
            "phases": {
                "examples": {"enabled": False},
                "coverage": {"enabled": thorough},
                "stateful": {"enabled": False},
            },
        }
    )
    narrowed = {**document, "paths": {operation.path: document["paths"][operation.path]}}
    schema = schemathesis.openapi.from_dict(with_known(narrowed, known or {}), config=config)
    report = Report()
    for event in from_schema(schema.include(method=operation.method.upper())).execute():
        if isinstance(event, ScenarioFinished):
            _judge(event.recorder, operation, report)
        elif isinstance(event, NonFatalError):
            report.findings.append(f"{operation.label}: {event.info.format()}")
    return report


def with_known(document: Json, known: Mapping[str, Sequence[Any]]) -> Json:
    """The document, in which parameters of these names are offered values that lead somewhere, beside any other."""
    offered = copy.deepcopy(document)
    for methods in offered["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                if values := known.get(parameter["name"]):
                    parameter["schema"] = {"anyOf": [{"enum": list(values)}, parameter["schema"]]}
    return offered


def _judge(recorder: ScenarioRecorder, operation: Operation, report: Report) -> None:
    for case_id, interaction in recorder.interactions.items():
        if interaction.response is None:
            report.findings.append(f"{operation.label}: no answer\n  {interaction.request}")
        # The others are for methods that the address does not take.
        elif interaction.request.method == operation.method.upper():
            report.statuses[interaction.response.status_code] += 1
        for check in recorder.checks.get(case_id, ()):
            found = check.failure_info
            if found is not None and not _was_read_kindly(recorder.cases[case_id].value, check.name, found.failure):
                body = interaction.response.content[:300] if interaction.response is not None else b"no answer"
                report.findings.append(
                    f"{check.name}: {found.failure.title}: {found.failure.message}\n  {found.code_sample}\n  {body!r}"
                )


def _was_read_kindly(case: Case[Any], check: str, failure: Failure) -> bool:
    """Whether it is no more than 1 that was taken for "1", or an empty parameter that counts as not given.

    Forms and queries have no types, and none of their fields can be left out by a page that shows it empty.
    """
    if check != "negative_data_rejection":
        return False
    if case.media_type != "application/json":
        return True
    return (
        "ncorrect type" in failure.message and isinstance(case.body, dict) and all(map(_is_plain, case.body.values()))
    )


def _is_plain(value: Any) -> bool:
    return all(map(_is_plain, value)) if isinstance(value, list) else not isinstance(value, dict)
