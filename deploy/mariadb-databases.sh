#!/bin/bash
# One database per data service, and one user that may use them and no other. Run once, by the image, on an empty volume.
set -euo pipefail
for service in identity organization attendance payroll delivery; do
  mariadb --user=root --password="$MARIADB_ROOT_PASSWORD" <<SQL
CREATE DATABASE IF NOT EXISTS muster_$service CHARACTER SET utf8mb4;
SQL
done
mariadb --user=root --password="$MARIADB_ROOT_PASSWORD" <<SQL
CREATE USER IF NOT EXISTS 'muster'@'%' IDENTIFIED BY '$MUSTER_DATABASE_PASSWORD';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, CREATE TEMPORARY TABLES ON \`muster\\_%\`.* TO 'muster'@'%';
SQL
