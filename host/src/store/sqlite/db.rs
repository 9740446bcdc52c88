//! What `store/sql` calls the engine's types.

pub(super) type Db = sqlx::Sqlite;
pub(super) type Arguments = sqlx::sqlite::SqliteArguments;
pub(super) type Connection = sqlx::SqliteConnection;
pub(super) type Pool = sqlx::SqlitePool;
pub(super) type Row = sqlx::sqlite::SqliteRow;
