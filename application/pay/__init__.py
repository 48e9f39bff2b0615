"""Pay: the payroll process from pay groups to payslips."""
