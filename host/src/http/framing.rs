//! Looks for a head that gives a body two ends, `Content-Length` and
//! `Transfer-Encoding`: one program takes the first, another the second, and
//! what lies between is the next request to one of them alone. hyper follows
//! the second and forgets the first (RFC 9112, section 6.3, allows that); this
//! tells whoever answers that there were both.
//!
//! It reads along, so it sees heads that begin with the first byte after an
//! exchange. Of a head that came together with the body before it nothing is
//! known here; answers to bodies without a length end their connection for that.

/// The longest name that is looked for, and one more.
const NAME: usize = "transfer-encoding".len() + 1;

/// Where in a head it is, and what it saw.
#[derive(Default)]
pub(super) struct Framing {
    name: [u8; NAME],
    /// Bytes of the current line's name; beyond `NAME` it is none of ours.
    length: usize,
    in_value: bool,
    has_length: bool,
    has_encoding: bool,
    ended: bool,
}

impl Framing {
    /// Bytes of the head, and perhaps of what follows it.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.ended {
                return;
            }
            self.step(*byte);
        }
    }

    pub(super) fn is_ambiguous(&self) -> bool {
        self.has_length && self.has_encoding
    }

    fn step(&mut self, byte: u8) {
        match byte {
            b'\n' => {
                self.ended = self.length == 0 && !self.in_value;
                (self.length, self.in_value) = (0, false);
            }
            b'\r' => {}
            _ if self.in_value => {}
            b':' => {
                let name = self.name.get(..self.length).unwrap_or_default();
                self.has_length |= name.eq_ignore_ascii_case(b"content-length");
                self.has_encoding |= name.eq_ignore_ascii_case(b"transfer-encoding");
                self.in_value = true;
            }
            _ => {
                if let Some(place) = self.name.get_mut(self.length) {
                    *place = byte;
                }
                self.length = (self.length + 1).min(NAME + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ambiguous(text: &str) -> bool {
        let whole = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut framing = Framing::default();
            pieces.for_each(|piece| framing.read(piece));
            framing.is_ambiguous()
        };
        let at_once = whole(&mut std::iter::once(text.as_bytes()));
        assert_eq!(at_once, whole(&mut text.as_bytes().chunks(1)), "{text}");
        at_once
    }

    #[test]
    fn two_ends_are_seen_in_any_spelling_and_order() {
        assert!(is_ambiguous("POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"));
        assert!(is_ambiguous("POST / HTTP/1.1\r\ntRANSFER-eNCODING:x\r\nhost: a\r\nCONTENT-LENGTH:4\r\n\r\n"));
        assert!(is_ambiguous("POST / HTTP/1.1\ncontent-length: 4\ntransfer-encoding: chunked\n\n"));
        assert!(!is_ambiguous("POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n"));
        assert!(!is_ambiguous("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nTransfer-Encoding: chunked\r\n\r\n"));
        assert!(!is_ambiguous("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nx: content-length: 4\r\n\r\n"));
        assert!(!is_ambiguous("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nx-content-length: 4\r\n\r\n"));
        assert!(!is_ambiguous("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\ncontent-length-x: 4\r\n\r\n"));
    }
}
