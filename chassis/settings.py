"""What this process was told by its environment (MUSTER_*), read once and checked as a whole."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from chassis.lifecycle import CannotStart, Listener
from chassis.rate_limit import Limit

T = TypeVar("T")

PREFIX = "MUSTER_"
SERVICE_SUFFIXES = ("DATABASE_URL", "ADDRESS", "LISTEN")
NO_SERVICES = (
    "HTTP_LISTEN",
    "METRICS_LISTEN",
    "GATEWAY_ADMIN_LISTEN",
    "CONTROL_PLANE_ADDRESS",
)  # of the same shape; they name no service
SCHEMES = ("sqlite", "mysql+asyncmy", "mariadb+asyncmy")
# By rate class of an operation: what one tenant (of public operations: one client address) may ask.
RATES: Mapping[str, Limit] = {
    "TENANT": Limit(4000, 1),
    "ADDRESS": Limit(1000, 1),
    "SIGN_IN": Limit(600, 60),
    "EXPORT": Limit(120, 60),
    "BULK": Limit(3000, 60),
}
LAST_EPOCH = 1_000_000
LEAST_SETTLE_MARGIN_S = 1.5  # the difference of clocks that readiness allows (1 s), and half a second to write in


class SettingsProblem(CannotStart):
    """The environment cannot be used; every problem is listed, with the variable and what to do."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("the environment needs mending:\n" + "\n".join(f"- {problem}" for problem in self.problems))


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process.

    Invariants: every number is within its bounds; secrets are paths or URLs, never shown by `repr`; a context
    without a database URL of its own lives in an SQLite file in `data_dir`.
    """

    data_dir: Path = Path("muster-data")
    database_urls: Mapping[str, str] = field(default_factory=dict, repr=False)  # by service name
    addresses: Mapping[str, str] = field(default_factory=dict)  # gRPC targets by service name
    listeners: Mapping[str, Listener] = field(default_factory=dict)  # by service name
    registry_url: str | None = None  # where this process registers; None: nowhere
    advertise_host: str | None = None  # the host that it registers under; None: that of its listener
    control_plane_addresses: tuple[str, ...] = ()  # host:port of the control planes; none: static addresses only
    redis_url: str | None = field(default=None, repr=False)
    keyring_path: Path | None = None  # None: beside the data directory, never inside
    assertion_key_path: Path | None = None  # the private key that signs inner calls; only the application has it
    assertion_jwks_path: Path | None = None  # the public keys that data services accept
    server_settle_margin_s: float = 6.0  # of server databases; SQLite needs none
    request_deadline_s: float = 10.0  # of one HTTP request, carried to SQL
    longest_deadline_s: float = 30.0  # what a data service grants at most
    pool_size: int = 10
    pool_overflow: int = 5
    pool_timeout_s: float = 2.0
    workers: int = 0  # processes for long computation; 0 = inline
    connection_age_s: float = 0.0  # after which a data service has a connection made anew; 0 = never
    concurrent_calls: int = 256  # inner calls in flight per data service, of one method at most three quarters
    calls_in_flight: int = 128  # inner calls that one process makes of one data service at once; more wait their turn
    calls_waiting: int = 1024  # for their turn; more are refused
    in_process: bool = False  # calls between parts of this process go without a socket (the embedded form)
    hedging: bool = True  # reads that take unusually long are asked of a second replica
    breaker: bool = True  # calls of a data service that is gone fail at once
    message_bytes: int = 4 * 1024 * 1024
    http_listener: Listener = field(default=Listener("127.0.0.1", 8080))
    metrics_listener: Listener | None = None  # None: not served
    http_concurrency: int = 512  # HTTP requests in flight; more are answered 503
    push_connections: int = 10_000  # open streams per hub; more are answered 503
    push_tenant_connections: int = 5_000  # of one tenant per hub; more are answered 429
    push_principal_connections: int = 20  # of one principal per hub; more are answered 429
    shedding: bool = True  # requests are refused before they queue, by how late answers come
    late_s: float = 0.25  # after which an answer comes late, or after twice what its operation takes undisturbed
    body_bytes: int = 1024 * 1024
    import_bytes: int = 32 * 1024 * 1024
    rates: Mapping[str, Limit] = field(default_factory=lambda: RATES)  # by rate class
    ratelimit_timeout_s: float = 0.2  # how long a gateway waits for an exact count; then the request passes
    gateway_admin_listener: Listener | None = None  # Envoy's administration; 127.0.0.1 only
    gateway_epoch: int | None = None  # which in a line of gateways that take over from each other; None: of no line
    gateway_tls_cert: Path | None = None  # certificate chain (PEM); with it the gateway speaks TLS only
    gateway_tls_key: Path | None = None
    gateway_trusted_hops: int = 0  # proxies in front whose X-Forwarded-For is believed
    gateway_connections: int = 20_000  # open at once; more are closed at once
    gateway_keys_fresh_s: float = 30.0  # how long a gateway goes on with the issuer's keys before it asks again
    rates_at_edge: bool | None = None  # the application enforces them itself; None: in the embedded form only
    token_issuer: str = "muster"  # `iss` of access tokens, the same for the one that signs and those that verify
    password_rounds: int = 3
    password_memory_kib: int = 64 * 1024  # of one hash; lower in tests only
    webhook_networks: tuple[str, ...] = ()  # CIDRs of on-premise receivers, which may be dialled though not public
    webhook_plain: bool = False  # deliver to http:// too, for development on one machine
    webhook_timeout_s: float = 10.0  # of one attempt
    webhook_ca_path: Path | None = None  # certificates (PEM) that receivers may have beside public ones
    grace_s: float = 10.0
    reflection: bool = False
    tracing: bool = False
    log_level: str = "INFO"
    log_json: bool = True

    @classmethod
    def embedded(cls, data_dir: Path, **changes: object) -> "Settings":
        """For one process with everything inside: SQLite files in `data_dir`, computation inline."""
        return cls(data_dir=data_dir, **changes)  # type: ignore[arg-type]

    @classmethod
    def read(cls, environ: Mapping[str, str] | None = None, services: Iterable[str] = ()) -> "Settings":
        """From the environment. `services`, if given, are the only names accepted in MUSTER_<SERVICE>_*.

        Raises SettingsProblem, which lists everything that is wrong at once.
        """
        reader = _Reader(os.environ if environ is None else environ, tuple(services))
        return reader.settings()

    def database_url(self, service: str) -> str:
        """The service's database: the one it was given, else its SQLite file in `data_dir`."""
        given = self.database_urls.get(service)
        return given or f"sqlite:///{self.data_dir.absolute() / service}.sqlite3"

    def settle_margin_s(self, service: str) -> float:
        """Seconds until a fact of that service's database is settled: 0 on SQLite, which has one writer."""
        return 0.0 if self.database_url(service).startswith("sqlite") else self.server_settle_margin_s

    def address(self, service: str) -> str:
        """The service's gRPC target: what was given, else its name at the control plane.

        Raises SettingsProblem where there is neither.
        """
        if service in self.addresses:
            return self.addresses[service]
        if self.control_plane_addresses:
            return f"xds:///{service}"
        name = f"{PREFIX}{service.upper()}_ADDRESS"
        raise SettingsProblem([f"{name} is missing: write host:port or unix:/path of {service}"])

    def listener(self, service: str) -> Listener:
        """Where the service listens: what it was given, else any free local port."""
        return self.listeners.get(service, Listener())

    @property
    def keyring(self) -> Path:
        """The keyring file: what was given, else beside the data directory."""
        return self.keyring_path or self._beside("keyring")

    @property
    def assertion_key(self) -> Path:
        """The private signing key (JWK): what was given, else beside the data directory."""
        return self.assertion_key_path or self._beside("signing-key.json")

    @property
    def assertion_jwks(self) -> Path:
        """The public keys (JWKS): what was given, else beside the data directory."""
        return self.assertion_jwks_path or self._beside("signing-keys.public.json")

    def _beside(self, suffix: str) -> Path:
        data = self.data_dir.absolute()
        return data.with_name(f"{data.name}.{suffix}")


