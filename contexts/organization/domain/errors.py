"""What organization refuses, and what to do about it."""

from kernel.errors import DomainError, Kind


class EmployeeNotFound(DomainError):
    """No such employee in this tenant."""

    kind, reason = Kind.NOT_FOUND, "EMPLOYEE_NOT_FOUND"


class ChangeNotFound(DomainError):
    """The employee has no such recorded change."""

    kind, reason = Kind.NOT_FOUND, "CHANGE_NOT_FOUND"


class EntryNotFound(DomainError):
    """The org chart has no such entry, or none on that date."""

    kind, reason = Kind.NOT_FOUND, "ENTRY_NOT_FOUND"


class EmployeeNumberTaken(DomainError):
    """Another employee of the tenant has this number."""

    kind, reason = Kind.CONFLICT, "EMPLOYEE_NUMBER_TAKEN"


class DateOutOfRange(DomainError):
    """A date that no company means, or one that contradicts another."""

    kind, reason = Kind.INVALID, "DATE_OUT_OF_RANGE"


class FactOutOfRange(DomainError):
    """A fact that cannot be: an unknown time zone, a full-time equivalent of zero, shares that do not sum to 100."""

    kind, reason = Kind.INVALID, "FACT_OUT_OF_RANGE"


class NothingChanges(DomainError):
    """The command names nothing, or what it names holds already."""

    kind, reason = Kind.INVALID, "NOTHING_CHANGES"


class SpellsOverlap(DomainError):
    """Two spells of one employee would share a day."""

    kind, reason = Kind.RULE, "SPELLS_OVERLAP"


class NotEmployed(DomainError):
    """The employee is not in employment on that date."""

    kind, reason = Kind.RULE, "NOT_EMPLOYED"


class SpellHasEnd(DomainError):
    """The spell has a last day already."""

    kind, reason = Kind.RULE, "SPELL_HAS_END"


class ChangeNoLongerStands(DomainError):
    """The recorded change was superseded or cancelled before."""

    kind, reason = Kind.RULE, "CHANGE_NO_LONGER_STANDS"


class ChangesLeftOutside(DomainError):
    """Recorded changes would fall outside every spell."""

    kind, reason = Kind.RULE, "CHANGES_LEFT_OUTSIDE"


class HistoryTooLong(DomainError):
    """One employee or one chart has as many recorded changes as are allowed."""

    kind, reason = Kind.RULE, "HISTORY_TOO_LONG"


class EntryNotValid(DomainError):
    """A code of the org chart that is not open on all the days for which it is named."""

    kind, reason = Kind.RULE, "ENTRY_NOT_VALID"


class EntryInUse(DomainError):
    """Employees or other entries refer to it on days on which it would be closed."""

    kind, reason = Kind.RULE, "ENTRY_IN_USE"


class DepartmentCycle(DomainError):
    """A department would stand above itself."""

    kind, reason = Kind.RULE, "DEPARTMENT_CYCLE"


class ManagerNotFound(DomainError):
    """The manager is no employee of this tenant."""

    kind, reason = Kind.RULE, "MANAGER_NOT_FOUND"


class ManagerCycle(DomainError):
    """Somebody would report to themselves, directly or through others."""

    kind, reason = Kind.RULE, "MANAGER_CYCLE"


class TeamTooLarge(DomainError):
    """More managers stand below than one list can follow."""

    kind, reason = Kind.RULE, "TEAM_TOO_LARGE"


class NotSettled(DomainError):
    """A repeatable read of facts so young that a transaction under way may still add to them."""

    kind, reason = Kind.RULE, "NOT_SETTLED"
