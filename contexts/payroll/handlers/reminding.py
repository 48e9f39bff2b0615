"""What the service does by itself: ask again for forgotten calculations, and tidy up old attempts."""

from datetime import datetime, timedelta

from contexts.payroll.repository.port import PayrollWork

MOST_RUNS = 100
PURGED_ROWS = 500


async def remind(now: datetime, patience: timedelta, work: PayrollWork) -> int:
    """Ask again for each CALCULATING run that nobody holds and that was not asked for in `patience`; how many."""
    waiting = await work.runs.waiting(now, now - patience, MOST_RUNS)
    for run in waiting:
        run.ask_again()
        await work.runs.save(run)
        await work.runs.note_request(run.state.id, now)
    return len(waiting)


async def tidy(work: PayrollWork) -> int:
    """Delete up to 500 payslips of attempts that count no more; how many rows."""
    return await work.payslips.purge_old_attempts(PURGED_ROWS)
