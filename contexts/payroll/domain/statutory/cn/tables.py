"""China's statutory tables as published: tax schedules, contribution bases and rates, labour standards.

Shanghai and Kunming rest on cited official instruments; a city that is not here is refused, never guessed. A row holds
until the next version of its table, because cities go on using the old base until the new one is announced.
"""

from datetime import date
from decimal import Decimal

from contexts.payroll.domain.statutory.table import KeyDate, TableRow, Tables

EDITION = date(2026, 11, 1)

_IIT = "IIT Law 2018; STA Announcement 2018 No.56, No.61"
_BONUS = "财税〔2018〕164号; MOF/STA 2021 No.42; MOF/STA 2023 No.30 (to 2027-12-31); 国税发〔2005〕9号 item 3"
_SHANGHAI = "Shanghai HRSS 2025/2026 base notices; 沪医保规〔2025〕2号/〔2026〕2号"
_SHANGHAI_FUND = "沪公积金管委会〔2025〕8号/〔2026〕3号"
_KUNMING = "云人社发〔2026〕8号; 元谋县人社局 notice 2026"
_KUNMING_FUND = "昆公积金规〔2020〕2号; 云人社发〔2026〕8号"
_KUNMING_WAGE = "云人社发〔2026〕8号"
_INJURY = "人社部发〔2015〕71号 (eight industry classes; the rate of an employer floats up to 150% of its class)"


def _row(
    table: str,
    key_date: KeyDate,
    place: str,
    effective: str,
    source: str,
    position: int = 1,
    until: date | None = None,
    **values: str,
) -> TableRow:  # fmt: skip
    columns = tuple((name, Decimal(text)) for name, text in values.items())
    return TableRow(table, key_date, place, date.fromisoformat(effective), until, position, columns, source)


def _schedule(table: str, effective: str, source: str, brackets: str) -> tuple[TableRow, ...]:
    """Tax brackets, "up_to rate quick_deduction" each; the last has no upper end ("-")."""
    rows = []
    over = "0"
    for position, bracket in enumerate(brackets.split(";"), start=1):
        up_to, rate, quick = bracket.split()
        named = (("over", over), ("up_to", up_to), ("rate", rate), ("quick_deduction", quick))
        columns = tuple((name, Decimal(text)) for name, text in named if text != "-")
        day = date.fromisoformat(effective)
        rows.append(TableRow(table, KeyDate.PAY_DATE, "", day, None, position, columns, source))
        over = up_to
    return tuple(rows)


def _bases(place: str, schemes: str, effective: str, floor: str, ceiling: str, source: str) -> tuple[TableRow, ...]:
    month = KeyDate.CONTRIBUTION_MONTH
    return tuple(
        _row(f"social_insurance.base.{scheme}", month, place, effective, source, floor=floor, ceiling=ceiling)
        for scheme in schemes.split()
    )


def _rate(
    place: str, scheme: str, effective: str, source: str, *, employer: str, employee: str | None = None
) -> TableRow:
    sides = (("employer", Decimal(employer)), *((("employee", Decimal(employee)),) if employee else ()))
    table, day = f"social_insurance.rate.{scheme}", date.fromisoformat(effective)
    return TableRow(table, KeyDate.CONTRIBUTION_MONTH, place, day, None, 1, sides, source)


def _fund_base(place: str, effective: str, floor: str, ceiling: str, source: str) -> TableRow:
    month = KeyDate.CONTRIBUTION_MONTH
    return _row("housing_fund.base", month, place, effective, source, floor=floor, ceiling=ceiling)


