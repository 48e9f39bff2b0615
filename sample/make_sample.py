"""Writes the sample company: 30 people in China, two shifts, October 2026 with everything that makes a month hard."""

import csv
import random
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path

HERE = Path(__file__).parent
SEED = 2026
CHINA = timezone(timedelta(hours=8))
JOINED = date(2026, 10, 12)
LEFT = date(2026, 10, 20)

# Source: the State Council's notice on the holidays of 2026 (国办发明电〔2025〕7号, 2025-11-04).
HOLIDAYS = [
    ("2026-01-01", "HOLIDAY", "New Year's Day"),
    ("2026-01-02", "REST_DAY", "New Year (moved)"),
    ("2026-01-04", "WORKDAY", "New Year make-up day"),
    ("2026-02-14", "WORKDAY", "Spring Festival make-up day"),
    ("2026-02-16", "HOLIDAY", "Spring Festival Eve"),
    ("2026-02-17", "HOLIDAY", "Spring Festival"),
    ("2026-02-18", "HOLIDAY", "Spring Festival"),
    ("2026-02-19", "HOLIDAY", "Spring Festival"),
    ("2026-02-20", "REST_DAY", "Spring Festival (moved)"),
    ("2026-02-23", "REST_DAY", "Spring Festival (moved)"),
    ("2026-02-28", "WORKDAY", "Spring Festival make-up day"),
    ("2026-04-05", "HOLIDAY", "Qingming"),
    ("2026-04-06", "REST_DAY", "Qingming (moved)"),
    ("2026-05-01", "HOLIDAY", "Labour Day"),
    ("2026-05-02", "HOLIDAY", "Labour Day"),
    ("2026-05-04", "REST_DAY", "Labour Day (moved)"),
    ("2026-05-05", "REST_DAY", "Labour Day (moved)"),
    ("2026-05-09", "WORKDAY", "Labour Day make-up day"),
    ("2026-06-19", "HOLIDAY", "Dragon Boat Festival"),
    ("2026-09-20", "WORKDAY", "National Day make-up day"),
    ("2026-09-25", "HOLIDAY", "Mid-Autumn Festival"),
    ("2026-10-01", "HOLIDAY", "National Day"),
    ("2026-10-02", "HOLIDAY", "National Day"),
    ("2026-10-03", "HOLIDAY", "National Day"),
    ("2026-10-05", "REST_DAY", "National Day (moved)"),
    ("2026-10-06", "REST_DAY", "National Day (moved)"),
    ("2026-10-07", "REST_DAY", "National Day (moved)"),
    ("2026-10-10", "WORKDAY", "National Day make-up day"),
]

