-- What psql runs once, as the superuser, when the database is made: a role for MLflow that can log in and owns its own
-- database, and nothing else. It reads no files of the server, runs no programs there, and makes no other roles.
\set password `cut -d : -f 5 /run/secrets/postgres-pgpass`
CREATE ROLE mlflow LOGIN PASSWORD :'password';
CREATE DATABASE mlflow OWNER mlflow;
REVOKE ALL ON DATABASE mlflow, postgres, template1 FROM PUBLIC;
