"""The servers that tests run on are strict, private and can be hurt on purpose."""

import os
import socket
from pathlib import Path

import pytest
import redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from interfaces.cli import private_servers
from interfaces.cli.private_servers import ServerFailed, free_port, is_free
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


def test_a_port_is_given_to_one_who_asks_and_not_to_the_next_although_nobody_listens_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = free_port()
    monkeypatch.setattr(private_servers, "PORTS", range(first, first + 1))

    with pytest.raises(ServerFailed, match="no free port"):
        free_port()
    with socket.create_server(("127.0.0.1", first)) as server, socket.create_connection(server.getsockname()):
        assert is_free(first) is False


def test_a_port_that_is_only_looked_at_would_be_given_to_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_servers, "_set_aside", is_free)
    first = free_port()
    monkeypatch.setattr(private_servers, "PORTS", range(first, first + 1))

    assert free_port() == first
