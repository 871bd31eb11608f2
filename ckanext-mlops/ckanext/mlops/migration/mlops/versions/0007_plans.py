"""What people follow and decide of harvests: plans, previews, and the fields for which they took what Git says.

Revision ID: plans
Revises: transfers
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "plans"
down_revision = "transfers"
branch_labels = None
depends_on = None


def upgrade():
    text = sa.UnicodeText()
    op.create_table(
        "mlops_plan",
        sa.Column("id", text, primary_key=True),
        *(sa.Column(name, text, nullable=False) for name in ("source_id", "kind", "state", "progress")),
        sa.Column("user_id", text),
        sa.Column("facts", JSONB(), nullable=False),
        *(sa.Column(name, sa.DateTime(), nullable=False) for name in ("created", "changed")),
        sa.Column("mailed", sa.DateTime()),
    )
    op.create_index("ix_mlops_plan_source", "mlops_plan", ["source_id", "kind", "created"])
    op.create_table(
        "mlops_choice",
        *(sa.Column(name, text, primary_key=True) for name in ("package_id", "resource", "field")),
        *(sa.Column(name, JSONB(), nullable=False) for name in ("kept", "git")),
        sa.Column("user_id", text),
        sa.Column("created", sa.DateTime(), nullable=False),
    )


def downgrade():
    op.drop_table("mlops_choice")
    op.drop_table("mlops_plan")
