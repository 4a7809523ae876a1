"""The Celery application's own behaviour: simpletuner_cloud.celery."""

import pytest
from kombu.exceptions import OperationalError

from simpletuner_cloud.celery import SteadyConnection, app
from simpletuner_cloud.embedded_redis import free_port


def test_a_broker_that_is_away_is_looked_for_every_second_and_not_ever_more_rarely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Worker and beat connect so; kombu's own pauses grow by two seconds each time, up to half a minute."""
    pauses: list[float] = []
    monkeypatch.setattr("kombu.utils.functional.sleep", lambda _seconds: None)
    connection = app.connection_for_read(url=f"redis://127.0.0.1:{free_port()}/0")
    assert isinstance(connection, SteadyConnection)
    assert isinstance(connection.clone(), SteadyConnection)
    with pytest.raises(OperationalError):
        connection.ensure_connection(lambda _error, pause: pauses.append(pause), 6)
    assert set(pauses) == {1}
