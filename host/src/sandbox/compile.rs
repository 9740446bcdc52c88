//! Compiling, in a process of its own: the compiler meets whatever a tenant
//! sent, and may be made to run for hours, to take all memory, or to crash. The
//! process has limits on all three, gets the component on its standard input,
//! and knows nothing else.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::cache::Compiled;
use super::engine::{self, Role};
use super::limits::Limits;
use super::snapshot;

/// Compiled code is three to five times as large as the component.
const GROWTH: u64 = 32;

/// What the compiler says of a component is kept to this many bytes.
const MAX_REASON: u64 = 4 << 10;

/// The hidden subcommand that runs [`compile_child`].
pub const SUBCOMMAND: &str = "compile";

/// Why there is no compiled code.
#[derive(Debug)]
pub(super) enum CompileError {
    /// The compiler did not take the component, and this is what it said.
    Refused(String),
    /// Its `prepare` did not come to an end that can be kept.
    Unprepared(String),
    /// It was killed by a signal, or ended without a word.
    Crashed,
    /// It did not end in time.
    TooSlow(Duration),
    /// It could not be started.
    NotStarted(io::Error),
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) | Self::Unprepared(reason) => f.write_str(reason),
            Self::Crashed => f.write_str("the compiler ran out of memory or crashed; make the component smaller"),
            Self::TooSlow(limit) => write!(f, "compiling took longer than {limit:?}; make the component smaller"),
            Self::NotStarted(error) => write!(f, "the compiler could not be started: {error}"),
        }
    }
}

/// Compiles `component` in a child process, which dies with this future.
pub(super) async fn compile(
    compiler: &Path,
    component: &[u8],
    deadline: Duration,
    limits: &Limits,
) -> Result<Compiled, CompileError> {
    let child = Command::new(compiler)
        .arg(SUBCOMMAND)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(CompileError::NotStarted)?;
    let allowance = Allowance {
        seconds: deadline.as_secs().max(1),
        address_space: limits.compile_memory,
        fuel: limits.fuel,
        memory: limits.memory as u64,
    };
    match tokio::time::timeout(deadline, converse(child, &allowance, component)).await {
        Ok(compiled) => compiled,
        Err(_) => Err(CompileError::TooSlow(deadline)),
    }
}

async fn converse(mut child: Child, allowance: &Allowance, component: &[u8]) -> Result<Compiled, CompileError> {
    // What `prepare` leaves in memory is in the code.
    let most = GROWTH * (component.len() as u64 + (1 << 20)) + allowance.memory;
    let mut input = child.stdin.take().expect("its input is piped");
    let output = child.stdout.take().expect("its output is piped");
    let complaints = child.stderr.take().expect("its complaints are piped");
    let (mut output, mut complaints) = (output.take(most), complaints.take(MAX_REASON));
    let (mut code, mut reason) = (Vec::new(), Vec::new());
    let (_, got, _) = tokio::join!(
        async {
            // A child that has gone does not read; how it ended says why.
            let _ = input.write_all(&allowance.to_bytes()).await;
            let _ = input.write_all(component).await;
            drop(input);
        },
        output.read_to_end(&mut code),
        complaints.read_to_end(&mut reason),
    );
    let ended = child.wait().await.map_err(CompileError::NotStarted)?;
    match (ended.code(), got) {
        (Some(0), Ok(_)) if !code.is_empty() && (code.len() as u64) < most => Ok(Compiled::fresh(code)),
        (Some(code), _) if code == i32::from(REFUSED) => Err(CompileError::Refused(text(&reason))),
        (Some(code), _) if code == i32::from(UNPREPARED) => Err(CompileError::Unprepared(text(&reason))),
        _ => Err(CompileError::Crashed),
    }
}

fn text(reason: &[u8]) -> String {
    String::from_utf8_lossy(reason).trim().to_owned()
}

/// The child's exit code when the component is at fault, and it says why.
const REFUSED: u8 = 3;
/// The same, when it is `prepare` that is at fault.
const UNPREPARED: u8 = 4;

/// What the child may use, sent before the component.
struct Allowance {
    /// Of the processor.
    seconds: u64,
    address_space: u64,
    /// What `prepare` may use.
    fuel: u64,
    memory: u64,
}

impl Allowance {
    fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let numbers = [self.seconds, self.address_space, self.fuel, self.memory];
        bytes.copy_from_slice(numbers.map(u64::to_le_bytes).as_flattened());
        bytes
    }

    fn read() -> io::Result<Self> {
        let mut bytes = [[0; 8]; 4];
        io::stdin().lock().read_exact(bytes.as_flattened_mut())?;
        let [seconds, address_space, fuel, memory] = bytes.map(u64::from_le_bytes);
        Ok(Self { seconds, address_space, fuel, memory })
    }

    fn limits(&self) -> Limits {
        let memory = usize::try_from(self.memory).unwrap_or(usize::MAX);
        Limits { fuel: self.fuel, memory, ..Limits::default() }
    }
}

/// The other side: what the hidden subcommand runs. Reads its allowance and a
/// component, writes all of the compiled code, or fails.
pub fn compile_child() -> ExitCode {
    let Ok((limits, component)) = receive() else { return ExitCode::FAILURE };
    let complain = |reason: String, code| {
        // Nobody but the parent reads this, and it may have gone.
        let _ = io::stderr().write_all(reason.as_bytes());
        ExitCode::from(code)
    };
    let prepared = match snapshot::take(&component, &limits) {
        Ok(prepared) => prepared.unwrap_or(component),
        Err(unprepared) => return complain(unprepared.to_string(), UNPREPARED),
    };
    match precompile(&prepared) {
        Ok(code) => write_code(&code),
        Err(reason) => complain(reason, REFUSED),
    }
}

fn receive() -> io::Result<(Limits, Vec<u8>)> {
    let allowance = Allowance::read()?;
    confine(&allowance)?;
    let mut component = Vec::new();
    io::stdin().lock().read_to_end(&mut component)?;
    Ok((allowance.limits(), component))
}

/// No more memory and time than allowed, no core file, no new files, and the
/// politeness to let plugins go first.
fn confine(allowance: &Allowance) -> io::Result<()> {
    let limit = |resource, most| setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    limit(Resource::Core, 0)?;
    limit(Resource::Cpu, allowance.seconds)?;
    limit(Resource::As, allowance.address_space)?;
    limit(Resource::Fsize, 0)?;
    rustix::process::nice(10)?;
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    Ok(())
}

fn precompile(component: &[u8]) -> Result<Vec<u8>, String> {
    let engine = engine::engine(&Role::Compile).map_err(|error| format!("{error:#}"))?;
    engine.precompile_component(component).map_err(|error| format!("{error:#}"))
}

fn write_code(code: &[u8]) -> ExitCode {
    let mut output = io::stdout().lock();
    match output.write_all(code).and_then(|()| output.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
