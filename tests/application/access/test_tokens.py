"""Tokens that name a principal, and every forgery that must not."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import pytest

from application.access.tokens import KeysUnavailable, TokenRefused, tenant_of_refresh_token
from chassis.principal import Principal
from kernel.ids import EmployeeId
from tests.support.tokens import ACCOUNT, ACME, EMPLOYEE, FORGERIES, NOW, Issuer, b64


async def test_a_good_token_names_its_principal() -> None:
    issuer = Issuer()

    principal = await issuer.verifier().principal(issuer.token())

    roles = frozenset({"employee", "hr_admin@department:ENG"})
    assert principal == Principal(ACME, str(ACCOUNT), roles, EmployeeId(EMPLOYEE))


async def test_a_token_of_nobodys_employee_names_none() -> None:
    issuer = Issuer()

    principal = await issuer.verifier().principal(issuer.token(employee_id=None))

    assert principal.employee_id is None


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
async def test_a_forged_token_is_refused(forge: Callable[[Issuer], str]) -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    await verifier.principal(issuer.token())

    with pytest.raises(TokenRefused) as refused:
        await verifier.principal(forge(issuer))

    assert (refused.value.status, refused.value.reason) == (401, "UNAUTHENTICATED")
    assert refused.value.message == "the token is not valid (any more); sign in again"


async def test_clocks_may_differ_by_a_minute() -> None:
    issuer = Issuer()

    late = await issuer.verifier().principal(issuer.token(iat=NOW - 1000, nbf=NOW - 1000, exp=NOW - 60))
    early = await issuer.verifier().principal(issuer.token(iat=NOW + 60, nbf=NOW + 60))

    assert late == early


async def test_a_remembered_token_expires_all_the_same() -> None:
    issuer = Issuer()
    verifier, token = issuer.verifier(), issuer.token()
    await verifier.principal(token)

    issuer.now = NOW + 961

    with pytest.raises(TokenRefused):
        await verifier.principal(token)


async def test_a_remembered_token_falls_with_its_key() -> None:
    issuer = Issuer()
    verifier, token = issuer.verifier(), issuer.token()
    await verifier.principal(token)

    issuer.published.clear()
    issuer.uptime += 301

    with pytest.raises(TokenRefused):
        await verifier.principal(token)


async def test_a_token_is_known_without_a_question_while_it_and_its_key_are_valid() -> None:
    issuer = Issuer()
    verifier, token = issuer.verifier(), issuer.token()
    unseen = verifier.remembered(token)
    principal = await verifier.principal(token)

    seen = verifier.remembered(token)
    issuer.uptime += 301
    with_stale_keys = verifier.remembered(token)
    await verifier.principal(token)
    issuer.now = NOW + 961
    expired = verifier.remembered(token)

    assert (unseen, seen, with_stale_keys, expired) == (None, principal, None, None)


async def test_only_so_many_tokens_are_remembered() -> None:
    issuer = Issuer()
    verifier = issuer.verifier(remembered=3)

    for number in range(5):
        await verifier.principal(issuer.token(jti=str(UUID(int=number))))

    assert len(verifier._seen) == 3


async def test_a_new_key_is_learned_from_the_first_token_that_names_it() -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    await verifier.principal(issuer.token())
    successor = Issuer(kid="key-2")

    issuer.published.append(successor.jwk())
    issuer.uptime += 11

    assert await verifier.principal(successor.token())
    assert issuer.asked == 2


async def test_a_flood_of_unknown_keys_asks_the_issuer_once_in_ten_seconds() -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    forged = [issuer.token({"kid": f"unknown-{number}"}) for number in range(50)]
    await verifier.principal(issuer.token())

    issuer.uptime += 11
    answers = await asyncio.gather(*(verifier.principal(token) for token in forged), return_exceptions=True)

    assert {type(answer) for answer in answers} == {TokenRefused}
    assert issuer.asked == 2


async def test_an_issuer_that_is_down_stops_nobody_whose_key_is_known() -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    await verifier.principal(issuer.token())

    issuer.down = True
    issuer.uptime += 3000

    assert await verifier.principal(issuer.token())


async def test_keys_that_were_not_heard_of_for_an_hour_serve_nobody() -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    await verifier.principal(issuer.token())

    issuer.down = True
    issuer.uptime += 3601

    with pytest.raises(KeysUnavailable):
        await verifier.principal(issuer.token())


async def test_an_issuer_that_comes_up_late_is_asked_again_soon() -> None:
    issuer = Issuer(down=True)
    verifier = issuer.verifier()
    with pytest.raises(KeysUnavailable) as refused:
        await verifier.principal(issuer.token())

    issuer.down = False
    issuer.uptime += 1.1

    assert refused.value.status == 503
    assert await verifier.principal(issuer.token())


async def test_a_published_key_of_another_kind_is_never_used() -> None:
    issuer = Issuer()
    issuer.published[0] = {"kty": "oct", "kid": issuer.kid, "k": b64(b"secret")}

    with pytest.raises(KeysUnavailable):
        await issuer.verifier().principal(issuer.token())


def test_a_refresh_token_tells_its_tenant() -> None:
    assert tenant_of_refresh_token(f"{ACME.hex}.{UUID(int=1).hex}.{'a' * 43}") == ACME


@pytest.mark.parametrize("token", ["", "a.b.c", f"{ACME}.{UUID(int=1)}.{'a' * 43}", "." * 1000, "0" * 32])
def test_what_has_not_the_form_of_a_refresh_token_is_refused(token: str) -> None:
    with pytest.raises(TokenRefused):
        tenant_of_refresh_token(token)
