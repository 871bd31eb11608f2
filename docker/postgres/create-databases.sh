#!/bin/sh
# Runs once, when the data folder is empty: a role and a database for CKAN, and for MLflow.
set -eu
create() {
    psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --set name="$1" --set password="$2" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name" ENCODING 'UTF8' TEMPLATE template0;
SQL
}
create ckan "$CKAN_DB_PASSWORD"
create mlflow "$MLFLOW_DB_PASSWORD"
