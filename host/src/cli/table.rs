//! Columns for people.

/// Lines of cells, each column as wide as its widest cell; the last is not
/// filled up.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows.iter().map(Vec::len).max().unwrap_or(0)).map(width).collect();
    rows.iter().map(|row| line(row, &widths)).collect()
}

/// The same below headings, and nothing without rows.
pub(super) fn table(headings: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let headings = headings.iter().map(|heading| heading.to_uppercase()).collect();
    columns(&[vec![headings], rows].concat())
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, wide) in row.iter().zip(widths) {
        line.push_str(cell);
        line.push_str(&" ".repeat(wide.saturating_sub(width(cell)) + 2));
    }
    format!("{}\n", line.trim_end())
}

/// Without the colours, which take no room.
fn width(cell: &str) -> usize {
    let mut is_colour = false;
    let seen = cell.chars().filter(|c| {
        let was_colour = is_colour;
        is_colour = (is_colour && *c != 'm') || *c == '\x1b';
        !was_colour && !is_colour
    });
    seen.count()
}

/// `87.3 KiB`
pub(super) fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", count as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", count as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", count as f64 / 1_073_741_824.0),
    }
}

/// `1.25 ms`
pub(super) fn duration(microseconds: u64) -> String {
    format!("{:.2} ms", microseconds as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn columns_stand_below_each_other() {
        assert_eq!(columns(&[row(&["ok", "a", "1"]), row(&["fail", "bä"])]), "ok    a   1\nfail  bä\n");
    }

    #[test]
    fn a_colour_takes_no_room() {
        let rows = vec![row(&["\x1b[32mok\x1b[0m", "1"]), row(&["dead", "2"])];
        assert_eq!(table(&["state", "n"], rows), "STATE  N\n\x1b[32mok\x1b[0m     1\ndead   2\n");
        assert_eq!(table(&["state", "n"], Vec::new()), "");
    }

    #[test]
    fn sizes_are_for_people() {
        assert_eq!([bytes(7), bytes(22_160), bytes(18 << 20)], ["7 bytes", "21.6 KiB", "18.0 MiB"]);
        assert_eq!(bytes(3 << 30), "3.0 GiB");
    }
}
