"""Who a client is when there are proxies in front of us. Pure."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Networks = Sequence[IPv4Network | IPv6Network]

IPV6_PREFIX = 64


def client_address(peer: str, forwarded_for: Iterable[str], trusted_proxies: Networks) -> str:
    """Return the address that a request comes from.

    ``forwarded_for``: the values of the ``X-Forwarded-For`` headers, in their order. They are read from the right,
    where our own proxies write, and only as far as each writer is one of ``trusted_proxies``: whatever stands further
    left may be the client's own invention.
    """
    hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
    address = peer
    while hops and is_in(address, trusted_proxies):
        named = _parse(hops.pop())
        if named is None:
            # A proxy of ours never writes this: who did is not known, so the last known hop counts.
            break
        address = str(named)
    return address


def is_in(address: str, networks: Networks) -> bool:
    """Whether an address lies in one of the networks; what is no address lies in none."""
    parsed = _parse(address)
    return parsed is not None and any(parsed in network for network in networks)


def address_group(address: str) -> str:
    """Whom a limit counts: an IPv4 address, or an IPv6 network, of which one household has all the addresses."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed, IPV6_PREFIX), strict=False).network_address)
    return str(parsed)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """The address, also where a port follows it; an IPv4 address in IPv6 clothes is the IPv4 address."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, IPv6Address) else parsed
