"""Writes the sample company: 200 people in China, two legal entities, October 2026 with all that makes a month hard."""

import csv
import random
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
SEED = 2026
CHINA = timezone(timedelta(hours=8))
URUMQI = timezone(timedelta(hours=6))
FIRST = date(2026, 10, 1)
MONTH = [FIRST + timedelta(days=offset) for offset in range(31)]
JOINED = date(2026, 10, 12)
LEFT = date(2026, 10, 20)

# People with a story of their own; the others are there because a company has them.
MOVES_DEPARTMENT = "E0095"
MOVES_ENTITY = "E0133"
COMES_BACK = "E0134"
NEVER_PUNCHES = "E0135"
FORGETS_TO_PUNCH = "E0136"
PUNCHES_TWICE = "E0137"
COMES_AFTER_CORE = "E0059"
BRINGS_A_HISTORY = "E0123"
SPLITS_THE_PAY = "E0031"
RAISED_LATE = ("E0032", "E0033")
BONUS_ALONE = "E0034"
AT_A_CUSTOMER = "E0036"
WRONGLY_PAID = "E0141"
ASKS_FOR_OVERTIME, ASKS_NOBODY = "E0198", "E0199"
STAYED = date(2026, 10, 22)
AWAY = date(2026, 10, 28)
RETURNED = date(2026, 10, 19)
MOVED = date(2026, 10, 16)
OFFLINE = date(2026, 10, 21)  # the canteen's terminal sent this day at the end of the month

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
    (HERE / name).parent.mkdir(parents=True, exist_ok=True)
    with open(HERE / name, "w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(header.split())
        lines.writerows(rows)


class Team(NamedTuple):
    """A department that is hired as a whole: its first is the lead, the others report to the lead."""

    department: str
    size: int
    position: str
    location: str
    schedule: str
    head: str
    lowest: int
    highest: int
    group: str = "CN-MONTHLY"


ROTATION = ("EARLY", "EARLY", "LATE", "LATE", "NIGHT", "NIGHT", "-", "-")  # four crews, three shifts
CREWS = {"ROTA-A": 0, "ROTA-B": 2, "ROTA-C": 4, "ROTA-D": 6}
ROTATION_START = date(2018, 12, 30)
TEAMS = [
    Team("ENG-HW", 28, "ENGINEER", "SHANGHAI", "STANDARD-5X8", "E0016", 12000, 26000),
    Team("ENG-SW", 34, "DEVELOPER", "SHANGHAI", "FLEX-5X8", "E0016", 13000, 28000),
    Team("SALES-EAST", 18, "SALES-REP", "SHANGHAI", "STANDARD-5X8", "E0002", 8500, 16000),
    Team("SALES-WEST", 12, "SALES-REP", "URUMQI", "STANDARD-5X8", "E0002", 8000, 15000),
    Team("FIN", 4, "ACCOUNTANT", "SHANGHAI", "STANDARD-5X8", "E0003", 11000, 17000),
    Team("HR", 4, "HR-PARTNER", "SHANGHAI", "STANDARD-5X8", "E0004", 10000, 16000),
    Team("OPS-ASSEMBLY", 30, "OPERATOR", "KUNMING", "STANDARD-5X8", "E0020", 5800, 8800, "YN-MONTHLY"),
    Team("OPS-FINISHING", 10, "OPERATOR", "KUNMING", "NIGHT-5X8", "E0020", 6200, 9000, "YN-MONTHLY"),
    *(Team("OPS-POWER", 5, "POWER-ENGINEER", "KUNMING", crew, "E0020", 7400, 10800, "YN-MONTHLY") for crew in CREWS),
    Team("OPS-CANTEEN", 6, "COOK", "KUNMING", "SPLIT-5X8", "E0020", 5200, 7200, "YN-MONTHLY"),
    Team("OPS-QUALITY", 4, "INSPECTOR", "KUNMING", "REQUEST-5X8", "E0020", 6800, 9800, "YN-MONTHLY"),
]
ENTITY = {"CN-MONTHLY": "HUAXING", "YN-MONTHLY": "HUAXING-YN"}
GRADES = {
    "GENERAL-MANAGER": "M5", "HEAD-OF-SALES": "M4", "PLANT-MANAGER": "M4", "TEAM-LEAD": "M2", "SENIOR-ENGINEER": "P6",
    "ENGINEER": "P4", "DEVELOPER": "P4", "POWER-ENGINEER": "P3", "ACCOUNTANT": "P3", "HR-PARTNER": "P3",
    "SALES-REP": "P3", "INSPECTOR": "P2", "TECHNICIAN": "P2", "OPERATOR": "P1", "COOK": "P1",
}  # fmt: skip
# The order of the Hundred Family Surnames, as that of the first 30.
SURNAMES = (
    "Qi Xie Zou Yu Bai Shui Dou Zhang Yun Su Pan Ge Xi Fan Peng Lang Lu Chang Ma Miao Fang Ren Yuan Liu Bao Tang Fei Lian "
    "Cen Xue Lei Ni Teng Yin Luo Bi Hao An Le Shi Fu Pi Bian Kang Bu Gu Meng Ping Huang Mu Xiao Yao Shao Zhan Mao Di Mi "
    "Bei Ming Zang Ji Cheng Dai Song Pang Xiong Shu Qu Xiang Dong Liang"
).split()
GIVEN = (
    "An Bin Chen Dan Fei Gang Hao Hui Jia Jun Kun Lan Lin Mei Na Ning Peng Qi Rong Shan Tao Ting Wen Xia Yan Ying Yu Zhen"
).split()


class Person(NamedTuple):
    """One row of employees.csv, as far as the rows differ."""

    number: str
    name: str
    born: str
    hired: str
    department: str
    position: str
    location: str
    manager: str
    schedule: str
    wage: int
    deduction: int
    group: str = "CN-MONTHLY"
    entity: str = "HUAXING"


def everybody() -> list[Person]:
    """The first 30 as they are written above, and 170 more by chance."""
    chance = random.Random(SEED + 1)
    people = [Person(*row) for row in PEOPLE]
    names = {person.name for person in people}
    for team in TEAMS:
        lead = ""
        for _ in range(team.size):
            number = f"E{len(people) + 1:04}"
            name = ""
            while not name or name in names:
                name = f"{SURNAMES[(len(people) - 30) % len(SURNAMES)]} {chance.choice(GIVEN)}"
            names.add(name)
            born = date(1971, 1, 1) + timedelta(days=chance.randrange(365 * 32))
            hired = max(date(2019, 4, 1), born.replace(year=born.year + 22, day=1)) + timedelta(
                days=chance.randrange(900)
            )
            wage = chance.randrange(team.lowest, team.highest, 100) if lead else team.highest
            people.append(
                Person(
                    number, name, born.isoformat(), min(hired, date(2026, 8, 3)).isoformat(), team.department,
                    team.position if lead else "TEAM-LEAD", team.location, lead or team.head, team.schedule, wage,
                    chance.choice((0, 0, 1000, 1500, 2000)), team.group, ENTITY[team.group],
                )
            )  # fmt: skip
            lead = lead or number
    special = {
        MOVES_ENTITY: {
            "department": "OPS",
            "manager": "E0020",
            "group": "CN-MONTHLY",
            "entity": "HUAXING",
            "wage": 8000,
            "deduction": 0,
        },
        COMES_BACK: {"hired": "2021-05-10", "wage": 6400},
        NEVER_PUNCHES: {"wage": 6000},
        BRINGS_A_HISTORY: {"hired": "2026-01-05", "wage": 21000, "deduction": 1000},
        BONUS_ALONE: {"wage": 16000},
        RAISED_LATE[0]: {"wage": 15000, "deduction": 1000},
        RAISED_LATE[1]: {"wage": 14000, "deduction": 1000},
        MOVES_DEPARTMENT: {"wage": 12000},
    }
    return [person._replace(**special.get(person.number, {})) for person in people]


def working_days() -> list[date]:
    """October's working days: Monday to Friday but for the holidays, and the Saturday worked instead."""
    moved = {date.fromisoformat(day): kind for day, kind, _ in HOLIDAYS}
    return [day for day in MONTH if moved.get(day, "WORKDAY" if day.weekday() < 5 else "REST_DAY") == "WORKDAY"]


def rota_shift(schedule: str, day: date) -> str:
    """The shift of a crew on a day."""
    return ROTATION[((day - ROTATION_START).days + CREWS[schedule]) % len(ROTATION)]


def punches() -> list[tuple[str, str, str, str]]:
    """Everybody's punches: number, local instant with offset, direction, source."""
    chance = random.Random(SEED)
    made: list[tuple[datetime, str, str]] = []
    sent_later: list[tuple[datetime, str, str]] = []

    def worked(number: str, start: datetime, end: datetime) -> None:
        made.append((start, number, "IN"))
        made.append((end, number, "OUT"))

    def around(number: str, start: datetime, hours: float) -> None:
        early, late = timedelta(minutes=chance.randint(1, 14)), timedelta(minutes=chance.randint(1, 12))
        worked(number, start - early, start + timedelta(hours=hours) + late)

    people = everybody()
    for person in people[:30]:
        number, schedule = person.number, person.schedule
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
    for person in people[30:]:
        number, schedule = person.number, person.schedule
        zone = URUMQI if person.location == "URUMQI" else CHINA
        for day in MONTH if schedule in CREWS else working_days():
            morning = datetime.combine(day, time(0), zone)
            if number == NEVER_PUNCHES or (number == COMES_BACK and day < RETURNED):
                continue
            if schedule in CREWS:
                shift = rota_shift(schedule, day)
                if shift != "-":
                    around(number, morning + timedelta(hours={"EARLY": 6, "LATE": 14, "NIGHT": 22}[shift]), 8)
            elif schedule == "NIGHT-5X8":
                around(number, morning + timedelta(hours=22), 8)
            elif schedule == "SPLIT-5X8":
                around(number, morning + timedelta(hours=6.5), 4)
                around(number, morning + timedelta(hours=15.5), 4)
                if day == OFFLINE:
                    sent_later.extend(made[-4:])
                    del made[-4:]
            elif schedule == "FLEX-5X8":
                start = morning + timedelta(hours=8, minutes=chance.randint(0, 110))
                end = start + timedelta(hours=9, minutes=chance.randint(2, 70))
                if number == COMES_AFTER_CORE and day == date(2026, 10, 14):
                    start, end = morning + timedelta(hours=10, minutes=25), morning + timedelta(hours=19)
                worked(number, start, end)
            else:
                around(number, morning + timedelta(hours=9), 9)
            if number == AT_A_CUSTOMER and day == AWAY:
                del made[-2:]
            if number in (ASKS_FOR_OVERTIME, ASKS_NOBODY) and day == STAYED:
                made[-1] = (datetime.combine(day, time(20, 5), zone), number, "OUT")
            if number == FORGETS_TO_PUNCH and day == date(2026, 10, 15):
                made.pop()
            if number == PUNCHES_TWICE and day == date(2026, 10, 13):
                made.extend([(instant + timedelta(seconds=20), *rest) for instant, *rest in made[-2:]])
    worked("E0010", datetime(2026, 10, 24, 9, tzinfo=CHINA), datetime(2026, 10, 24, 13, tzinfo=CHINA))  # a Saturday
    worked("E0011", datetime(2026, 10, 1, 9, tzinfo=CHINA), datetime(2026, 10, 1, 17, tzinfo=CHINA))  # National Day
    worked("E0011", datetime(2026, 10, 6, 9, tzinfo=CHINA), datetime(2026, 10, 6, 13, tzinfo=CHINA))  # a moved rest day
    made.sort()
    # A terminal that was cut off sends what it holds at the end, the newest first.
    made.extend(reversed(sent_later))
    return [(number, instant.isoformat(), direction, "DEVICE") for instant, number, direction in made]


def main() -> None:
    """Write all files."""
    people = everybody()
    write(
        "legal_entities.csv",
        "code name country effective_date",
        [
            ("HUAXING", "Huaxing Instruments Co., Ltd.", "CN", "2019-01-01"),
            ("HUAXING-YN", "Huaxing Instruments (Yunnan) Co., Ltd.", "CN", "2019-01-01"),
        ],
    )
    write(
        "withholding_registrations.csv",
        "code name legal_entity country currency effective_date",
        [
            ("HUAXING-CN", "Withholding agent of Huaxing Instruments", "HUAXING", "CN", "CNY", "2019-01-01"),
            ("HUAXING-YN-CN", "Withholding agent of Huaxing Yunnan", "HUAXING-YN", "CN", "CNY", "2019-01-01"),
        ],
    )
    write(
        "locations.csv",
        "code name country time_zone effective_date",
        [
            ("SHANGHAI", "Shanghai office", "CN", "Asia/Shanghai", "2019-01-01"),
            ("KUNMING", "Kunming plant", "CN", "Asia/Shanghai", "2019-01-01"),
            ("URUMQI", "Urumqi sales office", "CN", "Asia/Urumqi", "2019-01-01"),
        ],
    )
    write(
        "departments.csv",
        "code name parent effective_date",
        [
            ("HQ", "Headquarters", "", "2019-01-01"),
            ("ENG", "Engineering", "HQ", "2019-01-01"),
            ("ENG-HW", "Hardware", "ENG", "2019-01-01"),
            ("ENG-SW", "Software", "ENG", "2019-01-01"),
            ("SALES", "Sales", "HQ", "2019-01-01"),
            ("SALES-EAST", "Sales, east", "SALES", "2019-01-01"),
            ("SALES-WEST", "Sales, west", "SALES", "2019-01-01"),
            ("FIN", "Finance", "HQ", "2019-01-01"),
            ("HR", "People", "HQ", "2019-01-01"),
            ("OPS", "Kunming operations", "HQ", "2019-01-01"),
            ("OPS-ASSEMBLY", "Assembly", "OPS", "2019-01-01"),
            ("OPS-FINISHING", "Finishing, at night", "OPS", "2019-01-01"),
            ("OPS-POWER", "Power plant, around the clock", "OPS", "2019-01-01"),
            ("OPS-CANTEEN", "Canteen", "OPS", "2019-01-01"),
            ("OPS-QUALITY", "Quality", "OPS", "2019-01-01"),
        ],
    )
    positions = sorted({person.position for person in people})
    write(
        "positions.csv",
        "code name headcount effective_date",
        [
            (code, code.replace("-", " ").capitalize(), 1 + sum(one.position == code for one in people), "2019-01-01")
            for code in positions
        ],
    )
    write(
        "time_calendars.csv",
        "code name first_day week_start effective_date",
        [("CN-MONTH", "Calendar months", "1", "MONDAY", "2019-01-01")],
    )
    marks = ("UP 15", "DOWN 15")  # around the clock nobody is paid for coming before or staying after
    write(
        "shifts.csv",
        "code name start end break_start break_end second_start second_end flexible_minutes core_start core_end "
        "break_minutes break_after_minutes in_rounding out_rounding late_grace_minutes effective_date",
        [
            ("DAY", "Day shift", "09:00", "18:00", "12:00", "13:00", *[""] * 9, "5", "2019-01-01"),
            ("NIGHT", "Night shift", "22:00", "06:00", "02:00", "02:30", *[""] * 7, *marks, "5", "2019-01-01"),
            ("EARLY", "Early shift", "06:00", "14:00", "10:00", "10:30", *[""] * 7, *marks, "5", "2019-01-01"),
            ("LATE", "Late shift", "14:00", "22:00", "18:00", "18:30", *[""] * 7, *marks, "5", "2019-01-01"),
            ("SPLIT", "Breakfast and dinner", "06:30", "10:30", "", "", "15:30", "19:30", *[""] * 7, "5", "2019-01-01"),
            ("FLEX", "Eight hours between seven and nine", "07:00", "21:00", "", "", "", "", "480", "10:00", "15:00",
             "60", "300", "", "", "5", "2019-01-01"),
        ],
    )  # fmt: skip
    weekly = [
        ("STANDARD-5X8", "Five days", "DAY", "CN-STATUTORY", "yes"),
        ("NIGHT-5X8", "Five nights", "NIGHT", "CN-STATUTORY", "yes"),
        ("FIXED-5X8", "Five days, no punching", "DAY", "CN-STATUTORY", "no"),
        ("REQUEST-5X8", "Five days, overtime on request", "DAY", "CN-ON-REQUEST", "yes"),
        ("FLEX-5X8", "Five days, flexible hours", "FLEX", "", "yes"),
        ("SPLIT-5X8", "Five days, two parts a day", "SPLIT", "CN-STATUTORY", "yes"),
    ]
    write(
        "work_schedules.csv",
        "code name mon tue wed thu fri sat sun rotation rotation_start holiday_calendar overtime_policy "
        "works_on_holidays ignores_moved_days punches effective_date",
        [
            *(
                (code, name, *[shift] * 5, *[""] * 4, "CN", policy, "no", "no", punched, "2019-01-01")
                for code, name, shift, policy, punched in weekly
            ),
            *(
                (crew, f"Rotating crew {crew[-1]}", *[""] * 7, " ".join(ROTATION), ROTATION_START - timedelta(offset),
                 "CN", "CN-STATUTORY", "yes", "yes", "yes", "2019-01-01")
                for crew, offset in CREWS.items()
            ),
        ],
    )  # fmt: skip
    overtime = [
        (
            code,
            name,
            kind,
            f"OVERTIME_{kind}",
            "30",
            "30",
            approval,
            "22:00",
            "06:00",
            "2019-01-01",
        )
        for code, name, approval in (
            ("CN-STATUTORY", "Labour Law art. 44", "no"),
            ("CN-ON-REQUEST", "Labour Law art. 44, approved by the manager", "yes"),
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
        [
            ("CN-MONTHLY", "Monthly, China", "HUAXING-CN", "MONTH", "CNY", "CN", "CN-MONTH", "5", "2019-01-01"),
            ("YN-MONTHLY", "Monthly, Yunnan", "HUAXING-YN-CN", "MONTH", "CNY", "CN", "CN-MONTH", "10", "2019-01-01"),
        ],
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
        "manager work_schedule pay_group grade monthly_wage currency social_insurance_city social_insurance_base "
        "housing_fund_base housing_fund_rate injury_rate special_additional_deduction bank_account bank_name",
        [
            (
                one.number, one.name, one.born, f"{one.name.lower().replace(' ', '.')}@huaxing.example", one.hired,
                "FULL_TIME", one.entity, one.department, one.position, one.location, one.manager, one.schedule,
                one.group, GRADES[one.position], f"{one.wage}.00", "CNY", *statutory(one),
                f"9999{int(one.number[1:]):012}", "Sample Bank",
            )
            for one in people
        ],
    )  # fmt: skip
    write(
        "bank_accounts.csv",
        "employee_number effective_date bank_account bank_name amount currency share_percent",
        [
            (SPLITS_THE_PAY, "2026-10-01", "9999800000000031", "Sample Savings", "3000.00", "CNY", ""),
            (SPLITS_THE_PAY, "2026-10-01", "9999000000000031", "Sample Bank", "", "", ""),
        ],
    )
    write(
        "transfers.csv",
        "employee_number effective_date legal_entity department position manager pay_group reason",
        [
            (MOVES_DEPARTMENT, RETURNED, "", "ENG-HW", "ENGINEER", "E0031", "", "From selling meters to making them"),
            (MOVES_ENTITY, MOVED, "HUAXING-YN", "OPS-ASSEMBLY", "", "E0131", "YN-MONTHLY", "To the Yunnan company"),
        ],
    )
    write(
        "statutory_profiles.csv",
        "employee_number effective_date social_insurance_base housing_fund_base reason",
        [
            (MOVES_ENTITY, MOVED, "NONE", "NONE", "The month's contributions are paid by the employer before"),
            (MOVES_ENTITY, "2026-11-01", "8000.00", "8000.00", "Contributions go on with the new employer"),
        ],
    )
    write(
        "compensation_changes.csv",
        "employee_number effective_date monthly_wage currency reason",
        [("E0005", "2026-10-19", "24000.00", "CNY", "PROMOTION")],
    )
    write(
        "terminations.csv",
        "employee_number last_day reason",
        [(COMES_BACK, "2026-06-30", "RESIGNATION"), ("E0030", LEFT.isoformat(), "RESIGNATION")],
    )
    back = next(one for one in people if one.number == COMES_BACK)._replace(wage=7000)
    write(
        "rehires.csv",
        "employee_number hire_date employment_type legal_entity department position location manager work_schedule "
        "pay_group grade monthly_wage currency social_insurance_city social_insurance_base housing_fund_base "
        "housing_fund_rate injury_rate special_additional_deduction",
        [
            (
                back.number, RETURNED, "FULL_TIME", back.entity, back.department, back.position, back.location,
                back.manager, back.schedule, back.group, GRADES[back.position], f"{back.wage}.00", "CNY",
                *statutory(back),
            )
        ],
    )  # fmt: skip
    write("absences.csv", "employee_number date code paid_share", [("E0012", "2026-10-22", "UNPAID", "0")])
    write(
        "opening_balances.csv",
        "employee_number period gross deductions net income contributions special_additional tax months source "
        "source_date",
        [history()],
    )
    write(
        "pay_inputs.csv",
        "employee_number period component amount currency run note",
        [
            ("E0002", "2026-10", "BONUS", "36000.00", "CNY", "REGULAR", "Annual bonus 2025, taxed alone"),
            (BONUS_ALONE, "2026-10", "BONUS", "24000.00", "CNY", "OFF_CYCLE", "Patent award, paid beside the month"),
            (WRONGLY_PAID, "2026-10", "BONUS", "6000.00", "CNY", "OFF_CYCLE", "Safety award, paid beside the month"),
        ],
    )
    write("punches.csv", "employee_number punched_at direction source", punches())
    write(
        "overtime_requests.csv",
        "employee_number work_date minutes reason",
        [(ASKS_FOR_OVERTIME, STAYED, 120, "Inspection of a late delivery")],
    )
    write(
        "later/before_submit/punch_corrections.csv",
        "employee_number punched_at direction reason",
        [(FORGETS_TO_PUNCH, "2026-10-15T18:00:00+08:00", "OUT", "Left by the goods gate, which has no terminal")],
    )
    write(
        "later/after_lock/adjustments.csv",
        "employee_number work_date pay_code day_kind minutes reason",
        [
            (AT_A_CUSTOMER, AWAY, "ABSENT", "WORKDAY", -480, "no punch, but a day at a customer's; the slip came late"),
            (AT_A_CUSTOMER, AWAY, "REGULAR", "WORKDAY", 480, "no punch, but a day at a customer's; the slip came late"),
        ],
    )
    write(
        "later/after_payday/reversals.csv",
        "pay_group period run reason",
        [("YN-MONTHLY", "2026-10", "OFF_CYCLE", "The award was entered for the wrong person")],
    )
    write(
        "later/after_calculation/compensation_changes.csv",
        "employee_number effective_date monthly_wage currency reason",
        [
            (RAISED_LATE[0], "2026-10-01", "16500.00", "CNY", "Signed in September, filed in November"),
            (RAISED_LATE[1], "2026-10-12", "15000.00", "CNY", "Signed after the payroll was calculated"),
        ],
    )


def statutory(person: Person) -> tuple[object, ...]:
    """City, bases, rates and special deduction; who works in Urumqi is insured in Shanghai, where the company is."""
    kunming = person.location == "KUNMING"
    wage = f"{person.wage}.00"
    rates = ("0.12", "0.004") if kunming else ("0.07", "0.002")
    return "KUNMING" if kunming else "SHANGHAI", wage, wage, *rates, f"{person.deduction}.00"


def history() -> tuple[object, ...]:
    """January to September with the payroll office before, cumulated by the published rules.

    Contributions of 17.5 percent of 21,000 a month. Tax of 9 x (21,000 - 3,675 - 5,000 - 1,000) = 101,925: ten percent
    less 2,520. Source: STA 2018 No.61.
    """
    gross, contributions, special = 9 * 21000, 9 * 3675, 9 * 1000
    tax = (gross - contributions - 9 * 5000 - special) / 10 - 2520
    net = gross - contributions - tax
    return (
        BRINGS_A_HISTORY, "2026-09", f"{gross}.00", f"{contributions + tax:.2f}", f"{net:.2f}", gross, contributions,
        special, f"{tax:.2f}", 9, "Payroll office before, statement of September", "2026-10-10",
    )  # fmt: skip


if __name__ == "__main__":
    main()
