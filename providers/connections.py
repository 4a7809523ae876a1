"""Connections whose answers begin in time, or not at all.

A socket's timeout begins anew with every byte: a server that drips its headers never trips it, and nobody can look at
the clock in between, because the standard library reads all headers in one go.
"""

import socket
import threading
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse

HEADER_DEADLINE_SECONDS = 9.0


class HeaderDeadline:
    """Ends the connection under its reader when the time is up. Raises ``TimeoutError`` then."""

    def __init__(self, sock: socket.socket | None) -> None:
        self._sock = sock
        self._timer = threading.Timer(HEADER_DEADLINE_SECONDS, self._end)
        self._timer.daemon = True
        self._is_over = False

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        self._timer.cancel()
        if self._is_over:
            raise TimeoutError("the headers did not come in time") from error

    def _end(self) -> None:
        self._is_over = True
        if self._sock is not None:
            try:
                # Not the method of a TLS socket, which would take the session from under the thread that reads.
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
            except OSError:
                # It has ended by itself meanwhile.
                return


class TimelyConnection(HTTPConnection):
    """A connection that does not wait for headers for ever."""

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        with HeaderDeadline(self.sock):
            return super().getresponse()


class TimelyTlsConnection(HTTPSConnection):
    """The same over TLS."""

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        with HeaderDeadline(self.sock):
            return super().getresponse()


class TimelyPool(HTTPConnectionPool):
    ConnectionCls = TimelyConnection


class TimelyTlsPool(HTTPSConnectionPool):
    ConnectionCls = TimelyTlsConnection


class TimelyAdapter(HTTPAdapter):
    """Lets ``requests`` use such connections."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": TimelyPool, "https": TimelyTlsPool}
