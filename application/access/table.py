"""The one table of who may do what: read it from the left (the action) to the role's column."""

ROLES = ("owner", "hr_admin", "payroll_admin", "payroll_approver", "manager", "employee", "device", "auditor")

# What a cell may say; several are joined by "+" and one of them is enough.
RELATIONS = {
    "-": "may not",
    "any": "for everybody in the tenant, or in the part of it to which the grant is limited",
    "other": "for everybody but oneself",
    "team": "for those who report to one, directly or through others; never for oneself",
    "self": "for oneself only",
    "ordinary": "for the roles employee, manager and device only (granting and revoking)",
}
ORDINARY_ROLES = frozenset({"employee", "manager", "device"})

ACTIONS = """
action                      owner hr_admin payroll_admin payroll_approver manager   employee device auditor

# org chart: legal entities, withholding registrations, locations, departments, positions
org_chart.read              any   any      any           any              any       any      -      any
org_chart.publish           any   any      -             -                -         -        -      -

# employees; what of an answer a role sees is in FIELDS below
employee.list               any   any      any           any              team      self     -      any
employee.read               any   any      any           any              team+self self     -      any
employee.history            any   any      any           any              team+self self     -      any
employee.hire               any   any      -             -                -         -        -      -
employee.update_person      any   any      -             -                -         self     -      -
employee.transfer           any   other    -             -                -         -        -      -
employee.promote            any   other    -             -                -         -        -      -
employee.change_manager     any   other    -             -                -         -        -      -
employee.terminate          any   other    -             -                -         -        -      -
employee.rehire             any   any      -             -                -         -        -      -
employee.correct            any   other    -             -                -         -        -      -
employee.cancel_change      any   other    -             -                -         -        -      -
compensation.read           any   any      any           any              -         self     -      any
compensation.change         any   other    -             -                -         -        -      -
bank_account.change         any   other    other         -                -         self     -      -
statutory_profile.change    any   other    other         -                -         -        -      -
headcount.read              any   any      any           any              -         -        -      any
import.run                  any   any      -             -                -         -        -      -

# shifts, work schedules, holiday calendars, overtime policies, time calendars
schedule.read               any   any      any           any              any       any      -      any
schedule.publish            any   any      -             -                -         -        -      -
shift_assignment.change     any   any      -             -                team      -        -      -

# attendance
punch.record                any   any      -             -                self      self     any    -
punch.import                any   any      -             -                -         -        any    -
badge.read                  any   any      -             -                -         -        -      any
badge.issue                 any   any      -             -                -         -        -      -
timesheet.list              any   any      any           any              team      self     -      any
timesheet.read              any   any      any           any              team+self self     -      any
timesheet.submit            any   any      -             -                team+self self     -      -
timesheet.approve           any   other    -             -                team      -        -      -
timesheet.reopen            any   other    -             -                team      -        -      -
timesheet.lock              any   other    other         -                -         -        -      -
timesheet.adjust            any   other    -             -                -         -        -      -
timesheet.close             any   any      any           -                -         -        -      -
absence.enter               any   other    -             -                team      -        -      -
correction.request          any   any      -             -                team+self self     -      -
correction.decide           any   other    -             -                team      -        -      -
overtime.request            any   any      -             -                team+self self     -      -
overtime.decide             any   other    -             -                team      -        -      -
attendance_board.read       any   any      -             -                team      -        -      any

# leave
leave_type.read             any   any      any           any              any       any      -      any
leave_type.publish          any   any      -             -                -         -        -      -
leave_balance.read          any   any      any           -                team+self self     -      any
leave_request.read          any   any      any           -                team+self self     -      any
leave_request.create        any   any      -             -                self      self     -      -
leave_request.decide        any   other    -             -                team      -        -      -
leave_request.cancel        any   any      -             -                team+self self     -      -
leave_calendar.read         any   any      any           -                team      -        -      any
leave_account.read          any   any      any           -                team+self self     -      any
leave_account.adjust        any   other    -             -                -         -        -      -

# payroll: components, pay groups and their periods, inputs, runs, payslips, payments
pay_catalog.read            any   any      any           any              -         -        -      any
pay_catalog.publish         any   -        any           -                -         -        -      -
pay_input.read              any   -        any           any              -         -        -      any
pay_input.enter             any   -        other         -                -         -        -      -
opening_balance.enter       any   -        any           -                -         -        -      -
payroll_run.read            any   -        any           any              -         -        -      any
payroll_run.create          any   -        any           -                -         -        -      -
payroll_run.calculate       any   -        any           -                -         -        -      -
payroll_run.recalculate     any   -        any           -                -         -        -      -
payroll_run.approve         any   -        -             any              -         -        -      -
payroll_run.finalize        any   -        any           any              -         -        -      -
payroll_run.void            any   -        any           -                -         -        -      -
payroll_run.reverse         any   -        any           -                -         -        -      -
payroll_run.export          any   -        any           any              -         -        -      any
payroll_simulation.run      any   -        any           any              -         -        -      -
payslip.list                any   -        any           any              self      self     -      any
payslip.read                any   -        any           any              self      self     -      any
payslip.trace               any   -        any           any              self      self     -      any
payslip.replay              any   -        any           any              -         -        -      any
payment.read                any   -        any           any              -         -        -      any
payment.arrange             any   -        any           -                -         -        -      -
payment.export              any   -        any           -                -         -        -      -
payment.settle              any   -        any           -                -         -        -      -

# oneself, and what waits for one's decision
me.read                     any   any      any           any              any       any      -      any
approval.read               any   any      any           any              any       any      -      any

# accounts; who may give which role is decided here, not in identity
tenant.read                 any   any      any           any              any       any      any    any
account.read                any   any      -             -                -         -        -      any
account.create              any   any      -             -                -         -        -      -
account.grant               any   ordinary -             -                -         -        -      -
account.revoke              any   ordinary -             -                -         -        -      -
account.disable             any   ordinary -             -                -         -        -      -

# events, webhooks, the audit trail, work that parked
event.read                  any   any      any           -                -         -        -      any
stream.read                 any   any      any           any              any       any      any    any
webhook.read                any   -        -             -                -         -        -      any
webhook.manage              any   -        -             -                -         -        -      -
work_item.read              any   any      any           -                -         -        -      any
work_item.mend              any   any      any           -                -         -        -      -
audit.read                  any   -        -             -                -         -        -      any
"""

# Which classes of an employee's fields a role reads, of whom. A field of another class is answered as null, and may not
# be filtered by, sorted by or exported.
FIELDS = """
field_class                 owner hr_admin payroll_admin payroll_approver manager   employee device auditor

# name, number, job, place, dates of employment
public                      any   any      any           any              any       any      any    any
# birth date, contacts, custom fields
personal                    any   any      any           -                self      self     -      any
# national id, bank accounts
sensitive                   any   any      any           -                self      self     -      -
# compensation, allowances, statutory profile
pay                         any   any      any           any              self      self     -      any
"""
