"""MLflow: registered models, their versions and logged models; what runs say about data; sweeps that go on.

Revision ID: mlflow_models
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "mlflow_models"
down_revision = "0002"
branch_labels = None
depends_on = None

TEXTS = postgresql.ARRAY(sa.UnicodeText())


def upgrade():
    for name in ("registry_at", "synced", "wanted"):
        op.add_column("mlops_server", sa.Column(name, sa.DateTime(), nullable=True))
    op.add_column("mlops_experiment", sa.Column("sweep_began", sa.DateTime(), nullable=True))
    op.add_column("mlops_experiment", sa.Column("sweep_from", sa.BigInteger(), nullable=True))
    for name in ("hashes", "sources"):
        op.add_column("mlops_run", sa.Column(name, TEXTS, nullable=False, server_default="{}"))
        op.alter_column("mlops_run", name, server_default=None)
        op.create_index(f"ix_mlops_run_{name}", "mlops_run", [name], unique=False, postgresql_using="gin")
    op.add_column("mlops_run", sa.Column("changed", sa.DateTime(), nullable=True))
    op.execute("UPDATE mlops_run SET changed = facts_at")
    op.alter_column("mlops_run", "changed", nullable=False)
    op.create_index("ix_mlops_run_changed", "mlops_run", ["server", "changed"], unique=False)
    # The clues of runs that were copied before come with the next sweep.
    op.execute("UPDATE mlops_experiment SET swept = NULL")
    op.create_table(
        "mlops_registered_model",
        sa.Column("server", sa.UnicodeText(), nullable=False),
        sa.Column("name", sa.UnicodeText(), nullable=False),
        sa.Column("lifecycle_stage", sa.UnicodeText(), nullable=False),
        sa.Column("updated", sa.DateTime(), nullable=True),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        sa.Column("facts_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("server", "name"),
    )
    op.create_table(
        "mlops_model_version",
        sa.Column("server", sa.UnicodeText(), nullable=False),
        sa.Column("name", sa.UnicodeText(), nullable=False),
        sa.Column("version", sa.UnicodeText(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.UnicodeText(), nullable=True),
        sa.Column("model_id", sa.UnicodeText(), nullable=True),
        sa.Column("aliases", TEXTS, nullable=False),
        sa.Column("lifecycle_stage", sa.UnicodeText(), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=True),
        sa.Column("updated", sa.DateTime(), nullable=True),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        sa.Column("facts_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("server", "name", "version"),
    )
    op.create_index("ix_mlops_model_version_run", "mlops_model_version", ["server", "run_id"], unique=False)
    op.create_index("ix_mlops_model_version_logged", "mlops_model_version", ["server", "model_id"], unique=False)
    op.create_table(
        "mlops_logged_model",
        sa.Column("server", sa.UnicodeText(), nullable=False),
        sa.Column("model_id", sa.UnicodeText(), nullable=False),
        sa.Column("experiment_id", sa.UnicodeText(), nullable=False),
        sa.Column("run_id", sa.UnicodeText(), nullable=True),
        sa.Column("name", sa.UnicodeText(), nullable=False),
        sa.Column("lifecycle_stage", sa.UnicodeText(), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=True),
        sa.Column("updated", sa.DateTime(), nullable=True),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        sa.Column("facts_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("server", "model_id"),
    )
    op.create_index("ix_mlops_logged_model_run", "mlops_logged_model", ["server", "run_id"], unique=False)
    op.create_index("ix_mlops_logged_model_experiment", "mlops_logged_model", ["server", "experiment_id"], unique=False)


def downgrade():
    op.drop_table("mlops_logged_model")
    op.drop_table("mlops_model_version")
    op.drop_table("mlops_registered_model")
    op.drop_index("ix_mlops_run_changed", table_name="mlops_run")
    for name in ("hashes", "sources"):
        op.drop_index(f"ix_mlops_run_{name}", table_name="mlops_run")
        op.drop_column("mlops_run", name)
    op.drop_column("mlops_run", "changed")
    for name in ("sweep_began", "sweep_from"):
        op.drop_column("mlops_experiment", name)
    for name in ("registry_at", "synced", "wanted"):
        op.drop_column("mlops_server", name)
