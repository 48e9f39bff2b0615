"""The gateway's counting inside this process, by the same classes and limits: for the form that has no gateway."""

from collections.abc import Mapping

from application.edge.exchange import Exchange
from application.edge.operation import Operation, RateClass
from application.edge.refusal import TooManyRequests
from chassis.rate_limit import Limit, SlidingWindows, TokenBuckets, Verdict


class Rates:
    """Who has asked how much in this process.

    Invariants: a tenant's requests count together, whatever the operation; exports and bulk are counted besides, and
    never more of them pass in any window than their limit. What is public counts by the client's address.
    """

    def __init__(self, limits: Mapping[str, Limit]) -> None:
        """`limits` by the name of the class."""
        self._counts: dict[RateClass, TokenBuckets | SlidingWindows] = {
            rate: (SlidingWindows if rate.exact else TokenBuckets)(limits[rate.value]) for rate in RateClass
        }

    def count(self, operation: Operation, exchange: Exchange, address: str) -> None:
        """Count one request, whose token is verified. Raises TooManyRequests."""
        principal = exchange.principal
        who = address if principal is None else str(principal.tenant_id)
        if principal is not None:
            self._take(RateClass.TENANT, who)
        if principal is None or operation.rate.exact:
            verdict = self._take(operation.rate, who)
            if operation.rate.exact:
                exchange.headers += [(name.encode(), value.encode()) for name, value in verdict.headers.items()]

    def _take(self, rate: RateClass, who: str) -> Verdict:
        verdict = self._counts[rate].take(who)
        if not verdict.passed:
            raise TooManyRequests(
                "more requests than allowed in this time; wait as long as Retry-After says", headers=verdict.headers
            )
        return verdict
