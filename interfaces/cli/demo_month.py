"""A month of a company as its offices take it through: time closed, pay calculated, approved and final."""

import asyncio
import csv
import io
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from interfaces.cli.company import Api, CompanyLoad, Refused
from interfaces.cli.company_files import Company, read_company
from interfaces.cli.progress import Step, Steps

CLOSED_S, CALCULATED_S = 30.0, 60.0
POLL_S = 0.03
MAX_CLOSING_PAGES = 1000
LOOKED_AT = 50  # people on one page of exceptions: their days are computed for it
MAX_DEFERRED = 20
BESIDE_DAYS = 7  # after the regular pay date
LATER = "later"  # the folder of what comes in while the month is closed and paid
OPEN_TIME = "OPEN_OCCURRENCE"
LEFT_TO_A_LATER_RUN = "NEGATIVE_NET"  # nothing is mended by it: there is nothing to pay


class DemoFailed(Exception):
    """The main job did not come to its end; the message says at what and why."""


@dataclass(frozen=True, slots=True)
class Callers:
    """People with a token each: who keeps the files, who prepares the pay, who approves it, and managers."""

    hr: Api
    payroll: Api
    approver: Api
    manager: Callable[[str], Awaitable[Api]]  # by the employee's id


@dataclass(slots=True)
class Payday:
    """One final run: its header, its register, and what came up on the way."""

    run: Any
    rows: list[dict[str, str]] = field(default_factory=list)
    deferred: list[Any] = field(default_factory=list)  # blockers that were left to a later run
    recalculated: dict[str, tuple[Any, Any]] = field(default_factory=dict)  # by employee: payslips before and after
    left_to_retro: list[Any] = field(default_factory=list)  # stale payslips that were approved as they were


@dataclass(slots=True)
class Month:
    """What happened in the month, as the API told it.

    Invariants: `paydays` are the regular runs in the order of the pay groups, `beside` the runs that are not.
    """

    period: str
    exceptions: list[Any] = field(default_factory=list)  # days to look at, before anything was submitted
    open_time: list[Any] = field(default_factory=list)  # results of a closing that was refused
    openings: list[Any] = field(default_factory=list)
    paydays: list[Payday] = field(default_factory=list)
    beside: list[Payday] = field(default_factory=list)
    later: dict[str, list[Any]] = field(default_factory=dict)  # rows that came in later, by the name of the file

    def came_later(self, name: str) -> list[Any]:
        """The rows of one kind of file that came in while the month was closed and paid."""
        return self.later.get(name, [])

    @property
    def runs(self) -> list[Payday]:
        """All of them."""
        return [*self.paydays, *self.beside]


