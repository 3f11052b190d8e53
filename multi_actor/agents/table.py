"""The table of turns."""

from sqlalchemy import Column, DateTime, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.dialects import mysql

# MySQL by itself takes Ada for ada, 65,535 bytes for a text, and whole seconds for a time.
_EXACT = {"collation": "utf8mb4_bin"}
_EVENT_ID = String(255).with_variant(mysql.VARCHAR(255, **_EXACT), "mysql", "mariadb")
_ACTOR_ID = String(64).with_variant(mysql.VARCHAR(64, **_EXACT), "mysql", "mariadb")
_TEXT = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_TIME = DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")

TURNS = Table(
    "conversation_log",
    MetaData(),
    Column("event_id", _EVENT_ID, primary_key=True),
    Column("actor_id", _ACTOR_ID, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("user_said", _TEXT, nullable=False),
    Column("assistant_said", _TEXT, nullable=False),
    Column("logged_at", _TIME, nullable=False),
    Index("conversation_log_of_user", "actor_id", "sequence"),
)
