"""The main job as a newcomer sees it: `muster demo`, its numbers recomputed here from the published rules."""

import csv
import re
import resource
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

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
OVERTIME = {"E0009": D("1.5") * D("2.5"), "E0010": 2 * D(4), "E0011": 2 * D(4) + 3 * D(8)}
SHARES = {"E0029": 15, "E0030": 12}
NIGHTS = {"E0021", "E0022", "E0023", "E0024"}
BONUS = {"E0002": D(36000)}


def half_up(amount: Decimal, unit: Decimal = FEN) -> Decimal:
    return amount.quantize(unit, ROUND_HALF_UP)


def wage_of(number: str, wage: Decimal) -> Decimal:
    if number == "E0005":  # 10 paid days before the raise of 19 October and 10 from it on
        return half_up((wage * 10 + D(24000) * 10) / OCTOBER)
    paid = half_up(wage * SHARES.get(number, OCTOBER) / OCTOBER)
    paid += half_up(wage / PAID_DAYS / HOURS * OVERTIME.get(number, D(0)))
    if number == "E0012":
        paid -= half_up(wage / PAID_DAYS)
    if number in NIGHTS:
        paid += 18 * D("7.5") * 4
    return paid


def expected_row(person: dict[str, str]) -> tuple[Decimal, ...]:
    """Gross, social insurance, housing fund, income tax, net, employer cost."""
    number, city, wage = person["employee_number"], person["social_insurance_city"], D(person["monthly_wage"])
    earned = wage_of(number, wage)
    low, high = BOUNDS[city]
    base = min(max(wage, low), high)
    insurance = sum(half_up(base * D(rate)) for rate in OWN[city])
    fund = half_up(min(wage, FUND_CEILING[city]) * FUND[city], YUAN)
    # Cumulative withholding of the first month with this employer: 3% up to 36,000. Source: STA 2018 No.61.
    taxable = max(D(0), earned - insurance - fund - 5000 - D(person["special_additional_deduction"]))
    assert taxable <= 36000
    tax = half_up(taxable * D("0.03"))
    bonus = BONUS.get(number, D(0))
    # A bonus taxed alone: a twelfth of it, at most 3,000, finds 3%. Source: MOF/STA 2023 No.30.
    assert bonus / 12 <= 3000
    tax += half_up(bonus * D("0.03"))
    employer = sum(half_up(base * D(rate)) for rate in EMPLOYER[city]) + fund
    gross = earned + bonus
    return gross, D(insurance), fund, tax, gross - insurance - fund - tax, gross + employer


def numbers(text: str) -> list[Decimal]:
    return [D(found.replace(",", "")) for found in re.findall(r"-?[0-9][0-9,]*\.[0-9]{2}", text)]


def register(out: str) -> dict[str, list[Decimal]]:
    part = out[out.index("Payslip register") : out.index("The run's totals")]
    return {line.split()[0]: numbers(line) for line in part.splitlines() if len(numbers(line)) == 6}


def sums(rows: Sequence[Sequence[Decimal]]) -> list[Decimal]:
    return [sum(column, D(0)) for column in zip(*rows, strict=True)]


# ---- what the newcomer sees ----


def test_the_demo_ends_well_and_says_nothing_on_standard_error(demo: Ran) -> None:
    assert (demo.code, demo.err) == (0, "")


def test_every_payslip_is_what_the_published_rules_give_to_the_cent(demo: Ran) -> None:
    with (SAMPLE / "employees.csv").open(encoding="utf-8") as file:
        expected = {person["employee_number"]: list(expected_row(person)) for person in csv.DictReader(file)}

    shown = register(demo.out)

    assert len(expected) == 30
    assert {number: row for number, row in shown.items() if number != "total"} == expected


def test_the_totals_are_the_sums_of_the_payslips_and_those_of_the_run(demo: Ran) -> None:
    rows = register(demo.out)
    totals = rows.pop("total")

    assert totals == sums(list(rows.values()))
    told = re.sub(r"\s+", " ", demo.out)
    assert f"gross {totals[0]:,.2f}, net {totals[4]:,.2f}, employer cost {totals[5]:,.2f}: the same." in told


