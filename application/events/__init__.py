"""Published events as clients see them: the durable feed, work that parked, and its replay."""
