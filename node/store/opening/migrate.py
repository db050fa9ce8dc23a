"""Alembic, driven from code; imported only where there is something to upgrade."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from .... import migrations
from ..tables import metadata


def alembic_config() -> Config:
    """Alembic's configuration for the migrations of the installed package."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    return config


def revisions() -> set[str]:
    """All revisions that this program knows."""
    return {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}


def head() -> str | None:
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def upgrade(conn: Connection, revision: str = "head") -> None:
    """Upgrade to a schema, the newest unless told, within the connection's transaction."""
    config = alembic_config()
    config.attributes["connection"] = conn
    config.attributes["metadata"] = metadata
    command.upgrade(config, revision)
