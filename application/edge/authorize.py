"""Asks the access table, and turns its refusals into the edge's: 403, or as if the thing were not there."""

from functools import lru_cache

from application.access import TENANT, Because, Deny, Reach, Resource, decide, reach, roles_for
from application.edge.exchange import current_exchange
from application.edge.refusal import Forbidden, NotThere, OwnRecord
from chassis.principal import Principal


def allow(action: str, resource: Resource = TENANT, *, missing: str = "NOT_FOUND") -> None:
    """Let the caller go on. Raises Forbidden, OwnRecord, or NotThere with the reason `missing` for what is hidden."""
    decision = decide(current_exchange().caller, action, resource)
    if isinstance(decision, Deny):
        raise refusal_of(decision, missing)


def refusal_of(decision: Deny, missing: str) -> Exception:
    """What a denial looks like from outside."""
    if decision.hidden:
        return NotThere.because(missing)
    if decision.reason is Because.OWN_RECORD:
        return OwnRecord("somebody else has to do this for you; nobody does it to their own record")
    return Forbidden("your roles do not allow this; ask somebody who may")


def allowed_reach(action: str) -> Reach:
    """Whose rows the caller's list may hold. Raises Forbidden for nobody's."""
    found = reach(current_exchange().caller, action)
    if found.nobody:
        raise Forbidden("your roles do not allow this; ask somebody who may")
    return found


def knock(principal: Principal, action: str) -> None:
    """Turn away, before a byte of the body is read, whom no role lets do this to anybody. Raises Forbidden."""
    if _nobody(principal.roles, action):
        raise Forbidden("your roles do not allow this; ask somebody who may")


@lru_cache(maxsize=4096)
def _nobody(roles: frozenset[str], action: str) -> bool:
    allowed = roles_for(action)
    return not any(claim.partition("@")[0] in allowed for claim in roles)
