"""Attendance: when people were there, from punches to the totals that payroll reads."""
