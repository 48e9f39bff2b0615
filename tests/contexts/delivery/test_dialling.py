"""No connection to an address that is not public, whatever the URL or the name server says."""

import itertools
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import httpcore
import pytest

from chassis.clock import SystemClock
from contexts.delivery.adapters.dialling import AddressRefused, CheckedNetwork, NameUnknown, Post, Resolver
from contexts.delivery.domain.addresses import Address, AddressRule, is_public, networks
from contexts.delivery.domain.delivery import Attempt, AttemptError
from contexts.delivery.domain.destination import Destination, DialRule, destination
from contexts.delivery.domain.errors import WebhookUrlRefused
from tests.support.receiver import Receiver, a_receiver

PUBLIC = "93.184.215.14"
INSIDE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.1.2.3",
    "127.255.255.254", "168.63.129.16", "169.254.0.1", "169.254.169.254", "169.254.170.2", "172.16.0.1",
    "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1",
    "192.168.0.1", "192.175.48.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.250", "240.0.0.1", "255.255.255.255",
]  # fmt: skip
INSIDE_V6 = [
    "::", "::1", "::2", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "::ffff:93.184.215.14", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1",
    "100::1", "2001::1", "2001:0:7f00:1::", "2001:db8::1", "2001:10::1", "2001:20::1", "2002:7f00:1::",
    "2002:a9fe:a9fe::1", "2620:4f:8000::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
    "fe80::a9fe:a9fe",
    "febf::1", "fec0::1", "ff02::1", "ff05::1:3", "4000::1", "8000::1",
]  # fmt: skip


@dataclass(frozen=True)
class AnyPort(DialRule):
    """The rule of an installation, without its rule about ports: canaries listen where there is room."""

    listening: frozenset[int] = frozenset()

    @property
    def ports(self) -> frozenset[int]:
        return self.listening | {80, 443}


@dataclass
class Spy(httpcore.AsyncNetworkBackend):
    """Remembers what would be dialled, and dials what is this machine."""

    dialled: list[Address] = field(default_factory=list)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        address = ip_address(host)
        self.dialled.append(address)
        if is_public(address):
            raise httpcore.ConnectError("the test stays inside")
        return await httpcore.AnyIOBackend().connect_tcp(host, port, timeout)


class Names:
    """A name server that answers as it is told, another answer at each question where it is told several."""

    def __init__(self, **names: Sequence[Sequence[str]]) -> None:
        self._names = {name.replace("_", "."): itertools.cycle(answers) for name, answers in names.items()}

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        if host not in self._names:
            return await Resolver()(host, port)
        return [ip_address(one) for one in next(self._names[host])]


async def post(url: str, network: CheckedNetwork, rule: DialRule) -> Attempt | None:
    """An attempt as for an endpoint, None where the URL is not taken in the first place."""
    try:
        place = destination(url, rule)
    except WebhookUrlRefused:
        return None
    sender = Post(network, SystemClock(), timeout_s=2.0, connections=4)
    try:
        return await sender(place, [("webhook-id", "1")], b"{}")
    finally:
        await sender.close()


def notations(address: str) -> Iterator[str]:
    """The ways in which an IPv4 address was ever written in a URL, and some in which it is not."""
    number, parts = int(IPv4Address(address)), address.split(".")
    octal = ".".join(f"0{int(part):o}" for part in parts)
    hexadecimal = ".".join(f"0x{int(part):x}" for part in parts)
    wide = address.translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    circled = address.translate(str.maketrans("123456789", "①②③④⑤⑥⑦⑧⑨"))
    yield from (
        address, str(number), hex(number), f"0{number:o}", octal, hexadecimal, f"{hex(number)[2:]}",
        f"{parts[0]}.{int(parts[1]) * 65536 + int(parts[2]) * 256 + int(parts[3])}",
        f"{parts[0]}.{parts[1]}.{int(parts[2]) * 256 + int(parts[3])}",
        f"0x{int(parts[0]):02x}.{number % 16777216}", f"{address}.", wide, circled, address.replace(".", "。"),
        address.replace(".", "｡"), f"00000{parts[0]}.{'.'.join(parts[1:])}", f"{parts[0]}.{parts[1]}.0x0.{parts[3]}",
        f"{number + 2**32}", f"{address}%00", f"{address}%2e", f"%31{address[1:]}", f"[::ffff:{address}]",
        f"[::{address}]", f"[64:ff9b::{address}]", f"[2002:{number >> 16:x}:{number & 0xFFFF:x}::]",
        f"[0:0:0:0:0:ffff:{number >> 16:x}:{number & 0xFFFF:x}]", f"[::ffff:0:{address}]", "[fe80::1%25lo]",
    )  # fmt: skip


