//! Traces: which call led to which attempts, in the words of W3C Trace Context.
//! `tracestate` is not passed on: nothing here adds to it, and whoever needs it
//! can do without (section 3.3.1.5 lets us).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::header::Header;
use super::pipeline::StepReport;
use super::time::Timestamp;

/// The header's name.
pub const TRACEPARENT: &str = "traceparent";

/// Somebody records this trace.
const SAMPLED: u8 = 1;
/// And its identifier is random (level 2 of the recommendation).
const RANDOM: u8 = 2;

/// One trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

/// One piece of work in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId([u8; 8]);

/// What is passed on: the trace, and the work that led to whatever comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    pub trace: TraceId,
    pub parent: SpanId,
    flags: u8,
}

/// The text is no `traceparent` that can be gone on with.
#[derive(Debug, PartialEq, Eq)]
pub struct NotATraceParent;

impl SpanId {
    /// The same for the same work: an attempt that is told twice is one span.
    pub fn of(what: &str, whose: [u8; 16], number: u32) -> Self {
        let hash = Sha256::new().chain_update(what).chain_update(whose).chain_update(number.to_be_bytes()).finalize();
        let mut id = [0; 8];
        id.copy_from_slice(&hash[..8]);
        // All zeros would mean that there is none.
        id[7] |= u8::from(id == [0; 8]);
        Self(id)
    }
}

impl TraceParent {
    /// What came along with a request, if it came once: of two, neither can be
    /// believed.
    pub fn of(headers: &[Header]) -> Option<Self> {
        let mut given = headers.iter().filter(|header| header.name == TRACEPARENT);
        match (given.next(), given.next()) {
            (Some(one), None) => one.value.parse().ok(),
            _ => None,
        }
    }

    /// A trace of our own, named after what began it: identifiers are times and
    /// random bytes, as those of traces are.
    fn own(whose: [u8; 16], parent: SpanId) -> Self {
        Self { trace: TraceId(whose), parent, flags: SAMPLED }
    }

    /// The same trace, further on.
    pub fn child(self, parent: SpanId) -> Self {
        Self { parent, ..self }
    }

    /// Whether whoever began the trace records it.
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }
}

impl FromStr for TraceParent {
    type Err = NotATraceParent;

    /// Version 00, and what later versions begin with (section 3.2.2).
    fn from_str(text: &str) -> Result<Self, NotATraceParent> {
        let mut parts = text.splitn(5, '-');
        let mut part = || parts.next().ok_or(NotATraceParent);
        let (version, trace, parent, flags) = (part()?, part()?, part()?, part()?);
        let [version] = bytes(version)?;
        let (trace, parent, [flags]) = (bytes::<16>(trace)?, bytes::<8>(parent)?, bytes(flags)?);
        let has_more = parts.next().is_some();
        if version == 0xff || (version == 0 && has_more) || trace == [0; 16] || parent == [0; 8] {
            return Err(NotATraceParent);
        }
        Ok(Self { trace: TraceId(trace), parent: SpanId(parent), flags: flags & (SAMPLED | RANDOM) })
    }
}

/// Hexadecimal digits in lower case, which the recommendation insists on.
fn bytes<const N: usize>(text: &str) -> Result<[u8; N], NotATraceParent> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(NotATraceParent),
    };
    if text.len() != 2 * N {
        return Err(NotATraceParent);
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(bytes)
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.parent, self.flags)
    }
}

impl Serialize for TraceParent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Work that something which came in began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// What led to it, outside.
    pub led_by: Option<SpanId>,
    /// What it leads to has this.
    pub here: TraceParent,
}

impl Begun {
    /// The trace that came along is gone on with. Without one, a trace is begun
    /// where somebody wants to see it.
    pub fn new(came: Option<TraceParent>, whose: [u8; 16], span: SpanId, is_exported: bool) -> Option<Self> {
        match came {
            Some(came) => Some(Self { led_by: Some(came.parent), here: came.child(span) }),
            None => is_exported.then(|| Self { led_by: None, here: TraceParent::own(whose, span) }),
        }
    }
}

/// Which side of an exchange a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Inside,
    /// It answers.
    Server,
    /// It asks.
    Client,
}

