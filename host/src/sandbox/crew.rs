//! The threads that plugins run on, and the one that ends their epochs. Ours,
//! and not the runtime's: a plugin that spins keeps no request waiting.
//!
//! There are as many for short calls as there are cores, and as many again for
//! callers whose calls take long. The latter have a lower priority, so that the
//! kernel shares the cores in favour of the former and of everything else. Runs
//! that may wait have a thread each, with the lowest priority.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;
use wasmtime::Engine;

use super::Unavailable;
use super::engine::THREAD_STACK;
use super::patient::Room;
use super::queue::{Capacity, FairQueue, Lane, Ticket};
use crate::domain::plugin::Owner;

/// One epoch.
pub(super) const TICK: Duration = Duration::from_millis(5);

/// Ticks without work after which there are no more: waking a thread for each
/// call would cost more than a few ticks for nothing.
const PATIENCE: u32 = 200;

/// How much the threads of the slow lane step back, and those of runs that may
/// wait: there may be many of the latter, and not all of them wait.
const NICE: i32 = 5;
const NICE_PATIENT: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// Threads at work until this is dropped.
pub(super) struct Crew {
    shop: Arc<Shop>,
    threads: Vec<JoinHandle<()>>,
    room: Room,
}

/// What the threads share.
struct Shop {
    floor: Mutex<Floor>,
    /// For the quick lane and the slow.
    work: [Condvar; 2],
    ticks: Condvar,
}

struct Floor {
    queue: FairQueue<Owner, Job>,
    /// Threads that wait for work: there is nobody to be woken otherwise.
    resting: [usize; 2],
    /// Runs that may wait.
    patient: usize,
    served: u64,
    ticking: bool,
    closed: bool,
}

impl Crew {
    pub(super) fn start(engine: &Engine, threads: usize, capacity: Capacity) -> std::io::Result<Self> {
        let queue = FairQueue::new(capacity, is_slow);
        let floor = Floor { queue, resting: [0; 2], patient: 0, served: 0, ticking: false, closed: false };
        let shop =
            Arc::new(Shop { floor: Mutex::new(floor), work: [Condvar::new(), Condvar::new()], ticks: Condvar::new() });
        let mut crew = Self { shop, threads: Vec::new(), room: Room::new() };
        for number in 0..threads {
            let (quick, slow) = (Arc::clone(&crew.shop), Arc::clone(&crew.shop));
            crew.spawn(format!("sandbox-{number}"), move || quick.work(Lane::Quick))?;
            crew.spawn(format!("sandbox-slow-{number}"), move || {
                step_back(NICE);
                slow.work(Lane::Slow);
            })?;
        }
        let (shop, engine) = (Arc::clone(&crew.shop), engine.clone());
        crew.spawn("sandbox-ticks".to_owned(), move || shop.tick(&engine))?;
        Ok(crew)
    }

    fn spawn(&mut self, name: String, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let thread = thread::Builder::new().name(name).stack_size(THREAD_STACK).spawn(work)?;
        self.threads.push(thread);
        Ok(())
    }

    /// What `work` came to, on one of the threads and at `owner`'s expense.
    pub(super) async fn run<R: Send + 'static>(
        &self,
        owner: Owner,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Unavailable> {
        let (sender, receiver) = oneshot::channel();
        let job = move || {
            // Nobody waits any more: the request was given up.
            if !sender.is_closed() {
                // A receiver that has gone meanwhile does not want it either.
                let _ = sender.send(work());
            }
        };
        self.shop.push(owner, Box::new(job))?;
        // The sender is dropped without a word only when the host's own code
        // panicked or the crew is closing.
        receiver.await.map_err(|_| Unavailable::Closed)
    }

    /// Jobs that wait and jobs that run.
    pub(super) fn load(&self) -> (usize, usize) {
        let floor = self.shop.lock();
        (floor.queue.waiting(), floor.queue.running() + floor.patient)
    }

    /// The same for work that may wait for something else than a processor.
    pub(super) async fn run_patiently<R: Send + 'static>(
        &self,
        owner: Owner,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Unavailable> {
        let seat = self.room.enter(owner).await.ok_or(Unavailable::Busy)?;
        let (sender, receiver) = oneshot::channel();
        let shop = Arc::clone(&self.shop);
        let thread = thread::Builder::new().name("sandbox-patient".to_owned()).stack_size(THREAD_STACK);
        let started = thread.spawn(move || {
            step_back(NICE_PATIENT);
            shop.wait_along(|| {
                // A receiver that has gone meanwhile does not want it either.
                let _ = sender.send(work());
            });
            drop(seat);
        });
        if let Err(error) = started {
            tracing::error!(%error, "no thread for a run that may wait");
            return Err(Unavailable::Busy);
        }
        receiver.await.map_err(|_| Unavailable::Closed)
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.shop.lock().closed = true;
        self.shop.work.iter().for_each(Condvar::notify_all);
        self.shop.ticks.notify_all();
        // Not joined: a plugin may be running, and what it uses is shared.
        self.threads.clear();
    }
}

