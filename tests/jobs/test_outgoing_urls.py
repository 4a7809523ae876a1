"""Nobody reaches through us what only we can reach, however an address is written."""

import socket
import threading
import time
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pytest_django import Settings

from jobs import outgoing_urls
from jobs.outgoing_urls import Rules, UnsafeUrl, check_at_save, check_form, is_public, require_public_at_send
from jobs.webhook_url import check_webhook_url

Names = dict[str, list[str]]

STRICT = Rules()
resolve = outgoing_urls.resolve

PUBLIC = ("1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "192.169.0.1", "223.255.255.1")
PUBLIC_V6 = ("2606:4700::1111", "2a00:1450:4001::200e", "64:ff9b::808:808", "::ffff:8.8.8.8")
PRIVATE = (
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
)
PRIVATE_V6 = (
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
)


@pytest.mark.parametrize("address", PUBLIC + PUBLIC_V6)
def test_public_address_is_taken(address: str) -> None:
    assert STRICT.permit(ip_address(address))
    host = f"[{address}]" if ":" in address else address
    assert check_form(f"https://{host}/hook", STRICT) == f"https://{host}/hook"


@pytest.mark.parametrize("address", PRIVATE + PRIVATE_V6)
def test_other_address_is_refused_at_save_and_at_send(settings: Settings, host_names: Names, address: str) -> None:
    settings.IS_SANDBOX = False
    host_names["hook.example"] = ["8.8.8.8", address]
    host = f"[{address}]" if ":" in address else address
    for url in (f"https://{host}/hook", f"https://{host}:8443/", "https://hook.example/"):
        for check in (check_at_save, require_public_at_send, check_webhook_url):
            with pytest.raises(UnsafeUrl, match="not public") as caught:
                check(url)
            assert address not in str(caught.value)


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
@example(IPv4Address("192.88.99.1"))
def test_no_ipv4_address_is_public_to_us_that_is_not_to_python(address: IPv4Address) -> None:
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast


@given(
    st.integers(0, 2**128 - 1).map(IPv6Address) | st.integers(0, 2**120 - 1).map(lambda n: IPv6Address(0x20 << 120 | n))
)
def test_no_ipv6_address_is_public_to_us_that_is_not_to_python(address: IPv6Address) -> None:
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast
        assert (address.ipv4_mapped, address.sixtofour, address.teredo) == (None, None, None)


@given(st.integers(0, 2**32 - 1).map(IPv4Address), st.sampled_from(["::ffff:0:0", "64:ff9b::"]))
def test_ipv4_address_inside_an_ipv6_one_counts_as_itself(address: IPv4Address, wrapping: str) -> None:
    assert STRICT.permit(IPv6Address(int(IPv6Address(wrapping)) | int(address))) is STRICT.permit(address)


def spellings(address: IPv4Address) -> list[str]:
    """What one reader or another takes for the same address."""
    parts = [int(part) for part in str(address).split(".")]
    number = int(address)
    tail = number & 0xFFFFFF
    plain = ".".join(map(str, parts))
    return [
        plain,
        f"{plain}.",
        str(number),
        f"{number}.",
        hex(number),
        hex(number).upper(),
        oct(number).replace("0o", "0"),
        ".".join(map(hex, parts)),
        ".".join(f"0{part:o}" for part in parts),
        ".".join(f"{part:03d}" for part in parts),
        f"{parts[0]}.{tail}",
        f"{parts[0]}.{parts[1]}.{number & 0xFFFF}",
        f"0x{parts[0]:x}.{tail}",
        f"{parts[0]}.{parts[1]}.{parts[2]}.0x{parts[3]:x}",
        plain.replace(".", "。"),
        plain.replace(".", "．"),
        plain.translate({ord(str(digit)): 0xFF10 + digit for digit in range(10)}),
        plain.translate({ord("1"): "①", ord("2"): "②", ord("0"): "⓪"}),
        plain.replace("1", "%31"),
        f"{plain}%00",
        f"{plain}\\.good.example",
        f"{plain}%2f.good.example",
        f"good.example@{plain}",
        f"{plain}#good.example",
        f"{plain}/#@good.example",
        f"[::ffff:{plain}]",
        f"[::ffff:{plain}%25eth0]",
        f"[64:ff9b::{plain}]",
        f"[::{plain}]",
        f"[2002:{number >> 16:x}:{number & 0xFFFF:x}::]",
    ]


@given(
    st.sampled_from(PRIVATE).map(IPv4Address),
    st.sampled_from(["https", "http", "HTTPS"]),
    st.sampled_from(["", ":8443"]),
)
def test_private_address_is_refused_in_every_spelling(address: IPv4Address, scheme: str, port: str) -> None:
    for spelling in spellings(address):
        with pytest.raises(UnsafeUrl):
            check_form(f"{scheme}://{spelling}{port}/hook", STRICT)


@given(st.text(max_size=40) | st.from_regex(r"https?://[\[\]:@.0-9a-fx%\\/#?。]{1,30}", fullmatch=True))
def test_whatever_is_taken_has_one_host_that_is_a_name_or_a_public_address(text: str) -> None:
    try:
        url = check_form(text, STRICT)
    except UnsafeUrl:
        return
    rest = url.partition("://")[2]
    host = rest.partition("/")[0].partition("?")[0]
    assert url.lower().startswith("https://")
    assert not set(host) & set("@\\#% ")
    name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    if name.startswith("["):
        assert STRICT.permit(ip_address(name.strip("[]")))
    elif name.rpartition(".")[2].isdigit():
        assert STRICT.permit(ip_address(name))
    else:
        # No resolver takes it for an address.
        with pytest.raises(OSError, match=r"\[Errno"):
            socket.getaddrinfo(name or "-", None, flags=socket.AI_NUMERICHOST)


@pytest.mark.parametrize(
    "url", ["https://localhost/", "https://LOCALHOST./", "https://a.localhost/", "http://localhost/"]
)
def test_this_machine_by_name_is_refused_but_for_the_sandbox(settings: Settings, host_names: Names, url: str) -> None:
    host_names["a.localhost"] = ["127.0.0.1"]
    settings.IS_SANDBOX = False
    with pytest.raises(UnsafeUrl, match="not public"):
        check_at_save(url)
    settings.IS_SANDBOX = True
    assert require_public_at_send(url).addresses


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "fd00::1", "0.0.0.0"])
def test_sandbox_opens_this_machine_and_nothing_else(address: str) -> None:
    assert not Rules(loopback=True).permit(ip_address(address))
    assert Rules(loopback=True).permit(ip_address("::ffff:127.0.0.1"))


