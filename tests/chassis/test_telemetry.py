"""Log lines say who and where, and never what people sent."""

import json
from uuid import UUID

import pytest
import structlog

from chassis.principal import Call, Principal, serving
from chassis.telemetry import configure_logging, describe, follow_trace, new_traceparent, span, traceparent, tracing_on
from kernel.errors import InvalidValue
from kernel.ids import TenantId


def test_the_text_of_a_strange_exception_stays_out_of_the_log() -> None:
    try:
        try:
            int("110101199003077758x")
        except ValueError as error:
            raise KeyError("110101199003077758") from error
    except KeyError as error:
        described = describe(error)

    assert [one["type"] for one in described] == ["builtins.KeyError", "builtins.ValueError"]
    assert "110101199003077758" not in json.dumps(described)
    assert "test_telemetry.py" in json.dumps(described)


def test_the_text_of_our_own_exceptions_is_kept() -> None:
    assert describe(InvalidValue("write it in capitals"))[0]["text"] == "write it in capitals"


def test_a_line_names_tenant_operation_and_request(capsys: pytest.CaptureFixture[str]) -> None:
    call = Call(
        Principal(TenantId(UUID(int=1)), "amy", frozenset()), "x.v1.X/Do", UUID(int=2), b"f" * 32, 0.0, "trace-1"
    )
    try:
        configure_logging()
        with serving(call):
            try:
                raise KeyError("secret")
            except KeyError:
                structlog.get_logger("x").exception("call failed")
    finally:
        structlog.reset_defaults()

    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"]) == ("call failed", "error")
    assert (line["tenant_id"], line["request_id"]) == (str(UUID(int=1)), str(UUID(int=2)))
    assert (line["operation"], line["trace_id"]) == ("x.v1.X/Do", "trace-1")
    assert "secret" not in json.dumps(line)


def test_lines_for_people_hold_no_local_variables_either(capsys: pytest.CaptureFixture[str]) -> None:
    national_id = "-".join(["110101", "19900307", "7758"])
    try:
        configure_logging(json=False)
        try:
            int(national_id)
        except ValueError:
            structlog.get_logger("x").exception("call failed")
    finally:
        structlog.reset_defaults()

    printed = capsys.readouterr().err
    assert "call failed" in printed
    assert "builtins.ValueError" in printed
    assert "19900307" not in printed


def test_a_traceparent_is_followed_and_nonsense_is_not() -> None:
    parent = new_traceparent()

    follow_trace(parent)
    follow_trace("x" * 5000)

    assert traceparent() == parent


def test_tracing_is_off_and_a_span_does_nothing() -> None:
    with span("x"):
        pass

    assert not tracing_on()
