"""The first tables: versions and lineage, what MLflow said and the links to it, harvests, searches and transfers.

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

TEXT = sa.UnicodeText()
TEXTS = postgresql.ARRAY(sa.UnicodeText())
TIME = sa.DateTime()
FACTS = postgresql.JSONB()


def upgrade():
    op.create_table(
        "mlops_version",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("package_id", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("commit", TEXT, nullable=False),
        sa.Column("committed", TIME, nullable=True),
        sa.Column("author", TEXT, nullable=False),
        sa.Column("message", TEXT, nullable=False),
        sa.Column("refs", FACTS, nullable=False),
        sa.Column("facts", FACTS, nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("first_seen", TIME, nullable=False),
        sa.Column("last_seen", TIME, nullable=False),
    )
    op.create_index("ix_mlops_version_package", "mlops_version", ["package_id", "position"])
    hashes = sa.text("jsonb_path_query_array(facts, '$.outs[*].hash')")
    op.create_index("ix_mlops_version_hashes", "mlops_version", [hashes], postgresql_using="gin")
    op.create_table(
        "mlops_revision",
        sa.Column("source_id", TEXT, primary_key=True),
        sa.Column("kind", TEXT, primary_key=True),
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("repository", TEXT, nullable=False),
        sa.Column("commit", TEXT, nullable=False),
        sa.Column("committed", TIME, nullable=True),
        sa.Column("author", TEXT, nullable=False),
        sa.Column("message", TEXT, nullable=False),
        sa.Column("note", TEXT, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("metrics", FACTS, nullable=False),
        sa.Column("params", FACTS, nullable=False),
        sa.Column("plots", FACTS, nullable=False),
    )
    op.create_index("ix_mlops_revision_repository", "mlops_revision", ["repository", "position"])
    op.create_table(
        "mlops_edge",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("downstream_dataset", TEXT, nullable=False),
        sa.Column("upstream_dataset", TEXT, nullable=True),
        sa.Column("upstream_resource", TEXT, nullable=True),
        sa.Column("upstream_uri", TEXT, nullable=True),
        sa.Column("upstream_label", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("hash", TEXT, nullable=True),
        sa.Column("origin", TEXT, nullable=False),
        sa.Column("evidence", FACTS, nullable=False),
        sa.Column("version_id", TEXT, nullable=True),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("first_seen", TIME, nullable=False),
        sa.Column("last_seen", TIME, nullable=False),
        sa.CheckConstraint("(upstream_dataset IS NULL) <> (upstream_uri IS NULL)", name="ck_mlops_edge_one_upstream"),
    )
    op.create_index("ix_mlops_edge_downstream", "mlops_edge", ["downstream_dataset", "current"])
    op.create_index("ix_mlops_edge_upstream", "mlops_edge", ["upstream_dataset", "current"])
    op.create_index("ix_mlops_edge_uri", "mlops_edge", ["upstream_uri"])
    op.create_index("ix_mlops_edge_version", "mlops_edge", ["version_id"])
    op.create_index("ix_mlops_edge_inferred", "mlops_edge", ["hash"], postgresql_where=sa.text("origin = 'inferred'"))
    op.create_table(
        "mlops_file_hash",
        sa.Column("package_id", TEXT, primary_key=True),
        sa.Column("side", TEXT, primary_key=True),
        sa.Column("path", TEXT, primary_key=True),
        sa.Column("hash", TEXT, primary_key=True),
        sa.Column("algorithm", TEXT, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("resource_id", TEXT, nullable=True),
        sa.Column("harvested", sa.Boolean(), nullable=False),
        sa.Column("made", sa.Boolean(), nullable=False),
        sa.Column("versions", TEXTS, nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("since", TIME, nullable=True),
        sa.Column("settled", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_mlops_file_hash_hash", "mlops_file_hash", ["hash"])
    op.create_index("ix_mlops_file_hash_unsettled", "mlops_file_hash", ["hash"], postgresql_where=sa.text("NOT settled"))
    op.create_table(
        "mlops_unindexed",
        sa.Column("package_id", TEXT, primary_key=True),
        sa.Column("noted", TIME, nullable=False),
    )
    op.create_table(
        "mlops_server",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("checked", TIME, nullable=False),
        sa.Column("answered", TIME, nullable=True),
        sa.Column("error", TEXT, nullable=False),
        sa.Column("registry_at", TIME, nullable=True),
        sa.Column("synced", TIME, nullable=True),
        sa.Column("wanted", TIME, nullable=True),
    )
    op.create_table(
        "mlops_experiment",
        sa.Column("server", TEXT, primary_key=True),
        sa.Column("experiment_id", TEXT, primary_key=True),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("lifecycle_stage", TEXT, nullable=False),
        sa.Column("facts", FACTS, nullable=False),
        sa.Column("facts_at", TIME, nullable=False),
        sa.Column("swept", TIME, nullable=True),
        sa.Column("sweep_began", TIME, nullable=True),
        sa.Column("sweep_from", sa.BigInteger(), nullable=True),
    )
    op.create_index("ix_mlops_experiment_name", "mlops_experiment", ["server", "name"])
    op.create_table(
        "mlops_run",
        sa.Column("server", TEXT, primary_key=True),
        sa.Column("run_id", TEXT, primary_key=True),
        sa.Column("experiment_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("started", TIME, nullable=True),
        sa.Column("ended", TIME, nullable=True),
        sa.Column("git_commit", TEXT, nullable=True),
        sa.Column("lifecycle_stage", TEXT, nullable=False),
        sa.Column("hashes", TEXTS, nullable=False),
        sa.Column("sources", TEXTS, nullable=False),
        sa.Column("facts", FACTS, nullable=False),
        sa.Column("facts_at", TIME, nullable=False),
        sa.Column("changed", TIME, nullable=False),
    )
    op.create_index("ix_mlops_run_git_commit", "mlops_run", ["git_commit"])
    op.create_index("ix_mlops_run_experiment", "mlops_run", ["server", "experiment_id", "started"])
    op.create_index("ix_mlops_run_hashes", "mlops_run", ["hashes"], postgresql_using="gin")
    op.create_index("ix_mlops_run_sources", "mlops_run", ["sources"], postgresql_using="gin")
    op.create_index("ix_mlops_run_changed", "mlops_run", ["server", "changed"])
    op.create_table(
        "mlops_registered_model",
        sa.Column("server", TEXT, primary_key=True),
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("lifecycle_stage", TEXT, nullable=False),
        sa.Column("updated", TIME, nullable=True),
        sa.Column("facts", FACTS, nullable=False),
        sa.Column("facts_at", TIME, nullable=False),
    )
    op.create_table(
        "mlops_model_version",
        sa.Column("server", TEXT, primary_key=True),
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("version", TEXT, primary_key=True),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("run_id", TEXT, nullable=True),
        sa.Column("model_id", TEXT, nullable=True),
        sa.Column("aliases", TEXTS, nullable=False),
        sa.Column("lifecycle_stage", TEXT, nullable=False),
        sa.Column("created", TIME, nullable=True),
        sa.Column("updated", TIME, nullable=True),
        sa.Column("facts", FACTS, nullable=False),
        sa.Column("facts_at", TIME, nullable=False),
    )
    op.create_index("ix_mlops_model_version_run", "mlops_model_version", ["server", "run_id"])
    op.create_index("ix_mlops_model_version_logged", "mlops_model_version", ["server", "model_id"])
    op.create_table(
        "mlops_logged_model",
        sa.Column("server", TEXT, primary_key=True),
        sa.Column("model_id", TEXT, primary_key=True),
        sa.Column("experiment_id", TEXT, nullable=False),
        sa.Column("run_id", TEXT, nullable=True),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("lifecycle_stage", TEXT, nullable=False),
        sa.Column("created", TIME, nullable=True),
        sa.Column("updated", TIME, nullable=True),
        sa.Column("facts", FACTS, nullable=False),
        sa.Column("facts_at", TIME, nullable=False),
    )
    op.create_index("ix_mlops_logged_model_run", "mlops_logged_model", ["server", "run_id"])
    op.create_index("ix_mlops_logged_model_experiment", "mlops_logged_model", ["server", "experiment_id"])
    op.create_table(
        "mlops_link",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("package_id", TEXT, nullable=False),
        sa.Column("version_id", TEXT, nullable=True),
        sa.Column("resource_id", TEXT, nullable=True),
        sa.Column("server", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("target", TEXT, nullable=False),
        sa.Column("relation", TEXT, nullable=False),
        sa.Column("note", TEXT, nullable=False),
        sa.Column("origin", TEXT, nullable=False),
        sa.Column("evidence", FACTS, nullable=False),
        sa.Column("user_id", TEXT, nullable=True),
        sa.Column("created", TIME, nullable=False),
        sa.UniqueConstraint("package_id", "server", "kind", "target", "relation", name="uq_mlops_link"),
    )
    op.create_index("ix_mlops_link_target", "mlops_link", ["server", "kind", "target"])
    op.create_table(
        "mlops_link_hint",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("package_id", TEXT, nullable=False),
        sa.Column("server", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("target", TEXT, nullable=False),
        sa.Column("relation", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("evidence", FACTS, nullable=False),
        sa.Column("user_id", TEXT, nullable=True),
        sa.Column("created", TIME, nullable=False),
    )
    op.create_index("ix_mlops_link_hint_package", "mlops_link_hint", ["package_id", "state"])
    op.create_index("ix_mlops_link_hint_target", "mlops_link_hint", ["server", "kind", "target"])
    op.create_table(
        "mlops_matched",
        sa.Column("scope", TEXT, primary_key=True),
        sa.Column("mark", TEXT, nullable=False),
        sa.Column("at", TIME, nullable=False),
    )
    op.create_table(
        "mlops_settled",
        sa.Column("source_id", TEXT, primary_key=True),
        sa.Column("inputs", TEXT, nullable=False),
        sa.Column("memory", TEXT, nullable=False),
        sa.Column("upstreams", TEXT, nullable=False),
        sa.Column("imports", FACTS, nullable=False),
        sa.Column("facts", FACTS, nullable=False),
        sa.Column("read_at", TIME, nullable=False),
    )
    op.create_table(
        "mlops_plan",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("source_id", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("progress", TEXT, nullable=False),
        sa.Column("user_id", TEXT, nullable=True),
        sa.Column("facts", FACTS, nullable=False),
        sa.Column("created", TIME, nullable=False),
        sa.Column("changed", TIME, nullable=False),
        sa.Column("mailed", TIME, nullable=True),
    )
    op.create_index("ix_mlops_plan_source", "mlops_plan", ["source_id", "kind", "created"])
    op.create_table(
        "mlops_choice",
        sa.Column("package_id", TEXT, primary_key=True),
        sa.Column("resource", TEXT, primary_key=True),
        sa.Column("field", TEXT, primary_key=True),
        sa.Column("kept", FACTS, nullable=False),
        sa.Column("git", FACTS, nullable=False),
        sa.Column("user_id", TEXT, nullable=True),
        sa.Column("created", TIME, nullable=False),
    )
    op.create_table(
        "mlops_asked",
        sa.Column("source_id", TEXT, primary_key=True),
        sa.Column("asked", TIME, nullable=False),
    )
    op.create_table(
        "mlops_pushed",
        sa.Column("source_id", TEXT, primary_key=True),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", TEXT, nullable=True),
        sa.Column("pushed", TIME, nullable=False),
    )
    op.create_table(
        "mlops_saved_search",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("user_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("query", TEXT, nullable=False),
        sa.Column("mail", sa.Boolean(), nullable=False),
        sa.Column("created", TIME, nullable=False),
        sa.UniqueConstraint("user_id", "query", name="uq_mlops_saved_search"),
    )
    op.create_table(
        "mlops_notice",
        sa.Column("user_id", TEXT, primary_key=True),
        sa.Column("version_id", TEXT, primary_key=True),
        sa.Column("package_id", TEXT, nullable=False),
        sa.Column("search_id", TEXT, nullable=True),
        sa.Column("created", TIME, nullable=False),
        sa.Column("mailed", TIME, nullable=True),
    )
    op.create_index("ix_mlops_notice_search", "mlops_notice", ["search_id", "created"])
    op.create_index("ix_mlops_notice_package", "mlops_notice", ["package_id"])
    op.create_index("ix_mlops_notice_due", "mlops_notice", ["user_id"], postgresql_where=sa.text("mailed IS NULL"))
    op.create_table(
        "mlops_content",
        sa.Column("package_id", TEXT, primary_key=True),
        sa.Column("path", TEXT, primary_key=True),
        sa.Column("hash", TEXT, primary_key=True),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("detail", TEXT, nullable=False),
        sa.Column("checked", TIME, nullable=True),
        sa.Column("profile", FACTS, nullable=True),
        sa.Column("profiled", TIME, nullable=True),
    )
    op.create_table(
        "mlops_audit",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("at", TIME, nullable=False),
        sa.Column("event", TEXT, nullable=False),
        sa.Column("user_id", TEXT, nullable=True),
        sa.Column("package_id", TEXT, nullable=False),
        sa.Column("details", FACTS, nullable=False),
    )
    op.create_index("ix_mlops_audit_package", "mlops_audit", ["package_id", "at"])
    op.create_table(
        "mlops_access_request",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("package_id", TEXT, nullable=False),
        sa.Column("user_id", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("asked", TIME, nullable=False),
        sa.Column("decided", TIME, nullable=True),
        sa.Column("decided_by", TEXT, nullable=True),
        sa.Column("answer", TEXT, nullable=False),
    )
    op.create_index("ix_mlops_access_request_package", "mlops_access_request", ["package_id", "state"])


def downgrade():
    for table in (
        "mlops_access_request",
        "mlops_audit",
        "mlops_content",
        "mlops_notice",
        "mlops_saved_search",
        "mlops_pushed",
        "mlops_asked",
        "mlops_choice",
        "mlops_plan",
        "mlops_settled",
        "mlops_matched",
        "mlops_link_hint",
        "mlops_link",
        "mlops_logged_model",
        "mlops_model_version",
        "mlops_registered_model",
        "mlops_run",
        "mlops_experiment",
        "mlops_server",
        "mlops_unindexed",
        "mlops_file_hash",
        "mlops_edge",
        "mlops_revision",
        "mlops_version",
    ):
        op.drop_table(table)
