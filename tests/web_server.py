"""The real ASGI application on a socket, in a thread of the test's process: it shares settings and database."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from simpletuner_cloud.asgi import WebApplication
from simpletuner_cloud.web import StreamingServer

START_SECONDS = 10.0


@contextmanager
def running_web() -> Iterator[str]:
    """Run the product's web application; yields its base URL."""
    server = StreamingServer(WebApplication(), port=0, timeout_graceful_shutdown=1)
    thread = threading.Thread(target=server.run, name="web", daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        assert thread.is_alive(), "the web server did not start"
        assert time.monotonic() < deadline, "the web server took too long to start"
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=START_SECONDS)
