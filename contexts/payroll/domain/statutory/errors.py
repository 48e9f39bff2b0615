"""What the statutory packs refuse, and what to do about it."""

from kernel.errors import DomainError, Kind


class StatutoryTableMissing(DomainError):
    """No version of a statutory table holds on the date that picks it."""

    kind, reason = Kind.RULE, "STATUTORY_TABLE_MISSING"


class UnknownCountry(DomainError):
    """There is no statutory pack for the country."""

    kind, reason = Kind.NOT_FOUND, "STATUTORY_PACK_UNKNOWN"


class HousingFundRateOutOfRange(DomainError):
    """The employer's housing-fund rate is outside what the city allows."""

    kind, reason = Kind.INVALID, "HOUSING_FUND_RATE_OUT_OF_RANGE"


class InjuryRateOutOfRange(DomainError):
    """A work-injury rate that no industry class can have."""

    kind, reason = Kind.INVALID, "INJURY_RATE_OUT_OF_RANGE"


class MinimumWageZoneNeeded(DomainError):
    """The amount depends on the minimum-wage zone of the workplace, and none that the city has was given."""

    kind, reason = Kind.INVALID, "MINIMUM_WAGE_ZONE_NEEDED"


class StatutoryRuleUnknown(DomainError):
    """A stored line names a rule that this edition of the pack does not have."""

    kind, reason = Kind.NOT_FOUND, "STATUTORY_RULE_UNKNOWN"


class StatutoryInputInvalid(DomainError):
    """An input that the rule has no answer for: negative, zero where something is divided by it, or unknown."""

    kind, reason = Kind.INVALID, "STATUTORY_INPUT_INVALID"