def tricks(port: int) -> list[str]:
    """URLs that lead a careless sender to this machine or to a machine inside."""
    found = [
        f"http://{text}:{port}/"
        for address in ("127.0.0.1", "169.254.169.254", "10.0.0.1", "0.0.0.0")
        for text in notations(address)
    ]
    found += [f"http://{address}:{port}/" for address in INSIDE]
    found += [f"http://[{address}]:{port}/" for address in INSIDE_V6]
    found += [
        f"http://{text}".replace("PORT", str(port))
        for text in (
            "localhost:PORT/", "LOCALHOST:PORT/", "localhost.:PORT/", "localhost.localdomain:PORT/",
            "ip6-localhost:PORT/",
            "foo.localhost:PORT/", "hooks.example.com@127.0.0.1:PORT/", "user:secret@127.0.0.1:PORT/",
            "127.0.0.1:PORT@hooks.example.com/", "hooks.example.com:PORT@127.0.0.1:PORT/",
            "hooks.example.com%40127.0.0.1:PORT/", "127.0.0.1:PORT#@hooks.example.com/",
            "hooks.example.com#@127.0.0.1:PORT/", "127.0.0.1:PORT?@hooks.example.com/",
            "127.0.0.1:PORT\\@hooks.example.com/", "hooks.example.com\\@127.0.0.1:PORT/",
            "hooks.example.com\\.127.0.0.1/",
            "127.0.0.1:PORT/\r\nHost: hooks.example.com/", "127.0.0.1:PORT/ HTTP/1.1\r\nX: ", " 127.0.0.1:PORT/",
            "127.0.0.1\t:PORT/", "127.0.0.1\n:PORT/", "127.0.0.1:PORT:80/", "127.0.0.1:0PORT/", "127.0.0.1:+PORT/",
            "127.0.0.1:PORT.0/", "127.0.0.1:99999/", "127.0.0.1:-1/", "127.0.0.1:/", "[127.0.0.1]:PORT/",
            "[::1]:PORT/", "[::1%25lo]:PORT/", "[::1%lo]:PORT/", "[::1:PORT/", "::1]:PORT/", "[]:PORT/",
            "[v1.127.0.0.1]:PORT/",
            "[::ffff:7f00:1]:PORT/", "[0000:0000:0000:0000:0000:0000:0000:0001]:PORT/", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:PORT/",
            "ｌｏｃａｌｈｏｓｔ:PORT/", "loc\u00adalhost:PORT/", "local\u200bhost:PORT/", "①②⑦.⓪.⓪.①:PORT/",
            "xn--localhost-:PORT/", "xn--:PORT/", "\u202e1.0.0.721:PORT/", "0:PORT/", "0x0:PORT/", "00:PORT/",
            "0x7f.1:PORT/",
            "127.1:PORT/", "127.0.1:PORT/", "1.1.1.1&@127.0.0.1:PORT/", "1.1.1.1 &@127.0.0.1:PORT/",
            "//127.0.0.1:PORT/",
            "/127.0.0.1:PORT/", ":PORT/", "", "?", "127.0.0.1,hooks.example.com:PORT/",
            "127.0.0.1;hooks.example.com:PORT/",
            "{127.0.0.1}:PORT/", "*:PORT/", "127.0.0.1`:PORT/", "$(hostname):PORT/",
        )
    ]  # fmt: skip
    found += [
        f"{scheme}127.0.0.1:{port}/"
        for scheme in (
            "https:", "https:/", "https:///", "//", "", "file://", "gopher://", "ftp://", "dict://", "ws://",
            "wss://", "unix://",
            "http+unix://", "javascript:", "data:", "jar:http://", "HTTP:\\\\", "http:\\", "https:\t//", "ht\ntp://",
            " http://",
            "http://http://", "http:////", "http::", "url:http://", "view-source:http://", "netdoc://", "ldap://",
            "tftp://",
        )
    ]  # fmt: skip
    # Names that answer with addresses inside, as such services do.
    found += [f"http://{name}:{port}/" for name in ("inside.example", "mixed.example", "mapped.example", "six.example")]
    return found


