"""Contents, audit and access requests.

Revision ID: transfers
Revises: settled
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "transfers"
down_revision = "settled"
branch_labels = None
depends_on = None


def upgrade():
    text = sa.UnicodeText()
    op.create_table(
        "mlops_content",
        *(sa.Column(name, text, nullable=False) for name in ("package_id", "path", "hash", "state", "detail")),
        sa.Column("checked", sa.DateTime(), nullable=True),
        sa.Column("profile", JSONB(), nullable=True),
        sa.Column("profiled", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("package_id", "path", "hash"),
    )
    op.create_table(
        "mlops_audit",
        sa.Column("id", text, primary_key=True),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("event", text, nullable=False),
        sa.Column("user_id", text, nullable=True),
        sa.Column("package_id", text, nullable=False),
        sa.Column("details", JSONB(), nullable=False),
    )
    op.create_index("ix_mlops_audit_package", "mlops_audit", ["package_id", "at"])
    op.create_table(
        "mlops_access_request",
        sa.Column("id", text, primary_key=True),
        *(sa.Column(name, text, nullable=False) for name in ("package_id", "user_id", "reason", "state", "answer")),
        sa.Column("asked", sa.DateTime(), nullable=False),
        sa.Column("decided", sa.DateTime(), nullable=True),
        sa.Column("decided_by", text, nullable=True),
    )
    op.create_index("ix_mlops_access_request_package", "mlops_access_request", ["package_id", "state"])


def downgrade():
    for table in ("mlops_access_request", "mlops_audit", "mlops_content"):
        op.drop_table(table)
