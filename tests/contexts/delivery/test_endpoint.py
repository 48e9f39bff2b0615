"""Endpoints, secrets, lanes and schedules, without I/O."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from contexts.delivery.domain.delivery import (
    RETRY_AFTER,
    AttemptError,
    Delivery,
    DeliveryStatus,
    attempt_of,
)
from contexts.delivery.domain.endpoint import Because, EventTypes, Status, live_secrets
from contexts.delivery.domain.errors import EventTypeMalformed, TooManyWebhookSecrets, WebhookEndpointStatus
from contexts.delivery.domain.lane import FAILING_FOR, Lane
from contexts.delivery.domain.secret import Secret, SecretId, signatures
from tests.support.delivery import HIRED, PUNCHED, START, a_secret, an_endpoint

DAY = timedelta(days=1)


def test_a_signature_is_that_of_the_specification() -> None:
    key = base64.b64decode("plJ3nmyCDGBKInavdOK15jsl+AAAAAAA")  # 24 bytes, the least that is allowed
    secret = Secret(SecretId(UUID(int=1)), key, START)
    body = b'{"event_type":"ping","data":{"success":true}}'

    signed = signatures([secret], "msg_loFOjxBQrRLzqYUf", START, body)

    content = f"msg_loFOjxBQrRLzqYUf.{int(START.timestamp())}.".encode() + body
    assert signed == "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    assert secret.text == "whsec_plJ3nmyCDGBKInavdOK15jsl+AAAAAAA"
    assert "plJ3" not in repr(secret)
    assert repr(key)[2:6] not in repr(secret)


def test_the_old_secret_signs_too_until_its_overlap_is_over() -> None:
    endpoint = an_endpoint()
    endpoint.rotate(a_secret(b"t", START + timedelta(hours=1)), START + timedelta(hours=1), DAY)

    during = signatures(endpoint.state.secrets, "id", START + DAY, b"{}")
    after = signatures(endpoint.state.secrets, "id", START + DAY + timedelta(hours=1), b"{}")

    assert len(during.split(" ")) == 2
    assert len(after.split(" ")) == 1
    assert during.split(" ")[0].startswith("v1,")


def test_three_secrets_sign_at_most_and_none_is_left_without_overlap() -> None:
    endpoint = an_endpoint()
    for fill in (b"t", b"u"):
        endpoint.rotate(a_secret(fill), START, DAY)

    with pytest.raises(TooManyWebhookSecrets):
        endpoint.rotate(a_secret(b"v"), START, DAY)
    endpoint.rotate(a_secret(b"w"), START, timedelta(0))

    assert [one.key[:1] for one in live_secrets(endpoint.state, START)] == [b"w"]


def test_a_second_rotation_does_not_lengthen_the_first() -> None:
    endpoint = an_endpoint()
    endpoint.rotate(a_secret(b"t"), START, timedelta(hours=1))
    endpoint.rotate(a_secret(b"u"), START, DAY)

    assert [one.expire_time for one in endpoint.state.secrets] == [START + timedelta(hours=1), START + DAY, None]


def test_an_endpoint_is_enabled_disabled_and_deleted_once() -> None:
    endpoint = an_endpoint()
    with pytest.raises(WebhookEndpointStatus):
        endpoint.enable()
    endpoint.disable(Because.REQUESTED)
    with pytest.raises(WebhookEndpointStatus):
        endpoint.disable(Because.GONE)
    with pytest.raises(WebhookEndpointStatus):
        endpoint.check_enabled()
    endpoint.enable()
    endpoint.delete()

    assert (endpoint.state.status, endpoint.state.secrets, endpoint.state.because) == (Status.DELETED, (), None)
    with pytest.raises(WebhookEndpointStatus):
        endpoint.delete()


def test_event_types_are_names_prefixes_or_everything() -> None:
    assert EventTypes().include(HIRED)
    assert EventTypes((HIRED,)).include(HIRED)
    assert not EventTypes((HIRED,)).include(PUNCHED)
    assert EventTypes(("muster.attendance.v1.*",)).include(PUNCHED)
    assert not EventTypes(("muster.attendance.*",)).include("muster.attendances.v1.Event")
    for wrong in ("*", "muster.*.v1", "muster.", "a b", ".*", ""):
        with pytest.raises(EventTypeMalformed):
            EventTypes((wrong,))
    with pytest.raises(EventTypeMalformed):
        EventTypes((HIRED, HIRED))


def test_a_delivery_is_tried_for_more_than_a_day_and_then_given_up() -> None:
    one = Delivery.due(UUID(int=1), UUID(int=2), HIRED, START)
    at = START

    while one.due_time is not None:
        at = one.due_time
        one = one.tried(attempt_of(at, 503, 1, None), RETRY_AFTER, -20)

    assert (one.status, one.tries) == (DeliveryStatus.FAILED, 10)
    assert at - START > DAY
    assert one.again(at).due_time == at
    assert one.again(at).id == one.id


def test_a_receiver_that_asks_for_time_gets_it_within_reason() -> None:
    one = Delivery.due(UUID(int=1), UUID(int=2), HIRED, START)

    asked = one.tried(attempt_of(START, 429, 1, timedelta(hours=3)), RETRY_AFTER, 20)
    greedy = one.tried(attempt_of(START, 429, 1, timedelta(days=300)), RETRY_AFTER, 0)
    brief = one.tried(attempt_of(START, 429, 1, timedelta(seconds=-9)), RETRY_AFTER, 20)

    assert asked.due_time == START + timedelta(hours=3)
    assert greedy.due_time == START + DAY
    assert brief.due_time == START + timedelta(seconds=6)


def test_a_redirect_is_a_failure_and_gone_is_final() -> None:
    one = Delivery.due(UUID(int=1), UUID(int=2), HIRED, START)

    assert attempt_of(START, 302, 1, None).error is AttemptError.REDIRECT
    assert one.tried(attempt_of(START, 410, 1, None), RETRY_AFTER, 0).status is DeliveryStatus.FAILED
    assert one.tried(attempt_of(START, 200, 1, None), RETRY_AFTER, 0).status is DeliveryStatus.DELIVERED


def test_a_lane_that_fails_pauses_longer_each_time_and_a_success_mends_it() -> None:
    lane, failed = Lane(UUID(int=1)), [attempt_of(START, 500, 1, None)]
    pauses = []
    for _ in range(8):
        lane = lane.held(UUID(int=9), START).released(failed, START, START)
        assert lane.due_time is not None
        pauses.append((lane.due_time - START).total_seconds())

    mended = lane.released([*failed, attempt_of(START, 200, 1, None)], START, START)

    assert pauses == [1, 2, 5, 10, 30, 60, 60, 60]
    assert (lane.ailing, mended.ailing, mended.failing_since) == (True, False, None)
    assert lane.has_failed_for_good(START + FAILING_FOR)
    assert not lane.has_failed_for_good(START + FAILING_FOR - timedelta(seconds=1))
    assert not mended.has_failed_for_good(START + FAILING_FOR)


def test_a_lane_that_rests_is_woken_and_one_that_is_held_or_pauses_is_not() -> None:
    later = START + DAY

    assert Lane(UUID(int=1)).woken(START).due_time == START
    assert Lane(UUID(int=1), later).woken(START).due_time == later
    assert Lane(UUID(int=1), later).hurried(START).due_time == START
    assert Lane(UUID(int=1), later, UUID(int=2)).hurried(START).due_time == later


def test_the_code_for_receivers_verifies_what_is_sent() -> None:
    page = (Path(__file__).parents[3] / "docs/webhooks.md").read_text(encoding="utf-8")
    code: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], code)
    old, new, at = a_secret(b"o"), a_secret(b"n"), datetime.now(UTC)
    headers = {
        "webhook-id": "019ab3c4-5d6e-5f80-9a1b-2c3d4e5f6071",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signatures([old, new], "019ab3c4-5d6e-5f80-9a1b-2c3d4e5f6071", at, b'{"a": 1}'),
    }
    late = headers | {"webhook-timestamp": str(int(at.timestamp()) - 301)}

    assert code["verified"](old.text, headers, b'{"a": 1}')
    assert code["verified"](new.text, headers, b'{"a": 1}')
    assert not code["verified"](a_secret(b"x").text, headers, b'{"a": 1}')
    assert not code["verified"](new.text, headers, b'{"a": 2}')
    assert not code["verified"](new.text, late, b'{"a": 1}')
