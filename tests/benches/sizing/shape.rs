//! What comes: how large an event is, by which way, and to how many endpoints.

/// One kind of load.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// Of the body that is sent.
    pub(crate) bytes: usize,
    pub(crate) deliveries: u64,
    pub(crate) way: Way,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Way {
    /// `POST /v1/events`.
    Api,
    /// A source's URL: the request is kept beside the event.
    Source,
}

impl Shape {
    pub(crate) const USUAL: Self = Self { name: "500 bytes, 1 delivery", bytes: 500, deliveries: 1, way: Way::Api };
    pub(crate) const OTHERS: [Self; 5] = [
        Self { name: "500 bytes, no delivery", bytes: 500, deliveries: 0, way: Way::Api },
        Self { name: "500 bytes, 4 deliveries", bytes: 500, deliveries: 4, way: Way::Api },
        Self { name: "4,000 bytes, 1 delivery", bytes: 4000, deliveries: 1, way: Way::Api },
        Self { name: "16,000 bytes, 1 delivery", bytes: 16_000, deliveries: 1, way: Way::Api },
        Self { name: "500 bytes, 1 delivery, by a source", bytes: 500, deliveries: 1, way: Way::Source },
    ];

    /// The event with this number: an order whose lines fill it up, so that it
    /// can be compressed as far as what people send.
    pub(crate) fn body(self, number: u64) -> String {
        let mut dice = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut draw = |below: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % below
        };
        let mut body = format!(
            r#"{{"type":"order.paid","subject":"+1{:010}","tags":["paid"],"data":{{"order_id":"ORD-{number}","customer":"{:08x}","items":["#,
            draw(10_000_000_000),
            draw(1 << 31),
        );
        let end = "\"\"]}}";
        loop {
            let line = format!(
                r#"{{"sku":"{:06X}-{:04}","quantity":{},"price":{}.{:02}}},"#,
                draw(1 << 24),
                draw(10_000),
                1 + draw(9),
                1 + draw(200),
                draw(100),
            );
            if body.len() + line.len() + end.len() > self.bytes {
                break;
            }
            body.push_str(&line);
        }
        let rest = self.bytes - body.len() - end.len();
        body.push('"');
        (0..rest).for_each(|_| body.push(char::from(b'a' + u8::try_from(draw(26)).unwrap_or(0))));
        body.push_str(&end[1..]);
        body
    }
}