def test_private_network_that_the_operator_names_is_taken(settings: Settings, host_names: Names) -> None:
    settings.IS_SANDBOX = False
    settings.PRIVATE_NETWORKS_ALLOWED = (ip_network("10.8.0.0/16"), ip_network("fd12::/16"))
    host_names["hook.internal"] = ["10.8.0.1", "fd12::1"]
    for url in ("https://10.8.255.1/", "https://[fd12::5]/", "https://[::ffff:10.8.0.1]/", "https://hook.internal/"):
        assert require_public_at_send(url).addresses
    for url in ("https://10.9.0.1/", "https://[fd13::5]/", "http://10.8.0.1/"):
        with pytest.raises(UnsafeUrl):
            check_at_save(url)


def test_name_that_is_not_known_is_kept_and_refused_when_it_is_used() -> None:
    assert check_at_save("https://hook.example/").addresses == ()
    with pytest.raises(UnsafeUrl, match="not known"):
        require_public_at_send("https://hook.example/")


def test_name_that_leads_elsewhere_by_the_time_of_use_is_refused(settings: Settings, host_names: Names) -> None:
    settings.IS_SANDBOX = False
    host_names["rebinding.example"] = ["8.8.8.8"]
    url = check_at_save("https://rebinding.example/").url
    assert require_public_at_send(url).addresses == (IPv4Address("8.8.8.8"),)
    host_names["rebinding.example"] = ["169.254.169.254"]
    with pytest.raises(UnsafeUrl, match="not public"):
        require_public_at_send(url)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        (" https://Hook.Example/a?b=c ", "https://Hook.Example/a?b=c"),
        ("https://hook.example.:8443/a", "https://hook.example:8443/a"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://my_host.example/", "https://my_host.example/"),
    ],
)
def test_host_is_kept_as_everybody_reads_it(url: str, kept: str) -> None:
    assert check_webhook_url(url) == kept


@pytest.mark.parametrize(
    "url",
    [
        "http://hook.example/",
        "https://hook.example:0/",
        "https://hook.example:x/",
        "https://-hook.example/",
        "https://hook..example/",
        "https://.example/",
        "https://./",
        "https://hook.example../",
        f"https://{'a' * 64}.example/",
        f"https://{'a.' * 150}example/",
        f"https://hook.example/{'a' * 2000}",
        "https://hook.example/#fragment",
        "https://hook.example#",
        "https://hook.example\\@10.0.0.1/",
        "https://hook%2eexample/",
        "https://hook.example;a/",
        "https://[fe80::1%25eth0]/",
        "https://[::1",
        "https://[v1.a]/",
        "https://[8.8.8.8]/",
        "//hook.example/",
        "file:///etc/passwd",
        "gopher://hook.example/",
        "javascript:alert(1)",
        "https://ab\u200bc.example\u0000/",
    ],
)
def test_what_has_no_single_meaning_is_refused(url: str) -> None:
    with pytest.raises(UnsafeUrl):
        check_form(url, Rules(loopback=True))


def test_resolver_gives_every_address_and_knows_none_for_a_bad_name() -> None:
    assert IPv4Address("127.0.0.1") in resolve("localhost")
    assert resolve("no-such-host.invalid") == ()
    assert resolve("a" * 300) == ()


def test_name_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(outgoing_urls, "RESOLVE_SECONDS", 0.05)

    def silent(*_: object, **__: object) -> list[object]:
        answered.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    started = time.monotonic()
    assert resolve("hook.example") == ()
    assert time.monotonic() - started < 5
    answered.set()
