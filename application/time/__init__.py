"""Time: schedules, punches, timesheets and their closing."""
