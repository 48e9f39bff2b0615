"""The main job as a newcomer sees it: `muster demo`, its numbers recomputed here from the published rules."""

import contextlib
import csv
import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.deployment import surroundings

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "sample"
LONGEST_S = 240

pytestmark = [pytest.mark.second_process, pytest.mark.timeout(LONGEST_S + 60)]


@dataclass(frozen=True)
class Ran:
    """What a command printed, how it ended, and the processor time that it took."""

    code: int
    out: str
    err: str
    processor_s: float
    data: Path


def muster(*arguments: str, data: Path = Path()) -> Ran:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "interfaces.cli.main", *arguments],
        cwd=ROOT, env=surroundings(), capture_output=True, text=True, timeout=LONGEST_S,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ran(done.returncode, done.stdout, done.stderr, spent, data)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """The demo on the sample company, once for all tests here."""
    folder = tmp_path_factory.mktemp("demo")
    yield muster("demo", "--data", str(folder / "data"), data=folder / "data")
    shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Backend:
    """The backend that works on what the demo left, and a token of the owner."""

    url: str
    token: str

    def text(self, path: str, **query: str) -> str:
        answer = httpx.get(self.url + path, params=query, headers={"Authorization": f"Bearer {self.token}"})
        assert answer.status_code == 200, answer.text
        return answer.text

    def get(self, path: str, **query: str) -> Any:
        return json.loads(self.text(path, **query))

    def send(self, method: str, path: str, body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": str(uuid4())}
        answer = httpx.request(method, self.url + path, json=body, headers=headers, timeout=LONGEST_S)
        assert answer.is_success, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def backend(demo: Ran) -> Iterator[Backend]:
    """`muster serve` on the demo's data."""
    data = str(demo.data)
    command = [sys.executable, "-m", "interfaces.cli.main", "serve", "--data", data, "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, env=surroundings(), stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = next(line for line in server.stdout if "Muster is up" in line).split()[3]
            yield Backend(url, muster("token", "--tenant", "huaxing", "--role", "owner", "--data", data).out.strip())
        finally:
            server.terminate()


# ---- the register by the published rules, without a line of the product ----

D = Decimal
FEN, YUAN = D("0.01"), D(1)
# Paid days of a month, and hours of a day. Source: 人社部发〔2025〕2号: 21.75 = (365 - 104) / 12.
PAID_DAYS, HOURS = D("21.75"), D(8)
# October 2026: 22 weekdays, of which the 5th to 7th are moved rest days, and Saturday the 10th is worked for one of
# them: 20 paid days, with the statutory holidays of the 1st and 2nd. Source: 国办发明电〔2025〕7号.
OCTOBER = 20
# Own and employer's rates, and the bounds of bases from July (Shanghai) and for Kunming September 2026.
# Source: Shanghai HRSS notices 2026, 沪公积金管委会〔2026〕3号; 云人社发〔2026〕8号, 昆公积金规〔2020〕2号.
BOUNDS = {"SHANGHAI": (D(7546), D(37731)), "KUNMING": (D(4403), D(22017))}
FUND_CEILING = {"SHANGHAI": D(37731), "KUNMING": D(32543)}
OWN = {"SHANGHAI": ("0.08", "0.02", "0.005"), "KUNMING": ("0.08", "0.02", "0.003")}
EMPLOYER = {
    "SHANGHAI": ("0.16", "0.09", "0.005", "0.002"),
    "KUNMING": ("0.16", "0.07", "0.009", "0.007", "0.004"),
}
FUND = {"SHANGHAI": D("0.07"), "KUNMING": D("0.12")}

# What October brought besides whole wages: overtime at 1.5, 2 and 3 times the hourly wage (Labour Law art. 44), an
# unpaid day, shares of the paid days, and 18 nights of 7.5 hours at 4 yuan.
OVERTIME = {"E0009": D("1.5") * D("2.5"), "E0010": 2 * D(4), "E0011": 2 * D(4) + 3 * D(8), "E0198": D("1.5") * 2}
SHARES = {"E0029": 15, "E0030": 12, "E0134": 10}
BONUS = {"E0002": D(36000)}
ABSENT_ALL_MONTH, MOVED, HAS_A_HISTORY, RAISED_LATE, BONUS_BESIDE = "E0135", "E0133", "E0123", "E0032", "E0034"
PAID_BEFORE_AND_AFTER_THE_MOVE = (9, 11)  # of the 20 paid days up to 15 October and from the 16th on
NIGHT_ALLOWANCE = D("7.5") * 4
WEEKLY_NIGHTS = 18
# The first three days of October are statutory holidays: 7.5 hours of a shift, of the night of the 3rd the first two.
HOLIDAYS = {date(2026, 10, 1): D("7.5"), date(2026, 10, 2): D("7.5"), date(2026, 10, 3): D("7.5")}


def half_up(amount: Decimal, unit: Decimal = FEN) -> Decimal:
    return amount.quantize(unit, ROUND_HALF_UP)


def shifts_of(schedule: dict[str, str]) -> dict[date, str]:
    """What a rotation plans in October."""
    pattern, start = schedule["rotation"].split(), date.fromisoformat(schedule["rotation_start"])
    days = [date(2026, 10, 1) + timedelta(days=offset) for offset in range(31)]
    return {day: pattern[(day - start).days % len(pattern)] for day in days}


def crews() -> dict[str, dict[date, str]]:
    return {row["code"]: shifts_of(row) for row in rows_of("work_schedules") if row["rotation"]}


def wage_of(number: str, wage: Decimal, schedule: str) -> Decimal:
    if number == "E0005":  # 10 paid days before the raise of 19 October and 10 from it on
        return half_up((wage * 10 + D(24000) * 10) / OCTOBER)
    paid = half_up(wage * SHARES.get(number, OCTOBER) / OCTOBER)
    factor = OVERTIME.get(number, D(0))
    nights = WEEKLY_NIGHTS if schedule == "NIGHT-5X8" else 0
    if schedule in (planned := crews()):
        shifts = planned[schedule]
        nights = sum(shift == "NIGHT" for shift in shifts.values())
        for day, hours in HOLIDAYS.items():
            into_a_workday = shifts[day] == "NIGHT" and day + timedelta(days=1) not in HOLIDAYS
            factor += 3 * (D(0) if shifts[day] == "-" else D(2) if into_a_workday else hours)
    paid += half_up(wage / PAID_DAYS / HOURS * factor)
    if number == "E0012":
        paid -= half_up(wage / PAID_DAYS)
    return paid + nights * NIGHT_ALLOWANCE


def expected_row(person: dict[str, str], **changed: Decimal) -> tuple[Decimal, ...]:
    """Gross, social insurance, housing fund, income tax, net, employer cost."""
    number, city, wage = person["employee_number"], person["social_insurance_city"], D(person["monthly_wage"])
    earned = changed.get("earned", wage_of(number, changed.get("wage", wage), person["work_schedule"]))
    low, high = BOUNDS[city]
    base = min(max(wage, low), high)
    insured = changed.get("insured", D(1))
    insurance = insured * sum(half_up(base * D(rate)) for rate in OWN[city])
    fund = insured * half_up(min(wage, FUND_CEILING[city]) * FUND[city], YUAN)
    # Cumulative withholding of the first month with this employer: 3% up to 36,000. Source: STA 2018 No.61.
    taxable = max(D(0), earned - insurance - fund - 5000 - D(person["special_additional_deduction"]))
    tax = half_up(taxable * D("0.03"))
    if number == HAS_A_HISTORY:
        # The tenth month: 10% less 2,520 of all that is taxable so far, less what nine months withheld.
        so_far = D(189000) - D(33075) - 9 * 5000 - 9000
        assert 36000 < so_far + taxable <= 144000
        tax = half_up((so_far + taxable) * D("0.1") - 2520 - D("7672.50"))
    else:
        assert taxable <= 36000
    bonus = BONUS.get(number, D(0))
    # A bonus taxed alone: a twelfth of it, at most 3,000, finds 3%. Source: MOF/STA 2023 No.30.
    assert bonus / 12 <= 3000
    tax += half_up(bonus * D("0.03"))
    employer = insured * sum(half_up(base * D(rate)) for rate in EMPLOYER[city]) + fund
    gross = earned + bonus
    return gross, D(insurance), fund, tax, gross - insurance - fund - tax, gross + employer


def expected_rows() -> dict[tuple[str, str], list[Decimal]]:
    """Everybody's row of the register, by pay group and employee number."""
    again = {row["employee_number"]: row for row in rows_of("rehires")}
    found: dict[tuple[str, str], list[Decimal]] = {}
    for hired in rows_of("employees"):
        number = hired["employee_number"]
        person = {**hired, **again.get(number, {})}
        if number == ABSENT_ALL_MONTH:
            continue
        if number == MOVED:
            for group, days, insured in zip(
                ("CN-MONTHLY", "YN-MONTHLY"), PAID_BEFORE_AND_AFTER_THE_MOVE, (D(1), D(0)), strict=True
            ):
                earned = half_up(D(person["monthly_wage"]) * days / OCTOBER)
                found[group, number] = list(expected_row(person, earned=earned, insured=insured))
            continue
        changed = {"wage": D(16500)} if number == RAISED_LATE else {}
        found[person["pay_group"], number] = list(expected_row(person, **changed))
    return found


def rows_of(name: str) -> list[dict[str, str]]:
    with (SAMPLE / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def numbers(text: str) -> list[Decimal]:
    return [D(found.replace(",", "")) for found in re.findall(r"-?[0-9][0-9,]*\.[0-9]{2}", text)]


def register(out: str, group: str) -> dict[str, list[Decimal]]:
    """The register of a regular run as it is shown: rows by employee number, "others" and "total"."""
    part = out[out.index(f"Payslip register 2026-10, {group}, paid") :]
    lines = part[: part.index("The run's totals")].splitlines()
    rows = {" ".join(line.split()[:2]): numbers(line) for line in lines if len(numbers(line)) == 6}
    return {name.split()[0] if name[0] == "E" else name.split()[-1] if "others" in name else "total": row
            for name, row in rows.items()}  # fmt: skip


def sums(rows: Sequence[Sequence[Decimal]]) -> list[Decimal]:
    return [sum(column, D(0)) for column in zip(*rows, strict=True)]


# ---- what the newcomer sees ----


def test_the_demo_ends_well_and_says_nothing_on_standard_error(demo: Ran) -> None:
    assert (demo.code, demo.err) == (0, "")


GROUPS = {"CN-MONTHLY": 131, "YN-MONTHLY": 69}
INSURANCES = ("PENSION_EMPLOYEE", "MEDICAL_EMPLOYEE", "UNEMPLOYMENT_EMPLOYEE")


def test_every_payslip_is_what_the_published_rules_give_to_the_cent(backend: Backend) -> None:
    expected = expected_rows()
    found: dict[tuple[str, str], list[Decimal]] = {}
    for run in backend.get("/v1/payroll-runs", limit="100", period="2026-10")["data"]:
        if run["kind"] == "REGULAR":
            for row in csv.DictReader(io.StringIO(backend.text(f"/v1/payroll-runs/{run['id']}/register"))):
                found[run["pay_group"], row["employee_number"]] = [
                    D(row["gross"]),
                    sum((D(row[code]) for code in INSURANCES), D(0)),
                    D(row["HOUSING_FUND_EMPLOYEE"]), D(row["IIT"]) + D(row.get("BONUS_IIT", "0")), D(row["net"]),
                    D(row["employer_cost"]),
                ]  # fmt: skip

    totals = {group: found.pop((group, "TOTAL")) for group in GROUPS}

    assert found == expected
    assert len(found) == sum(GROUPS.values())
    for group, count in GROUPS.items():
        mine = [row for (of, _), row in expected.items() if of == group]
        assert (len(mine), totals[group]) == (count, sums(mine))


def test_who_was_left_to_retro_is_marked_and_was_paid_as_calculated(backend: Backend) -> None:
    [run] = [
        one
        for one in backend.get("/v1/payroll-runs", pay_group="CN-MONTHLY", period="2026-10")["data"]
        if one["kind"] == "REGULAR"
    ]
    [stale] = backend.get(f"/v1/payroll-runs/{run['id']}/stale")["data"]
    [payslip] = [
        one
        for one in backend.get("/v1/payslips", employee_id=stale["employee_id"])["data"]
        if one["run_id"] == run["id"]
    ]

    assert stale["left_to_retro"]
    assert (payslip["stale"], payslip["gross"]["amount"]) == (True, "14000.00")


@pytest.mark.parametrize("group", GROUPS)
def test_the_register_shows_who_has_a_story_and_the_others_as_a_sum(demo: Ran, group: str) -> None:
    rows = register(demo.out, group)
    others, totals = rows.pop("others"), rows.pop("total")
    expected = expected_rows()

    assert {number: row for number, row in rows.items() if row != expected[group, number]} == {}
    assert totals == sums([*rows.values(), others])
    assert totals == sums([row for (of, _), row in expected.items() if of == group])
    told = re.sub(r"\s+", " ", demo.out)
    assert f"gross {totals[0]:,.2f}, net {totals[4]:,.2f}, employer cost {totals[5]:,.2f}: the same." in told
    assert f"All {GROUPS[group]} payslips as CSV" in told


def test_on_every_part_as_a_process_of_its_own_the_books_are_the_same(demo: Ran) -> None:
    ran = muster("demo", "--distributed")

    assert (ran.code, ran.err) == (0, "")
    assert re.search(r"start the backend +MariaDB, Redis, etcd, \d+ parts, Envoy", ran.out)
    assert [register(ran.out, group) for group in GROUPS] == [register(demo.out, group) for group in GROUPS]
    assert story(ran.out) == story(demo.out)
    assert not still_running()


def still_running() -> list[str]:
    """Processes of a demo's folder, which is gone by now."""
    command_lines = [Path(f"/proc/{pid}/cmdline") for pid in os.listdir("/proc") if pid.isdecimal()]
    found = []
    for path in command_lines:
        with contextlib.suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in found if "/muster-demo-" in line]


def test_the_payslip_with_the_raise_is_explained_line_by_line(demo: Ran) -> None:
    part = demo.out[demo.out.index("The payslip of E0005 Li Wei") :]
    told = re.sub(r"\s+", " ", part)

    # Each piece of the month, each contribution of a base of 20,000, and the tax of 22,000 - 3,500 - 5,000 - 1,500.
    assert "= 20000 * 10 / 20 = 10000" in told
    assert "= 24000 * 10 / 20 = 12000" in told
    assert "Base salary / 基本工资 22,000.00" in told
    assert "20,000 x 0.08 -1,600.00" in told
    assert "20,000 x 0.02 -400.00" in told
    assert "20,000 x 0.005 -100.00" in told
    assert "20,000 x 0.07 -1,400.00" in told
    assert "12,000 x 0.03 -360.00" in told
    assert "Net, to the bank 18,140.00" in told
    assert "Social Insurance Law" in told
    assert "STA Announcement 2018 No.56, No.61" in told
    assert "social_insurance.base.pension:SHANGHAI@2026-07-01" in told
    assert "the same bytes" in told


@pytest.mark.parametrize(
    ("case", "what", "number"),
    [
        ("late punch", "E0007 Zheng Kai came at 09:23 on Wed 14 Oct", "15,500.00"),
        ("late punch", "came at 10:25 on Wed 14 Oct, core from 10:00", "28,000.00"),
        ("forgotten punch", "on Thu 15 Oct and never out", ""),
        ("doubled punches", "Tue 13 Oct: 08:58:00, 08:58:20, 18:01:00, 18:01:20", ""),
        ("out of order", "a terminal sent Wed 21 Oct of 6 people after the month", ""),
        ("no punches", "punched on no day: 18 days absent", "none"),
        ("night shift", "Fri 30 Oct 21:58 to Sat 31 Oct 06:09", f"{18 * D('7.5') * 4:,.2f}"),
        ("over month's end", "Sat 31 Oct 21:57 to Sun 1 Nov 06:01", f"{7 * D('7.5') * 4:,.2f}"),
        ("after the lock", "E0036 Shui Peng, Wed 28 Oct: no punch, but a day at a customer's", "20,600.00"),
        (
            "asked overtime",
            "E0198 Tang Lan, Thu 22 Oct: stayed to 20:05; 120 minutes asked for",
            f"{7900 / PAID_DAYS / 8 * D('1.5') * 2:,.2f}",
        ),
        ("unasked overtime", "E0199 Fei Gang, Thu 22 Oct: stayed to 20:05 and asked nobody", "0.00"),
        ("reversed run", "was paid 6,000.00 beside the month that was somebody else's", f"{D(6000) * D('-0.97'):,.2f}"),
        ("rotating shifts", "8 early, 8 late, 8 night, 7 days off", ""),
        ("split shift", "06:24 to 10:41 and 15:21 to 19:37", ""),
        ("flexible hours", "08:38 to 17:56", ""),
        ("other time zone", "came at 08:56 on Thu 8 Oct in Urumqi, 10:56 in Shanghai", ""),
        ("made-up day", "189 people punched on Sat 10 Oct", ""),
        ("overtime x 1.5", "Tue 20 Oct 08:58 to 20:30", f"{17400 / PAID_DAYS / 8 * D('1.5') * D('2.5'):,.2f}"),
        ("overtime x 2", "Sat 24 Oct 09:00 to 13:00", f"{15225 / PAID_DAYS / 8 * 2 * 4:,.2f}"),
        ("overtime x 2", "Tue 6 Oct 09:00 to 13:00", f"{10440 / PAID_DAYS / 8 * 2 * 4:,.2f}"),
        ("overtime x 3", "Thu 1 Oct 09:00 to 17:00", f"{10440 / PAID_DAYS / 8 * 3 * 8:,.2f}"),
        ("overtime x 3", "Thu 1 Oct 05:58 to 14:05, Fri 2 Oct", f"{10800 / PAID_DAYS / 8 * 3 * D('22.5'):,.2f}"),
        ("unpaid day", "unpaid on Thu 22 Oct", f"-{13050 / PAID_DAYS:,.2f}"),
        ("mid-month raise", "24,000 from Mon 19 Oct", f"{(D(20000) * 10 + D(24000) * 10) / 20:,.2f}"),
        ("joiner", "first day Mon 12 Oct", f"{D(15000) * 15 / 20:,.2f}"),
        ("leaver", "last day Tue 20 Oct", f"{D(12400) * 12 / 20:,.2f}"),
        ("rehire", "left on Tue 30 Jun, back on Mon 19 Oct", f"{D(7000) * 10 / 20:,.2f}"),
        ("new department", "from SALES-EAST to ENG-HW on Mon 19 Oct", "12,000.00"),
        ("new employer", "from HUAXING to HUAXING-YN on Fri 16 Oct", "8,000.00"),
        ("late raise", "E0032 Xie Tao: a raise to 16,500 from Thu 1 Oct", "16,500.00"),
        ("left to retro", "E0033 Zou Lin: a raise to 15,000 from Mon 12 Oct", "14,000.00"),
        ("bonus taxed alone", "annual bonus of 36,000.00", f"-{D(36000) * D('0.03'):,.2f}"),
        ("off-cycle bonus", "24,000.00 paid beside the month", f"-{D(24000) * D('0.03'):,.2f}"),
        ("opening balance", "brings 9 months: income 189,000, tax 7,672.5", "-1,132.50"),
    ],
)
def test_the_story_tells_what_became_of_each_awkward_case(demo: Ran, case: str, what: str, number: str) -> None:
    cases = story(demo.out)

    found = [told for told in cases if told.title == case and what in told.happened]
    assert [told.number for told in found] == [number]


def test_contributions_of_a_month_are_taken_once_though_the_employer_changed(demo: Ran) -> None:
    before, after = register(demo.out, "CN-MONTHLY")[MOVED], register(demo.out, "YN-MONTHLY")[MOVED]

    assert (before[1], before[2]) == (sum(half_up(D(8000) * D(rate)) for rate in OWN["KUNMING"]), D(960))
    assert after[1:3] == [D(0), D(0)]


def test_what_changed_after_the_calculation_is_told_by_name(demo: Ran) -> None:
    told = re.sub(r"\s+", " ", demo.out)

    assert "refused, INPUTS_CHANGED: 2 payslips are STALE" in told
    assert "E0032, with the facts as known now" in told
    assert "by payroll_approver, E0033 left to retro by name" in told
    assert "23 of 6 people: 19 no punches, 2 late, 2 other" in told
    assert "1 refused: OPEN_OCCURRENCE" in told
    assert "a correction (out at" in told
    assert "1 left to a later run: NEGATIVE_NET" in told


def test_the_time_of_each_step_and_of_the_whole_is_told(demo: Ran) -> None:
    steps = re.findall(r"^  (\S.{30}) .* +([0-9]+\.[0-9]{2}) s$", demo.out, re.MULTILINE)
    whole = re.search(r"The main job took ([0-9.]+) s from an empty folder", demo.out)

    assert whole is not None
    assert {"punches.csv", "lock the timesheets", "calculate CN-MONTHLY", "finalize YN-MONTHLY"} <= {
        title.strip() for title, _ in steps
    }
    assert 0.8 * float(whole[1]) < sum(float(seconds) for _, seconds in steps) < float(whole[1]) + 0.5


def test_the_main_job_takes_less_than_30_seconds_of_work(demo: Ran) -> None:
    # Processor time, so that a busy machine does not matter.
    assert demo.processor_s < 30


def test_who_prepared_the_run_may_not_approve_it(demo: Ran) -> None:
    assert "by payroll_approver (payroll_admin: FORBIDDEN)" in demo.out


def test_in_a_pipe_the_output_is_plain_and_100_columns_wide(demo: Ran) -> None:
    def columns(line: str) -> int:
        return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in line.rstrip())

    assert "\x1b" not in demo.out
    assert "\r" not in demo.out
    assert max(map(columns, demo.out.splitlines())) <= 100


def test_the_files_imported_again_change_nothing_though_the_month_is_closed_and_paid(backend: Backend) -> None:
    again = muster("import", "sample", "--base-url", backend.url, "--token", backend.token)

    assert (again.code, again.err) == (0, "")
    assert "7,754 rows in 24 files: 0 taken, the rest was there already" in again.out


def test_bank_accounts_and_grades_of_the_files_are_there(backend: Backend) -> None:
    people = {
        one["employee_number"]: one for one in backend.get("/v1/employees", limit="1000", as_of="2026-10-31")["data"]
    }
    split = backend.get(f"/v1/employees/{people['E0031']['id']}", as_of="2026-10-31")["person"]["bank_accounts"]
    alone = backend.get(f"/v1/employees/{people['E0001']['id']}", as_of="2026-10-31")["person"]["bank_accounts"]

    assert {people[number]["assignment"]["grade"] for number in ("E0001", "E0005")} == {"M5", "P4"}
    assert [(one["account_number"], one["amount"] and one["amount"]["amount"]) for one in split] == [
        ("9999800000000031", "3000.00"), ("9999000000000031", None),
    ]  # fmt: skip
    assert [(one["holder_name"], one["account_number"]) for one in alone] == [("Zhao Min", "9999000000000001")]


@pytest.mark.parametrize("group", GROUPS)
def test_each_difference_to_the_next_month_has_a_reason_that_says_something(backend: Backend, group: str) -> None:
    # From November on nobody punches, so that the month has time without 7,000 punches.
    kept = (
        "name", "days", "cycle_start_date", "holiday_calendar", "overtime_policy", "works_on_holidays",
        "ignores_moved_days",
    )  # fmt: skip
    for schedule in backend.get("/v1/work-schedules", limit="100")["data"]:
        body = {name: schedule[name] for name in kept} | {"effective_date": "2026-11-01", "punch_exempt": True}
        backend.send("PUT", f"/v1/work-schedules/{schedule['code']}", body)
    backend.send("POST", "/v1/timesheet-closings", {"pay_group": group, "period": "2026-11"})
    run = backend.send("POST", "/v1/payroll-runs", {"pay_group": group, "period": "2026-11", "kind": "REGULAR"})
    path = f"/v1/payroll-runs/{run['id']}"

    backend.send("POST", f"{path}/calculate", {})
    while run["status"] in ("DRAFT", "CALCULATING"):
        time.sleep(0.1)
        run = backend.get(path)
    variance = backend.get(f"{path}/variance", limit="1000")

    reasons = {reason for one in variance["data"] for line in one["lines"] for reason in line["reasons"]}
    assert (run["progress"]["blocked"], variance["next_cursor"]) == (0, None)
    assert {"TIME", "YEAR_TO_DATE", "JOINED"} <= reasons
    assert "OTHER" not in reasons
    assert all(line["reasons"] for one in variance["data"] for line in one["lines"])


def test_a_folder_that_is_not_empty_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "something").touch()

    ran = muster("demo", "--data", str(tmp_path))

    assert (ran.code, ran.out) == (1, "")
    assert len(ran.err.strip().splitlines()) == 1
    assert "is not empty; name an empty folder" in ran.err


