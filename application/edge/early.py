"""Turns requests away before anything is made of them: what is refused must cost next to nothing."""

import asyncio
import time
from collections.abc import Sequence

from application.edge.admission import Why
from application.edge.answers import refusal_response
from application.edge.directory import Directory
from application.edge.endpoint import Endpoint
from application.edge.exchange import ALWAYS, PRIVATE, TRACE_ID, new_trace_id
from application.edge.gate import Gate, bearer
from application.edge.refusal import Refusal
from chassis.telemetry import HTTP_SECONDS

FEW = 2  # requests in one turn of the event loop that need no place held for them
_ID = "REQUEST-ID"  # stands for it in answers that are kept


class EarlyRefusals:
    """What admission would refuse, refused by the head of the request alone.

    Invariants: whoever is turned away here would have been by the gate, in the same words; a company is known by a
    token that was verified before, and whoever shows another one is let through to the gate. Of many that come in one
    turn of the loop, before the first of them is at the gate, no more are let through than there is room for.
    """

    def __init__(self, directory: Directory[Endpoint], gate: Gate) -> None:
        self._directory = directory
        self._gate = gate
        self._kept: dict[tuple[Why, bool], _Kept] = {}
        self._this_turn = 0

    def __call__(
        self, method: bytes, target: bytes, headers: Sequence[tuple[bytes, bytes]]
    ) -> tuple[int, bytes] | None:
        """The status of the refusal, and its headers with the body; None: serve the request.

        `target`: path and query as they came; names of headers in lower case.
        """
        admission = self._gate.admission
        if not self._this_turn:
            asyncio.get_running_loop().call_soon(self._end_turn)  # before the tasks of those that come from now on
        self._this_turn += 1
        if self._this_turn <= FEW and not admission.crowded():
            return None
        began = time.perf_counter()
        found = self._directory.find(method.decode("latin-1"), target.partition(b"?")[0].decode("latin-1"))
        if found is None:
            return None
        operation = found[0].operation
        authorization = trace_id = b""
        for name, value in headers:
            if name == b"authorization":
                authorization = value
            elif name == b"x-request-id":
                trace_id = value
        tenant = None
        if operation.action is not None:
            token = bearer(authorization.decode("latin-1"))
            principal = self._gate.authenticator.remembered(token) if token else None
            if principal is None:
                return None
            tenant = principal.tenant_id
        why = admission.why_not(operation, tenant)
        if why is None:
            admission.expect(operation, tenant)
            return None
        private = tenant is not None and why is not Why.PLACES  # which the gate looks for before it asks who it is
        answer = self._answer(why, trace_id.decode("latin-1"), private=private)
        HTTP_SECONDS.labels(operation.name, answer[0]).observe(time.perf_counter() - began)
        return answer

    def _end_turn(self) -> None:
        self._this_turn = 0
        self._gate.admission.came()

    def _answer(self, why: Why, trace_id: str, *, private: bool) -> tuple[int, bytes]:
        kept = self._kept.get((why, private))
        if kept is None:
            kept = self._kept[why, private] = _Kept(why.refusal(), private=private)
        return kept.status, kept.under(trace_id if TRACE_ID.fullmatch(trace_id) else new_trace_id())


class _Kept:
    """An answer that differs by the id of the request only."""

    def __init__(self, refusal: Refusal, *, private: bool) -> None:
        self.status = refusal.status
        response = refusal_response(refusal, _ID)
        headers = [*response.raw_headers, *ALWAYS, (b"x-request-id", _ID.encode()), *([PRIVATE] if private else ())]
        lines = [name + b": " + (b"%d" if name == b"content-length" else _open(value)) for name, value in headers]
        self._text = b"\r\n".join([*lines, b"", _open(response.body)])
        self._length = len(response.body) - len(_ID)

    def under(self, trace_id: str) -> bytes:
        """The answer to the request of that id."""
        given = trace_id.encode("ascii")
        return self._text % (self._length + len(given), given, given)


def _open(text: bytes | memoryview) -> bytes:
    """Ready to be formatted with the id."""
    return bytes(text).replace(b"%", b"%%").replace(_ID.encode(), b"%b")
