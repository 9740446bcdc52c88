//! Identifiers: a prefix that says of what, and sixteen bytes whose first six
//! are milliseconds, so that they sort by age, as text too.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::time::Timestamp;

/// Crockford's base 32 in lower case: no `i`, `l`, `o`, `u`; it sorts as the
/// bytes do.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const TEXT_LEN: usize = 26;

/// What every identifier can do, so that one function can mint any of them.
pub trait TypedId: Sized {
    /// Made of the instant and ten random bytes.
    fn new(at: Timestamp, random: [u8; 10]) -> Self;
}

/// The text is not an identifier of the wanted kind.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAnId;

macro_rules! typed_id {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The oldest identifier that the instant can have: a bound for
            /// "since" in queries over identifiers.
            pub fn floor(at: Timestamp) -> Self {
                Self::new(at, [0; 10])
            }

            /// All of it.
            pub fn bytes(&self) -> [u8; 16] {
                self.0
            }

            /// When it was made.
            pub fn minted_at(&self) -> Timestamp {
                minted_at(&self.0)
            }
        }

        impl TypedId for $name {
            fn new(at: Timestamp, random: [u8; 10]) -> Self {
                Self(bytes(at, random))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                f.write_str(std::str::from_utf8(&encode(&self.0)).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let text = text.strip_prefix(concat!($prefix, "_")).ok_or(NotAnId)?;
                decode(text).map(Self).ok_or(NotAnId)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

typed_id! {
    /// One customer of whoever runs Hookyard.
    TenantId = "ten";
    /// One API key.
    KeyId = "key";
    /// Somebody who signs in.
    UserId = "usr";
    /// One inbound webhook.
    SourceId = "src";
    /// One outbound webhook.
    EndpointId = "ep";
    /// One request that a source received.
    RequestId = "req";
    /// One thing that happened in one tenant.
    EventId = "evt";
    /// One event on its way to one endpoint.
    DeliveryId = "dlv";
    /// Deliveries of the past, made once more.
    ReplayId = "rpl";
    /// One HTTP exchange.
    AttemptId = "att";
    /// One entry of the audit log.
    AuditId = "aud";
    /// One request to erase a subject's data.
    ErasureId = "era";
    /// One run of this program, among those that share a database.
    HostId = "host";
}

fn bytes(at: Timestamp, random: [u8; 10]) -> [u8; 16] {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0).to_be_bytes();
    let mut id = [0; 16];
    id[..6].copy_from_slice(&millis[2..]);
    id[6..].copy_from_slice(&random);
    id
}

fn minted_at(id: &[u8; 16]) -> Timestamp {
    let millis = id[..6].iter().fold(0_i64, |sum, byte| (sum << 8) | i64::from(*byte));
    Timestamp::from_millis(millis)
}

/// 128 bits in 26 digits of 5: the first digit holds the topmost three.
fn encode(id: &[u8; 16]) -> [u8; TEXT_LEN] {
    let number = u128::from_be_bytes(*id);
    std::array::from_fn(|at| ALPHABET[(number >> (5 * (TEXT_LEN - 1 - at))) as usize & 31])
}

fn decode(text: &str) -> Option<[u8; 16]> {
    if text.len() != TEXT_LEN || text.as_bytes()[0] > b'7' {
        return None;
    }
    let mut number = 0_u128;
    for byte in text.bytes() {
        let digit = ALPHABET.iter().position(|letter| *letter == byte)?;
        number = (number << 5) | digit as u128;
    }
    Some(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text() {
        for (millis, random) in [(0, [0; 10]), (1_763_700_000_000, [255; 10]), ((1 << 48) - 1, [7; 10])] {
            let id = EventId::new(Timestamp::from_millis(millis), random);
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(id.minted_at().as_millis(), millis);
        }
    }

    #[test]
    fn ids_sort_by_age_as_text() {
        let id = |millis, random| EventId::new(Timestamp::from_millis(millis), [random; 10]).to_string();
        assert!(id(1, 255) < id(2, 0));
        assert!(id(255, 255) < id(256, 0));
    }

    #[test]
    fn another_kinds_id_is_refused() {
        let event = EventId::new(Timestamp::from_millis(5), [1; 10]).to_string();
        assert_eq!(event.parse::<DeliveryId>(), Err(NotAnId));
        assert_eq!("evt_".parse::<EventId>(), Err(NotAnId));
        assert_eq!("evt_zzzzzzzzzzzzzzzzzzzzzzzzzz".parse::<EventId>(), Err(NotAnId));
        assert_eq!(event.to_uppercase().parse::<EventId>(), Err(NotAnId));
        assert_eq!("evt_äääääääääääää".parse::<EventId>(), Err(NotAnId));
    }
}
