"""The reads that may be sent to a second replica when the first takes unusually long."""

HEDGED = frozenset(
    {
        "muster.attendance.v1.TimesheetService/GetTimesheet",
        "muster.attendance.v1.TimesheetService/FindTimesheet",
        "muster.identity.v1.SigningKeyService/ListSigningKeys",
        "muster.identity.v1.TenantService/GetTenant",
        "muster.organization.v1.EmployeeService/GetEmployee",
        "muster.organization.v1.EmployeeService/BatchGetEmployees",
        "muster.payroll.v1.PayrollRunService/GetPayrollRun",
        "muster.payroll.v1.PayrollRunService/GetPayslip",
    }
)
"""Somebody waits for them and they cost little. Never a write; nor lists and reports, whose copies would cost most just
when there is too much to do."""
