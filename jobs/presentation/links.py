"""Where a page may lead: whatever a provider sends, only to places that are known to be what they seem."""

from urllib.parse import urlsplit

from django.conf import settings

from providers import names

# Where models that were trained are published, whoever trained them.
HUB = "huggingface.co"


def link(address: object, provider: str) -> str:
    """The address if it may be linked to, else nothing: it is shown as text then.

    That is https to the provider's own hosts, or to a hub of models; and the origin of the provider's API itself.
    """
    if not isinstance(address, str) or not address.isprintable() or any(character in address for character in ' \\"'):
        return ""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if not host or "@" in parts.netloc:
        return ""
    if (parts.scheme, parts.netloc) == _api_origin(provider):
        return address
    known = (*names.LINK_HOSTS.get(provider, ()), HUB)
    is_known = any(host == name or (name.startswith("*.") and host.endswith(name[1:])) for name in known)
    return address if parts.scheme == "https" and is_known else ""


def _api_origin(provider: str) -> tuple[str, str]:
    parts = urlsplit(str(settings.PROVIDERS.get(provider, {}).get("base_url", "")))
    return parts.scheme, parts.netloc
