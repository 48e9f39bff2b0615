"""Where timesheets, punches, the roster and the time catalog are kept."""
