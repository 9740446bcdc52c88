//! Threads for deliveries that waited in the store. What is fresh runs beside
//! them at the usual priority, so that whatever one tenant has waiting takes
//! the processors only where nobody else wants them.

use tokio::runtime::{Builder, Handle, Runtime};

/// With this the kernel gives a thread a tenth of what it gives to one of the
/// usual priority, where both want to run: retries come late under load, and
/// come.
const NICENESS: i32 = 10;

/// Its threads end with it.
pub(super) struct Background(Option<Runtime>);

impl Background {
    pub(super) fn start() -> Self {
        // Half the processors: with all of them busy, each step of a fresh event's
        // way would wait for somebody's slice of one to end.
        let threads = std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1));
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(threads).thread_name("background").on_thread_start(yield_to_others).enable_all();
        match builder.build() {
            Ok(runtime) => Self(Some(runtime)),
            Err(error) => {
                tracing::warn!(%error, "no threads for what waits: it is sent beside what is fresh");
                Self(None)
            }
        }
    }

    pub(super) fn handle(&self) -> Handle {
        self.0.as_ref().map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Waiting for the threads is not for whoever drives other tasks.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Where threads have a priority of their own.
fn yield_to_others() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::warn!(%error, "what waits is sent at the usual priority");
    }
}
