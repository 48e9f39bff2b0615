"""The database user of deploy/mariadb-databases.sh can do its work in every service's database, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from interfaces.cli.parts import SERVICES
from tests.deploy.manifests import DEPLOY, EXAMPLE, ROOT
from tests.support.deployment import surroundings
from tests.support.servers import PrivateMariaDB, ServerFailed, program

pytestmark = pytest.mark.second_process


@pytest.mark.timeout(300)
def test_the_user_of_the_compose_file_migrates_every_database_and_sees_no_other(tmp_path: Path) -> None:
    with PrivateMariaDB() as server:
        server.execute("ALTER USER 'root'@'localhost' IDENTIFIED BY 'Root1234'; DROP USER 'muster'@'127.0.0.1'")
        client = tmp_path / "mariadb"  # as in the image, where the one server is the default
        real = program("mariadb", "mysql", package="mariadb-server")
        client.write_text(f'#!/bin/sh\nexec {real} --no-defaults --socket={server.socket} "$@"\n')
        client.chmod(0o755)
        environment = {
            **os.environ,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "MARIADB_ROOT_PASSWORD": "Root1234",
            "MUSTER_DATABASE_PASSWORD": EXAMPLE,
        }
        subprocess.run(["bash", str(DEPLOY / "mariadb-databases.sh")], env=environment, timeout=60, check=True)
        url = f"mysql+asyncmy://muster:{EXAMPLE}@127.0.0.1:{server.port}"
        told = {f"MUSTER_{name.upper()}_DATABASE_URL": f"{url}/muster_{name}" for name in SERVICES}

        migrated = subprocess.run(
            [sys.executable, "-m", "interfaces.cli.main", "migrate"],
            env={**surroundings(), **told}, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False,
        )  # fmt: skip

        assert migrated.returncode == 0, migrated.stdout + migrated.stderr
        assert migrated.stdout.count("up to date") == len(SERVICES)
        grants = server.execute("SHOW GRANTS FOR 'muster'@'%'")
        assert "ALL PRIVILEGES" not in grants
        assert "ON *.* TO" not in grants.replace("GRANT USAGE ON *.* TO", "")
        with pytest.raises(ServerFailed):
            server.execute("SHOW GRANTS FOR 'nobody'@'%'")
