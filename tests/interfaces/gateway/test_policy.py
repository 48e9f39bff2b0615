"""The table is the application's operations, no more and no less, and the routes say what the table says."""

import re
from functools import cache
from pathlib import Path

import pytest
from envoy.config.core.v3.base_pb2 import HIGH
from envoy.config.route.v3.route_components_pb2 import Route

from application.app import operations
from application.edge.operation import Criticality, RateClass, operation_of
from chassis.settings import RATES, Settings
from interfaces.gateway.policy import PUSH, WRITTEN, Row, table, written_anew
from interfaces.gateway.routes import BUFFER, LOCAL_RATE_LIMIT, route_configuration

COSTLY = {
    "POST /v1/token": RateClass.SIGN_IN,
    "POST /v1/token/refresh": RateClass.SIGN_IN,
    "GET /v1/payroll-runs/{run_id}/payments.csv": RateClass.EXPORT,
    "GET /v1/payroll-runs/{run_id}/register": RateClass.EXPORT,
    "POST /v1/employees/batch": RateClass.BULK,
    "POST /v1/punches/batch": RateClass.BULK,
    "POST /v1/timesheet-closings": RateClass.BULK,
    "POST /v1/opening-balances": RateClass.BULK,
}

URGENT = {
    "POST /v1/token",
    "POST /v1/token/refresh",
    "POST /v1/punches",
    "POST /v1/me/punches",
    "POST /v1/timesheets/{timesheet_id}/submit",
    "POST /v1/timesheets/{timesheet_id}/approve",
    "POST /v1/timesheet-corrections/{correction_id}/approve",
    "POST /v1/timesheet-corrections/{correction_id}/decline",
    "POST /v1/overtime-requests/{overtime_request_id}/approve",
    "POST /v1/overtime-requests/{overtime_request_id}/decline",
    "POST /v1/payroll-runs/{run_id}/approve",
}
REPORTS = {"GET /v1/employees", "GET /v1/payroll-runs/{run_id}/register", "GET /v1/headcount", "POST /v1/punches/batch"}


@cache
def routes() -> tuple[Route, ...]:
    return tuple(route_configuration({"leave": ["/v1/leave"]}).virtual_hosts[0].routes)


def routes_of(row: Row) -> list[Route]:
    return [route for route in routes() if route.name == row.name]


def first_match(method: str, path: str, headers: frozenset[str] = frozenset()) -> Route:
    for route in routes():
        match = route.match
        for_path = (
            (match.HasField("path") and match.path == path)
            or (match.HasField("safe_regex") and re.fullmatch(match.safe_regex.regex, path))
            or (match.HasField("prefix") and path.startswith(match.prefix))
            or (match.HasField("path_separated_prefix") and f"{path}/".startswith(f"{match.path_separated_prefix}/"))
        )
        if for_path and all(
            one.string_match.exact == method if one.name == ":method" else one.name in headers for one in match.headers
        ):
            return route
    raise AssertionError(f"{method} {path} has no route")


def test_the_table_that_is_kept_is_that_of_the_application() -> None:
    assert WRITTEN.read_text() == written_anew(), "run: make operations"


def test_every_operation_has_its_row() -> None:
    rows = {(row.method, row.path): row for row in table()}

    for route in operations():
        operation = operation_of(route.endpoint)
        for method in route.methods or ():
            row = rows[method, route.path_format]
            assert row.public == (operation.action is None)
            assert (row.criticality, row.rate) == (operation.criticality, operation.rate)


def test_what_is_public_is_named_here() -> None:
    assert {f"{row.method} {row.path}" for row in table() if row.public} == {
        "POST /v1/token",
        "POST /v1/token/refresh",
        "GET /.well-known/jwks.json",
        "GET /livez",
        "GET /readyz",
        "GET /openapi.json",
        "GET /docs",
        "GET /docs/{name}",
        "GET /problems/{reason}",
    }


