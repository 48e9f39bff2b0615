"""Errors cross the wire with their reason and facts, and unexpected ones without their text."""

import pytest

from chassis.rpc.channels import spending
from chassis.rpc.error_map import RemoteError, Trouble, Violation, http_of, kind_of, problem_of, status_of
from kernel.errors import Kind
from tests.chassis.rpc.conftest import Served
from tests.chassis.rpc.probe import TooMany, a_principal, messages


async def failure(served: Served, behaviour: str, **fields: object) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        await served.client.call(
            served.stub.Do, messages.DoRequest(behaviour=behaviour, **fields), principal=a_principal()
        )
    return caught.value


async def test_a_refusal_keeps_its_reason_sentence_and_facts(served: Served) -> None:
    error = await failure(served, "refuse")

    assert (error.kind, error.reason) == (Kind.RULE, "TOO_MANY")
    assert error.message == "there are too many: remove one"
    assert error.facts == {"limit": "3", "tried": "4"}


async def test_a_refusal_is_not_tried_again(served: Served) -> None:
    await failure(served, "refuse")

    assert served.probe.started["refuse"] == 1


async def test_a_refused_value_names_its_field(served: Served) -> None:
    error = await failure(served, "misspell")

    assert error.fields == (Violation("items[0].code", "MISSPELT", "write it in capitals"),)


async def test_every_violation_of_the_proto_is_listed_with_its_path(served: Served) -> None:
    bad = [messages.Item(code="lower", amount=-1), messages.Item(code="OK"), messages.Item(code="")]

    error = await failure(served, "echo", items=bad)

    assert (error.kind, error.reason) == (Kind.INVALID, "INVALID_REQUEST")
    assert [one.field for one in error.fields] == ["items[0].code", "items[0].amount", "items[2].code"]
    assert all(one.message and "lower" not in one.message for one in error.fields)
    assert served.probe.started["echo"] == 0


async def test_a_thousand_violations_still_fit_into_the_answer(served: Served) -> None:
    error = await failure(served, "echo", items=[messages.Item(code="x" * 50, amount=-1)] * 600)

    assert error.kind is Kind.INVALID
    assert 0 < len(error.fields) <= 100


async def test_the_text_of_an_unexpected_exception_never_leaks(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    error = await failure(served, "crash")

    assert error.kind is Trouble.INTERNAL
    assert "110101199003077758" not in f"{error.message}{error.facts}{error}"
    assert problem_of(error).incident.startswith("inc-")


async def test_an_unexpected_exception_is_not_tried_again(served: Served) -> None:
    await failure(served, "crash")

    assert served.probe.started["crash"] == 1


@pytest.mark.parametrize("behaviour", ["database_gone", "pool_empty"])
async def test_a_database_that_is_away_is_unavailable(served: Served, behaviour: str) -> None:
    error = await failure(served, behaviour)

    assert error.kind is Trouble.UNAVAILABLE
    assert http_of(error.kind) == 503
    assert error.retry_after_s == 1
    assert "10.1.2.3" not in error.message


async def test_unavailable_is_tried_four_times_at_most(served: Served) -> None:
    await failure(served, "database_gone")

    assert served.probe.started["database_gone"] == 4


async def test_retries_stop_when_a_service_stays_down(served: Served) -> None:
    for _ in range(40):
        await failure(served, "database_gone")

    assert served.probe.started["database_gone"] <= 40 + 20


async def test_a_wrong_statement_is_our_mistake_and_not_an_outage(served: Served) -> None:
    error = await failure(served, "no_such_column")

    assert error.kind is Trouble.INTERNAL


async def test_a_time_out_inside_is_a_time_out_outside(served: Served) -> None:
    error = await failure(served, "time_out")

    assert error.kind is Trouble.TIMEOUT
    assert http_of(error.kind) == 504


async def test_a_service_that_is_not_there_is_unavailable_at_once(served: Served) -> None:
    from chassis.rpc.channels import Channels
    from tests.chassis.rpc.probe import wire

    channels = Channels(served.settings, served.signer, {"probe": "127.0.0.1:1"})
    client = channels.to("probe")

    with spending(5.0), pytest.raises(RemoteError) as caught:
        await client.call(
            client.stub(wire.ProbeServiceStub).Do, messages.DoRequest(behaviour="echo"), principal=a_principal()
        )

    await channels.close()
    assert caught.value.kind is Trouble.UNAVAILABLE
    assert "127.0.0.1" not in caught.value.message


async def test_a_message_over_the_limit_is_refused(served: Served) -> None:
    error = await failure(served, "echo", request_id="x" * (5 * 1024 * 1024))

    assert error.kind is Trouble.OVERLOADED


def test_a_stale_version_is_412_only_for_those_who_named_the_version() -> None:
    stale = RemoteError(Kind.STALE, "STALE_VERSION", "read again")

    assert problem_of(stale, if_match=True).status == 412
    assert problem_of(stale).status == 409


def test_a_refusal_reads_the_same_before_and_behind_a_call() -> None:
    here = problem_of(TooMany("two are enough", field="items", limit=2))

    assert here.status == 409
    assert here.fields == (Violation("items", "TOO_MANY", "two are enough"),)
    assert here.facts == {"limit": "2"}


def test_facts_are_bounded_on_the_wire() -> None:
    status = status_of(TooMany("x" * 5000, **{f"fact{n}": "y" * 5000 for n in range(50)}))

    assert status.ByteSize() < 16 * 1024


def test_what_nobody_knows_is_internal() -> None:
    assert kind_of(KeyError("x")) is Trouble.INTERNAL
    assert kind_of(ConnectionResetError()) is Trouble.UNAVAILABLE
