//! What `store/sql` calls the engine's types.

pub(super) type Db = sqlx::Postgres;
pub(super) type Arguments = sqlx::postgres::PgArguments;
pub(super) type Connection = sqlx::PgConnection;
pub(super) type Pool = sqlx::PgPool;
pub(super) type Row = sqlx::postgres::PgRow;
