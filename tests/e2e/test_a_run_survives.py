"""A payroll run that cannot be broken: whatever is killed or frozen while it is calculated, it ends as if nothing was.

Twenty random moments instead of five: SURVIVAL_KILLS=20. The same moments again: SURVIVAL_SEED=<the printed seed>.
"""

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from tests.support.deployment import DistributedDeployment
from tests.support.scenario import Company, Json, a_hire, wait_until

PEOPLE = 3000  # six chunks of 500
PERIOD = "2026-03"
KILLS = int(os.environ.get("SURVIVAL_KILLS", "5"))
SEED = int(os.environ.get("SURVIVAL_SEED", "0")) or int(time.time())
TARGETS = ("application", "payroll", "organization", "attendance", "mariadb", "every application")
LEAST, MOST = 0.1, 0.9  # of the payslips stored at the moment of the kill
DONE_S = 120.0

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Stroke:
    """What is killed, when, and how long it stays away."""

    target: str
    share: float
    away_s: float


def strokes() -> list[Stroke]:
    """As many as asked for, every target in turn, at random moments."""
    dice = random.Random(SEED)
    return [
        Stroke(TARGETS[n % len(TARGETS)], round(dice.uniform(LEAST, MOST - 0.15), 2), round(dice.uniform(0, 1.5), 2))
        for n in range(KILLS)
    ]


@pytest.fixture(scope="module")
def company(fleet: DistributedDeployment) -> Iterator[Company]:
    """Three thousand people with different wages, whose month is closed."""
    with Company(fleet) as company:
        company.with_org_chart().with_schedules().with_pay_group()
        company.hire_many([a_hire(f"E{n:05}", wage=f"{8000 + 7 * n}.00") for n in range(PEOPLE)])
        company.close_month(PERIOD, PEOPLE)
        yield company


@pytest.fixture(autouse=True)
def mended(fleet: DistributedDeployment) -> Iterator[None]:
    yield
    fleet.mend()


@dataclass(frozen=True)
class Outcome:
    """What a run gave, whoever calculated it and how often."""

    calculation_hash: str
    totals: Json
    content_hashes: dict[str, str]  # by employee


def outcome_of(company: Company, run: Json) -> Outcome:
    payslips = company.payslips(run["id"])
    assert len(payslips) == PEOPLE
    hashes = {payslip["employee_id"]: payslip["content_hash"] for payslip in payslips}
    return Outcome(run["calculation_hash"], run["totals"], hashes)


@pytest.fixture(scope="module")
def undisturbed(company: Company) -> tuple[Outcome, str]:
    """The outcome of a run that nobody disturbed, and the instant at which it froze its facts."""
    run = company.create_run(PERIOD)
    company.calculate(run["id"])
    run = company.calculated(run["id"], DONE_S)
    outcome = outcome_of(company, run)
    company.void(run["id"])
    assert set(outcome.content_hashes) == set(company.people.values())
    return outcome, run["input_cutoff"]


class Rows:
    """What payroll stored of one run, past all services."""

    def __init__(self, fleet: DistributedDeployment, run_id: str) -> None:
        self._fleet = fleet
        self._run = f"run_id = X'{UUID(run_id).hex}'"

    def one(self, sql: str) -> list[str]:
        """The only row of a query in which {run} stands for the run."""
        answer = self._fleet.mariadb.execute(sql.format(run=self._run), self._fleet.databases["payroll"])
        return answer.strip().split("\t")

    def change(self, sql: str) -> None:
        """Change what is stored."""
        self.one(sql)

    @property
    def stored(self) -> int:
        """Payslips of chunks that are stored."""
        return int(self.one("SELECT COALESCE(SUM(payslip_count), 0) FROM run_chunk WHERE {run}")[0])


def same_as_undisturbed(company: Company, fleet: DistributedDeployment, run: Json, expected: Outcome) -> None:
    """One payslip per employee, equal to the undisturbed run's; chunks without gap; a slot for each."""
    rows = Rows(fleet, run["id"])
    payslips, employees, attempts = rows.one(
        "SELECT COUNT(*), COUNT(DISTINCT employee_id), COUNT(DISTINCT attempt) FROM payslip WHERE {run}"
    )
    chunks, highest, last = rows.one("SELECT COUNT(*), MAX(chunk_no), SUM(last) FROM run_chunk WHERE {run}")
    slots = rows.one("SELECT COUNT(DISTINCT employee_id) FROM payslip_slot WHERE {run}")[0]
    assert (payslips, employees, attempts, slots) == (str(PEOPLE), str(PEOPLE), "1", str(PEOPLE))
    assert chunks == highest
    assert last == "1"
    assert run["progress"] == {"done": PEOPLE, "blocked": 0, "stale": 0, "total": PEOPLE, "deferred": 0}
    assert outcome_of(company, run) == expected


def started(company: Company, cutoff: str) -> Json:
    run = company.create_run(PERIOD, input_cutoff=cutoff)
    company.calculate(run["id"])
    return run


def worker_of(fleet: DistributedDeployment, run_id: str) -> str:
    """The application that claimed the run last."""
    claims = [
        (line.partition('"timestamp"')[2], name)
        for name, part in fleet.parts.items()
        if name.startswith("application")
        for line in part.said(200_000).splitlines()
        if '"run claimed"' in line and run_id in line
    ]
    return max(claims)[1]


def killed(fleet: DistributedDeployment, run_id: str, target: str) -> list[str]:
    """Kill -9; the names of the parts that are gone."""
    if target == "mariadb":
        fleet.mariadb.kill()
        return []
    names = [target]
    if target == "application":
        names = [worker_of(fleet, run_id)]
    elif target == "every application":
        names = [name for name in fleet.parts if name.startswith("application")]
    for name in names:
        fleet.parts[name].kill()
    return names


