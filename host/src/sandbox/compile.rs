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
            Self::Refused(reason) => f.write_str(reason),
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
    memory: u64,
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
    let allowance = [deadline.as_secs().max(1), memory];
    match tokio::time::timeout(deadline, converse(child, allowance, component)).await {
        Ok(compiled) => compiled,
        Err(_) => Err(CompileError::TooSlow(deadline)),
    }
}

async fn converse(mut child: Child, allowance: [u64; 2], component: &[u8]) -> Result<Compiled, CompileError> {
    let most = GROWTH * (component.len() as u64 + (1 << 20));
    let mut input = child.stdin.take().expect("its input is piped");
    let output = child.stdout.take().expect("its output is piped");
    let complaints = child.stderr.take().expect("its complaints are piped");
    let (mut output, mut complaints) = (output.take(most), complaints.take(MAX_REASON));
    let (mut code, mut reason) = (Vec::new(), Vec::new());
    let (_, got, _) = tokio::join!(
        async {
            // A child that has gone does not read; how it ended says why.
            let _ = input.write_all(allowance.map(u64::to_le_bytes).as_flattened()).await;
            let _ = input.write_all(component).await;
            drop(input);
        },
        output.read_to_end(&mut code),
        complaints.read_to_end(&mut reason),
    );
    let ended = child.wait().await.map_err(CompileError::NotStarted)?;
    match (ended.code(), got) {
        (Some(0), Ok(_)) if !code.is_empty() && (code.len() as u64) < most => Ok(Compiled::fresh(code)),
        (Some(code), _) if code == i32::from(REFUSED) => {
            Err(CompileError::Refused(String::from_utf8_lossy(&reason).trim().to_owned()))
        }
        _ => Err(CompileError::Crashed),
    }
}

/// The child's exit code when the component is at fault, and it says why.
const REFUSED: u8 = 3;

/// The other side: what the hidden subcommand runs. Reads its limits (processor
/// seconds and bytes of address space, eight bytes each) and a component, writes
/// all of the compiled code, or fails.
pub fn compile_child() -> ExitCode {
    let Ok(component) = read_allowance().and_then(confine).and_then(|()| read_component()) else {
        return ExitCode::FAILURE;
    };
    match precompile(&component) {
        Ok(code) => write_code(&code),
        Err(reason) => {
            // Nobody but the parent reads this, and it may have gone.
            let _ = io::stderr().write_all(reason.as_bytes());
            ExitCode::from(REFUSED)
        }
    }
}

fn read_allowance() -> io::Result<[u64; 2]> {
    let mut bytes = [[0; 8]; 2];
    io::stdin().lock().read_exact(bytes.as_flattened_mut())?;
    Ok(bytes.map(u64::from_le_bytes))
}

/// No more memory and time than allowed, no core file, no new files, and the
/// politeness to let plugins go first.
fn confine([seconds, memory]: [u64; 2]) -> io::Result<()> {
    let limit = |resource, most| setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    limit(Resource::Core, 0)?;
    limit(Resource::Cpu, seconds)?;
    limit(Resource::As, memory)?;
    limit(Resource::Fsize, 0)?;
    rustix::process::nice(10)?;
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    Ok(())
}

fn read_component() -> io::Result<Vec<u8>> {
    let mut component = Vec::new();
    io::stdin().lock().read_to_end(&mut component)?;
    Ok(component)
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
