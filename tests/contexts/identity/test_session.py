"""Sessions, tries and signing keys over time."""

from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contexts.identity.domain.account import AccountId
from contexts.identity.domain.errors import (
    NoSigningKey,
    RotationPending,
    SessionRefused,
    TenantMalformed,
    TooManySigningKeys,
    TooManyTries,
)
from contexts.identity.domain.policies import MAX_TRIES, WINDOW, Tries
from contexts.identity.domain.session import IDLE, LONGEST, EndReason, Session, SessionId
from contexts.identity.domain.signing_key import AHEAD, CLOCK_SKEW, LONGEST_TOKEN_LIFE, MAX_KEYS, KeyRing
from contexts.identity.domain.tenant import Tenant
from kernel.ids import INSTALLATION, tenant_id_of
from tests.support.identity import START

FIRST, SECOND, THIRD = (bytes([number]) * 32 for number in (1, 2, 3))
REQUEST = UUID(int=77)
MINUTE = timedelta(minutes=1)


def a_session() -> Session:
    return Session.open(SessionId(UUID(int=1)), AccountId(UUID(int=2)), FIRST, START)


def test_only_the_newest_secret_refreshes() -> None:
    session = a_session().refreshed(FIRST, SECOND, START + MINUTE, REQUEST)

    assert session.generation == 2
    assert session.refreshed(SECOND, THIRD, START + MINUTE).holds(THIRD)
    with pytest.raises(SessionRefused):
        session.refreshed(FIRST, THIRD, START + MINUTE)


def test_only_the_request_that_gave_the_newest_secret_is_given_it_again() -> None:
    session = a_session().refreshed(FIRST, SECOND, START, REQUEST)

    assert session.was_given(SECOND, REQUEST)
    assert not session.was_given(SECOND, UUID(int=78))
    assert not session.was_given(THIRD, REQUEST)
    assert not a_session().refreshed(FIRST, SECOND, START, None).was_given(SECOND, None)


def test_a_session_that_is_not_used_ends() -> None:
    session = a_session()

    assert session.is_live(START + IDLE - MINUTE)
    with pytest.raises(SessionRefused):
        session.refreshed(FIRST, SECOND, START + IDLE)


def test_a_session_that_is_used_every_day_ends_after_ninety_days() -> None:
    session, day = a_session(), START
    while session.is_live(day):
        session = session.refreshed(session.secret_hash, bytes([session.generation]) * 32, day)
        day += timedelta(days=1)

    assert day == START + LONGEST


def test_a_session_that_ended_stays_as_it_ended() -> None:
    session = a_session().ended(EndReason.REUSED, START + MINUTE)

    assert session.ended(EndReason.DISABLED, START + 2 * MINUTE) == session
    assert not session.is_live(START)


@given(st.lists(st.integers(0, 20 * 60), max_size=60))
def test_a_window_of_fifteen_minutes_holds_at_most_ten_tries(gaps_s: list[int]) -> None:
    tries, at = Tries.first(START), START
    allowed = Counter({START: 1})
    for gap_s in gaps_s:
        at += timedelta(seconds=gap_s)
        with suppress(TooManyTries):
            tries = tries.another(at)
            allowed[tries.since] += 1

    assert max(allowed.values()) <= MAX_TRIES
    assert all(later - since >= WINDOW for since, later in pairwise(sorted(allowed)))


def test_who_tried_too_often_is_told_how_long_to_wait() -> None:
    tries = Tries(START, MAX_TRIES)

    with pytest.raises(TooManyTries) as refused:
        tries.another(START + 5 * MINUTE)

    assert refused.value.facts == {"retry_after_s": 600}


def rotated(ring: KeyRing, kid: str, at: datetime) -> KeyRing:
    return ring.rotated(kid, "x", "y", at)


def test_the_first_key_signs_at_once() -> None:
    ring = rotated(KeyRing(()), "one", START)

    assert ring.signing(START).kid == "one"


def test_a_new_key_is_published_before_it_signs_and_the_old_one_verifies_until_its_tokens_died() -> None:
    ring = rotated(rotated(KeyRing(()), "one", START), "two", START + MINUTE)
    takes_over = START + MINUTE + AHEAD
    last_token_dies = takes_over + LONGEST_TOKEN_LIFE + CLOCK_SKEW

    assert [key.kid for key in ring.published(START + MINUTE)] == ["two", "one"]
    assert ring.signing(takes_over - timedelta(microseconds=1)).kid == "one"
    assert ring.signing(takes_over).kid == "two"
    assert [key.kid for key in ring.published(last_token_dies - MINUTE)] == ["two", "one"]
    assert [key.kid for key in ring.published(last_token_dies)] == ["two"]


def test_a_rotation_waits_for_the_one_before() -> None:
    ring = rotated(rotated(KeyRing(()), "one", START), "two", START)

    with pytest.raises(RotationPending):
        rotated(ring, "three", START + AHEAD - timedelta(seconds=1))
    assert rotated(ring, "three", START + AHEAD).signing(START + 2 * AHEAD).kid == "three"


def test_so_many_keys_may_verify_at_a_time() -> None:
    ring, at = KeyRing(()), START
    for number in range(MAX_KEYS):
        ring, at = rotated(ring, f"key-{number}", at), at + AHEAD

    with pytest.raises(TooManySigningKeys):
        rotated(ring, "one-more", at)
    assert rotated(ring, "later", at + timedelta(days=1))


def test_without_a_key_nothing_is_signed() -> None:
    with pytest.raises(NoSigningKey):
        KeyRing(()).signing(START)


def test_a_tenants_id_follows_from_its_code_and_its_day_from_its_zone() -> None:
    tenant = Tenant.create("acme", " Acme ", "Asia/Shanghai", "zh-CN", "CNY", START)

    assert (tenant.id, tenant.name) == (tenant_id_of("acme"), "Acme")
    assert tenant.id != INSTALLATION
    assert tenant.today(START.replace(hour=15, minute=59)).day == 23
    assert tenant.today(START.replace(hour=16)).day == 24


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("code", "Acme"),
        ("code", "-acme"),
        ("code", "a--b"),
        ("code", "a"),
        ("code", "a" * 41),
        ("code", "a-" * 30 + "a"),
        ("name", "  "),
        ("home_zone", "Mars/Olympus"),
        ("home_zone", "../../etc/passwd"),
        ("home_zone", "Asia/"),
        ("home_zone", "localtime"),
        ("home_zone", "A/" * 40),
        ("locale", "zh_CN"),
        ("currency", "cny"),
    ],
)
def test_a_tenant_of_nowhere_is_refused_by_field(field: str, value: str) -> None:
    good = {"code": "acme", "name": "Acme", "home_zone": "UTC", "locale": "en", "currency": "CNY"}

    with pytest.raises(TenantMalformed) as refused:
        Tenant.create(**{**good, field: value}, at=START)

    assert refused.value.field == field