impl Shop {
    fn lock(&self) -> MutexGuard<'_, Floor> {
        // Nothing that can panic runs under the lock.
        self.floor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, owner: Owner, job: Job) -> Result<(), Unavailable> {
        let mut floor = self.lock();
        let lane = floor.queue.push(owner, job).map_err(|_| Unavailable::Busy)?;
        self.wake(floor, lane);
        Ok(())
    }

    /// Wakes a thread of `lane` when one rests and there is work for it.
    fn wake(&self, floor: MutexGuard<'_, Floor>, lane: Lane) {
        let wanted = floor.resting[lane as usize] > 0 && floor.queue.has_work(lane);
        drop(floor);
        if wanted {
            self.work[lane as usize].notify_one();
        }
    }

    /// Does a job beside the lanes.
    fn wait_along(&self, job: impl FnOnce()) {
        {
            let mut floor = self.lock();
            floor.patient += 1;
            self.begin(&mut floor);
        }
        attempt(job);
        self.lock().patient -= 1;
    }

    /// Counts a job that begins, and has somebody end its epochs.
    fn begin(&self, floor: &mut Floor) {
        floor.served += 1;
        if !floor.ticking {
            floor.ticking = true;
            self.ticks.notify_one();
        }
    }

    fn work(&self, lane: Lane) {
        while let Some((ticket, job)) = self.next(lane) {
            let before = processor_time();
            attempt(job);
            let spent = processor_time().saturating_sub(before);
            let mut floor = self.lock();
            floor.queue.finish(ticket, spent);
            // The owner may turn out to be slow, and to have more to do.
            self.wake(floor, lane.other());
        }
    }

    /// Waits for work, until the crew is closed.
    fn next(&self, lane: Lane) -> Option<(Ticket<Owner>, Job)> {
        let mut floor = self.lock();
        loop {
            if let Some(next) = floor.queue.pop(lane) {
                self.begin(&mut floor);
                return Some(next);
            }
            if floor.closed {
                return None;
            }
            floor.resting[lane as usize] += 1;
            floor = self.work[lane as usize].wait(floor).unwrap_or_else(PoisonError::into_inner);
            floor.resting[lane as usize] -= 1;
        }
    }

    fn tick(&self, engine: &Engine) {
        let (mut seen, mut idle) = (0, 0);
        loop {
            thread::park_timeout(TICK);
            engine.increment_epoch();

            let mut floor = self.lock();
            let busy = floor.served != seen || floor.queue.running() + floor.patient > 0;
            (seen, idle) = (floor.served, if busy { 0 } else { idle + 1 });
            if idle > PATIENCE {
                floor.ticking = false;
                while !floor.ticking && !floor.closed {
                    floor = self.ticks.wait(floor).unwrap_or_else(PoisonError::into_inner);
                }
                idle = 0;
            }
            if floor.closed {
                return;
            }
        }
    }
}

fn attempt(job: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(job)).is_err() {
        tracing::error!("the sandbox's own code panicked; the call was given up");
    }
}

/// Only uploads are the house's, and looking at one takes up to a hundred calls,
/// each as long as it may be: two such would hold all the quick threads for
/// seconds.
fn is_slow(owner: Owner) -> bool {
    owner == Owner::House
}

/// What this thread used. Waiting for a processor is nobody's fault.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Lowers this thread's priority, where threads have one of their own.
fn step_back(by: i32) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(by) {
        tracing::warn!(%error, "slow plugins run with the same priority as everything else");
    }
}

#[cfg(test)]
mod tests {
    use super::super::engine::{Role, engine};
    use super::*;

    fn crew(capacity: Capacity) -> Crew {
        let engine = engine(&Role::Compile).expect("an engine");
        Crew::start(&engine, 1, capacity).expect("threads")
    }

    #[tokio::test]
    async fn work_is_done_and_a_panic_costs_only_its_own_call() {
        let crew = crew(Capacity { per_owner: 8, total: 8 });
        assert_eq!(crew.run(Owner::House, || 7).await.expect("done"), 7);
        let panicked = crew.run(Owner::House, || assert_eq!(1, 2, "on purpose")).await;
        assert!(matches!(panicked, Err(Unavailable::Closed)));
        assert_eq!(crew.run(Owner::House, || 8).await.expect("done"), 8);
    }

    #[tokio::test]
    async fn what_finds_no_room_is_turned_away_at_once() {
        let crew = crew(Capacity { per_owner: 1, total: 1 });
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let (begun, running) = oneshot::channel();
        let first = crew.run(Owner::House, move || {
            let _ = begun.send(());
            gate.recv()
        });
        let rest = async {
            running.await.expect("the first call has begun");
            let second = crew.run(Owner::House, || ());
            let third = async {
                let turned_away = crew.run(Owner::House, || ()).await;
                go.send(()).expect("the first call waits");
                turned_away
            };
            tokio::join!(second, third)
        };
        let (first, (second, third)) = tokio::join!(first, rest);
        assert!(first.is_ok() && second.is_ok());
        assert!(matches!(third, Err(Unavailable::Busy)));
    }
}
