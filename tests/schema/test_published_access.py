"""Every operation of the published schema for who is not known here, and for who may only look."""

from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest
import requests

from jobs.services.actors import actor_for
from tests.conftest import MakeAccount, MakeKey
from tests.sandbox_server import RunningSandbox
from tests.schema.fuzzing import Operation, fuzz, operations, published_schema
from tests.schema.stock import Stock

pytestmark = pytest.mark.usefixtures("with_accounts")

DOCUMENT = published_schema()
OPERATIONS = list(operations(DOCUMENT))
OPEN = {"health_live", "health_ready", "webhooks_receive"}
PROBLEM = DOCUMENT["components"]["schemas"]["Problem"]
EXAMPLES = 2


def address(web: str, operation: Operation, known: Mapping[str, list[Any]]) -> str:
    return web + operation.path.format(**{name: values[0] for name, values in known.items()})


def test_every_operation_but_the_open_ones_refuses_who_is_not_known(
    web: str, sandbox: RunningSandbox, make_account: MakeAccount
) -> None:
    ada = make_account("ada", "admin")
    known = Stock(sandbox, ada, actor_for(ada, via="session")).fill()
    let_in = set()
    for operation in OPERATIONS:
        answer = requests.request(operation.method, address(web, operation, known), timeout=30)
        body = answer.json()
        if answer.status_code != 401:
            let_in.add(operation.operation_id)
            continue
        jsonschema.validate(body, PROBLEM)
        if operation.operation_id not in OPEN:
            assert body["code"] == "not_authenticated", operation.label
            assert answer.headers["WWW-Authenticate"], operation.label
    assert {found.operation_id for found in OPERATIONS if found.is_open} == OPEN
    # The third refuses what is not signed.
    assert let_in == OPEN - {"webhooks_receive"}


def test_who_may_only_look_gets_answers_that_the_schema_has(
    web: str, sandbox: RunningSandbox, make_account: MakeAccount, make_key: MakeKey
) -> None:
    ada, viewer = make_account("ada", "admin"), make_account("vera", "viewer")
    stock = Stock(sandbox, ada, actor_for(ada, via="session"))
    wrong, seen = [], set()
    known = stock.fill()
    key = {"X-API-Key": make_key(viewer)}
    for operation in OPERATIONS:
        report = fuzz(DOCUMENT, operation, web, known=known, headers=key, examples=EXAMPLES, thorough=False)
        wrong += report.findings
        if not report.calls or 401 in report.statuses:
            wrong.append(f"{operation.label}: {report.statuses}")
        if report.succeeded:
            seen.add(operation.operation_id)
    assert not wrong, "\n\n".join(wrong[:10])
    assert {"jobs_list", "metrics", "queue_stats"} <= seen
    assert not seen & {"jobs_submit", "jobs_delete", "providers_token_set", "queue_process", "audit_list"}
