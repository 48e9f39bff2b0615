"""What the table allows: one decision, the reach of a list, the fields that may be shown; everything else is denied."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any

from application.access.table import ACTIONS, FIELDS, ORDINARY_ROLES, RELATIONS, ROLES
from chassis.principal import Principal
from kernel.ids import EmployeeId

Row = Mapping[str, frozenset[str]]  # relations by role; a role that is missing may not


class FieldClass(Enum):
    """How sensitive a field of an employee is."""

    PUBLIC = "public"
    PERSONAL = "personal"
    SENSITIVE = "sensitive"
    PAY = "pay"


@dataclass(frozen=True, slots=True)
class Resource:
    """What is acted on, as far as access depends on it; what is not told counts as not related.

    Invariants: `manager_ids` are the employee's managers, all the way up; `departments` are its department and those
    above it; `roles` are the role that is granted or revoked, or all that the account to be disabled holds.
    """

    employee_id: EmployeeId | None = None
    manager_ids: frozenset[EmployeeId] = frozenset()
    legal_entity: str = ""
    departments: frozenset[str] = frozenset()
    roles: frozenset[str] | None = None  # None: not told, so no role counts as ordinary


TENANT = Resource()  # nobody in particular: the tenant as a whole


@dataclass(frozen=True, slots=True)
class Allow:
    """It may be done."""


class Because(Enum):
    """Why not; the edge answers 403, or as if the thing were not there for OUT_OF_REACH."""

    UNKNOWN_ACTION = "UNKNOWN_ACTION"  # no such row: a bug of ours, denied
    ROLE_MISSING = "ROLE_MISSING"  # none of the principal's roles may do this to anybody
    OUT_OF_REACH = "OUT_OF_REACH"  # a role may do this, but not to this one
    OWN_RECORD = "OWN_RECORD"  # to others, but not to oneself


@dataclass(frozen=True, slots=True)
class Deny:
    """It may not be done."""

    reason: Because

    @property
    def hidden(self) -> bool:
        """Whether the answer must not tell that the thing exists."""
        return self.reason is Because.OUT_OF_REACH


Decision = Allow | Deny

ALLOW = Allow()
_DENIED = {because: Deny(because) for because in Because}


@dataclass(frozen=True, slots=True)
class Reach:
    """Whose rows a list may hold: the union of everything that is set.

    Invariants: `everybody` makes the others needless, except that `not_self` leaves oneself out of it.
    """

    everybody: bool = False
    not_self: bool = False
    oneself: bool = False
    team: bool = False
    legal_entities: frozenset[str] = field(default_factory=frozenset)
    departments: frozenset[str] = field(default_factory=frozenset)

    @property
    def nobody(self) -> bool:
        """Whether the list must be refused."""
        return not (self.everybody or self.oneself or self.team or self.legal_entities or self.departments)


def read_matrix(text: str) -> Mapping[str, Row]:
    """The rows of a table in the form of `table.py`. Raises ValueError for one that could be misread."""
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    header, *body = lines
    if tuple(header[1:]) != ROLES:
        raise ValueError(f"the columns are {', '.join(ROLES)}")
    rows: dict[str, Row] = {}
    for name, *cells in body:
        if len(cells) != len(ROLES) or name in rows:
            raise ValueError(f"{name} needs one row with {len(ROLES)} cells")
        row: dict[str, frozenset[str]] = {}
        for role, cell in zip(ROLES, cells, strict=True):
            relations = frozenset(cell.split("+"))
            if not relations <= RELATIONS.keys() or ("-" in relations and len(relations) > 1):
                raise ValueError(f"{name}, {role}: {cell} is not one of {', '.join(RELATIONS)}")
            if cell != "-":
                row[role] = relations
        rows[name] = MappingProxyType(row)
    return MappingProxyType(rows)


MATRIX = read_matrix(ACTIONS)  # action -> role -> relations; published in the OpenAPI document as x-roles
FIELD_MATRIX = MappingProxyType({FieldClass(name): row for name, row in read_matrix(FIELDS).items()})


def roles_for(action: str) -> tuple[str, ...]:
    """The roles that may do it to somebody, in the table's order. Raises KeyError for an unknown action."""
    row = MATRIX[action]
    return tuple(role for role in ROLES if role in row)


