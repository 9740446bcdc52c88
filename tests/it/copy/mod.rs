//! `hookyard copy`, as an operator types it: from a file to a server, back, and from
//! one server to another.

mod cut_off;
mod moving;
mod refused;
mod rows;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookyard::store::seal::Seal;
use hookyard::store::sqlite::SqliteStore;
use hookyard_tests::host::MASTER_KEY;
use hookyard_tests::{PATIENCE, build};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, SqliteConnection};
use tokio::process::Command;

/// The command, not yet run, with the master key of the tests.
fn command(from: &str, to: &str) -> Command {
    let mut command = Command::new(build::hookyard());
    command.args(["copy", "--data", "/nowhere"]).env("HOOKYARD_COPY_FROM", from).env("HOOKYARD_COPY_TO", to);
    command.env("HOOKYARD_MASTER_KEY", STANDARD.encode(MASTER_KEY));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// What it prints, and whether it ended well.
async fn ended(mut command: Command) -> (bool, String) {
    let running = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = running.expect("it ends by itself").expect("the program was built");
    let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned();
    (output.status.success(), said)
}

/// What it prints when it copies.
async fn copied(from: &str, to: &str) -> String {
    let (is_well, said) = ended(command(from, to)).await;
    assert!(is_well, "{said}");
    said
}

/// What it says when it does not.
async fn not_copied(from: &str, to: &str) -> String {
    let (is_well, said) = ended(command(from, to)).await;
    assert!(!is_well && said.contains("hookyard: "), "{said}");
    said
}

fn url(file: &Path) -> String {
    format!("sqlite:{}", file.display())
}

/// A file as a server leaves it that has done nothing.
async fn unused(file: &Path) {
    SqliteStore::open(file, Seal::new(MASTER_KEY)).await.expect("the directory is there").close().await;
}

async fn sqlite(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).connect().await.expect("it opens")
}

async fn postgres(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("it takes connections")
}

/// Tables that are there for the schema and for the hosts alone.
const OWN: [&str; 4] = ["_sqlx_migrations", "catalogue_changes", "duties", "hosts"];

/// Whatever a database has: of each table all rows, of each row all columns by their
/// names, in hexadecimal. Without what a copy says of itself.
type Content = BTreeMap<String, Vec<BTreeMap<String, Option<String>>>>;

async fn content_of_sqlite(file: &Path) -> Content {
    let mut conn = sqlite(file).await;
    let mut content = Content::new();
    for (table, columns) in tables_of_sqlite(&mut conn).await {
        let mut rows = Vec::new();
        let object =
            columns.iter().map(|(name, ..)| format!("'{name}', hex(CAST({name} AS BLOB)), '{name}?', {name} IS NULL"));
        let select = format!("SELECT json_object({}) FROM {table}", object.collect::<Vec<_>>().join(", "));
        let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(select)).fetch_all(&mut conn).await.expect("rows");
        found.iter().for_each(|row| rows.push(row_of(row, |value| value == 1)));
        content.insert(table, rows);
    }
    conn.close().await.expect("it closes");
    tidy(content)
}

async fn content_of_postgres(url: &str) -> Content {
    const COLUMNS: &str = "
        SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name NOT IN (
            SELECT relname FROM pg_class WHERE relispartition)";
    let mut conn = postgres(url).await;
    let columns: Vec<(String, String, String)> = sqlx::query_as(COLUMNS).fetch_all(&mut conn).await.expect("a schema");
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (table, column, kind) in columns {
        let bytes = if kind == "bytea" { column.clone() } else { format!("convert_to({column}::text, 'UTF8')") };
        let object = format!("'{column}', upper(encode({bytes}, 'hex')), '{column}?', {column} IS NULL");
        tables.entry(table).or_default().push(object);
    }
    let mut content = Content::new();
    for (table, objects) in tables {
        let mut rows = Vec::new();
        // A function takes at most a hundred arguments.
        let parts: Vec<String> =
            objects.chunks(20).map(|some| format!("jsonb_build_object({})", some.join(", "))).collect();
        let select = format!("SELECT ({})::text FROM {table}", parts.join(" || "));
        let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(select)).fetch_all(&mut conn).await.expect("rows");
        found.iter().for_each(|row| rows.push(row_of(row, |value| value == true)));
        content.insert(table, rows);
    }
    conn.close().await.expect("it closes");
    tidy(content)
}

fn row_of(json: &str, is_null: impl Fn(&serde_json::Value) -> bool) -> BTreeMap<String, Option<String>> {
    let row: BTreeMap<String, serde_json::Value> = serde_json::from_str(json).expect("an object");
    let columns = row.iter().filter(|(name, _)| !name.ends_with('?'));
    let value = |name: &str, value: &serde_json::Value| match is_null(&row[&format!("{name}?")]) {
        true => None,
        false => Some(value.as_str().expect("hexadecimal").to_owned()),
    };
    columns.map(|(name, of)| (name.clone(), value(name, of))).collect()
}

fn tidy(mut content: Content) -> Content {
    content.retain(|table, _| !OWN.contains(&&**table));
    let mark = hex("copy");
    content.entry("meta".to_owned()).and_modify(|rows| rows.retain(|row| row["name"] != Some(mark.clone())));
    content.values_mut().for_each(|rows| rows.sort());
    content
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02X}")).collect()
}

/// The tables of a file, each with its columns' names, types and places in the primary
/// key, none of which is 0.
async fn tables_of_sqlite(conn: &mut SqliteConnection) -> Vec<(String, Vec<(String, String, i64)>)> {
    const TABLES: &str = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    const COLUMNS: &str = "SELECT name, type, pk FROM pragma_table_info(?)";
    let names: Vec<String> = sqlx::query_scalar(TABLES).fetch_all(&mut *conn).await.expect("a schema");
    let mut tables = Vec::new();
    for name in names {
        let columns = sqlx::query_as(COLUMNS).bind(name.clone()).fetch_all(&mut *conn).await.expect("a table");
        tables.push((name, columns));
    }
    tables
}
