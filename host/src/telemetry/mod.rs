//! Logs: one wide line for each event received and each attempt, written where
//! the thing happened; this only says where lines go and in what form.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, thread};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

pub mod exposition;
pub mod otlp;
mod wide;

use wide::Wide;

/// Lines of the same moment are written together, at most this long after the
/// first of them: two system calls an event were a tenth of the host's CPU.
const TOGETHER: Duration = Duration::from_millis(20);
/// When this much waits, whoever logs writes it himself.
const MOST_WAITING: usize = 1024 * 1024;

/// Keeps the log going, and writes its end when it is dropped.
pub struct Telemetry(Option<Lines>);

/// Lines for people on a terminal, JSON for everything else. `HOOKYARD_LOG`
/// filters (`info`, `hookyard=debug`).
pub fn start() -> Telemetry {
    let filter = EnvFilter::try_from_env("HOOKYARD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let format = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    if io::stderr().is_terminal() {
        // An error here means that whoever embeds us has set up logging.
        let _already_set_up = format.with_writer(io::stderr).compact().try_init();
        return Telemetry(None);
    }
    let lines = Lines::default();
    let writing = lines.clone();
    if thread::Builder::new().name("log".to_owned()).spawn(move || writing.write_now_and_then()).is_err() {
        let _already_set_up = format.with_writer(io::stderr).event_format(Wide).try_init();
        return Telemetry(None);
    }
    let _already_set_up = format.with_writer(lines.clone()).event_format(Wide).try_init();
    Telemetry(Some(lines))
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(lines) = &self.0 {
            lines.write();
        }
    }
}

/// Lines that wait to be written to standard error.
#[derive(Clone, Default)]
struct Lines(Arc<(Mutex<Vec<u8>>, Condvar)>);

impl Lines {
    fn push(&self, line: &[u8]) {
        let (waiting, arrived) = &*self.0;
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend_from_slice(line);
        let (is_first, is_full) = (waiting.len() == line.len(), waiting.len() >= MOST_WAITING);
        drop(waiting);
        if is_first {
            arrived.notify_one();
        }
        if is_full {
            self.write();
        }
    }

    fn write_now_and_then(&self) {
        let (waiting, arrived) = &*self.0;
        loop {
            let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            drop(arrived.wait_while(waiting, |waiting| waiting.is_empty()));
            thread::park_timeout(TOGETHER);
            self.write();
        }
    }

    fn write(&self) {
        // Taken first, so that the order of lines is kept and nobody who logs
        // waits for the disk.
        let mut stderr = io::stderr().lock();
        let lines = std::mem::take(&mut *self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        // There is nowhere left to say that the log cannot be written.
        let _nowhere_to_say = stderr.write_all(&lines);
    }
}

/// One line.
struct Line(Lines);

impl io::Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(self.clone())
    }
}

/// An error with all its causes, for a log line.
pub struct Chain<'a>(pub &'a (dyn std::error::Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let next = error.to_string();
            // Some say their cause themselves.
            if !said.ends_with(&next) {
                write!(f, ": {next}")?;
            }
            said = next;
            cause = error.source();
        }
        Ok(())
    }
}
