//! Metrics as Prometheus reads them: its text format, version 0.0.4.
//!
//! Written by hand: what is shown is counted anyway, in places of its own, and the
//! format is a name, labels and a number on a line. A registry of global counters
//! would be a second bookkeeping beside it.

use std::fmt::Write as _;

use crate::domain::meter::Distribution;

pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a metric's number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, until the next start.
    Counter,
    Gauge,
    Histogram,
}

/// A page of metrics.
#[derive(Default)]
pub struct Exposition(String);

/// A metric whose samples are being written.
pub struct Metric<'a> {
    page: &'a mut String,
    name: &'static str,
}

impl Exposition {
    pub fn into_text(self) -> String {
        self.0
    }

    pub fn counter(&mut self, name: &'static str, help: &str, value: f64) {
        self.metric(name, Kind::Counter, help).sample(&[], value);
    }

    pub fn gauge(&mut self, name: &'static str, help: &str, value: f64) {
        self.metric(name, Kind::Gauge, help).sample(&[], value);
    }

    pub fn histogram(&mut self, name: &'static str, help: &str, distribution: &Distribution) {
        let metric = self.metric(name, Kind::Histogram, help);
        let mut sum = 0;
        let bounds = distribution.bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(&distribution.counts) {
            sum += count;
            line(metric.page, (name, "_bucket"), &[("le", &bound)], sum as f64);
        }
        line(metric.page, (name, "_sum"), &[], distribution.sum);
        line(metric.page, (name, "_count"), &[], sum as f64);
    }

    /// A metric with samples of its own.
    pub fn metric(&mut self, name: &'static str, kind: Kind, help: &str) -> Metric<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a string does not fail.
        let _written = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Metric { page: &mut self.0, name }
    }
}

impl Metric<'_> {
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        line(self.page, (self.name, ""), labels, value);
    }
}

fn line(page: &mut String, (name, suffix): (&str, &str), labels: &[(&str, &str)], value: f64) {
    page.push_str(name);
    page.push_str(suffix);
    for (at, (label, text)) in labels.iter().enumerate() {
        let open = if at == 0 { '{' } else { ',' };
        let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _written = write!(page, "{open}{label}=\"{text}\"");
    }
    let close = if labels.is_empty() { "" } else { "}" };
    let _written = writeln!(page, "{close} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_prometheus_reads() {
        let mut page = Exposition::default();
        page.gauge("a_bytes", "How much.", 1.5);
        let mut metric = page.metric("b_total", Kind::Counter, "How often.");
        metric.sample(&[("route", "/v1/{id}"), ("status", "2xx")], 2.0);
        metric.sample(&[("route", "a\"b\\c\nd"), ("status", "5xx")], 3.0);
        let distribution = Distribution { bounds: &[0.5, 2.0], counts: vec![1, 2, 4], sum: 9.25 };
        page.histogram("c_seconds", "How long.", &distribution);
        let expected = r#"# HELP a_bytes How much.
# TYPE a_bytes gauge
a_bytes 1.5
# HELP b_total How often.
# TYPE b_total counter
b_total{route="/v1/{id}",status="2xx"} 2
b_total{route="a\"b\\c\nd",status="5xx"} 3
# HELP c_seconds How long.
# TYPE c_seconds histogram
c_seconds_bucket{le="0.5"} 1
c_seconds_bucket{le="2"} 3
c_seconds_bucket{le="+Inf"} 7
c_seconds_sum 9.25
c_seconds_count 7
"#;
        assert_eq!(page.into_text(), expected);
    }
}