_INCOME_TAX = (
    *_schedule(
        "iit.annual_table", "2019-01-01", _IIT,
        "36000 0.03 0; 144000 0.10 2520; 300000 0.20 16920; 420000 0.25 31920; 660000 0.30 52920; 960000 0.35 85920;"
        "- 0.45 181920",
    ),
    *_schedule(
        "iit.monthly_table", "2019-01-01", _IIT,
        "3000 0.03 0; 12000 0.10 210; 25000 0.20 1410; 35000 0.25 2660; 55000 0.30 4410; 80000 0.35 7160;"
        "- 0.45 15160",
    ),
    *_schedule(
        "iit.labour_remuneration_resident_withholding", "2019-01-01", "STA Announcement 2018 No.61",
        "20000 0.20 0; 50000 0.30 2000; - 0.40 7000",
    ),
    _row("iit.basic_deduction_month", KeyDate.PAY_DATE, "", "2019-01-01", "IIT Law 2018 art.6", amount="5000"),
    _row("iit.first_job_in_year", KeyDate.PAY_DATE, "", "2020-07-01", "STA Announcement 2020 No.13", from_month="1"),
    _row("iit.sixty_thousand", KeyDate.PAY_DATE, "", "2021-01-01", "STA Announcement 2020 No.19", amount="60000"),
    _row(
        "iit.annual_bonus_separate", KeyDate.PAY_DATE, "", "2019-01-01", _BONUS, until=date(2027, 12, 31),
        months="12",
    ),
    _row(
        "iit.non_resident", KeyDate.PAY_DATE, "", "2019-01-01", "STA Announcement 2018 No.61; MOF/STA 2019 No.35",
        taken_of_labour="0.8", taken_of_manuscript="0.7", bonus_months="6",
    ),
    _row(
        "iit.labour_remuneration", KeyDate.PAY_DATE, "", "2019-01-01", "STA Announcement 2018 No.61",
        small_income="4000", small_deduction="800", deduction_rate="0.2", taken_of_manuscript="0.7", flat_rate="0.2",
    ),
    _row(
        "iit.comprehensive", KeyDate.PAY_DATE, "", "2019-01-01", "IIT Law 2018 art.6",
        months="12", taken_of_labour="0.8", deduction="60000",
    ),
    _row(
        "iit.severance", KeyDate.EVENT_DATE, "", "2019-01-01", "财税〔2018〕164号 art.5(1)",
        exempt_years="3", exempt_months="36",
    ),
    _row(
        "iit.early_retirement", KeyDate.PAY_DATE, "", "2019-01-01", "财税〔2018〕164号 art.5(2)", deduction="60000"
    ),
)  # fmt: skip

_LABOUR = (
    _row(
        "labour.overtime", KeyDate.WORK_DATE, "", "1995-01-01", "Labour Law arts. 41, 44",
        workday="1.5", rest_day="2", holiday="3", max_day_hours="3", max_month_hours="36",
    ),
    _row(
        "labour.days", KeyDate.WORK_DATE, "", "2025-01-01", "人社部发〔2025〕2号 (21.75 = (365-104)/12)",
        paid_days_month="21.75", working_days_month="20.67", hours_day="8",
    ),
    *(
        _row(
            "labour.annual_leave", KeyDate.EVENT_DATE, "", "2008-01-01", "职工带薪年休假条例 art.3",
            position=position, from_months=months, days=days,
        )
        for position, (months, days) in enumerate((("12", "5"), ("120", "10"), ("240", "15")), start=1)
    ),
    _row(
        "labour.unused_leave", KeyDate.EVENT_DATE, "", "2008-01-01", "企业职工带薪年休假实施办法 arts.10-12",
        extra_factor="2", year_days="365",
    ),
    _row(
        "labour.severance", KeyDate.EVENT_DATE, "", "2008-01-01", "Labour Contract Law arts. 40, 47, 87",
        cap_factor="3", cap_months="12", unlawful_factor="2", half_below_months="6", half="0.5",
    ),
    _row(
        "labour.registration", KeyDate.EVENT_DATE, "", "2011-07-01",
        "Social Insurance Law art.58; Trade Union Law art.43", register_days="30", union_rate="0.02",
    ),
)  # fmt: skip

_SHANGHAI_ROWS = (
    *_bases("SHANGHAI", "pension medical unemployment injury", "2025-07-01", "7460", "37302", _SHANGHAI),
    *_bases("SHANGHAI", "pension medical unemployment injury", "2026-07-01", "7546", "37731", _SHANGHAI),
    _rate("SHANGHAI", "pension", "2025-07-01", _SHANGHAI, employer="0.16", employee="0.08"),
    _rate("SHANGHAI", "medical", "2025-07-01", f"{_SHANGHAI} (maternity included)", employer="0.09", employee="0.02"),
    _rate("SHANGHAI", "unemployment", "2025-07-01", _SHANGHAI, employer="0.005", employee="0.005"),
    _fund_base("SHANGHAI", "2025-07-01", "2690", "37302", _SHANGHAI_FUND),
    _fund_base("SHANGHAI", "2026-07-01", "2740", "37731", _SHANGHAI_FUND),
    _row(
        "housing_fund.rate", KeyDate.CONTRIBUTION_MONTH, "SHANGHAI", "2025-07-01", _SHANGHAI_FUND,
        lowest="0.05", highest="0.07", supplementary_lowest="0.01", supplementary_highest="0.05",
    ),
    _row(
        "minimum_wage.month", KeyDate.WORK_DATE, "SHANGHAI", "2025-07-01",
        "Shanghai minimum wage notice 2025 (net of own contributions, without heat and similar allowances)",
        amount="2740",
    ),
    _row(
        "average_wage.month", KeyDate.EVENT_DATE, "SHANGHAI", "2025-07-01", f"{_SHANGHAI} (average of 2024)",
        amount="12434",
    ),
    _row(
        "average_wage.month", KeyDate.EVENT_DATE, "SHANGHAI", "2026-07-01", f"{_SHANGHAI} (average of 2025)",
        amount="12577",
    ),
)  # fmt: skip