def strike(company: Company, fleet: DistributedDeployment, cutoff: str, stroke: Stroke) -> tuple[Json, int]:
    """A run that is struck once while it is calculated: the run, and how many payslips were stored at that moment."""
    run = started(company, cutoff)
    rows = Rows(fleet, run["id"])
    wait_until(lambda: rows.stored >= stroke.share * PEOPLE, f"{stroke.share:.0%} stored", pause_s=0.01)
    stored = rows.stored
    names = killed(fleet, run["id"], stroke.target)
    time.sleep(stroke.away_s)
    if stroke.target == "mariadb":
        fleet.mariadb.start()
    for name in names:
        fleet.restart(name)
    return company.calculated(run["id"], DONE_S), stored


@pytest.mark.parametrize("number", range(KILLS), ids=lambda number: f"{number + 1}-{TARGETS[number % len(TARGETS)]}")
def test_a_run_goes_on_by_itself_after_a_kill(
    company: Company, fleet: DistributedDeployment, undisturbed: tuple[Outcome, str], number: int
) -> None:
    expected, cutoff = undisturbed
    stroke = strokes()[number]
    print(f"seed {SEED}, {stroke}")
    for _ in range(3):
        run, stored = strike(company, fleet, cutoff, stroke)
        same_as_undisturbed(company, fleet, run, expected)
        company.void(run["id"])
        if LEAST * PEOPLE <= stored <= MOST * PEOPLE:
            return
    raise AssertionError(f"the kill never came between {LEAST:.0%} and {MOST:.0%}")


def test_a_worker_that_was_frozen_cannot_write_once_another_took_over(
    company: Company, fleet: DistributedDeployment, undisturbed: tuple[Outcome, str]
) -> None:
    expected, cutoff = undisturbed
    run = started(company, cutoff)
    rows = Rows(fleet, run["id"])
    fence = "SELECT fence FROM run_lease WHERE {run}"
    wait_until(lambda: rows.stored >= PEOPLE // 4, "a quarter stored", pause_s=0.01)
    first = worker_of(fleet, run["id"])
    fleet.parts[first].freeze()
    before = int(rows.one(fence)[0])
    other = next(fleet.http_of(name) for name in fleet.parts if name.startswith("application") and name != first)
    preparer = company.payroll.at(company.http(other))

    wait_until(lambda: int(rows.one(fence)[0]) > before, "another worker's claim", limit_s=60.0, pause_s=0.02)
    fleet.parts[first].thaw()
    wait_until(
        lambda: preparer.get(f"/v1/payroll-runs/{run['id']}")["status"] == "CALCULATED", "the run CALCULATED", DONE_S
    )

    second = worker_of(fleet, run["id"])
    gave_up = '"run taken over"'
    wait_until(lambda: gave_up in fleet.parts[first].said(20_000), "the first worker's refusal", limit_s=30.0)
    assert second != first
    same_as_undisturbed(company, fleet, company.run(run["id"]), expected)
    company.void(run["id"])


def test_a_lost_or_altered_payslip_would_be_seen(
    company: Company, fleet: DistributedDeployment, undisturbed: tuple[Outcome, str]
) -> None:
    expected, cutoff = undisturbed
    run = started(company, cutoff)
    run = company.calculated(run["id"], DONE_S)
    rows = Rows(fleet, run["id"])
    same_as_undisturbed(company, fleet, run, expected)

    rows.change("UPDATE payslip SET content_hash = REVERSE(content_hash) WHERE {run} LIMIT 1")
    with pytest.raises(AssertionError):
        same_as_undisturbed(company, fleet, run, expected)
    rows.change("DELETE FROM payslip WHERE {run} LIMIT 1")
    with pytest.raises(AssertionError):
        same_as_undisturbed(company, fleet, run, expected)

    company.void(run["id"])


def test_payslips_are_calculated_anew_from_frozen_inputs_alone(
    company: Company, fleet: DistributedDeployment, undisturbed: tuple[Outcome, str]
) -> None:
    expected, cutoff = undisturbed
    run = started(company, cutoff)
    company.calculated(run["id"], DONE_S)
    rows = Rows(fleet, run["id"])
    payslips = company.payslips(run["id"])[:: PEOPLE // 12]
    rows.change(
        "UPDATE payslip SET `lines` = '', year_to_date = '', content_hash = REPEAT('0', 32),"
        " gross_minor = 0, net_minor = 0, deductions_minor = 0, employer_cost_minor = 0 WHERE {run}"
    )
    fleet.parts["payroll"].kill()
    fleet.restart("payroll")

    replayed = [company.payroll.post(f"/v1/payslips/{payslip['id']}/replay", None, 200) for payslip in payslips]
    rows.change('UPDATE payslip SET inputs = REPLACE(inputs, \'"fte":"1"\', \'"fte":"0.9"\') WHERE {run}')
    altered = [company.payroll.post(f"/v1/payslips/{payslip['id']}/replay", None, 200) for payslip in payslips]

    original = [expected.content_hashes[payslip["employee_id"]] for payslip in payslips]
    assert [each["replayed_hash"] for each in replayed] == original
    assert not any(each["matches"] for each in replayed)
    assert not {each["replayed_hash"] for each in altered} & set(original)
    company.void(run["id"])


def test_a_killed_service_leaves_no_process_behind(
    company: Company, fleet: DistributedDeployment, undisturbed: tuple[Outcome, str]
) -> None:
    part = fleet.parts["payroll"]
    run = started(company, undisturbed[1])
    company.calculated(run["id"], DONE_S)
    company.void(run["id"])
    children = [
        int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal() and parent_of(path) == part.pid
    ]

    part.kill()

    assert children
    wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in children), "the end of its workers", 20.0)


def parent_of(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
