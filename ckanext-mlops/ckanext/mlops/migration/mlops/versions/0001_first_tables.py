"""First tables: versions, lineage edges, MLflow facts and links.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "mlops_edge",
        sa.Column("id", sa.UnicodeText(), nullable=False),
        sa.Column("downstream_dataset", sa.UnicodeText(), nullable=False),
        sa.Column("upstream_dataset", sa.UnicodeText(), nullable=True),
        sa.Column("upstream_resource", sa.UnicodeText(), nullable=True),
        sa.Column("upstream_uri", sa.UnicodeText(), nullable=True),
        sa.Column("upstream_label", sa.UnicodeText(), nullable=False),
        sa.Column("path", sa.UnicodeText(), nullable=False),
        sa.Column("hash", sa.UnicodeText(), nullable=True),
        sa.Column("origin", sa.UnicodeText(), nullable=False),
        sa.Column("evidence", postgresql.JSONB(), nullable=False),
        sa.Column("version_id", sa.UnicodeText(), nullable=True),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("first_seen", sa.DateTime(), nullable=False),
        sa.Column("last_seen", sa.DateTime(), nullable=False),
        sa.CheckConstraint("(upstream_dataset IS NULL) <> (upstream_uri IS NULL)", name="ck_mlops_edge_one_upstream"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_mlops_edge_downstream", "mlops_edge", ["downstream_dataset", "current"], unique=False)
    op.create_index("ix_mlops_edge_upstream", "mlops_edge", ["upstream_dataset", "current"], unique=False)
    op.create_index("ix_mlops_edge_uri", "mlops_edge", ["upstream_uri"], unique=False)
    op.create_index("ix_mlops_edge_version", "mlops_edge", ["version_id"], unique=False)
    op.create_table(
        "mlops_experiment",
        sa.Column("server", sa.UnicodeText(), nullable=False),
        sa.Column("experiment_id", sa.UnicodeText(), nullable=False),
        sa.Column("name", sa.UnicodeText(), nullable=False),
        sa.Column("lifecycle_stage", sa.UnicodeText(), nullable=False),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        sa.Column("facts_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("server", "experiment_id"),
    )
    op.create_table(
        "mlops_link",
        sa.Column("id", sa.UnicodeText(), nullable=False),
        sa.Column("package_id", sa.UnicodeText(), nullable=False),
        sa.Column("version_id", sa.UnicodeText(), nullable=True),
        sa.Column("server", sa.UnicodeText(), nullable=False),
        sa.Column("kind", sa.UnicodeText(), nullable=False),
        sa.Column("target", sa.UnicodeText(), nullable=False),
        sa.Column("relation", sa.UnicodeText(), nullable=False),
        sa.Column("note", sa.UnicodeText(), nullable=False),
        sa.Column("origin", sa.UnicodeText(), nullable=False),
        sa.Column("evidence", postgresql.JSONB(), nullable=False),
        sa.Column("user_id", sa.UnicodeText(), nullable=True),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("package_id", "server", "kind", "target", "relation", name="uq_mlops_link"),
    )
    op.create_index("ix_mlops_link_target", "mlops_link", ["server", "kind", "target"], unique=False)
    op.create_table(
        "mlops_run",
        sa.Column("server", sa.UnicodeText(), nullable=False),
        sa.Column("run_id", sa.UnicodeText(), nullable=False),
        sa.Column("experiment_id", sa.UnicodeText(), nullable=False),
        sa.Column("name", sa.UnicodeText(), nullable=False),
        sa.Column("status", sa.UnicodeText(), nullable=False),
        sa.Column("started", sa.DateTime(), nullable=True),
        sa.Column("ended", sa.DateTime(), nullable=True),
        sa.Column("git_commit", sa.UnicodeText(), nullable=True),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        sa.Column("facts_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("server", "run_id"),
    )
    op.create_index("ix_mlops_run_experiment", "mlops_run", ["server", "experiment_id", "started"], unique=False)
    op.create_index(op.f("ix_mlops_run_git_commit"), "mlops_run", ["git_commit"], unique=False)
    op.create_table(
        "mlops_version",
        sa.Column("id", sa.UnicodeText(), nullable=False),
        sa.Column("package_id", sa.UnicodeText(), nullable=False),
        sa.Column("digest", sa.UnicodeText(), nullable=False),
        sa.Column("commit", sa.UnicodeText(), nullable=False),
        sa.Column("committed", sa.DateTime(), nullable=True),
        sa.Column("author", sa.UnicodeText(), nullable=False),
        sa.Column("message", sa.UnicodeText(), nullable=False),
        sa.Column("refs", postgresql.JSONB(), nullable=False),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("first_seen", sa.DateTime(), nullable=False),
        sa.Column("last_seen", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_mlops_version_package", "mlops_version", ["package_id", "position"], unique=False)


def downgrade():
    op.drop_index("ix_mlops_version_package", table_name="mlops_version")
    op.drop_table("mlops_version")
    op.drop_index(op.f("ix_mlops_run_git_commit"), table_name="mlops_run")
    op.drop_index("ix_mlops_run_experiment", table_name="mlops_run")
    op.drop_table("mlops_run")
    op.drop_index("ix_mlops_link_target", table_name="mlops_link")
    op.drop_table("mlops_link")
    op.drop_table("mlops_experiment")
    op.drop_index("ix_mlops_edge_version", table_name="mlops_edge")
    op.drop_index("ix_mlops_edge_uri", table_name="mlops_edge")
    op.drop_index("ix_mlops_edge_upstream", table_name="mlops_edge")
    op.drop_index("ix_mlops_edge_downstream", table_name="mlops_edge")
    op.drop_table("mlops_edge")
