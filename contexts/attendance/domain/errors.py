"""What attendance refuses, each with its stable reason."""

from kernel.errors import DomainError, Kind


class TimesheetNotFound(DomainError):
    """No timesheet answers to that."""

    kind, reason = Kind.NOT_FOUND, "TIMESHEET_NOT_FOUND"


class RosterUnknown(DomainError):
    """The employee is not on the roster; it is written by EnsureRoster."""

    kind, reason = Kind.RULE, "ROSTER_UNKNOWN"


class NotPlaced(DomainError):
    """The employee has no assignment on that day."""

    kind, reason = Kind.RULE, "NOT_PLACED"


class TimesheetNotOpen(DomainError):
    """Only an open timesheet takes punches, absences and what was approved of requests."""

    kind, reason = Kind.RULE, "TIMESHEET_NOT_OPEN"


class TimesheetNotReady(DomainError):
    """The timesheet does not stand where this step starts."""

    kind, reason = Kind.RULE, "TIMESHEET_NOT_READY"


class OpenOccurrence(DomainError):
    """A punch has no counterpart, so that nobody knows how long the work was."""

    kind, reason = Kind.RULE, "OPEN_OCCURRENCE"


class SelfApproval(DomainError):
    """Nobody approves their own time."""

    kind, reason = Kind.FORBIDDEN, "SELF_APPROVAL"


class PlanUnknown(DomainError):
    """A code that the plan refers to is not in the time catalog on that day."""

    kind, reason = Kind.RULE, "PLAN_UNKNOWN"


class PunchIdTaken(DomainError):
    """The punch_id names another punch, for ever."""

    kind, reason = Kind.CONFLICT, "PUNCH_ID_TAKEN"


class PunchTooFarAhead(DomainError):
    """The punch lies so far in the future that the clock which made it must be wrong."""

    kind, reason = Kind.INVALID, "PUNCH_TOO_FAR_AHEAD"


class PunchLimit(DomainError):
    """The timesheet holds as many punches as a period can."""

    kind, reason = Kind.RULE, "PUNCH_LIMIT"


class AbsenceNotFound(DomainError):
    """The timesheet holds no such absence."""

    kind, reason = Kind.NOT_FOUND, "ABSENCE_NOT_FOUND"


class AbsenceOutsidePeriod(DomainError):
    """The absence reaches out of the timesheet's period."""

    kind, reason = Kind.INVALID, "ABSENCE_OUTSIDE_PERIOD"


class AbsenceOverlaps(DomainError):
    """Another absence covers that day."""

    kind, reason = Kind.CONFLICT, "ABSENCE_OVERLAPS"


class AbsenceCodeReserved(DomainError):
    """The code means worked or unexcused time."""

    kind, reason = Kind.INVALID, "ABSENCE_CODE_RESERVED"


class AbsenceLimit(DomainError):
    """The timesheet holds as many absences as a period can."""

    kind, reason = Kind.RULE, "ABSENCE_LIMIT"


class PeriodUnknown(DomainError):
    """The time calendar has no period of that name."""

    kind, reason = Kind.INVALID, "PERIOD_UNKNOWN"


class TimeZoneUnknown(DomainError):
    """Not a time zone of the IANA database."""

    kind, reason = Kind.INVALID, "TIME_ZONE_UNKNOWN"


class CatalogEntryNotFound(DomainError):
    """The catalog holds no such code on that day."""

    kind, reason = Kind.NOT_FOUND, "CATALOG_ENTRY_NOT_FOUND"


class CatalogReferenceUnknown(DomainError):
    """A definition refers to a code that the catalog does not hold from its effective date on."""

    kind, reason = Kind.RULE, "CATALOG_REFERENCE_UNKNOWN"


class CatalogFull(DomainError):
    """The tenant's catalog holds as many entries as one may."""

    kind, reason = Kind.RULE, "CATALOG_FULL"


class NotSettled(DomainError):
    """Facts of that instant may still be arriving."""

    kind, reason = Kind.RULE, "NOT_SETTLED"


class PunchNotFound(DomainError):
    """The timesheet holds no such punch."""

    kind, reason = Kind.NOT_FOUND, "PUNCH_NOT_FOUND"


class CorrectionNotFound(DomainError):
    """No correction answers to that."""

    kind, reason = Kind.NOT_FOUND, "CORRECTION_NOT_FOUND"


class CorrectionExists(DomainError):
    """Another correction of that punch is asked for or was approved."""

    kind, reason = Kind.CONFLICT, "CORRECTION_EXISTS"


class CorrectionOutsidePeriod(DomainError):
    """The corrected time is not one of the timesheet's period, or has not come yet."""

    kind, reason = Kind.INVALID, "CORRECTION_OUTSIDE_PERIOD"


class OvertimeRequestNotFound(DomainError):
    """No overtime request answers to that."""

    kind, reason = Kind.NOT_FOUND, "OVERTIME_REQUEST_NOT_FOUND"


class RequestDecided(DomainError):
    """A decision is final."""

    kind, reason = Kind.RULE, "REQUEST_DECIDED"


class RequestLimit(DomainError):
    """The timesheet holds as many requests or adjustments as a period can."""

    kind, reason = Kind.RULE, "REQUEST_LIMIT"


class WorkDateOutsidePeriod(DomainError):
    """The work date is not one of the timesheet's period."""

    kind, reason = Kind.INVALID, "WORK_DATE_OUTSIDE_PERIOD"


class AdjustmentUnbalanced(DomainError):
    """An adjustment renames owed minutes; it makes and destroys none."""

    kind, reason = Kind.INVALID, "ADJUSTMENT_UNBALANCED"


class AdjustmentBelowZero(DomainError):
    """More would be taken away than there is."""

    kind, reason = Kind.INVALID, "ADJUSTMENT_BELOW_ZERO"


class BadgeUnknown(DomainError):
    """Nobody had that badge at that time, or it was never issued."""

    kind, reason = Kind.NOT_FOUND, "BADGE_UNKNOWN"


class BadgeHeld(DomainError):
    """The badge is in somebody else's hands."""

    kind, reason = Kind.CONFLICT, "BADGE_HELD"


class BadgeNotHeld(DomainError):
    """The badge is in nobody's hands."""

    kind, reason = Kind.RULE, "BADGE_NOT_HELD"
