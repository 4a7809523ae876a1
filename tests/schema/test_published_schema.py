"""Every operation of the published schema, called with generated requests over the real server, good and bad ones.

No request may be answered by a 5xx, and no answer may differ from what the schema says of it: neither its status nor
its type nor its fields. On SQLite and on PostgreSQL: they refuse different values.
"""

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from jobs.services.actors import owner_account, owner_actor
from tests.sandbox_server import RunningSandbox
from tests.schema.fuzzing import Operation, fuzz, operations, published_schema
from tests.schema.stock import Stock

AREAS = ("/api/cloud/jobs", "/api/cloud/", "/api/queue", "/api/")
# Of these no generated request can succeed.
NEVER_SUCCEED = {
    # It takes a signature (tests/jobs/api/test_webhooks_api.py).
    "webhooks_receive",
}
DOCUMENT = published_schema()
OPERATIONS = list(operations(DOCUMENT))


def of_area(area: str) -> list[Operation]:
    """Each operation is in the first area that its path begins with."""
    return [found for found in OPERATIONS if area == next(name for name in AREAS if found.path.startswith(name))]


@pytest.fixture
def stock(web: str, sandbox: RunningSandbox, settings: Settings) -> Stock:
    # Else the sandbox has no place for a token of the real account, whatever the request.
    settings.EACH_STORE_HAS_ITS_DATABASE = True
    owner = owner_account()
    assert isinstance(owner, User)
    return Stock(sandbox, owner, owner_actor(address=""))


@pytest.mark.timeout(300)  # ten seconds; more than a minute on a machine that does much else
@pytest.mark.parametrize("area", AREAS)
def test_no_request_is_answered_by_a_5xx_or_by_what_the_schema_does_not_say(area: str, web: str, stock: Stock) -> None:
    wrong, unheard, fruitless = [], [], []
    for operation in of_area(area):
        report = fuzz(DOCUMENT, operation, web, known=stock.fill())
        wrong += report.findings
        if not report.calls:
            unheard.append(operation.operation_id)
        if not report.succeeded and operation.operation_id not in NEVER_SUCCEED:
            fruitless.append(operation.operation_id)
    assert not wrong, "\n\n".join(wrong[:10])
    assert not unheard
    assert not fruitless, "each of these was called, and never with success"


def test_every_operation_is_in_an_area() -> None:
    assert sorted(found.label for area in AREAS for found in of_area(area)) == sorted(
        found.label for found in OPERATIONS
    )
    assert {found.operation_id for found in OPERATIONS} > NEVER_SUCCEED