def decide(principal: Principal, action: str, resource: Resource = TENANT) -> Decision:
    """Whether the principal may do it to the resource.

    What every employee may read of the company as a whole, a role that is limited to a part of it may read too.
    """
    row = MATRIX.get(action)
    if row is None:
        return _DENIED[Because.UNKNOWN_ACTION]
    decision = _decided(principal, row, resource)
    if resource is TENANT and isinstance(decision, Deny) and decision.hidden and "any" in row.get("employee", ()):
        return ALLOW
    return decision


def reach(principal: Principal, action: str) -> Reach:
    """Whose rows a list for this action may hold; `nobody` for an unknown action or a missing role."""
    row = MATRIX.get(action)
    if row is None:
        return Reach()
    related: set[str] = set()
    legal_entities: set[str] = set()
    departments: set[str] = set()
    for claim in principal.roles:
        role, _, scope = claim.partition("@")
        relations = row.get(role, frozenset())
        if not scope:
            related |= relations
        elif not scope.startswith(("legal_entity:", "department:")):
            continue
        elif "any" in relations:
            kind, _, code = scope.partition(":")
            (legal_entities if kind == "legal_entity" else departments).add(code)
    everybody = "any" in related or "other" in related
    return Reach(
        everybody=everybody,
        not_self=everybody and not related & {"any", "self"},
        oneself="self" in related,
        team="team" in related,
        legal_entities=frozenset(legal_entities),
        departments=frozenset(departments),
    )


def readable(principal: Principal, resource: Resource) -> frozenset[FieldClass]:
    """Which classes of this employee's fields the principal reads."""
    return frozenset(
        field_class
        for field_class, row in FIELD_MATRIX.items()
        if isinstance(_decided(principal, row, resource), Allow)
    )


def readable_of_everybody(principal: Principal) -> frozenset[FieldClass]:
    """Which classes the principal may filter, sort and export by: a filter tells as much as an answer."""
    return frozenset(
        field_class
        for field_class, row in FIELD_MATRIX.items()
        if any("any" in row.get(role, ()) for role in principal.roles)
    )


def masked(answer: Mapping[str, Any], classes: Mapping[str, FieldClass], shown: Iterable[FieldClass]) -> dict[str, Any]:
    """The answer with None for every field whose class is not shown; a field without a class is not shown either."""
    allowed = frozenset(shown)
    return {name: value if classes.get(name) in allowed else None for name, value in answer.items()}


def _decided(principal: Principal, row: Row, resource: Resource) -> Decision:
    why_not = Because.ROLE_MISSING
    for claim in principal.roles:
        relations = row.get(claim)
        if relations is None:
            role, _, scope = claim.partition("@")
            relations = row.get(role) if scope else None
            if relations is None:
                continue
            refused = _refused(principal, relations, resource) if _inside(scope, resource) else Because.OUT_OF_REACH
        else:
            refused = _refused(principal, relations, resource)
        if refused is None:
            return ALLOW
        if why_not is Because.ROLE_MISSING or refused is Because.OWN_RECORD:
            why_not = refused
    return _DENIED[why_not]


def _refused(principal: Principal, relations: frozenset[str], resource: Resource) -> Because | None:
    """None where one of the relations holds, else why none does."""
    if "any" in relations:
        return None
    if "ordinary" in relations:
        ordinary = resource.roles is not None and resource.roles <= ORDINARY_ROLES
        return None if ordinary else Because.ROLE_MISSING
    me = principal.employee_id
    if me is not None and me == resource.employee_id:
        if "self" in relations:
            return None
        return Because.OWN_RECORD if "other" in relations else Because.OUT_OF_REACH
    if "other" in relations or ("team" in relations and me is not None and me in resource.manager_ids):
        return None
    return Because.OUT_OF_REACH


def _inside(scope: str, resource: Resource) -> bool:
    kind, _, code = scope.partition(":")
    if kind == "legal_entity":
        return bool(code) and resource.legal_entity == code
    return kind == "department" and code in resource.departments
