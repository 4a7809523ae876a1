"""Which URLs a provider may be told to call. Pure."""

from urllib.parse import urlsplit

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


def check_webhook_url(url: object) -> str:
    """Return the URL without surrounding blanks: https, or plain http on this machine. Raises ``ValueError``."""
    refusal = ValueError("must be an https URL (or http on a loopback address)")
    if not isinstance(url, str):
        raise refusal
    url = url.strip()
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        raise refusal from None
    if not host or "@" in parts.netloc or not url.isprintable() or " " in url:
        raise refusal
    if parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK_HOSTS):
        return url
    raise refusal
