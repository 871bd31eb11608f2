"""A link can be about one resource of its dataset.

Revision ID: link_resource
Revises: saved_searches
"""

import sqlalchemy as sa
from alembic import op

revision = "link_resource"
down_revision = "saved_searches"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("mlops_link", sa.Column("resource_id", sa.UnicodeText()))


def downgrade():
    op.drop_column("mlops_link", "resource_id")