class _Reader:
    """Takes variables out of the environment one by one and remembers what is wrong and what was never asked for."""

    def __init__(self, environ: Mapping[str, str], services: tuple[str, ...]) -> None:
        self.left = {name: value for name, value in environ.items() if name.startswith(PREFIX)}
        self.services = services
        self.problems: list[str] = []

    def settings(self) -> Settings:
        default = Settings()
        database_urls, addresses, listeners = self._services()
        found = Settings(
            data_dir=self._take("DATA_DIR", Path, default.data_dir, "a folder"),
            database_urls=database_urls,
            addresses=addresses,
            listeners=listeners,
            registry_url=self._take("REGISTRY_URL", _registry, None, "etcd://host:port[,host:port] or file:///folder"),
            advertise_host=self._take("ADVERTISE_HOST", _host, None, "a host name or address that others reach"),
            control_plane_addresses=self._take(
                "CONTROL_PLANE_ADDRESS", _host_ports, default.control_plane_addresses, "host:port[,host:port]"
            ),
            redis_url=self._take("REDIS_URL", _redis, None, "redis://host:port/db, rediss://... or unix://path"),
            keyring_path=self._take("KEYRING_PATH", Path, None, "a file"),
            assertion_key_path=self._take("ASSERTION_KEY_PATH", Path, None, "a file"),
            assertion_jwks_path=self._take("ASSERTION_JWKS_PATH", Path, None, "a file"),
            server_settle_margin_s=self._seconds(
                "SETTLE_MARGIN_S", default.server_settle_margin_s, LEAST_SETTLE_MARGIN_S, 60
            ),
            request_deadline_s=self._seconds("REQUEST_DEADLINE_S", default.request_deadline_s, 0.1, 300),
            longest_deadline_s=self._seconds("LONGEST_DEADLINE_S", default.longest_deadline_s, 0.1, 300),
            pool_size=self._count("POOL_SIZE", default.pool_size, 1, 200),
            pool_overflow=self._count("POOL_OVERFLOW", default.pool_overflow, 0, 200),
            pool_timeout_s=self._seconds("POOL_TIMEOUT_S", default.pool_timeout_s, 0.05, 60),
            workers=self._count("WORKERS", max((os.cpu_count() or 1) - 1, 0), 0, 256),
            concurrent_calls=self._count("CONCURRENT_CALLS", default.concurrent_calls, 1, 10_000),
            connection_age_s=self._seconds("CONNECTION_AGE_S", default.connection_age_s, 0, 86_400),
            calls_in_flight=self._count("CALLS_IN_FLIGHT", default.calls_in_flight, 1, 10_000),
            calls_waiting=self._count("CALLS_WAITING", default.calls_waiting, 0, 100_000),
            hedging=self._take("HEDGING", _switch, default.hedging, "on or off"),
            breaker=self._take("BREAKER", _switch, default.breaker, "on or off"),
            message_bytes=self._count("MESSAGE_BYTES", default.message_bytes, 64 * 1024, 64 * 1024 * 1024),
            http_listener=self._take("HTTP_LISTEN", Listener.parse, default.http_listener, "host:port or unix:/path"),
            metrics_listener=self._take("METRICS_LISTEN", Listener.parse, default.metrics_listener, "host:port"),
            http_concurrency=self._count("HTTP_CONCURRENCY", default.http_concurrency, 1, 100_000),
            push_connections=self._count("PUSH_CONNECTIONS", default.push_connections, 1, 100_000),
            push_tenant_connections=self._count("PUSH_TENANT_CONNECTIONS", default.push_tenant_connections, 1, 100_000),
            push_principal_connections=self._count(
                "PUSH_PRINCIPAL_CONNECTIONS", default.push_principal_connections, 1, 100_000
            ),
            shedding=self._take("SHEDDING", _switch, default.shedding, "on or off"),
            late_s=self._seconds("LATE_S", default.late_s, 0.05, 30),
            body_bytes=self._count("BODY_BYTES", default.body_bytes, 1024, 64 * 1024 * 1024),
            import_bytes=self._count("IMPORT_BYTES", default.import_bytes, 1024, 1024 * 1024 * 1024),
            rates={
                name: self._take(f"RATE_{name}", Limit.parse, limit, f"count/seconds, such as {limit}")
                for name, limit in RATES.items()
            },
            ratelimit_timeout_s=self._seconds("RATELIMIT_TIMEOUT_S", default.ratelimit_timeout_s, 0.01, 10),
            gateway_admin_listener=self._take("GATEWAY_ADMIN_LISTEN", Listener.parse, None, "127.0.0.1:port"),
            gateway_epoch=self._take("GATEWAY_EPOCH", _whole(0, LAST_EPOCH), None, f"a number from 0 to {LAST_EPOCH}"),
            gateway_tls_cert=self._take("GATEWAY_TLS_CERT", Path, None, "a PEM file"),
            gateway_tls_key=self._take("GATEWAY_TLS_KEY", Path, None, "a PEM file"),
            gateway_trusted_hops=self._count("GATEWAY_TRUSTED_HOPS", default.gateway_trusted_hops, 0, 10),
            gateway_connections=self._count("GATEWAY_CONNECTIONS", default.gateway_connections, 10, 1_000_000),
            gateway_keys_fresh_s=self._seconds("GATEWAY_KEYS_FRESH_S", default.gateway_keys_fresh_s, 1, 3600),
            rates_at_edge=self._take("RATES_AT_EDGE", _switch, default.rates_at_edge, "on or off"),
            token_issuer=self._take("TOKEN_ISSUER", _name, default.token_issuer, "a name or URL without spaces"),
            password_rounds=self._count("PASSWORD_ROUNDS", default.password_rounds, 1, 100),
            password_memory_kib=self._count("PASSWORD_MEMORY_KIB", default.password_memory_kib, 8, 4 * 1024 * 1024),
            webhook_networks=self._take(
                "WEBHOOK_NETWORKS", _networks, (), "networks such as 10.20.0.0/16,10.30.0.5/32"
            ),
            webhook_plain=self._take("WEBHOOK_PLAIN_HTTP", _switch, default.webhook_plain, "on or off"),
            webhook_timeout_s=self._seconds("WEBHOOK_TIMEOUT_S", default.webhook_timeout_s, 0.2, 30),
            webhook_ca_path=self._take("WEBHOOK_CA_PATH", Path, None, "a file"),
            grace_s=self._seconds("GRACE_S", default.grace_s, 0, 600),
            reflection=self._take("REFLECTION", _switch, default.reflection, "on or off"),
            tracing=self._take("TRACING", _switch, default.tracing, "on or off"),
            log_level=self._take("LOG_LEVEL", _level, default.log_level, "DEBUG, INFO, WARNING or ERROR"),
            log_json=self._take("LOG_JSON", _switch, default.log_json, "on or off"),
        )
        for name in sorted(self.left):
            self.problems.append(f"{name} is not a setting: check its spelling or remove it")
        self._check(found)
        if self.problems:
            raise SettingsProblem(self.problems)
        return found

    def _services(self) -> tuple[Mapping[str, str], Mapping[str, str], Mapping[str, Listener]]:
        urls: dict[str, str] = {}
        addresses: dict[str, str] = {}
        listeners: dict[str, Listener] = {}
        for variable in sorted(self.left):
            match = re.fullmatch(rf"{PREFIX}([A-Z][A-Z0-9_]*?)_({'|'.join(SERVICE_SUFFIXES)})", variable)
            if match is None or variable.removeprefix(PREFIX) in NO_SERVICES:
                continue
            service = match[1].lower().replace("_", "-")
            if self.services and service not in self.services:
                known = ", ".join(self.services)
                self.problems.append(f"{variable} names no service: write one of {known} after {PREFIX}")
                del self.left[variable]
            elif match[2] == "DATABASE_URL":
                shape = "mysql+asyncmy://user:password@host:port/database or sqlite:///path"
                urls[service] = self._take(variable.removeprefix(PREFIX), _database, "", shape)
            elif match[2] == "ADDRESS":
                shape = "host:port, unix:/path, or a gRPC target such as dns:///host:port"
                addresses[service] = self._take(variable.removeprefix(PREFIX), _target, "", shape)
            else:
                shape = "host:port or unix:/path"
                listeners[service] = self._take(variable.removeprefix(PREFIX), Listener.parse, Listener(), shape)
        return urls, addresses, listeners

    def _check(self, found: Settings) -> None:
        keyring, data = found.keyring.absolute(), found.data_dir.absolute()
        if keyring.is_relative_to(data):
            self.problems.append(
                f"{PREFIX}KEYRING_PATH lies inside {PREFIX}DATA_DIR: put it elsewhere, so that a copy of the data"
                " does not carry its keys"
            )
        if found.request_deadline_s > found.longest_deadline_s:
            self.problems.append(
                f"{PREFIX}REQUEST_DEADLINE_S is longer than {PREFIX}LONGEST_DEADLINE_S: data services would cut it"
                " short; lower the one or raise the other"
            )

    def _take(self, name: str, parse: Callable[[str], T], default: T | None, shape: str) -> T:
        text = self.left.pop(PREFIX + name, None)
        if text is None:
            return default  # type: ignore[return-value]
        try:
            if not text.strip():
                raise ValueError("empty")
            return parse(text.strip())
        except ValueError:
            # The value may be a secret (a URL with a password), so only its shape is told.
            self.problems.append(f"{PREFIX}{name} has {len(text)} characters that cannot be read: write {shape}")
            return default  # type: ignore[return-value]

    def _seconds(self, name: str, default: float, least: float, most: float) -> float:
        def parse(text: str) -> float:
            if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text) or not least <= float(text) <= most:
                raise ValueError(text)
            return float(text)

        return self._take(name, parse, default, f"seconds from {least:g} to {most:g}, such as {default:g}")

    def _count(self, name: str, default: int, least: int, most: int) -> int:
        shape = f"a whole number from {least} to {most}, such as {default}"
        return self._take(name, _whole(least, most), default, shape)


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text) or not least <= int(text) <= most:
            raise ValueError(text)
        return int(text)

    return parse


