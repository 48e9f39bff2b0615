"""What the access table allows, and that everything else is denied."""

from timeit import repeat
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.access import (
    MATRIX,
    TENANT,
    Allow,
    Because,
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
from application.access.decision import read_matrix
from application.access.table import ACTIONS, ROLES
from chassis.principal import Principal
from kernel.ids import EmployeeId, tenant_id_of

ACME = tenant_id_of("acme")
LI, WANG, ZHAO = (EmployeeId(UUID(int=number)) for number in (1, 2, 3))


def somebody(*roles: str, employee_id: EmployeeId | None = None) -> Principal:
    return Principal(ACME, "somebody", frozenset(roles), employee_id)


def test_an_action_that_is_not_in_the_table_is_denied_even_to_an_owner() -> None:
    assert decide(somebody("owner"), "payroll_run.burn") == Deny(Because.UNKNOWN_ACTION)


def test_a_principal_without_roles_may_do_nothing() -> None:
    assert {decide(somebody(), action) for action in MATRIX} == {Deny(Because.ROLE_MISSING)}


@pytest.mark.parametrize("role", ["process:pay", "OWNER", "owner ", "owner@", "owner@everything:*", "@", "admin"])
def test_a_role_that_the_table_does_not_know_allows_nothing(role: str) -> None:
    allowed = [action for action in MATRIX if decide(somebody(role, employee_id=LI), action, Resource(LI)) == Allow()]

    assert allowed == []


def test_an_owner_may_do_everything() -> None:
    assert {decide(somebody("owner", employee_id=LI), action, Resource(LI)) for action in MATRIX} == {Allow()}


def test_an_auditor_changes_nothing() -> None:
    changing = {action for action in MATRIX if "auditor" in MATRIX[action]}

    assert {action.partition(".")[2] for action in changing} <= {"read", "list", "history", "trace", "replay", "export"}


def test_an_employee_reads_their_own_payslip_and_nobody_elses() -> None:
    li = somebody("employee", employee_id=LI)

    assert decide(li, "payslip.read", Resource(LI)) == Allow()
    assert decide(li, "payslip.read", Resource(WANG)) == Deny(Because.OUT_OF_REACH)
    assert decide(li, "payslip.read", Resource(WANG)).hidden  # type: ignore[union-attr]


def test_an_account_that_is_no_employee_has_no_self_and_no_team() -> None:
    nobody = somebody("employee", "manager")

    assert decide(nobody, "timesheet.read", Resource()) == Deny(Because.OUT_OF_REACH)
    assert decide(nobody, "timesheet.approve", Resource(LI, frozenset({WANG}))) == Deny(Because.OUT_OF_REACH)


def test_a_manager_approves_the_time_of_their_reports_but_not_their_own() -> None:
    manager = somebody("manager", employee_id=WANG)

    assert decide(manager, "timesheet.approve", Resource(LI, frozenset({WANG, ZHAO}))) == Allow()
    assert decide(manager, "timesheet.approve", Resource(LI, frozenset({ZHAO}))) == Deny(Because.OUT_OF_REACH)
    assert decide(manager, "timesheet.approve", Resource(WANG, frozenset({WANG}))) == Deny(Because.OUT_OF_REACH)


def test_an_hr_admin_changes_every_pay_but_their_own() -> None:
    admin = somebody("hr_admin", "employee", employee_id=LI)

    assert decide(admin, "compensation.change", Resource(WANG)) == Allow()
    assert decide(admin, "compensation.change", Resource(LI)) == Deny(Because.OWN_RECORD)


def test_the_payroll_admin_who_prepares_a_run_does_not_approve_one() -> None:
    assert decide(somebody("payroll_admin"), "payroll_run.calculate") == Allow()
    assert decide(somebody("payroll_admin"), "payroll_run.approve") == Deny(Because.ROLE_MISSING)
    assert decide(somebody("payroll_approver"), "payroll_run.approve") == Allow()


def test_an_hr_admin_grants_ordinary_roles_only() -> None:
    admin = somebody("hr_admin")

    assert decide(admin, "account.grant", Resource(roles=frozenset({"manager"}))) == Allow()
    assert decide(admin, "account.grant", Resource(roles=frozenset({"owner"}))) == Deny(Because.ROLE_MISSING)
    assert decide(admin, "account.disable", Resource(roles=frozenset({"employee", "owner"}))) != Allow()
    assert decide(admin, "account.grant", TENANT) == Deny(Because.ROLE_MISSING)


def test_a_grant_for_a_department_reaches_the_departments_below_it_and_no_other() -> None:
    admin = somebody("hr_admin@department:ENG")

    assert decide(admin, "employee.read", Resource(LI, departments=frozenset({"BACKEND", "ENG"}))) == Allow()
    assert decide(admin, "employee.read", Resource(LI, departments=frozenset({"SALES"}))) == Deny(Because.OUT_OF_REACH)
    assert decide(admin, "org_chart.publish", TENANT) == Deny(Because.OUT_OF_REACH)


def test_a_grant_for_a_legal_entity_is_not_a_grant_for_a_department_of_that_name() -> None:
    admin = somebody("payroll_admin@legal_entity:ACME-CN")

    assert decide(admin, "payroll_run.read", Resource(legal_entity="ACME-CN")) == Allow()
    assert decide(admin, "payroll_run.read", Resource(departments=frozenset({"ACME-CN"}))) == Deny(Because.OUT_OF_REACH)


def test_one_role_that_may_is_enough_whatever_the_others_say() -> None:
    assert decide(somebody("employee", "hr_admin", employee_id=LI), "employee.read", Resource(WANG)) == Allow()


def test_a_list_reaches_what_its_roles_reach_together() -> None:
    both = somebody("manager", "employee", "hr_admin@department:ENG", employee_id=LI)

    assert reach(both, "employee.list") == Reach(oneself=True, team=True, departments=frozenset({"ENG"}))
    assert reach(somebody("hr_admin"), "employee.list") == Reach(everybody=True)
    assert reach(somebody("device"), "employee.list").nobody
    assert reach(somebody("owner"), "employee.burn").nobody


def test_fields_are_shown_by_class() -> None:
    manager = somebody("manager", "employee", employee_id=WANG)

    assert readable(manager, Resource(LI, frozenset({WANG}))) == {FieldClass.PUBLIC}
    assert readable(manager, Resource(WANG)) == frozenset(FieldClass)
    assert readable(somebody("auditor"), Resource(LI)) == {FieldClass.PUBLIC, FieldClass.PERSONAL, FieldClass.PAY}
    assert readable_of_everybody(manager) == {FieldClass.PUBLIC}


def test_a_field_of_a_hidden_class_or_of_none_is_answered_as_null() -> None:
    answer = {"name": "Li Wei", "national_id": "1", "forgotten": "2"}
    classes = {"name": FieldClass.PUBLIC, "national_id": FieldClass.SENSITIVE}

    assert masked(answer, classes, {FieldClass.PUBLIC}) == {"name": "Li Wei", "national_id": None, "forgotten": None}


def test_the_published_matrix_names_the_roles_in_the_order_of_the_table() -> None:
    assert roles_for("payroll_run.approve") == ("owner", "payroll_approver")
    assert roles_for("timesheet.approve") == ("owner", "hr_admin", "manager")
    with pytest.raises(KeyError):
        roles_for("payroll_run.burn")


@pytest.mark.parametrize(
    "row",
    [
        "employee.read any",
        "employee.read any any any any any any any any any",
        "employee.read all any any any any any any any",
        "employee.read -+self any any any any any any any",
    ],
)
def test_a_table_that_could_be_misread_is_refused(row: str) -> None:
    header = "action " + " ".join(ROLES)

    with pytest.raises(ValueError, match=r"employee\.read"):
        read_matrix(header + "\n" + row)


def test_a_row_that_is_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"employee\.read"):
        read_matrix(ACTIONS + "\nemployee.read any any any any any any any any")


