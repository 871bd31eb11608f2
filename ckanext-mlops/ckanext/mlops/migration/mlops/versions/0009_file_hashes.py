"""Which files hold which content, and the edges that follow from it.

Revision ID: file_hashes
Revises: triggers
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "file_hashes"
down_revision = "triggers"
branch_labels = None
depends_on = None


def upgrade():
    text = sa.UnicodeText()
    op.create_table(
        "mlops_file_hash",
        *(sa.Column(name, text, nullable=False) for name in ("package_id", "side", "path", "hash", "algorithm")),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("resource_id", text, nullable=True),
        *(sa.Column(name, sa.Boolean(), nullable=False) for name in ("harvested", "made", "current", "settled")),
        sa.Column("versions", ARRAY(text), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("package_id", "side", "path", "hash"),
    )
    op.create_index("ix_mlops_file_hash_hash", "mlops_file_hash", ["hash"])
    op.create_index("ix_mlops_file_hash_unsettled", "mlops_file_hash", ["hash"], postgresql_where=sa.text("NOT settled"))
    op.create_index(
        "ix_mlops_edge_inferred", "mlops_edge", ["hash"], postgresql_where=sa.text("origin = 'inferred'")
    )


def downgrade():
    op.drop_index("ix_mlops_edge_inferred")
    op.drop_table("mlops_file_hash")
