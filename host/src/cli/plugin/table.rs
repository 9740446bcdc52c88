//! Columns for people.

/// Lines of cells, each column as wide as its widest cell; the last is not
/// filled up.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..rows.iter().map(Vec::len).max().unwrap_or(0)).map(width).collect();
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        line.push_str(&format!("{cell:<width$}  "));
    }
    format!("{}\n", line.trim_end())
}

/// `87.3 KiB`
pub(super) fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", count as f64 / 1024.0),
        _ => format!("{:.1} MiB", count as f64 / 1_048_576.0),
    }
}

/// `1.25 ms`
pub(super) fn duration(microseconds: u64) -> String {
    format!("{:.2} ms", microseconds as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [vec!["ok".to_owned(), "a".to_owned(), "1".to_owned()], vec!["fail".to_owned(), "bä".to_owned()]];
        assert_eq!(columns(&rows), "ok    a   1\nfail  bä\n");
    }

    #[test]
    fn sizes_are_for_people() {
        assert_eq!([bytes(7), bytes(22_160), bytes(18 << 20)], ["7 bytes", "21.6 KiB", "18.0 MiB"]);
    }
}