@given(
    roles=st.frozensets(st.sampled_from([*ROLES, "hr_admin@department:ENG", "process:pay"])),
    action=st.sampled_from(sorted(MATRIX)),
    me=st.sampled_from([None, LI, WANG]),
    of=st.sampled_from([None, LI, WANG]),
    managers=st.frozensets(st.sampled_from([LI, WANG, ZHAO])),
    more=st.sampled_from(ROLES),
)
def test_another_role_never_takes_a_right_away(
    roles: frozenset[str],
    action: str,
    me: EmployeeId | None,
    of: EmployeeId | None,
    managers: frozenset[EmployeeId],
    more: str,
) -> None:
    resource = Resource(of, managers, departments=frozenset({"ENG"}))
    before = decide(somebody(*roles, employee_id=me), action, resource)
    after = decide(somebody(*roles, more, employee_id=me), action, resource)

    assert not (before == Allow() and after != Allow())
    assert not (after == Allow() and not {role.partition("@")[0] for role in (*roles, more)} & set(roles_for(action)))


def test_a_decision_takes_less_than_five_microseconds() -> None:
    manager = somebody("employee", "manager", "hr_admin@department:ENG", employee_id=WANG)
    resource = Resource(LI, frozenset({ZHAO}), departments=frozenset({"SALES"}))

    # Windows shorter than a busy machine takes the processor away for.
    seconds = min(repeat(lambda: decide(manager, "timesheet.approve", resource), number=50, repeat=800)) / 50

    assert seconds < 5e-6