def test_files_that_cannot_be_used_are_refused_in_one_sentence(tmp_path: Path) -> None:
    shutil.copytree(SAMPLE, tmp_path / "company")
    (tmp_path / "company" / "absences.csv").write_text("employee_number,date,code,paid_share\nE0012,22.10.,UNPAID,0\n")

    ran = muster("demo", "--company", str(tmp_path / "company"))

    assert (ran.code, ran.out) == (1, "")
    assert len(ran.err.strip().splitlines()) == 1
    assert "absences.csv line 2, column date: '22.10.' cannot be used" in ran.err


@dataclass(frozen=True)
class Told:
    """One case of the story, its wrapped cells joined."""

    title: str
    happened: str
    number: str


def story(out: str) -> list[Told]:
    part = out[out.index("The awkward cases of the month") : out.index("Payslip register")].splitlines()
    head = next(line for line in part if "what happened" in line)
    happened, did = head.index("what happened"), head.index("what the system did")
    cells: list[list[str]] = []
    for line in part[part.index(head) + 2 :]:
        if line[:happened].strip():  # titles stand in one line
            number = re.search(r" (-?[0-9][0-9,]*\.[0-9]{2}|none)$", line.rstrip()[did:])
            cells.append([line[:happened], "", number[1] if number else ""])
        if cells:
            cells[-1][1] += " " + line[happened:did].strip()
    return [Told(" ".join(a.split()), " ".join(b.split()), number) for a, b, number in cells]
