"""What the service does by itself: ask again for forgotten calculations, and tidy up old attempts."""

from datetime import datetime, timedelta

from contexts.payroll.domain.payroll_run import RunId, RunStatus
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


async def ask_now(run_id: RunId, now: datetime, work: PayrollWork) -> bool:
    """Ask again for one CALCULATING run unless somebody holds it; whether it is CALCULATING."""
    run = await work.runs.get(run_id)
    if run.state.status is not RunStatus.CALCULATING:
        return False
    held = (await work.runs.lease(run_id)).lease_until
    if held is None or held < now:
        run.ask_again()
        await work.runs.save(run)
        await work.runs.note_request(run_id, now)
    return True


async def tidy(work: PayrollWork) -> int:
    """Delete up to 500 payslips of attempts that count no more; how many rows."""
    return await work.payslips.purge_old_attempts(PURGED_ROWS)
