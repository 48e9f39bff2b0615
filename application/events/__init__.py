"""Published events, as far as people deal with them: work that parked, and its replay."""