class Office:
    """Takes a company's month from its loaded files to final payslips, telling each step."""

    def __init__(self, steps: Steps, callers: Callers, company: Company, folder: Path, period: str) -> None:
        self._steps = steps
        self._callers = callers
        self._company = company
        self._folder = folder
        self.month = Month(period)

    async def close(self, groups: Sequence[str]) -> None:
        """Everybody's time submitted and approved by HR, locked by payroll."""
        await self._decide("/v1/overtime-requests", "approve overtime")
        with self._steps.step("list the days to look at") as step:
            self.month.exceptions = await self._exceptions()
            step.say(_counted(self.month.exceptions))
        expected = {group: len(_paid_by(self._company, group, self.month.period)) for group in groups}
        with self._steps.step("submit the timesheets", sum(expected.values())) as step:
            done, refused = await self._closed("SUBMITTED", self._callers.hr, expected, step)
            step.say(f"{done} SUBMITTED, by hr_admin{_first_of(refused)}")
        self.month.open_time = refused
        if refused:
            if {one["refusal"]["reason"] for one in refused} != {OPEN_TIME}:
                raise DemoFailed(_cannot("SUBMITTED", refused))
            if not await self.later("before_submit"):
                raise DemoFailed(_cannot("SUBMITTED", refused))
            await self._decide("/v1/timesheet-corrections", "approve corrections")
            await self._all_closed("submit the rest", "SUBMITTED", "hr_admin", self._callers.hr, expected)
        await self._all_closed("approve the timesheets", "APPROVED", "hr_admin", self._callers.hr, expected)
        await self._all_closed("lock the timesheets", "LOCKED", "payroll_admin", self._callers.payroll, expected)
        await self.later("after_lock")

    async def later(self, stage: str) -> bool:
        """Load what comes in at a later stage; whether there is anything. Raises DemoFailed, Refused."""
        folder = self._folder / LATER / stage
        if not folder.is_dir():
            return False
        company = await asyncio.to_thread(read_company, folder)
        for name, rows in company.rows.items():
            self.month.later.setdefault(name, []).extend(rows)
        if company.problems:
            raise DemoFailed(f"the files of {folder} cannot be used; {company.problems[0]}")
        await load(company, self._callers, self._steps, ", later")
        return True

    async def open_year(self, groups: Sequence[str]) -> None:
        """Opening balances that were entered become final: approved by a second person."""
        waiting = [
            run
            for group in groups
            for run in await self._callers.payroll.pages("/v1/payroll-runs", pay_group=group)
            if run["kind"] == "OPENING" and run["status"] == "CALCULATED"
        ]
        if not waiting:
            return
        with self._steps.step("approve the opening balances") as step:
            for run in waiting:
                await self._final(run)
            people = sum(run["progress"]["done"] for run in waiting)
            step.say(f"{people} with a history in {len(waiting)} run, by payroll_approver")
        self.month.openings = waiting

    async def pay(self, groups: Sequence[str]) -> None:
        """A regular run per pay group, calculated by one person, approved by another, final."""
        api = self._callers.payroll
        for place, group in enumerate(groups):
            body = {"pay_group": group, "period": self.month.period, "kind": "REGULAR"}
            run, _ = await api.change("POST", "/v1/payroll-runs", body)
            payday = Payday(run)
            with self._steps.step(f"calculate {group}") as step:
                await self._calculate(payday, step)
                step.say(
                    f"{payday.run['progress']['done']} payslips, calculation {payday.run['calculation_hash'][:12]}"
                )
            await self._defer_blocked(payday)
            if place == 0:
                await self.later("after_calculation")
            await self._approve(payday)
            self.month.paydays.append(payday)

    async def pay_beside(self, groups: Sequence[str]) -> None:
        """What pay_inputs.csv names for an off-cycle run, paid beside the month."""
        named = [row for row in self._company.of("pay_inputs") if row["run"] == "OFF_CYCLE"]
        if not any(row["period"] == self.month.period for row in named):
            return
        for group in groups:
            inputs = await self._callers.payroll.pages("/v1/pay-inputs", pay_group=group, period=self.month.period)
            people = sorted({one["employee_id"] for one in inputs if one["run_id"] is None and not one["recurring"]})
            if not people:
                continue
            regular = next(payday.run for payday in self.month.paydays if payday.run["pay_group"] == group)
            body = {
                "pay_group": group, "period": self.month.period, "kind": "OFF_CYCLE", "employees": people,
                "pay_date": (date.fromisoformat(regular["pay_date"]) + timedelta(days=BESIDE_DAYS)).isoformat(),
                "reason": "paid beside the month",
            }  # fmt: skip
            with self._steps.step(f"pay {group} beside the month") as step:
                run, _ = await self._callers.payroll.change("POST", "/v1/payroll-runs", body)
                payday = Payday(run)
                await self._calculate(payday, step)
                payday.run = await self._final(payday.run)
                payday.rows = await self._register(payday.run)
                step.say(f"{len(payday.rows)} payslip, an OFF_CYCLE run of its own, {payday.run['status']}")
            self.month.beside.append(payday)

    async def take_back(self, groups: Sequence[str]) -> None:
        """Final runs that were a mistake are reversed: by a run of negated lines that a second person approves."""
        if not await self.later("after_payday"):
            return
        api = self._callers.payroll
        for group in groups:
            for run in await api.pages("/v1/payroll-runs", pay_group=group, period=self.month.period):
                if run["kind"] != "REVERSAL":
                    continue
                with self._steps.step(f"reverse a run of {group}") as step:
                    reversal = Payday(run)
                    await self._until_calculated(reversal, step)
                    reversal.run = await self._final(reversal.run)
                    reversal.rows = await self._register(reversal.run)
                    for payday in self.month.runs:
                        payday.run, _ = await api.get(_path(payday.run))
                    step.say(f"{len(reversal.rows)} payslip with negated lines, by payroll_approver")
                self.month.beside.append(reversal)

    # ---- time ----

    async def _decide(self, path: str, title: str) -> None:
        """Everything of a kind that was asked for is approved, each by the person's manager."""
        waiting = await self._callers.hr.pages(path, status="REQUESTED")
        if not waiting:
            return
        with self._steps.step(title, len(waiting)) as step:
            for one in waiting:
                employee, _ = await self._callers.hr.get(f"/v1/employees/{one['employee_id']}")
                manager_id = employee["assignment"]["manager_id"]
                api = await self._callers.manager(manager_id) if manager_id else self._callers.hr
                await api.change("POST", f"{path}/{one['id']}/approve", {})
                step.advance()
            step.say(f"{len(waiting)} APPROVED, by the manager")

    async def _exceptions(self) -> list[Any]:
        found: list[Any] = []
        cursor = ""
        for _ in range(MAX_CLOSING_PAGES):
            query = {"period": self.month.period, "limit": LOOKED_AT, "cursor": cursor}
            page, _ = await self._callers.hr.get("/v1/attendance/exceptions", **query)
            found.extend(page["data"])
            cursor = page["next_cursor"] or ""
            if not cursor:
                break
        return found

    async def _all_closed(self, title: str, target: str, who: str, api: Api, expected: dict[str, int]) -> None:
        with self._steps.step(title, sum(expected.values())) as step:
            done, refused = await self._closed(target, api, expected, step)
            if refused:
                raise DemoFailed(_cannot(target, refused))
            step.say(f"{done} {target}, by {who}")

    async def _closed(
        self, target: str, api: Api, expected: dict[str, int], step: Step
    ) -> tuple[int, list[Any]]:  # fmt: skip
        """How many stand at the target and who was refused; attendance hears of the last hires a moment later."""
        deadline = time.perf_counter() + CLOSED_S
        total, refused_of_all = 0, []
        for group, people in expected.items():
            while True:
                done, refused = await self._closing_round(api, group, target)
                step.reach(total + done)
                if done + len(refused) >= people:
                    break
                if time.perf_counter() > deadline:
                    raise DemoFailed(f"{done} of {people} timesheets were {target} within {CLOSED_S:.0f} s")
                await asyncio.sleep(POLL_S)
            total += done
            refused_of_all.extend(refused)
        return total, refused_of_all

    async def _closing_round(self, api: Api, pay_group: str, target: str) -> tuple[int, list[Any]]:
        done = 0
        refused: list[Any] = []
        cursor = ""
        for _ in range(MAX_CLOSING_PAGES):
            body = {"pay_group": pay_group, "period": self.month.period, "target_status": target, "cursor": cursor}
            answer, _ = await api.change("POST", "/v1/timesheet-closings", body, key=f"demo-{uuid.uuid4()}")
            refused.extend(result for result in answer["results"] if result["refusal"])
            done += sum(1 for result in answer["results"] if not result["refusal"])
            cursor = answer["next_cursor"] or ""
            if not cursor:
                break
        return done, refused

    # ---- pay ----

    async def _calculate(self, payday: Payday, step: Step) -> None:
        api, path = self._callers.payroll, _path(payday.run)
        await api.change("POST", f"{path}/calculate", {}, key=f"demo-{uuid.uuid4()}")
        await self._until_calculated(payday, step)

    async def _until_calculated(self, payday: Payday, step: Step) -> None:
        api, path = self._callers.payroll, _path(payday.run)
        deadline = time.perf_counter() + CALCULATED_S
        while time.perf_counter() < deadline:
            payday.run, _ = await api.get(path)
            step.total = payday.run["progress"]["total"]
            step.reach(payday.run["progress"]["done"])
            if payday.run["status"] == "CALCULATED":
                return
            await asyncio.sleep(POLL_S)
        raise DemoFailed(f"the run was not calculated within {CALCULATED_S:.0f} s; it is {payday.run['status']}")

    async def _defer_blocked(self, payday: Payday) -> None:
        """Who has nothing to be paid is left to a later run by name; every other blocker has to be mended."""
        if not payday.run["progress"]["blocked"]:
            return
        api, path = self._callers.payroll, _path(payday.run)
        blockers = await api.pages(f"{path}/blockers")
        other = [one for one in blockers if one["reason"] != LEFT_TO_A_LATER_RUN]
        if other or len(blockers) > MAX_DEFERRED:
            first = (other or blockers)[0]
            raise DemoFailed(
                f"{len(blockers)} people have no payslip; the first, employee {first['employee_id']}: "
                f"{first['message']} [{first['reason']}]"
            )
        with self._steps.step("defer who is blocked, by name") as step:
            body = {"employees": sorted({one["employee_id"] for one in blockers})}
            payday.run, _ = await api.change("POST", f"{path}/defer", body)
            step.say(f"{len(blockers)} left to a later run: {blockers[0]['reason']}")
        payday.deferred = blockers

    async def _approve(self, payday: Payday) -> None:
        """Approved by a second person; what came in after the calculation is calculated anew or left to retro."""
        api, path = self._callers.payroll, _path(payday.run)
        body = {"calculation_hash": payday.run["calculation_hash"]}
        refusal = await self._refused(f"{path}/approve", body)
        with self._steps.step(f"approve {payday.run['pay_group']}") as step:
            try:
                await self._callers.approver.change("POST", f"{path}/approve", body)
                step.say(f"by payroll_approver (payroll_admin: {refusal})")
            except Refused as refused:
                stale = await api.pages(f"{path}/stale")
                if not stale:
                    raise
                step.say(f"refused, {refused.reason}: {len(stale)} payslips are STALE")
        if (await api.get(path))[0]["status"] != "APPROVED":
            await self._take_changes(payday, await api.pages(f"{path}/stale"))
        with self._steps.step(f"finalize {payday.run['pay_group']}") as step:
            await self._callers.approver.change("POST", f"{path}/finalize", {})
            payday.run, _ = await api.get(path)
            payday.rows = await self._register(payday.run)
            step.say(f"{payday.run['status']}, its payslips never change again")

    async def _take_changes(self, payday: Payday, stale: list[Any]) -> None:
        """The first stale payslip is calculated anew; the others are left to retro, by name."""
        api, path = self._callers.payroll, _path(payday.run)
        numbers = {}
        for one in stale:
            employee, _ = await self._callers.hr.get(f"/v1/employees/{one['employee_id']}")
            numbers[one["employee_id"]] = employee["employee_number"]
        stale = sorted(stale, key=lambda one: numbers[one["employee_id"]])
        first, others = stale[0]["employee_id"], stale[1:]
        with self._steps.step("recalculate one of them") as step:
            before = await self._payslip_of(payday.run, first)
            await api.change("POST", f"{path}/payslips/{first}/recalculate", {})
            payday.recalculated[first] = (before, await self._payslip_of(payday.run, first))
            step.say(f"{numbers[first]}, with the facts as known now")
        payday.run, _ = await api.get(path)
        with self._steps.step(f"approve {payday.run['pay_group']}") as step:
            body = {"calculation_hash": payday.run["calculation_hash"]}
            if others:
                body["accept_changes_as_retro"] = payday.run["stale_hash"]
            await self._callers.approver.change("POST", f"{path}/approve", body)
            named = ", ".join(numbers[one["employee_id"]] for one in others)
            step.say("by payroll_approver" + (f", {named} left to retro by name" if others else ""))
        payday.left_to_retro = others

    async def _payslip_of(self, run: Any, employee_id: str) -> Any:
        for summary in await self._callers.payroll.pages(f"{_path(run)}/payslips"):
            if summary["employee_id"] == employee_id:
                payslip, _ = await self._callers.payroll.get(f"/v1/payslips/{summary['id']}")
                return payslip
        raise DemoFailed(f"employee {employee_id} has no payslip in run {run['id']}")

    async def _final(self, run: Any) -> Any:
        path = _path(run)
        body = {"calculation_hash": run["calculation_hash"]}
        await self._callers.approver.change("POST", f"{path}/approve", body)
        await self._callers.approver.change("POST", f"{path}/finalize", {})
        final, _ = await self._callers.payroll.get(path)
        return final

    async def _register(self, run: Any) -> list[dict[str, str]]:
        """The register's rows; the last one, with the control totals, has been compared by the backend."""
        text = await self._callers.payroll.text(f"{_path(run)}/register")
        rows = list(csv.DictReader(io.StringIO(text)))
        if not rows or rows[-1]["employee_number"] != "TOTAL":
            raise DemoFailed(f"the register of run {run['id']} broke off")
        return rows[:-1]

    async def _refused(self, path: str, body: Any) -> str:
        """The reason for which who prepared the run cannot approve it. Raises DemoFailed where that is possible."""
        try:
            await self._callers.payroll.change("POST", path, body, key=f"demo-{uuid.uuid4()}")
        except Refused as refused:
            return refused.reason
        raise DemoFailed("who prepared the run could approve it; four eyes are needed")


