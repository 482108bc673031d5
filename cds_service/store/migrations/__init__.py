"""The history of the tables, one step per revision, run by Alembic at start."""
