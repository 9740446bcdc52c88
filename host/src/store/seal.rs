//! Sealing: what tenants keep secret is unreadable on the disk, in a backup and
//! in a copied database file to whoever has not the master key too.
//!
//! XChaCha20-Poly1305, whose nonces are long enough to be drawn at random. Where
//! the master key comes from is not this file's business.

use std::fmt;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

/// The first byte of everything sealed, so that another cipher can come beside
/// this one.
const VERSION: u8 = 1;
const NONCE_LEN: usize = 24;

/// The master key. Has no `Debug`, `Clone` or `Serialize` on purpose.
pub struct Seal(XChaCha20Poly1305);

/// What a sealed value is and whose. It is bound to the value: one that is moved
/// to another row or column does not open there.
#[derive(Clone, Copy)]
pub struct Label<'a> {
    pub what: &'static str,
    pub whose: &'a str,
}

/// The value was sealed with another key or for another place, or is damaged.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sealed value does not open: another master key, another place, or damage")
    }
}

impl std::error::Error for Broken {}

impl Seal {
    pub fn new(master_key: [u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(&master_key.into()))
    }

    /// `plain` as it may be written to the disk.
    pub fn seal(&self, label: Label<'_>, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).expect("the operating system gives random bytes");
        let sealed = self
            .0
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &label.bytes() })
            .expect("only values of over 256 GiB cannot be sealed");
        [&[VERSION], nonce.as_slice(), &sealed].concat()
    }

    /// What was sealed under the same label.
    pub fn open(&self, label: Label<'_>, sealed: &[u8]) -> Result<Vec<u8>, Broken> {
        let (version, rest) = sealed.split_first().ok_or(Broken)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or(Broken)?;
        if *version != VERSION {
            return Err(Broken);
        }
        self.0.decrypt(&XNonce::from(*nonce), Payload { msg: rest, aad: &label.bytes() }).map_err(|_| Broken)
    }
}

impl Label<'_> {
    /// No `what` has a line break, so no two labels have the same bytes.
    fn bytes(self) -> Vec<u8> {
        [self.what.as_bytes(), b"\n", self.whose.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERS: Label<'_> = Label { what: "endpoint-secret", whose: "ep_1" };

    #[test]
    fn a_value_opens_with_its_key_in_its_place() {
        let seal = Seal::new([7; 32]);
        for plain in [b"".as_slice(), b"key", &[0; 4096]] {
            assert_eq!(seal.open(HERS, &seal.seal(HERS, plain)).as_deref(), Ok(plain));
        }
    }

    #[test]
    fn a_value_opens_nowhere_else() {
        let seal = Seal::new([7; 32]);
        let sealed = seal.seal(HERS, b"key");
        let his = Label { whose: "ep_2", ..HERS };
        let other = Label { what: "endpoint-headers", ..HERS };
        assert_eq!(seal.open(his, &sealed), Err(Broken));
        assert_eq!(seal.open(other, &sealed), Err(Broken));
        assert_eq!(Seal::new([8; 32]).open(HERS, &sealed), Err(Broken));
    }

    #[test]
    fn a_changed_byte_is_noticed_wherever_it_is() {
        let seal = Seal::new([7; 32]);
        let sealed = seal.seal(HERS, b"key");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(seal.open(HERS, &changed), Err(Broken), "byte {at}");
            assert_eq!(seal.open(HERS, &sealed[..at]), Err(Broken), "{at} bytes");
        }
    }

    #[test]
    fn equal_values_do_not_look_equal() {
        let seal = Seal::new([7; 32]);
        assert_ne!(seal.seal(HERS, b"key"), seal.seal(HERS, b"key"));
    }
}
