"""Which fast path a process uses."""

from chassis.bus.in_process import in_process
from chassis.bus.port import FastPath
from chassis.settings import Settings


def fast_path_of(settings: Settings) -> FastPath:
    """Redis where the settings name one; else the memory of this process, shared by all parts of its data folder."""
    if settings.redis_url is None:
        return in_process(settings.data_dir)
    from chassis.bus.redis_streams import RedisFastPath

    return RedisFastPath(settings.redis_url)