def _switch(text: str) -> bool:
    try:
        return {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}[text.lower()]
    except KeyError:
        raise ValueError(text) from None


def _name(text: str) -> str:
    if not re.fullmatch(r"[!-~]{1,200}", text):
        raise ValueError(text)
    return text


def _level(text: str) -> str:
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError(text)
    return text.upper()


def _database(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in SCHEMES or not parts.path.strip("/"):
        raise ValueError(text)
    return text


def _networks(text: str) -> tuple[str, ...]:
    return tuple(str(ip_network(one.strip())) for one in text.split(",") if one.strip())


def _redis(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("redis", "rediss", "unix") or not (parts.netloc or parts.path):
        raise ValueError(text)
    return text


def _host_port(text: str) -> str:
    listener = Listener.parse(text)
    if listener.path or not listener.port:
        raise ValueError(text)
    return listener.target


def _host_ports(text: str) -> tuple[str, ...]:
    return tuple(_host_port(one.strip()) for one in text.split(","))


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9:._-]{1,253}", text):
        raise ValueError(text)
    return text


def _registry(text: str) -> str:
    scheme, _, rest = text.partition("://")
    if scheme == "etcd":
        return f"etcd://{','.join(_host_ports(rest))}"
    if scheme != "file" or not rest.startswith("/"):
        raise ValueError(text)
    return text


def _target(text: str) -> str:
    if re.match(r"(dns|ipv4|ipv6|xds):", text):
        return text
    listener = Listener.parse(text)
    if not listener.path and listener.port == 0:
        raise ValueError(text)
    return listener.target
