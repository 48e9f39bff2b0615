"""Password hashes: right and wrong, in bounds."""

import asyncio

import pytest

from chassis.rpc.error_map import RemoteError, Trouble
from contexts.identity.adapters.passwords import HashingCost, Passwords

CHEAP = HashingCost(rounds=1, memory_kib=8)


async def test_a_password_matches_its_own_hash_only() -> None:
    passwords = Passwords(CHEAP)

    hashed = await passwords.hash("correct horse")

    assert hashed.startswith("$argon2id$")
    assert await passwords.matches("correct horse", hashed)
    assert not await passwords.matches("correct horsf", hashed)
    assert not await passwords.matches("correct horse", "no hash at all")
    passwords.close()


async def test_nobody_has_no_password() -> None:
    passwords = Passwords(CHEAP)

    assert not await passwords.matches("", None)
    passwords.close()


async def test_more_than_can_be_checked_are_turned_away() -> None:
    passwords = Passwords(HashingCost(rounds=2, memory_kib=4096, at_once=1, waiting=2))

    answers = await asyncio.gather(*(passwords.matches("x", None) for _ in range(10)), return_exceptions=True)

    turned_away = [answer for answer in answers if isinstance(answer, RemoteError)]
    assert (len(turned_away), {error.kind for error in turned_away}) == (7, {Trouble.OVERLOADED})
    assert not await passwords.matches("x", None)
    passwords.close()


async def test_a_caller_that_goes_away_leaves_its_place_only_when_the_thread_is_free() -> None:
    passwords = Passwords(HashingCost(rounds=8, memory_kib=16 * 1024, at_once=1, waiting=0))
    running = asyncio.ensure_future(passwords.matches("x", None))
    await asyncio.sleep(0.01)

    running.cancel()
    await asyncio.wait({running})

    with pytest.raises(RemoteError):
        await passwords.matches("x", None)
    async with asyncio.timeout(10):
        while passwords.busy:  # noqa: ASYNC110 - the thread tells nobody but the loop
            await asyncio.sleep(0.01)
    assert not await passwords.matches("x", None)
    passwords.close()
