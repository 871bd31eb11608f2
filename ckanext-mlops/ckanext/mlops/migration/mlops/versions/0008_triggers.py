"""Harvests that were asked for, and records that were pushed.

Revision ID: triggers
Revises: plans
"""

import sqlalchemy as sa
from alembic import op

revision = "triggers"
down_revision = "plans"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "mlops_asked",
        sa.Column("source_id", sa.UnicodeText(), primary_key=True),
        sa.Column("asked", sa.DateTime(), nullable=False),
    )
    op.create_table(
        "mlops_pushed",
        sa.Column("source_id", sa.UnicodeText(), primary_key=True),
        sa.Column("digest", sa.UnicodeText(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.UnicodeText(), nullable=True),
        sa.Column("pushed", sa.DateTime(), nullable=False),
    )


def downgrade():
    op.drop_table("mlops_pushed")
    op.drop_table("mlops_asked")
