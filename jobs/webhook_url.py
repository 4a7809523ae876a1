"""Which URLs a provider may be told to call."""

from jobs.outgoing_urls import check_at_save

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


def check_webhook_url(url: object) -> str:
    """Return the URL as it is kept: https to a public address, or plain http to this machine from the sandbox.

    Raises ``ValueError``. Looks the host's name up; whoever uses the URL later does so again
    (``jobs.outgoing_urls.require_public_at_send``).
    """
    return check_at_save(url).url
