//! A checksum of a table, whatever the order of its rows: each side reads them as is
//! quickest. It finds what was lost, doubled or changed by accident; nobody who would
//! forge one can write to either side.

use sha2::{Digest as _, Sha256};

use super::Counted;
use super::progress::hex;
use super::table::Value;

const LANES: usize = 4;

#[derive(Default)]
pub(super) struct Sum {
    pub(super) rows: u64,
    /// The rows' SHA-256 in four numbers each, added up: unlike with XOR, two that are
    /// the same do not cancel each other out.
    lanes: [u64; LANES],
}

impl Sum {
    pub(super) fn add(&mut self, row: &[Value]) {
        let mut digest = Sha256::new();
        for value in row {
            let (kind, bytes): (u8, &[u8]) = match value {
                Value::Null => (0, &[]),
                Value::Text(text) => (1, text.as_bytes()),
                Value::Int(number) => (2, &number.to_be_bytes()),
                Value::Bytes(bytes) => (3, bytes),
            };
            // With its length before it, so that no two rows are the same bytes.
            digest.update([kind]);
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        }
        for (lane, part) in self.lanes.iter_mut().zip(digest.finalize().as_chunks::<8>().0) {
            *lane = lane.wrapping_add(u64::from_be_bytes(*part));
        }
        self.rows += 1;
    }

    pub(super) fn counted(&self) -> Counted {
        let bytes: Vec<u8> = self.lanes.iter().flat_map(|lane| lane.to_be_bytes()).collect();
        Counted { rows: self.rows, checksum: hex(&bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(rows: &[&[Value]]) -> Counted {
        let mut sum = Sum::default();
        rows.iter().for_each(|row| sum.add(row));
        sum.counted()
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn the_order_of_rows_does_not_matter_and_all_else_does() {
        let (one, other): (&[Value], &[Value]) = (&[text("a"), Value::Int(1)], &[text("b"), Value::Null]);
        let both = sum(&[one, other]);
        assert_eq!(both, sum(&[other, one]));
        for wrong in [
            sum(&[one]),
            sum(&[one, one]),
            sum(&[one, other, other]),
            sum(&[one, &[text("b"), text("")]]),
            sum(&[one, &[text("b"), Value::Bytes(Vec::new())]]),
            sum(&[one, &[Value::Null, text("b")]]),
            sum(&[&[text("a"), Value::Int(2)], other]),
        ] {
            assert_ne!(both, wrong);
        }
        assert_ne!(sum(&[&[text("ab"), text("c")]]), sum(&[&[text("a"), text("bc")]]));
    }
}