async def load(company: Company, callers: Callers, steps: Steps, told: str = "") -> None:
    """Send the files. Raises DemoFailed with the first row that is refused."""
    loading = CompanyLoad(company, callers.hr, callers.payroll, steps, told)
    if not await loading.run():
        problems = loading.loaded[-1].problems
        raise DemoFailed(f"{len(problems)} rows were refused; the first: {problems[0]}")


def _counted(exceptions: Sequence[Any]) -> str:
    kinds = Counter(str(one["kind"]).lower().replace("_", " ") for one in exceptions)
    people = len({one["employee_id"] for one in exceptions})
    told = [f"{count} {kind}" for kind, count in kinds.most_common(2)]
    rest = len(exceptions) - sum(count for _, count in kinds.most_common(2))
    return f"{len(exceptions)} of {people} people: " + ", ".join([*told, *([f"{rest} other"] if rest else [])])


def _path(run: Any) -> str:
    return f"/v1/payroll-runs/{run['id']}"


def _cannot(target: str, refused: Sequence[Any]) -> str:
    first = refused[0]
    return (
        f"{len(refused)} timesheets cannot be {target}; the first, of employee {first['employee_id']}: "
        f"{first['refusal']['message']} [{first['refusal']['reason']}]"
    )


def _first_of(refused: Sequence[Any]) -> str:
    return f"; {len(refused)} refused: {refused[0]['refusal']['reason']}" if refused else ""


def _paid_by(company: Company, pay_group: str, period: str) -> set[str]:
    """The numbers of those whom the pay group pays at the end of the period, or of their employment in it."""
    group: dict[str, str] = {}
    left: dict[str, str] = {}
    events = [
        *((row["hire_date"], "in", row) for name in ("employees", "rehires") for row in company.of(name)),
        *((row["effective_date"], "moved", row) for row in company.of("transfers")),
        *((row["last_day"], "out", row) for row in company.of("terminations")),
    ]
    for day, what, row in sorted(events, key=lambda event: event[0]):
        if day[:7] > period:
            continue
        number = row["employee_number"]
        if what == "out":
            left[number] = day
        elif what == "in" or row["pay_group"]:
            group[number] = row["pay_group"]
            left.pop(number, None)
    return {number for number, code in group.items() if code == pay_group and left.get(number, "9")[:7] >= period}
