"""Hints (candidates, suggestions, dismissals) beside the links, how far matching came, versions by content.

Revision ID: link_hints
Revises: file_hashes
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "link_hints"
down_revision = "file_hashes"
branch_labels = None
depends_on = None

_HASHES = "jsonb_path_query_array(facts, '$.outs[*].hash')"


def upgrade():
    text = sa.UnicodeText()
    op.create_table(
        "mlops_link_hint",
        sa.Column("id", text, primary_key=True),
        *(
            sa.Column(name, text, nullable=False)
            for name in ("package_id", "server", "kind", "target", "relation", "state")
        ),
        sa.Column("evidence", JSONB(), nullable=False),
        sa.Column("user_id", text),
        sa.Column("created", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_mlops_link_hint_package", "mlops_link_hint", ["package_id", "state"])
    op.create_index("ix_mlops_link_hint_target", "mlops_link_hint", ["server", "kind", "target"])
    op.create_table(
        "mlops_matched",
        sa.Column("scope", text, primary_key=True),
        sa.Column("mark", text, nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
    )
    op.execute(f"CREATE INDEX ix_mlops_version_hashes ON mlops_version USING gin (({_HASHES}))")


def downgrade():
    op.drop_index("ix_mlops_version_hashes", "mlops_version")
    op.drop_table("mlops_matched")
    op.drop_table("mlops_link_hint")
