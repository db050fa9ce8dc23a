"""The database: SQLAlchemy Core. Functions take a connection and never commit; `engine.Store` opens and commits."""