/// A piece of work that is done.
#[derive(Clone, Debug)]
pub struct Span {
    pub trace: TraceId,
    pub id: SpanId,
    pub parent: Option<SpanId>,
    pub name: String,
    pub side: Side,
    pub began: Timestamp,
    pub took: Duration,
    /// Names as log lines have them.
    pub fields: Vec<(&'static str, String)>,
    pub error: Option<String>,
}

/// A pipeline's run and, under it, each step's: one behind the other, because how
/// long each took is known and not when it began.
pub fn steps(under: TraceParent, whose: [u8; 16], run: u32, began: Timestamp, reports: &[StepReport]) -> Vec<Span> {
    if reports.is_empty() {
        return Vec::new();
    }
    let pipeline = SpanId::of("pipeline", whose, run);
    let mut spans = Vec::with_capacity(reports.len() + 1);
    let mut passed = Duration::ZERO;
    for (number, report) in (0_u32..).zip(reports) {
        let took = Duration::from_micros(report.duration_us);
        let id = SpanId::of("step", whose, run.wrapping_mul(1000).wrapping_add(number));
        spans.push(Span {
            trace: under.trace,
            id,
            parent: Some(pipeline),
            name: format!("step {}", report.plugin),
            side: Side::Inside,
            began: began + passed,
            took,
            fields: vec![
                ("plugin.name", report.plugin.to_string()),
                ("plugin.version", report.version.to_string()),
                ("fuel", report.fuel.to_string()),
            ],
            error: report.outcome.failure().map(str::to_owned),
        });
        passed += took;
    }
    spans.push(Span {
        trace: under.trace,
        id: pipeline,
        parent: Some(under.parent),
        name: "pipeline".to_owned(),
        side: Side::Inside,
        began,
        took: passed,
        fields: Vec::new(),
        error: None,
    });
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(text.parse::<TraceParent>().ok().map(|it| it.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn a_traceparent_is_read_as_the_recommendation_says() {
        check(GIVEN, Some(GIVEN));
        check(&GIVEN.replace("-01", "-00"), Some(&GIVEN.replace("-01", "-00")));
        // Flags that nobody has named yet are not passed on.
        check(&GIVEN.replace("-01", "-ff"), Some(&GIVEN.replace("-01", "-03")));
        check(&GIVEN.replace("00-4b", "cc-4b"), Some(GIVEN));
        check(&format!("{}-more", GIVEN.replace("00-4b", "cc-4b")), Some(GIVEN));
        check(&format!("{GIVEN}-more"), None);
        check(&format!("{GIVEN}-"), None);
        check(&GIVEN.replace("00-4b", "ff-4b"), None);
        check(&GIVEN.to_uppercase(), None);
        check(&GIVEN.replace("00f067aa0ba902b7", "0000000000000000"), None);
        check(&GIVEN.replace("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"), None);
        check(&GIVEN.replace("-01", ""), None);
        check(&GIVEN.replace("-01", "-1"), None);
        check(&GIVEN.replace("4bf92f", "4bf92ä"), None);
        check("", None);
    }

    #[test]
    fn of_two_traceparents_neither_is_believed() {
        let header = || Header { name: TRACEPARENT.to_owned(), value: GIVEN.to_owned() };
        assert_eq!(TraceParent::of(&[header()]), Some(GIVEN.parse().unwrap()));
        assert_eq!(TraceParent::of(&[header(), header()]), None);
        assert_eq!(TraceParent::of(&[]), None);
    }

    #[test]
    fn a_trace_goes_on_or_begins_where_it_is_wanted() {
        let (came, span) = (GIVEN.parse::<TraceParent>().unwrap(), SpanId::of("publish", [7; 16], 0));
        let begun = Begun::new(Some(came), [7; 16], span, false).unwrap();
        assert_eq!((begun.led_by, begun.here.trace, begun.here.parent), (Some(came.parent), came.trace, span));
        assert_eq!(Begun::new(None, [7; 16], span, false), None);
        let own = Begun::new(None, [7; 16], span, true).unwrap();
        assert_eq!((own.led_by, own.here.is_sampled()), (None, true));
        assert_eq!(own.here.to_string(), format!("00-{}-{span}-01", "07".repeat(16)));
    }

    #[test]
    fn the_same_work_is_the_same_span() {
        let of = |what, number| SpanId::of(what, [1; 16], number);
        assert_eq!(of("attempt", 1), of("attempt", 1));
        assert_ne!(of("attempt", 1), of("attempt", 2));
        assert_ne!(of("attempt", 1), of("step", 1));
    }
}