_KUNMING_ROWS = (
    *_bases("KUNMING", "pension unemployment injury medical maternity", "2025-01-01", "4357", "21789", _KUNMING),
    *_bases("KUNMING", "pension unemployment injury", "2026-01-01", "4403", "22017", _KUNMING),
    *_bases("KUNMING", "medical maternity", "2026-09-01", "4403", "22017", _KUNMING),
    _rate("KUNMING", "pension", "2025-01-01", _KUNMING, employer="0.16", employee="0.08"),
    _rate("KUNMING", "medical", "2025-01-01", _KUNMING, employer="0.07", employee="0.02"),
    _rate("KUNMING", "maternity", "2025-01-01", _KUNMING, employer="0.009"),
    _rate("KUNMING", "unemployment", "2025-01-01", _KUNMING, employer="0.007", employee="0.003"),
    _fund_base("KUNMING/I", "2025-01-01", "2170", "32470", _KUNMING_FUND),
    _fund_base("KUNMING/II", "2025-01-01", "2020", "32470", _KUNMING_FUND),
    _fund_base("KUNMING/I", "2026-01-01", "2170", "32543", _KUNMING_FUND),
    _fund_base("KUNMING/II", "2026-01-01", "2020", "32543", _KUNMING_FUND),
    _fund_base("KUNMING/I", "2026-09-01", "2270", "32543", _KUNMING_FUND),
    _fund_base("KUNMING/II", "2026-09-01", "2120", "32543", _KUNMING_FUND),
    _row(
        "housing_fund.rate", KeyDate.CONTRIBUTION_MONTH, "KUNMING", "2025-01-01", _KUNMING_FUND,
        lowest="0.05", highest="0.12",
    ),
    _row("minimum_wage.month", KeyDate.WORK_DATE, "KUNMING/I", "2025-10-01", _KUNMING_WAGE, amount="2170"),
    _row("minimum_wage.month", KeyDate.WORK_DATE, "KUNMING/II", "2025-10-01", _KUNMING_WAGE, amount="2020"),
    _row("minimum_wage.month", KeyDate.WORK_DATE, "KUNMING/I", "2026-09-01", _KUNMING_WAGE, amount="2270"),
    _row("minimum_wage.month", KeyDate.WORK_DATE, "KUNMING/II", "2026-09-01", _KUNMING_WAGE, amount="2120"),
    *(
        _row("minimum_wage.hour", KeyDate.WORK_DATE, f"KUNMING/{zone}", effective, _KUNMING_WAGE, amount=amount)
        for zone, effective, amount in (
            ("I", "2025-10-01", "21"), ("II", "2025-10-01", "20"), ("III", "2025-10-01", "19"),
            ("I", "2026-09-01", "22"), ("II", "2026-09-01", "21"), ("III", "2026-09-01", "20"),
        )
    ),
    _row(
        "average_wage.year", KeyDate.EVENT_DATE, "KUNMING", "2026-01-01",
        f"{_KUNMING} (the figure in use in January 2026; its own year is not stated)", amount="130174",
    ),
)  # fmt: skip

_OWN_AVERAGE = _row(
    "social_insurance.own_average", KeyDate.CONTRIBUTION_MONTH, "", "1998-01-01",
    "劳办发〔1997〕116号 (60% to 300% of the local average wage)", lowest_share="0.6", highest_share="3",
)  # fmt: skip

_INJURY_CLASSES = tuple(
    _row(
        "social_insurance.injury_rate_by_class", KeyDate.CONTRIBUTION_MONTH, "", "2015-10-01", _INJURY,
        position=position, rate=rate, highest_factor="1.5",
    )
    for position, rate in enumerate(("0.002", "0.004", "0.007", "0.009", "0.011", "0.013", "0.016", "0.019"), start=1)
)  # fmt: skip

TABLES = Tables(
    "CN", EDITION, (*_INCOME_TAX, *_LABOUR, _OWN_AVERAGE, *_INJURY_CLASSES, *_SHANGHAI_ROWS, *_KUNMING_ROWS)
)