def test_the_payslip_with_the_raise_is_explained_line_by_line(demo: Ran) -> None:
    part = demo.out[demo.out.index("The payslip of E0005 Li Wei") : demo.out.index("The awkward cases")]
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
        ("night shift", "Fri 30 Oct 21:58 to Sat 31 Oct 06:09", f"{18 * D('7.5') * 4:,.2f}"),
        ("overtime on a", "Tue 20 Oct 08:58 to 20:30", f"{17400 / PAID_DAYS / 8 * D('1.5') * D('2.5'):,.2f}"),
        ("overtime on a", "Sat 24 Oct 09:00 to 13:00", f"{15225 / PAID_DAYS / 8 * 2 * 4:,.2f}"),
        ("overtime on a", "Tue 6 Oct 09:00 to 13:00", f"{10440 / PAID_DAYS / 8 * 2 * 4:,.2f}"),
        ("overtime on a", "Thu 1 Oct 09:00 to 17:00", f"{10440 / PAID_DAYS / 8 * 3 * 8:,.2f}"),
        ("unpaid day", "unpaid on Thu 22 Oct", f"-{13050 / PAID_DAYS:,.2f}"),
        ("mid-month raise", "24,000 from Mon 19 Oct", f"{(D(20000) * 10 + D(24000) * 10) / 20:,.2f}"),
        ("joiner", "first day Mon 12 Oct", f"{D(15000) * 15 / 20:,.2f}"),
        ("leaver", "last day Tue 20 Oct", f"{D(12400) * 12 / 20:,.2f}"),
        ("bonus taxed", "annual bonus of 36,000.00", f"-{D(36000) * D('0.03'):,.2f}"),
    ],
)
def test_the_story_tells_what_became_of_each_awkward_case(demo: Ran, case: str, what: str, number: str) -> None:
    cases = story(demo.out)

    found = [told for told in cases if told.title.startswith(case) and what in told.happened]
    assert [told.number for told in found] == [number]


def test_the_time_of_each_step_and_of_the_whole_is_told(demo: Ran) -> None:
    steps = re.findall(r"^  (\S.{30}) .* +([0-9]+\.[0-9]{2}) s$", demo.out, re.MULTILINE)
    whole = re.search(r"The main job took ([0-9.]+) s from an empty folder", demo.out)

    assert whole is not None
    assert {"punches.csv", "lock the timesheets", "calculate the payslips", "finalize the run"} <= {
        title.strip() for title, _ in steps
    }
    assert 0.8 * float(whole[1]) < sum(float(seconds) for _, seconds in steps) < float(whole[1]) + 0.5


def test_the_main_job_takes_less_than_20_seconds_of_work(demo: Ran) -> None:
    # Processor time, so that a busy machine does not matter.
    assert demo.processor_s < 20


def test_who_prepared_the_run_may_not_approve_it(demo: Ran) -> None:
    assert "by payroll_approver (payroll_admin: FORBIDDEN)" in demo.out


def test_in_a_pipe_the_output_is_plain_and_100_columns_wide(demo: Ran) -> None:
    def columns(line: str) -> int:
        return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in line.rstrip())

    assert "\x1b" not in demo.out
    assert "\r" not in demo.out
    assert max(map(columns, demo.out.splitlines())) <= 100


def test_the_files_imported_again_change_nothing_though_the_month_is_closed_and_paid(demo: Ran) -> None:
    data = str(demo.data)
    command = [sys.executable, "-m", "interfaces.cli.main", "serve", "--data", data, "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, env=surroundings(), stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = next(line for line in server.stdout if "Muster is up" in line).split()[3]
            token = muster("token", "--tenant", "huaxing", "--role", "owner", "--data", data).out.strip()

            again = muster("import", "sample", "--base-url", url, "--token", token)
        finally:
            server.terminate()

    assert (again.code, again.err) == (0, "")
    assert "1,047 rows in 18 files: 0 taken, the rest was there already" in again.out


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
    part = out[out.index("The awkward cases of the month") : out.index("The main job took")].splitlines()
    head = next(line for line in part if "what happened" in line)
    happened, did = head.index("what happened"), head.index("what the system did")
    cells: list[list[str]] = []
    for line in part[part.index(head) + 2 :]:
        end = line.rstrip()
        number = re.search(r" (-?[0-9][0-9,]*\.[0-9]{2})$", end[did:])
        starts = number or line.startswith(" made-up day")  # the one case without a number
        if starts or not cells:
            cells.append(["", "", number[1] if number else ""])
        cells[-1][0] += " " + line[:happened].strip()
        cells[-1][1] += " " + line[happened:did].strip()
    return [Told(" ".join(a.split()), " ".join(b.split()), number) for a, b, number in cells]
