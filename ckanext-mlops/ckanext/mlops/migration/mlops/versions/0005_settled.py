"""What the last complete reading of a harvest source settled.

Revision ID: settled
Revises: revisions
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "settled"
down_revision = "revisions"
branch_labels = None
depends_on = None


def upgrade():
    text = sa.UnicodeText()
    op.create_table(
        "mlops_settled",
        sa.Column("source_id", text, primary_key=True),
        *(sa.Column(name, text, nullable=False) for name in ("inputs", "memory", "upstreams")),
        *(sa.Column(name, JSONB(), nullable=False) for name in ("imports", "facts")),
        sa.Column("read_at", sa.DateTime(), nullable=False),
    )


def downgrade():
    op.drop_table("mlops_settled")