def test_what_is_costly_is_counted_exactly() -> None:
    exact = {f"{row.method} {row.path}": row.rate for row in table() if row.rate.exact}

    assert exact == exact | COSTLY
    for row in table():
        if row.criticality is Criticality.DEFERRABLE and row.body_bytes:
            assert row.rate is RateClass.BULK, f"{row.name} takes many changes at once and is not counted as such"


def test_signing_in_punches_and_approvals_go_first_and_nothing_else_does() -> None:
    of = {f"{row.method} {row.path}": row.criticality for row in table()}

    assert {name for name, criticality in of.items() if criticality is Criticality.CRITICAL} == URGENT
    assert {of[name] for name in REPORTS} == {Criticality.DEFERRABLE}


@pytest.mark.parametrize("row", table(), ids=lambda row: f"{row.method} {row.path}")
def test_every_row_is_reached_by_its_own_route(row: Row) -> None:
    path = re.sub(r"\{[a-z_]+\}", "x", row.path)

    route = first_match(row.method, path)

    assert route.name == row.name
    assert route.route.cluster == row.service
    assert (route.route.priority == HIGH) == (row.criticality is Criticality.CRITICAL)
    assert (BUFFER in route.typed_per_filter_config) == bool(row.body_bytes or row.stream)
    assert len(route.route.rate_limits) == int(row.rate.exact)


def test_a_change_is_repeated_only_with_a_key() -> None:
    plain = first_match("POST", "/v1/punches").route.retry_policy
    keyed = first_match("POST", "/v1/punches", frozenset({"idempotency-key"})).route.retry_policy
    sign_in = first_match("POST", "/v1/token", frozenset({"idempotency-key"})).route.retry_policy
    read = first_match("GET", "/v1/employees/x").route.retry_policy

    assert "reset" in keyed.retry_on.split(",")
    assert "reset" in read.retry_on.split(",")
    assert "reset" not in plain.retry_on.split(",")
    assert "reset" not in sign_in.retry_on.split(",")
    assert not any(policy.per_try_timeout.seconds for policy in (plain, keyed, sign_in))


def test_a_stream_has_no_end_and_no_buffer() -> None:
    for row in table():
        if row.service == PUSH:
            [route] = routes_of(row)
            assert route.route.HasField("timeout")
            assert route.route.timeout.ToSeconds() == 0


def test_a_service_gets_its_prefix_and_nothing_of_the_table() -> None:
    assert first_match("GET", "/v1/leave").route.cluster == "leave"
    assert first_match("POST", "/v1/leave/x").route.cluster == "leave"
    assert first_match("GET", "/v1/leaves").route.cluster == "application"


@pytest.mark.parametrize(
    "prefix", ["/", "/v1", "/v1/token", "/v1/employees", "/livez", "", "v1/x", "/v1//x", "/V1/%2e"]
)
def test_a_prefix_that_would_take_ours_is_refused(prefix: str) -> None:
    found = route_configuration({"thief": [prefix]}).virtual_hosts[0].routes

    assert all(route.route.cluster != "thief" for route in found)


def test_signing_in_is_limited_at_each_gateway_too() -> None:
    limited = first_match("POST", "/v1/token").typed_per_filter_config

    assert LOCAL_RATE_LIMIT in limited


def test_the_numbers_are_settings() -> None:
    settings = Settings.read({"MUSTER_RATE_SIGN_IN": "7/60", "MUSTER_REQUEST_DEADLINE_S": "3"})

    named = {route.name: route for route in route_configuration({}, settings).virtual_hosts[0].routes}

    assert named["identity.sign_in"].route.timeout.ToMilliseconds() == 4000
    assert b"\x08\x07" in named["identity.sign_in"].typed_per_filter_config[LOCAL_RATE_LIMIT].value


def test_the_page_on_limits_says_what_holds() -> None:
    page = (Path(__file__).parents[3] / "docs" / "gateway.md").read_text()
    told = dict(re.findall(r"^\| ([A-Z_]+) \|.*\| `MUSTER_RATE_[A-Z_]+` \| ([0-9]+/[0-9]+) \|", page, re.MULTILINE))

    assert told == {name: str(limit) for name, limit in RATES.items()}
    assert set(told) == {rate.value for rate in RateClass}