# number, name, birth date, hired, department, position, location, manager, schedule, monthly wage, special deduction
PEOPLE = [
    ("E0001", "Zhao Min", "1975-03-12", "2019-03-01", "HQ", "GENERAL-MANAGER", "SHANGHAI", "", "FIXED-5X8", 48000, 3000),
    ("E0002", "Qian Lei", "1980-07-02", "2019-06-03", "HQ", "HEAD-OF-SALES", "SHANGHAI", "E0001", "FIXED-5X8", 36000, 2000),
    ("E0003", "Sun Yan", "1983-11-21", "2020-01-06", "FIN", "ACCOUNTANT", "SHANGHAI", "E0001", "STANDARD-5X8", 21000, 1500),
    ("E0004", "Zhou Jie", "1988-05-30", "2020-02-17", "HR", "HR-PARTNER", "SHANGHAI", "E0001", "STANDARD-5X8", 18500, 1500),
    ("E0005", "Li Wei", "1990-05-01", "2021-01-05", "ENG", "ENGINEER", "SHANGHAI", "E0001", "STANDARD-5X8", 20000, 1500),
    ("E0006", "Wu Fang", "1991-09-14", "2021-03-01", "ENG", "ENGINEER", "SHANGHAI", "E0005", "STANDARD-5X8", 19000, 1500),
    ("E0007", "Zheng Kai", "1995-12-08", "2022-07-04", "ENG", "ENGINEER", "SHANGHAI", "E0005", "STANDARD-5X8", 15500, 1500),
    ("E0008", "Wang Jing", "1993-04-25", "2021-09-01", "ENG", "ENGINEER", "SHANGHAI", "E0005", "STANDARD-5X8", 17000, 0),
    ("E0009", "Feng Tao", "1992-08-17", "2021-11-15", "ENG", "ENGINEER", "SHANGHAI", "E0005", "STANDARD-5X8", 17400, 2000),
    ("E0010", "Chen Xi", "1994-02-11", "2022-03-01", "ENG", "ENGINEER", "SHANGHAI", "E0005", "STANDARD-5X8", 15225, 0),
    ("E0011", "Chu Bo", "1989-10-03", "2020-08-03", "OPS", "TECHNICIAN", "KUNMING", "E0020", "STANDARD-5X8", 10440, 0),
    ("E0012", "Wei Na", "1996-06-19", "2023-02-01", "SALES", "SALES-REP", "SHANGHAI", "E0002", "STANDARD-5X8", 13050, 0),
    ("E0013", "Jiang Hong", "1987-01-28", "2020-05-06", "SALES", "SALES-REP", "SHANGHAI", "E0002", "STANDARD-5X8", 16800, 3000),
    ("E0014", "Shen Li", "1997-03-03", "2024-07-01", "SALES", "SALES-REP", "SHANGHAI", "E0002", "STANDARD-5X8", 11200, 0),
    ("E0015", "Han Mei", "1998-11-11", "2024-07-01", "SALES", "SALES-REP", "SHANGHAI", "E0002", "STANDARD-5X8", 10900, 0),
    ("E0016", "Yang Guang", "1985-07-23", "2019-09-02", "ENG", "SENIOR-ENGINEER", "SHANGHAI", "E0005", "STANDARD-5X8", 29500, 4000),
    ("E0017", "Zhu Dan", "1990-12-30", "2021-06-01", "FIN", "ACCOUNTANT", "SHANGHAI", "E0003", "STANDARD-5X8", 14800, 1000),
    ("E0018", "Qin Feng", "1999-02-20", "2025-03-03", "HR", "HR-PARTNER", "SHANGHAI", "E0004", "STANDARD-5X8", 9800, 0),
    ("E0019", "You Qing", "1996-09-09", "2023-10-09", "ENG", "ENGINEER", "SHANGHAI", "E0016", "STANDARD-5X8", 16300, 1500),
    ("E0020", "Xu Ping", "1979-04-16", "2019-04-01", "OPS", "PLANT-MANAGER", "KUNMING", "E0001", "FIXED-5X8", 22000, 2000),
    ("E0021", "He Long", "1992-06-06", "2022-01-10", "OPS", "OPERATOR", "KUNMING", "E0020", "NIGHT-5X8", 7800, 0),
    ("E0022", "Lv Hua", "1994-08-08", "2022-01-10", "OPS", "OPERATOR", "KUNMING", "E0020", "NIGHT-5X8", 7600, 0),
    ("E0023", "Shi Gang", "1990-10-10", "2020-10-12", "OPS", "OPERATOR", "KUNMING", "E0020", "NIGHT-5X8", 8200, 0),
    ("E0024", "Zhang Yue", "1997-12-12", "2024-03-04", "OPS", "OPERATOR", "KUNMING", "E0020", "NIGHT-5X8", 7200, 0),
    ("E0025", "Kong Rui", "1993-05-15", "2021-05-10", "OPS", "TECHNICIAN", "KUNMING", "E0020", "STANDARD-5X8", 9300, 0),
    ("E0026", "Cao Ying", "1995-01-18", "2023-04-03", "OPS", "TECHNICIAN", "KUNMING", "E0020", "STANDARD-5X8", 8900, 1000),
    ("E0027", "Yan Song", "1988-03-27", "2020-11-02", "OPS", "TECHNICIAN", "KUNMING", "E0020", "STANDARD-5X8", 9900, 2000),
    ("E0028", "Hua Lin", "2000-07-07", "2026-07-06", "ENG", "ENGINEER", "SHANGHAI", "E0016", "STANDARD-5X8", 13500, 0),
    ("E0029", "Jin Xin", "1998-04-04", "2026-10-12", "ENG", "ENGINEER", "SHANGHAI", "E0016", "STANDARD-5X8", 15000, 1500),
    ("E0030", "Tao Ran", "1991-02-02", "2022-05-09", "SALES", "SALES-REP", "SHANGHAI", "E0002", "STANDARD-5X8", 12400, 0),
]  # fmt: skip


