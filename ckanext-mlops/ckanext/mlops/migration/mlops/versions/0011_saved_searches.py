"""Saved searches, and who was told of which version.

Revision ID: saved_searches
Revises: link_hints
"""

import sqlalchemy as sa
from alembic import op

revision = "saved_searches"
down_revision = "link_hints"
branch_labels = None
depends_on = None


def upgrade():
    text = sa.UnicodeText()
    op.create_table(
        "mlops_saved_search",
        sa.Column("id", text, primary_key=True),
        *(sa.Column(name, text, nullable=False) for name in ("user_id", "name", "query")),
        sa.Column("mail", sa.Boolean(), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.UniqueConstraint("user_id", "query", name="uq_mlops_saved_search"),
    )
    op.create_table(
        "mlops_notice",
        sa.Column("user_id", text, primary_key=True),
        sa.Column("version_id", text, primary_key=True),
        sa.Column("package_id", text, nullable=False),
        sa.Column("search_id", text),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("mailed", sa.DateTime()),
    )
    op.create_index("ix_mlops_notice_search", "mlops_notice", ["search_id", "created"])
    op.create_index("ix_mlops_notice_package", "mlops_notice", ["package_id"])
    op.create_index("ix_mlops_notice_due", "mlops_notice", ["user_id"], postgresql_where=sa.text("mailed IS NULL"))


def downgrade():
    op.drop_table("mlops_notice")
    op.drop_table("mlops_saved_search")
