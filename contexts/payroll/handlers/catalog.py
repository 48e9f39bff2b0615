"""Commands and queries of the catalog: each Put is a change set of one and raises the version."""

from dataclasses import dataclass
from datetime import date
from itertools import islice

from contexts.payroll.domain.catalog import Catalog, CatalogEntry, Definition, PayComponent, PayGroup, PayPeriod
from contexts.payroll.domain.countries import statutory_of
from contexts.payroll.domain.engine import Plan
from contexts.payroll.domain.errors import PayComponentNotFound, PayGroupNotFound
from contexts.payroll.domain.standard_components import standard_components
from contexts.payroll.repository.port import PayrollReading, PayrollWork
from kernel.errors import Stale

MAX_COMPILED = 200  # sets of components that one change may touch


@dataclass(frozen=True, slots=True)
class Published:
    """What a change set left: its definitions and the version that holds them."""

    pay_groups: tuple[PayGroup, ...]
    components: tuple[PayComponent, ...]
    catalog_version: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a version says."""

    pay_groups: tuple[PayGroup, ...]
    components: tuple[PayComponent, ...]
    catalog_version: int


async def put_pay_group(group: PayGroup, seen: int | None, work: PayrollWork) -> Published:
    """Define a pay group from a date on. Raises PayGroupInvalid, Stale, and what its components cannot do with it."""
    catalog = await _for_change(work, seen)
    group.check(catalog.pay_group(group.code))
    return await _publish(work, catalog, [group], [])


async def put_component(component: PayComponent, seen: int | None, work: PayrollWork) -> Published:
    """Define a pay component from a date on. Raises FormulaInvalid, FormulaCycle, ComponentInvalid, Stale."""
    catalog = await _for_change(work, seen)
    component.check()
    return await _publish(work, catalog, [], [component])


async def adopt_standard_components(country: str, effective_date: date, work: PayrollWork) -> Published:
    """Adopt a country's standard components; codes that exist are left alone. Raises StandardComponentsUnknown."""
    catalog = await _for_change(work, None)
    wanted = [
        component
        for component in standard_components(country, effective_date)
        if catalog.component(component.code) is None
    ]
    if not wanted:
        return Published((), (), catalog.version)
    return await _publish(work, catalog, [], wanted)


async def _for_change(work: PayrollWork, seen: int | None) -> Catalog:
    catalog = await work.catalogs.for_change()
    if seen is not None and seen != catalog.version:
        raise Stale("the catalog was changed meanwhile; read it again", version=catalog.version)
    return catalog


async def _publish(
    work: PayrollWork, catalog: Catalog, groups: list[PayGroup], components: list[PayComponent]
) -> Published:
    version = catalog.version + 1
    definitions: list[Definition] = [*groups, *components]
    entries = [CatalogEntry(version, definition) for definition in definitions]
    after = catalog.with_entries(entries)
    must_compile(after, min(entry.definition.effective_date for entry in entries))
    await work.catalogs.publish(entries, version, work.actor, work.now())
    work.note(f"catalog/{version}")
    return Published(tuple(groups), tuple(components), version)


def must_compile(catalog: Catalog, since: date) -> None:
    """Every pay group's components compile on `since` and on each later date on which anything changes.

    Raises FormulaInvalid, FormulaCycle, ComponentInvalid, PayGroupInvalid.
    """
    compiled: set[object] = set()
    for day in (since, *(day for day in catalog.key_dates() if day > since)):
        for group in catalog.pay_groups(day):
            components = catalog.components(day, group.code)
            key = (components, group.currency, group.country)
            if key not in compiled and len(compiled) < MAX_COMPILED:
                compiled.add(key)
                Plan(components, group.currency, statutory_of(group.country))


async def get_pay_group(code: str, day: date | None, version: int, view: PayrollReading) -> Found:
    """One pay group as it is on a date. Raises PayGroupNotFound."""
    catalog = await _catalog(view, version)
    return Found((group_of(catalog, code, day),), (), catalog.version)


def group_of(catalog: Catalog, code: str, day: date | None = None) -> PayGroup:
    """The group on a date. Raises PayGroupNotFound."""
    group = catalog.pay_group(code, day)
    if group is None:
        when = f" on {day}" if day is not None else ""
        raise PayGroupNotFound(
            f"there is no pay group {code!r}{when}; define it first", field="pay_group", pay_group=code
        )
    return group


async def list_pay_groups(day: date | None, after: str, limit: int, view: PayrollReading) -> Found:
    """Pay groups by code, those after `after`."""
    catalog = await view.newest_catalog()
    groups = (group for group in catalog.pay_groups(day) if group.code > after)
    return Found(tuple(islice(groups, limit)), (), catalog.version)


async def get_component(code: str, day: date | None, version: int, view: PayrollReading) -> Found:
    """One component as it is on a date. Raises PayComponentNotFound."""
    catalog = await _catalog(view, version)
    component = catalog.component(code, day)
    if component is None:
        raise PayComponentNotFound(f"there is no pay component {code!r}; define it first", field="code", component=code)
    return Found((), (component,), catalog.version)


async def list_components(day: date | None, version: int, after: str, limit: int, view: PayrollReading) -> Found:
    """Components by code, those after `after`."""
    catalog = await _catalog(view, version)
    by_code = sorted(catalog.components(day), key=lambda component: component.code)
    return Found((), tuple(islice((one for one in by_code if one.code > after), limit)), catalog.version)


async def get_pay_period(code: str, name: str, view: PayrollReading) -> PayPeriod:
    """One period of a group, as defined on its first day. Raises PayGroupNotFound, PayPeriodNotFound."""
    return period_of(await view.newest_catalog(), code, name)


def period_of(catalog: Catalog, code: str, name: str) -> PayPeriod:
    """One period of a group, as defined on its first day. Raises PayGroupNotFound, PayPeriodNotFound."""
    asked = group_of(catalog, code).period(name)
    return group_of(catalog, code, asked.span.start).period(name)


async def list_pay_periods(code: str, first: date, last: date, view: PayrollReading) -> tuple[PayPeriod, ...]:
    """The periods of a group between two days. Raises PayGroupNotFound."""
    catalog = await view.newest_catalog()
    periods = group_of(catalog, code).periods(first, last)
    return tuple(
        (catalog.pay_group(code, period.span.start) or group_of(catalog, code)).period(period.name)
        for period in periods
    )


async def _catalog(view: PayrollReading, version: int) -> Catalog:
    return await view.catalog_at(version) if version else await view.newest_catalog()
