"""Datasets whose entry in the search index is to be brought up to date outside of what changed them.

Revision ID: unindexed
Revises: link_resource
"""

import sqlalchemy as sa
from alembic import op

revision = "unindexed"
down_revision = "link_resource"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "mlops_unindexed",
        sa.Column("package_id", sa.UnicodeText(), primary_key=True),
        sa.Column("noted", sa.DateTime(), nullable=False),
    )


def downgrade():
    op.drop_table("mlops_unindexed")
