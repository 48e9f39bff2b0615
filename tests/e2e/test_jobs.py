"""The operator of a running installation sees its background work, and has a job done now."""

import asyncio
from typing import Any

import pytest

from interfaces.cli.operator import job_runs, jobs_of, long_work, retry_work, start_job
from tests.support.deployment import Deployment
from tests.support.parking import client_of


@pytest.mark.parametrize("job", ["payroll.tidying", "identity.retention"])
async def test_a_job_that_is_asked_for_is_done_by_a_process_that_serves(deployment: Deployment, job: str) -> None:
    service = job.partition(".")[0]
    async with client_of(deployment, service) as client:
        asked = await start_job(lambda _: client, job)

        run = await until_done(client, service, asked)
        [told] = [one for one in await jobs_of(lambda _: client, [service]) if one["id"] == job]

    assert (run["attempts"], run["error"]) == (1, None)
    assert told["last_done_time"] is not None
    assert told["failed"] == 0


async def test_who_follows_the_events_is_listed_with_how_far_it_is(deployment: Deployment) -> None:
    async with client_of(deployment, "payroll") as client:
        for _ in range(200):
            found = await long_work(lambda _: client, ["payroll"], state="DONE")
            if {"payroll.consumer:webhooks.payroll", "payroll.consumer:pay.calculation"} <= {
                one["id"] for one in found
            }:
                break
            await asyncio.sleep(0.2)
        else:
            raise AssertionError(f"seen: {found}")
        await retry_work(lambda _: client, "payroll.consumer:pay.calculation")  # nothing to try: no change

    assert all(one["done"] == one["total"] or not one["total"] for one in found)
    assert not [one for one in found if one["error"]]


async def until_done(client: Any, service: str, asked: str) -> dict[str, Any]:
    for _ in range(200):
        runs = await job_runs(lambda _: client, [service], state="DONE", most=50)
        found = [one for one in runs if one["id"] == asked]
        if found:
            return found[0]
        await asyncio.sleep(0.2)
    raise AssertionError("nobody did it")
