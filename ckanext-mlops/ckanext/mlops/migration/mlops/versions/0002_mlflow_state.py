"""MLflow: state of each server, completeness of an experiment's copy, life cycle of a run.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "mlops_server",
        sa.Column("name", sa.UnicodeText(), nullable=False),
        sa.Column("checked", sa.DateTime(), nullable=False),
        sa.Column("answered", sa.DateTime(), nullable=True),
        sa.Column("error", sa.UnicodeText(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.add_column("mlops_experiment", sa.Column("swept", sa.DateTime(), nullable=True))
    op.add_column(
        "mlops_run", sa.Column("lifecycle_stage", sa.UnicodeText(), nullable=False, server_default="active")
    )
    op.alter_column("mlops_run", "lifecycle_stage", server_default=None)
    op.create_index("ix_mlops_experiment_name", "mlops_experiment", ["server", "name"], unique=False)


def downgrade():
    op.drop_index("ix_mlops_experiment_name", table_name="mlops_experiment")
    op.drop_column("mlops_run", "lifecycle_stage")
    op.drop_column("mlops_experiment", "swept")
    op.drop_table("mlops_server")
