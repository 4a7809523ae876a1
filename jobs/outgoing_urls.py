"""Which addresses we call, or tell a provider to call, because somebody asked for it: public ones alone.

Whoever may name a URL must not reach through us what only we can reach: this machine, its network, a cloud's metadata.
A name is therefore looked up when the URL is saved, and again at the moment of use: it may lead elsewhere by then.
``check_form`` is pure. Redirects are never followed (providers.http).
"""

import re
import socket
import threading
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

RESOLVE_SECONDS = 3.0
LONGEST_URL = 2000
LONGEST_HOST = 253
LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
# What some readers take for a number of an IPv4 address: decimal, octal, hexadecimal.
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

NOT_PUBLIC_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "168.63.129.16/32",  # Azure's own services, as each of its machines sees them
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",
        ),
    )
)
PUBLIC_V6 = IPv6Network("2000::/3")
# Parts of it that are for documents, tunnels, or the network's own use.
NOT_PUBLIC_V6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
# The last 32 bits are the IPv4 address that is meant. A network without IPv4 writes every address like the second.
WRAPS_V4 = tuple(map(IPv6Network, ("::ffff:0:0/96", "64:ff9b::/96")))
LOOPBACK = tuple(map(ip_network, ("127.0.0.0/8", "::1/128")))

FORM = "must be an https URL (or http on a loopback address)"


class UnsafeUrl(ValueError):
    """A URL that we neither call nor pass on. The text goes on from "The URL"; it repeats no part of it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is allowed beyond public addresses: these networks, and ``loopback`` for the sandbox's sake."""

    allowed: tuple[Network, ...] = ()
    loopback: bool = False

    def permit(self, address: Address) -> bool:
        """Whether an address may be called."""
        meant = _meant(address)
        if is_public(meant) or any(each in network for each in (address, meant) for network in self.allowed):
            return True
        return self.loopback and any(meant in network for network in LOOPBACK)


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL that was checked, and where its host was found. No addresses: its name is not known at present."""

    url: str
    addresses: tuple[Address, ...]


def current_rules() -> Rules:
    """Those of this service."""
    return Rules(allowed=settings.PRIVATE_NETWORKS_ALLOWED, loopback=settings.IS_SANDBOX)


def check_at_save(url: object) -> Destination:
    """Check what somebody wants us to keep. Raises ``UnsafeUrl``.

    A name that is not known is let pass, as a machine may be offline while it is set up; it is refused when it is used.
    """
    return _looked_up(check_form(url, current_rules()))


def require_public_at_send(url: object) -> Destination:
    """Check at the moment of use. Raises ``UnsafeUrl``, also for a name that is not known.

    Whoever connects himself should connect to one of the addresses, and not look the name up once more.
    """
    destination = _looked_up(check_form(url, current_rules()))
    if not destination.addresses:
        raise UnsafeUrl("cannot be used: the name of its host is not known")
    return destination


def check_form(url: object, rules: Rules) -> str:
    """What can be told without asking anybody; returns the URL with its host written plainly. Raises ``UnsafeUrl``."""
    url = url.strip() if isinstance(url, str) else ""
    # Others read a backslash as a slash, and would find another host than we do.
    if not url or not url.isprintable() or len(url) > LONGEST_URL or any(character in url for character in " \\"):
        raise UnsafeUrl(FORM)
    try:
        parts = urlsplit(url)
        port, given = parts.port, parts.hostname
    except ValueError:
        raise UnsafeUrl(FORM) from None
    if parts.scheme not in ("https", "http") or not given or "@" in parts.netloc or port == 0:
        raise UnsafeUrl(FORM)
    # Brackets are for IPv6 addresses, and what else stands in them is read in different ways.
    if ("[" in parts.netloc) != (":" in given):
        raise UnsafeUrl(FORM)
    if "#" in url:
        raise UnsafeUrl("must not have a fragment, the part behind a #")
    host = _plain_host(given)
    address = _literal(host)
    is_loopback = host == "localhost" if address is None else any(_meant(address) in net for net in LOOPBACK)
    if parts.scheme == "http" and not is_loopback:
        raise UnsafeUrl(FORM)
    if address is None and (host == "localhost" or host.endswith(".localhost")):
        address = IPv4Address("127.0.0.1")
    if address is not None:
        _require(rules, (address,))
    return url if host == given else _with_host(parts, host, port)


def is_public(address: Address) -> bool:
    """Whether everybody can reach it, so that we give nobody more than he has."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in NOT_PUBLIC_V4)
    return address in PUBLIC_V6 and not any(address in network for network in NOT_PUBLIC_V6)


def resolve(host: str) -> tuple[Address, ...]:
    """Every address of a name; none if it is not known, or nobody says within three seconds."""
    found: list[tuple[Address, ...]] = []

    def ask() -> None:
        try:
            entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            # A link-local address comes with its interface: fe80::1%eth0.
            found.append(tuple({ip_address(str(entry[4][0]).partition("%")[0]): None for entry in entries}))
        except (OSError, UnicodeError, ValueError):
            pass

    # The system's own patience may be half a minute, and it cannot be told to hurry.
    thread = threading.Thread(target=ask, name="resolve", daemon=True)
    thread.start()
    thread.join(RESOLVE_SECONDS)
    return found[0] if found else ()


def _looked_up(url: str) -> Destination:
    host = urlsplit(url).hostname or ""
    address = _literal(host)
    addresses = (address,) if address is not None else resolve(host)
    _require(current_rules(), addresses)
    return Destination(url, addresses)


def _require(rules: Rules, addresses: tuple[Address, ...]) -> None:
    # Every one: which of them is taken in the end is for whoever calls to choose.
    if not all(map(rules.permit, addresses)):
        raise UnsafeUrl(
            "leads to an address that is not public, and in no network of SIMPLETUNER_PRIVATE_NETWORKS_ALLOWED"
        )


def _meant(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one."""
    if isinstance(address, IPv6Address) and any(address in network for network in WRAPS_V4):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _plain_host(host: str) -> str:
    """A host in lower-case ASCII, without the dot of the root. Raises ``UnsafeUrl`` for what is no name."""
    if ":" in host:
        return host
    try:
        # Also turns digits and dots of other scripts into plain ones, as those do who call it.
        plain = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise UnsafeUrl(FORM) from None
    plain = plain.lower().removesuffix(".")
    if len(plain) > LONGEST_HOST or not all(LABEL.fullmatch(label) for label in plain.split(".")):
        raise UnsafeUrl(FORM)
    return plain


def _literal(host: str) -> Address | None:
    """The address that a host is written as; ``None`` for a name. Raises ``UnsafeUrl`` for other spellings of one."""
    try:
        # Without an interface: that is never a place for others.
        return IPv6Address(host) if ":" in host and "%" not in host else IPv4Address(host)
    except ValueError:
        # What ends in a number is an address to many, as 0x7f.1 or 2130706433: never a name.
        if ":" in host or NUMBER.fullmatch(host.rpartition(".")[2]):
            raise UnsafeUrl("must write an address in its usual form") from None
    return None


def _with_host(parts: SplitResult, host: str, port: int | None) -> str:
    return parts._replace(netloc=host if port is None else f"{host}:{port}").geturl()
