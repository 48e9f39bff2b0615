"""The servers that tests run on are strict, private and can be hurt on purpose."""

import os
from pathlib import Path

import pytest
import redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.servers import PrivateEtcd, PrivateMariaDB, PrivateRedis, ServerMissing, program


async def test_mariadb_is_strict_and_keeps_its_rows_over_a_crash() -> None:
    with PrivateMariaDB() as mariadb:
        url = mariadb.create_database("kept")
        engine = create_async_engine(url, pool_pre_ping=True)
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE t (name VARCHAR(10)) ENGINE=InnoDB"))
            await connection.execute(text("INSERT INTO t VALUES ('李伟')"))
            settings = (await connection.execute(text(
                "SELECT @@sql_mode, @@innodb_flush_log_at_trx_commit, @@character_set_server"
            ))).one()  # fmt: skip

        before = mariadb.pid
        mariadb.kill()
        mariadb.start()
        async with engine.begin() as connection:
            names = (await connection.execute(text("SELECT name FROM t"))).scalars().all()
        await engine.dispose()
        over_socket = create_async_engine(mariadb.url("kept", unix_socket=True))
        async with over_socket.begin() as connection:
            count = (await connection.execute(text("SELECT count(*) FROM t"))).scalar_one()
        await over_socket.dispose()

        assert names == ["李伟"]
        assert count == 1
        assert mariadb.pid != before
        assert "STRICT_ALL_TABLES" in settings[0]
        assert tuple(settings[1:]) == (1, "utf8mb4")


def test_leaving_ends_the_server_and_removes_its_folder_even_when_it_is_frozen() -> None:
    with PrivateRedis() as server:
        folder, pid = server.folder, server.pid
        server.sigstop()

    assert not folder.exists()
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_redis_can_be_set_back_to_an_old_snapshot() -> None:
    with PrivateRedis() as server, redis.Redis(port=server.port) as client:
        client.set("seen", "old")
        old = server.snapshot()
        client.set("seen", "new")

        server.restart_from(old)

        assert client.get("seen") == b"old"
        server.flush()
        assert client.get("seen") is None


def test_etcd_answers() -> None:
    with PrivateEtcd() as server:
        assert server.url.endswith(str(server.port))


def test_a_missing_program_fails_loudly_and_names_the_package() -> None:
    with pytest.raises(ServerMissing, match="sudo apt-get install -y redis-server"):
        program("redis-server", package="redis-server", path="/nowhere")