@pytest.fixture
async def canary() -> AsyncIterator[Receiver]:
    async with a_receiver() as made:
        yield made


NAMES = {
    "inside_example": [["127.0.0.1"]],
    "mixed_example": [[PUBLIC, "127.0.0.1"]],
    "mapped_example": [["::ffff:127.0.0.1"]],
    "six_example": [["::1"]],
}


async def test_no_trick_opens_a_connection(canary: Receiver) -> None:
    rule = AnyPort(plain=True, listening=frozenset({canary.port}))
    urls, reached = tricks(canary.port), []

    for url in urls:
        spy = Spy()
        attempt = await post(url, CheckedNetwork(rule, Names(**NAMES), spy), rule)
        if any(not is_public(one) for one in spy.dialled) or (attempt is not None and attempt.status_code):
            reached.append((url, spy.dialled))

    assert len(set(urls)) >= 200
    assert reached == []
    assert canary.connections == 0


class BelievesTheName(CheckedNetwork):
    """The planted bug: checks what a name says, and leaves it to the socket to ask again."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        for address in await self._resolve(host, port):
            if not self._rule.admits(address, port):
                raise AddressRefused(host)
        (again, *_) = await self._resolve(host, port)
        return await self._network.connect_tcp(str(again), port, timeout)


@pytest.mark.parametrize("network", [CheckedNetwork, BelievesTheName], ids=["dialled", "name"])
async def test_a_name_that_changes_its_mind_changes_nothing(canary: Receiver, network: type[CheckedNetwork]) -> None:
    rule, spy = AnyPort(plain=True, listening=frozenset({canary.port})), Spy()
    rebinding = Names(rebinding_example=[[PUBLIC], ["127.0.0.1"]])

    attempt = await post(f"http://rebinding.example:{canary.port}/", network(rule, rebinding, spy), rule)

    assert attempt is not None
    if network is CheckedNetwork:
        assert (spy.dialled, canary.connections) == ([ip_address(PUBLIC)], 0)
        assert attempt.error is AttemptError.CONNECTION
    else:
        assert canary.connections == 1


async def test_one_bad_address_spoils_the_name(canary: Receiver) -> None:
    rule, spy = AnyPort(plain=True, listening=frozenset({canary.port})), Spy()

    attempt = await post(f"http://mixed.example:{canary.port}/", CheckedNetwork(rule, Names(**NAMES), spy), rule)

    assert attempt is not None
    assert attempt.error is AttemptError.ADDRESS_REFUSED
    assert spy.dialled == []


async def test_a_receiver_that_the_operator_named_is_reached_by_name_and_address(canary: Receiver) -> None:
    rule = DialRule(AddressRule(networks(["127.0.0.0/8"])), plain=True)
    names = Names(inside_example=[["127.0.0.1"]], other_example=[["10.0.0.1"]])

    for host in ("inside.example", "127.0.0.1"):
        attempt = await post(f"http://{host}:{canary.port}/", CheckedNetwork(rule, names), rule)
        assert attempt is not None
        assert attempt.status_code == 200
    refused = await post(f"http://other.example:{canary.port}/", CheckedNetwork(rule, names), rule)

    assert refused is not None
    assert refused.error is AttemptError.ADDRESS_REFUSED
    assert [one.headers["host"] for one in canary.received] == [
        f"{host}:{canary.port}" for host in ("inside.example", "127.0.0.1")
    ]


@pytest.mark.parametrize("text", INSIDE + INSIDE_V6)
def test_an_address_that_is_not_public_is_refused(text: str) -> None:
    address = ip_address(text)

    assert not is_public(address)
    assert not DialRule().admits(address, 443)


@pytest.mark.parametrize(
    "text", [PUBLIC, "1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00::1"]
)
def test_a_public_address_is_admitted_at_the_usual_ports(text: str) -> None:
    address = ip_address(text)

    assert is_public(address)
    assert [port for port in (22, 80, 443, 8443, 6379) if DialRule().admits(address, port)] == [443, 8443]


def test_every_global_address_of_the_standard_library_that_we_admit_is_global_there_too() -> None:
    samples: list[Address] = [IPv4Address(number << 16 | 0x0101) for number in range(1 << 16)]
    samples += [IPv6Address(number << 112 | 1) for number in range(1 << 16)]

    assert [one for one in samples if is_public(one) and not one.is_global] == []


def test_a_url_is_kept_in_one_form() -> None:
    shown = {
        "HTTPS://Hooks.Example.COM": "https://hooks.example.com/",
        "https://hooks.example.com:443/a?b=c&d=%20": "https://hooks.example.com/a?b=c&d=%20",
        "https://hooks.example.com:8443/?x": "https://hooks.example.com:8443/?x",
        "https://bücher.example/": "https://xn--bcher-kva.example/",
        f"https://{PUBLIC}/": f"https://{PUBLIC}/",
        "https://[2606:4700:0:0::1111]/": "https://[2606:4700::1111]/",
    }

    assert {url: destination(url, DialRule()).url for url in shown} == shown


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/", "https://hooks.example.com:22/", "https://hooks/", "https://hooks.example.com/#a",
        "https://u@hooks.example.com/", f"https://hooks.example.com/{'a' * 1000}", "https://hooks.example.com/a b",
        "https://hooks.example.com/ä", "https://hooks..example.com/", "https://-a.example.com/",
    ],
)  # fmt: skip
def test_a_url_that_is_no_plain_public_one_is_refused(url: str) -> None:
    with pytest.raises(WebhookUrlRefused):
        destination(url, DialRule())


async def test_a_name_without_an_address_is_told_as_such() -> None:
    with pytest.raises(NameUnknown):
        await Resolver()("does-not-exist.invalid", 443)


async def test_a_certificate_that_nobody_vouches_for_is_an_error_of_tls(tmp_path: Path) -> None:
    rule = DialRule(AddressRule(networks(["127.0.0.1/32"])))
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with a_receiver(context=context) as receiver:
        place = Destination(True, "hooks.internal", receiver.port, "/")
        names = Names(hooks_internal=[["127.0.0.1"]])
        strict = Post(CheckedNetwork(rule, names), SystemClock(), timeout_s=5.0, connections=1)
        trusting = Post(CheckedNetwork(rule, names), SystemClock(), timeout_s=5.0, connections=1, ca_path=certificate)

        refused = await strict(place, [], b"{}")
        other_name = await trusting(Destination(True, "127.0.0.1", receiver.port, "/"), [], b"{}")
        served = await trusting(place, [], b"{}")
        for one in (strict, trusting):
            await one.close()

    assert (refused.error, other_name.error, served.status_code) == (AttemptError.TLS, AttemptError.TLS, 200)


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for hooks.internal that signs itself."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hooks.internal")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.internal")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "certificate.pem", folder / "key.pem"


def test_the_canaries_would_be_reached_by_a_sender_that_checks_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        reached = [text for text in ("127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0") if _connects(text, port)]

    assert len(reached) >= 4


def _connects(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
