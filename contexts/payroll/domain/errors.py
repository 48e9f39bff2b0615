"""What payroll refuses, and what to do about it."""

from kernel.errors import DomainError, Kind


class FormulaInvalid(DomainError):
    """A formula that cannot be read; facts name component, position and problem."""

    kind, reason = Kind.INVALID, "FORMULA_INVALID"


class FormulaCycle(DomainError):
    """Components that need each other's amounts; facts name the path."""

    kind, reason = Kind.INVALID, "FORMULA_CYCLE"


class ComponentInvalid(DomainError):
    """A pay component that contradicts itself."""

    kind, reason = Kind.INVALID, "PAY_COMPONENT_INVALID"


class PayComponentNotFound(DomainError):
    """No pay component has the code on that date."""

    kind, reason = Kind.NOT_FOUND, "PAY_COMPONENT_NOT_FOUND"


class PayGroupNotFound(DomainError):
    """No pay group has the code on that date."""

    kind, reason = Kind.NOT_FOUND, "PAY_GROUP_NOT_FOUND"


class PayGroupInvalid(DomainError):
    """A pay group that contradicts itself or what it was."""

    kind, reason = Kind.INVALID, "PAY_GROUP_INVALID"


class PayPeriodNotFound(DomainError):
    """The pay group has no period of that name."""

    kind, reason = Kind.NOT_FOUND, "PAY_PERIOD_NOT_FOUND"


class StandardComponentsUnknown(DomainError):
    """There is no standard set of components for the country."""

    kind, reason = Kind.NOT_FOUND, "STANDARD_COMPONENTS_UNKNOWN"


class RunNotFound(DomainError):
    """There is no such payroll run."""

    kind, reason = Kind.NOT_FOUND, "RUN_NOT_FOUND"


class RunExists(DomainError):
    """Another run has the place of pay group, period, kind and sequence; facts name it."""

    kind, reason = Kind.CONFLICT, "RUN_EXISTS"


class RunInvalid(DomainError):
    """A run that cannot be asked for in that way."""

    kind, reason = Kind.INVALID, "RUN_INVALID"


class RunStatusWrong(DomainError):
    """The run is in a status from which this cannot be done."""

    kind, reason = Kind.RULE, "RUN_STATUS_WRONG"


class RunNotCalculating(DomainError):
    """Nobody can work on a run that is not being calculated."""

    kind, reason = Kind.RULE, "RUN_NOT_CALCULATING"


class RunClaimed(DomainError):
    """Another worker holds the run; its lease has to end first."""

    kind, reason = Kind.RULE, "RUN_CLAIMED"


class RunFenced(DomainError):
    """A newer claim or attempt has taken the run; stop working on it."""

    kind, reason = Kind.RULE, "RUN_FENCED"


class ChunkConflict(DomainError):
    """The chunk is stored already, made from other facts."""

    kind, reason = Kind.STALE, "CHUNK_CONFLICT"


class ChunkOutOfOrder(DomainError):
    """The chunk does not begin where the one before ended."""

    kind, reason = Kind.RULE, "CHUNK_OUT_OF_ORDER"


class FactsInvalid(DomainError):
    """Facts of an employee that contradict themselves or exceed a bound."""

    kind, reason = Kind.INVALID, "FACTS_INVALID"


class CutoffUnsettled(DomainError):
    """The input cut-off is too close to now, so that a fact might still be recorded before it."""

    kind, reason = Kind.RULE, "NOT_SETTLED"


class RunBlocked(DomainError):
    """Employees of the run are blocked; mend and recalculate them, or defer them by name."""

    kind, reason = Kind.RULE, "RUN_BLOCKED"


class InputsChanged(DomainError):
    """Facts of paid employees changed since the calculation; recalculate them, or accept the list as retro."""

    kind, reason = Kind.RULE, "INPUTS_CHANGED"


class CalculationChanged(DomainError):
    """The run was calculated anew after the approver looked at it."""

    kind, reason = Kind.RULE, "CALCULATION_CHANGED"


class SelfApproval(DomainError):
    """Nobody approves a run that they prepared."""

    kind, reason = Kind.FORBIDDEN, "SELF_APPROVAL"


class PredecessorMoved(DomainError):
    """The year to date that payslips stand on moved; recalculate the named employees."""

    kind, reason = Kind.RULE, "PREDECESSOR_MOVED"


class EmployeeNotInRun(DomainError):
    """The run has no payslip or blocker of the employee."""

    kind, reason = Kind.NOT_FOUND, "EMPLOYEE_NOT_IN_RUN"


class EmployeeNotBlocked(DomainError):
    """Only blocked employees can be left to a later run."""

    kind, reason = Kind.RULE, "EMPLOYEE_NOT_BLOCKED"


class PayslipNotFound(DomainError):
    """There is no such payslip."""

    kind, reason = Kind.NOT_FOUND, "PAYSLIP_NOT_FOUND"


class PayslipLineNotFound(DomainError):
    """The payslip has no line of that component."""

    kind, reason = Kind.NOT_FOUND, "PAYSLIP_LINE_NOT_FOUND"


class OpeningBalanceInvalid(DomainError):
    """An opening balance that the next payslip could not go on from."""

    kind, reason = Kind.INVALID, "OPENING_BALANCE_INVALID"


class OpeningBalanceLate(DomainError):
    """An opening balance for somebody who has a final payslip of the tax year."""

    kind, reason = Kind.RULE, "OPENING_BALANCE_LATE"


class PayInputNotFound(DomainError):
    """There is no such pay input."""

    kind, reason = Kind.NOT_FOUND, "PAY_INPUT_NOT_FOUND"


class PayInputInvalid(DomainError):
    """A pay input that no run could take."""

    kind, reason = Kind.INVALID, "PAY_INPUT_INVALID"


class PayInputUsed(DomainError):
    """An approved or final run has taken the pay input."""

    kind, reason = Kind.RULE, "PAY_INPUT_USED"


class PaymentsSettled(DomainError):
    """Money of the run was paid out; record its return, or say that it is recovered in another way."""

    kind, reason = Kind.RULE, "PAYMENTS_SETTLED"


class ReversalLate(DomainError):
    """The tax year of the run is over, so that its taxes cannot go back any more."""

    kind, reason = Kind.RULE, "REVERSAL_LATE"


class PaySplitInvalid(DomainError):
    """Parts of a net pay that leave something of it over, or take more than there is."""

    kind, reason = Kind.INVALID, "PAY_SPLIT_INVALID"


class PaymentNotDue(DomainError):
    """The run has nothing to pay out to the employee, or no such payment."""

    kind, reason = Kind.RULE, "PAYMENT_NOT_DUE"


class VersionGone(DomainError):
    """The program has another engine or statutory pack than the calculation was pinned to."""

    kind, reason = Kind.RULE, "CALCULATION_VERSION_GONE"


class Blocked(Exception):
    """One employee cannot be paid, which stops nobody else: a stable reason, what to do, and what it is about."""

    def __init__(self, reason: str, message: str, subject: str = "") -> None:
        super().__init__(message)
        self.reason, self.message, self.subject = reason, message, subject

    def __reduce__(self) -> tuple[type["Blocked"], tuple[str, str, str]]:
        return Blocked, (self.reason, self.message, self.subject)
