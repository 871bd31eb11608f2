"""The revisions that harvest sources showed.

Revision ID: revisions
Revises: mlflow_models
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "revisions"
down_revision = "mlflow_models"
branch_labels = None
depends_on = None


def upgrade():
    text = sa.UnicodeText()
    op.create_table(
        "mlops_revision",
        *(sa.Column(name, text, nullable=False) for name in ("source_id", "kind", "name", "repository", "commit")),
        sa.Column("committed", sa.DateTime(), nullable=True),
        *(sa.Column(name, text, nullable=False) for name in ("author", "message", "note")),
        sa.Column("position", sa.Integer(), nullable=False),
        *(sa.Column(name, JSONB(), nullable=False) for name in ("metrics", "params", "plots")),
        sa.PrimaryKeyConstraint("source_id", "kind", "name"),
    )
    op.create_index("ix_mlops_revision_repository", "mlops_revision", ["repository", "position"])


def downgrade():
    op.drop_table("mlops_revision")
