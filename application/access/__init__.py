"""Who may do what: principals from tokens, and the one table that decides."""

from application.access.decision import (
    MATRIX,
    TENANT,
    Allow,
    Because,
    Decision,
    Deny,
    FieldClass,
    Reach,
    Resource,
    decide,
    masked,
    reach,
    readable,
    readable_of_everybody,
    roles_for,
)

__all__ = [
    "MATRIX",
    "TENANT",
    "Allow",
    "Because",
    "Decision",
    "Deny",
    "FieldClass",
    "Reach",
    "Resource",
    "decide",
    "masked",
    "reach",
    "readable",
    "readable_of_everybody",
    "roles_for",
]