def write(name: str, header: str, rows: Iterable[Iterable[object]]) -> None:
    """One CSV file beside this script."""
    with open(HERE / name, "w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(header.split())
        lines.writerows(rows)


def working_days() -> list[date]:
    """October's working days: Monday to Friday but for the holidays, and the Saturday worked instead."""
    moved = {date.fromisoformat(day): kind for day, kind, _ in HOLIDAYS}
    days = [date(2026, 10, 1) + timedelta(days=offset) for offset in range(31)]
    return [day for day in days if moved.get(day, "WORKDAY" if day.weekday() < 5 else "REST_DAY") == "WORKDAY"]


def punches() -> list[tuple[str, str, str, str]]:
    """Everybody's punches: number, local instant with offset, direction, source."""
    chance = random.Random(SEED)
    made: list[tuple[datetime, str, str]] = []

    def worked(number: str, start: datetime, end: datetime) -> None:
        made.append((start, number, "IN"))
        made.append((end, number, "OUT"))

    for number, *_person, schedule, _wage, _deduction in PEOPLE:
        for day in working_days():
            if (
                schedule == "FIXED-5X8"
                or (number == "E0029" and day < JOINED)
                or (number == "E0030" and day > LEFT)
                or (number == "E0012" and day == date(2026, 10, 22))
            ):
                continue
            early, late = timedelta(minutes=chance.randint(1, 14)), timedelta(minutes=chance.randint(1, 12))
            if schedule == "NIGHT-5X8":
                start = datetime.combine(day, time(22), CHINA)
                worked(number, start - early, start + timedelta(hours=8) + late)
            elif number == "E0007" and day == date(2026, 10, 14):
                worked(number, datetime.combine(day, time(9, 23), CHINA), datetime.combine(day, time(18), CHINA) + late)
            elif number == "E0009" and day == date(2026, 10, 20):
                worked(
                    number, datetime.combine(day, time(9), CHINA) - early, datetime.combine(day, time(20, 30), CHINA)
                )
            else:
                worked(
                    number, datetime.combine(day, time(9), CHINA) - early, datetime.combine(day, time(18), CHINA) + late
                )
    worked("E0010", datetime(2026, 10, 24, 9, tzinfo=CHINA), datetime(2026, 10, 24, 13, tzinfo=CHINA))  # a Saturday
    worked("E0011", datetime(2026, 10, 1, 9, tzinfo=CHINA), datetime(2026, 10, 1, 17, tzinfo=CHINA))  # National Day
    worked("E0011", datetime(2026, 10, 6, 9, tzinfo=CHINA), datetime(2026, 10, 6, 13, tzinfo=CHINA))  # a moved rest day
    made.sort()
    return [(number, instant.isoformat(), direction, "DEVICE") for instant, number, direction in made]


def main() -> None:
    """Write all files."""
    write(
        "legal_entities.csv",
        "code name country effective_date",
        [("HUAXING", "Huaxing Instruments Co., Ltd.", "CN", "2019-01-01")],
    )
    write(
        "withholding_registrations.csv",
        "code name legal_entity country currency effective_date",
        [("HUAXING-CN", "Withholding agent of Huaxing Instruments", "HUAXING", "CN", "CNY", "2019-01-01")],
    )
    write(
        "locations.csv",
        "code name country time_zone effective_date",
        [
            ("SHANGHAI", "Shanghai office", "CN", "Asia/Shanghai", "2019-01-01"),
            ("KUNMING", "Kunming plant", "CN", "Asia/Shanghai", "2019-01-01"),
        ],
    )
    write(
        "departments.csv",
        "code name parent effective_date",
        [
            ("HQ", "Headquarters", "", "2019-01-01"),
            ("ENG", "Engineering", "HQ", "2019-01-01"),
            ("SALES", "Sales", "HQ", "2019-01-01"),
            ("FIN", "Finance", "HQ", "2019-01-01"),
            ("HR", "People", "HQ", "2019-01-01"),
            ("OPS", "Kunming operations", "HQ", "2019-01-01"),
        ],
    )
    positions = sorted({person[5] for person in PEOPLE})
    write(
        "positions.csv",
        "code name headcount effective_date",
        [
            (code, code.replace("-", " ").capitalize(), 1 + sum(person[5] == code for person in PEOPLE), "2019-01-01")
            for code in positions
        ],
    )
    write(
        "time_calendars.csv",
        "code name first_day week_start effective_date",
        [("CN-MONTH", "Calendar months", "1", "MONDAY", "2019-01-01")],
    )
    write(
        "shifts.csv",
        "code name start end break_start break_end late_grace_minutes effective_date",
        [
            ("DAY", "Day shift", "09:00", "18:00", "12:00", "13:00", "5", "2019-01-01"),
            ("NIGHT", "Night shift", "22:00", "06:00", "02:00", "02:30", "5", "2019-01-01"),
        ],
    )
    write(
        "work_schedules.csv",
        "code name mon tue wed thu fri sat sun holiday_calendar overtime_policy punches effective_date",
        [
            ("STANDARD-5X8", "Five days", *["DAY"] * 5, "", "", "CN", "CN-STATUTORY", "yes", "2019-01-01"),
            ("NIGHT-5X8", "Five nights", *["NIGHT"] * 5, "", "", "CN", "CN-STATUTORY", "yes", "2019-01-01"),
            ("FIXED-5X8", "Five days, no punching", *["DAY"] * 5, "", "", "CN", "CN-STATUTORY", "no", "2019-01-01"),
        ],
    )
    overtime = [
        (
            "CN-STATUTORY",
            "Labour Law art. 44",
            kind,
            f"OVERTIME_{kind}",
            "30",
            "30",
            "no",
            "22:00",
            "06:00",
            "2019-01-01",
        )
        for kind in ("WORKDAY", "REST_DAY", "HOLIDAY")
    ]
    write(
        "overtime_policies.csv",
        "code name day_kind pay_component min_minutes step_minutes approval night_start night_end effective_date",
        overtime,
    )
    write("holidays.csv", "calendar date day_kind name", [("CN", *holiday) for holiday in HOLIDAYS])
    write(
        "pay_groups.csv",
        "code name withholding_registration frequency currency country time_calendar pay_day effective_date",
        [("CN-MONTHLY", "Monthly, China", "HUAXING-CN", "MONTH", "CNY", "CN", "CN-MONTH", "5", "2019-01-01")],
    )
    write(
        "pay_components.csv",
        "code name kind quantity rate formula taxed order effective_date",
        [
            (
                "NIGHT_ALLOWANCE",
                "Night allowance / 夜班津贴",
                "EARNING",
                "hours_NIGHT",
                "4",
                "quantity * rate",
                "WAGE",
                "45",
                "2019-01-01",
            )
        ],
    )
    write(
        "employees.csv",
        "employee_number legal_name birth_date email hire_date employment_type legal_entity department position location "
        "manager work_schedule pay_group monthly_wage currency social_insurance_city social_insurance_base "
        "housing_fund_base housing_fund_rate injury_rate special_additional_deduction",
        [
            (
                number, name, born, f"{name.lower().replace(' ', '.')}@huaxing.example", hired, "FULL_TIME", "HUAXING",
                department, position, location, manager, schedule, "CN-MONTHLY", f"{wage}.00", "CNY", location,
                f"{wage}.00", f"{wage}.00", "0.07" if location == "SHANGHAI" else "0.12",
                "0.002" if location == "SHANGHAI" else "0.004", f"{deduction}.00",
            )
            for number, name, born, hired, department, position, location, manager, schedule, wage, deduction in PEOPLE
        ],
    )  # fmt: skip
    write(
        "compensation_changes.csv",
        "employee_number effective_date monthly_wage currency reason",
        [("E0005", "2026-10-19", "24000.00", "CNY", "PROMOTION")],
    )
    write("terminations.csv", "employee_number last_day reason", [("E0030", LEFT.isoformat(), "RESIGNATION")])
    write("absences.csv", "employee_number date code paid_share", [("E0012", "2026-10-22", "UNPAID", "0")])
    write(
        "pay_inputs.csv",
        "employee_number period component amount currency note",
        [("E0002", "2026-10", "BONUS", "36000.00", "CNY", "Annual bonus 2025, taxed alone")],
    )
    write("punches.csv", "employee_number punched_at direction source", punches())


if __name__ == "__main__":
    main()
