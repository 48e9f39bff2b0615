"""People: org chart, hires and the life of an employment."""
