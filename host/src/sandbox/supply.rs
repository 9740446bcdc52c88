//! How a plugin comes to be in memory: it is admitted, read from the compiled code
//! on the disk, or compiled again; and how it is forgotten.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::admit::{self, Admitted, Rejected};
use super::cache::{Compiled, CompiledDir};
use super::compile::{self, CompileError};
use super::places::Place;
use super::plugin::Plugin;
use super::{Sandbox, Shared, Unavailable, gate};
use crate::domain::pipeline::Pipeline;
use crate::domain::plugin::{Digest, Owner};

/// How long compiling may take where there is nobody to protect from: our own
/// components, and what was admitted before.
const PATIENCE: Duration = Duration::from_secs(600);

impl Sandbox {
    /// A place for a component that is to be admitted, before it is in memory.
    pub fn place(&self, owner: Owner) -> Result<Place, Rejected> {
        self.0.admitting.take(owner).ok_or(Rejected::Unavailable)
    }

    /// The gate for uploads. What passes is loaded, and compiled code is kept.
    pub async fn admit(&self, place: Place, component: Bytes) -> Result<Admitted, Rejected> {
        self.admit_within(place, component, self.0.limits.compile_deadline).await
    }

    /// The same for a component of our own, which waits for its place: neither a
    /// busy machine nor tenants' uploads must keep the server from having it.
    pub async fn admit_own(&self, component: Bytes) -> Result<Admitted, Rejected> {
        let place = self.0.admitting.wait().await.ok_or(Rejected::Unavailable)?;
        self.admit_within(place, component, PATIENCE).await
    }

    async fn admit_within(&self, _place: Place, component: Bytes, deadline: Duration) -> Result<Admitted, Rejected> {
        let (limits, bytes) = (Arc::clone(&self.0.limits), component.clone());
        let inspected = spawn_blocking(move || gate::inspect(&bytes, &limits).map(|jobs| (jobs, Digest::of(&bytes))));
        let (jobs, digest) = inspected.await.map_err(|_| Rejected::Unavailable)??;
        let (plugin, size, fresh) = self.prepare(digest, &component, deadline).await?;
        let (limits, examined) = (Arc::clone(&self.0.limits), Arc::clone(&plugin));
        let description = self
            .0
            .crew
            // Uploads are in one line, whosever they are: no tenant's events
            // wait for another one's.
            .run(Owner::House, move || admit::examine(&examined, &limits))
            .await
            .map_err(|_| Rejected::Unavailable)??;
        let compile_time = self.keep(digest, fresh).await;
        self.0.loaded().insert(digest, plugin, size);
        Ok(Admitted { digest, jobs, description, compile_time })
    }

    /// Has the compiled code of a component that was admitted before, making it
    /// again where it is not kept: after an update of this program.
    pub async fn ready(&self, digest: Digest) {
        if !self.0.compiled.has(digest)
            && let Err(unavailable) = self.plugin(digest).await
        {
            tracing::error!(plugin.digest = %digest, ?unavailable, "a plugin in use could not be made ready");
        }
    }

    /// Forgets a plugin that nobody has any more, and its compiled code; calls
    /// that run keep it until they end.
    pub async fn forget(&self, digest: Digest) {
        self.0.loaded().remove(digest);
        self.tidy(move |compiled| compiled.remove(digest)).await;
    }

    /// Forgets the compiled code of all others: what a crash, or an upload that
    /// came to nothing, left.
    pub async fn keep_only(&self, digests: HashSet<Digest>) {
        self.tidy(move |compiled| compiled.retain(&digests)).await;
    }

    async fn tidy(&self, work: impl FnOnce(&CompiledDir) -> io::Result<()> + Send + 'static) {
        let shared = Arc::clone(&self.0);
        if let Ok(Err(error)) = spawn_blocking(move || work(&shared.compiled)).await {
            // It takes room and does nothing else; the next start tries again.
            tracing::error!(%error, "compiled code that nobody has could not be deleted");
        }
    }

    /// The plugin: in memory, or from the compiled code on the disk, or compiled
    /// again.
    pub(super) async fn plugin(&self, digest: Digest) -> Result<Arc<Plugin>, Unavailable> {
        if let Some(plugin) = self.0.loaded().get(digest) {
            return Ok(plugin);
        }
        if let Some(plugin) = self.read(digest).await? {
            return Ok(plugin);
        }
        let _turn = self.0.recompiling.acquire().await.map_err(|_| Unavailable::Closed)?;
        // Somebody else may have wanted it, and had their turn before.
        if let Some(plugin) = self.read(digest).await? {
            return Ok(plugin);
        }
        let component = self.0.components.component(digest).await.ok_or(Unavailable::NotLoaded(digest))?;
        let prepared = self.prepare(digest, &component, PATIENCE).await;
        let (plugin, size, fresh) = prepared.map_err(|rejected| {
            tracing::error!(plugin.digest = %digest, error = %rejected, "a plugin does not compile any more");
            Unavailable::NotLoaded(digest)
        })?;
        self.keep(digest, fresh).await;
        self.0.loaded().insert(digest, plugin.clone(), size);
        Ok(plugin)
    }

    /// The plugin, in memory or on the disk.
    async fn read(&self, digest: Digest) -> Result<Option<Arc<Plugin>>, Unavailable> {
        let _turn = self.0.loading.acquire().await.map_err(|_| Unavailable::Closed)?;
        if let Some(plugin) = self.0.loaded().get(digest) {
            return Ok(Some(plugin));
        }
        let Some((plugin, size)) = self.cached(digest).await else { return Ok(None) };
        self.0.loaded().insert(digest, plugin.clone(), size);
        Ok(Some(plugin))
    }

    pub(super) async fn plugins(&self, pipeline: &Pipeline) -> Result<Vec<Arc<Plugin>>, Unavailable> {
        let mut plugins = Vec::with_capacity(pipeline.steps.len());
        for step in &pipeline.steps {
            plugins.push(self.plugin(step.digest).await?);
        }
        Ok(plugins)
    }

    /// The plugin and the size of its code, from what is kept, or compiled now.
    async fn prepare(
        &self,
        digest: Digest,
        component: &[u8],
        deadline: Duration,
    ) -> Result<(Arc<Plugin>, usize, Option<Fresh>), Rejected> {
        if let Some((plugin, size)) = self.cached(digest).await {
            return Ok((plugin, size, None));
        }
        let started = Instant::now();
        let compiled = {
            let _turn = self.0.compiling.acquire().await.map_err(|_| Rejected::Unavailable)?;
            compile::compile(&self.0.compiler, component, deadline, &self.0.limits).await
        };
        let compiled = compiled.map_err(|error| match error {
            CompileError::NotStarted(cause) => {
                tracing::error!(compiler = %self.0.compiler.display(), error = %cause, "the compiler does not start");
                Rejected::Unavailable
            }
            CompileError::Unprepared(why) => Rejected::Prepare(why),
            refused => Rejected::CompileFailed(refused.to_string()),
        })?;
        let took = started.elapsed();
        let shared = Arc::clone(&self.0);
        let linked = spawn_blocking(move || shared.link(&compiled).map(|plugin| (Arc::new(plugin), compiled)));
        let (plugin, code) = linked
            .await
            .map_err(|_| Rejected::Unavailable)?
            .map_err(|error| Rejected::Contract(format!("{error:#}")))?;
        Ok((plugin, code.size(), Some(Fresh { code, took })))
    }

    async fn cached(&self, digest: Digest) -> Option<(Arc<Plugin>, usize)> {
        let shared = Arc::clone(&self.0);
        let read = spawn_blocking(move || {
            let code = shared.compiled.read(digest)?;
            let linked = shared.link(&code).map(|plugin| (Arc::new(plugin), code.size()));
            linked
                .inspect_err(|error| tracing::warn!(plugin.digest = %digest, %error, "compiled code is of no use"))
                .ok()
        });
        read.await.ok().flatten()
    }

    /// Keeps code that was just compiled. Says how long compiling took.
    async fn keep(&self, digest: Digest, fresh: Option<Fresh>) -> Duration {
        let Some(Fresh { code, took }) = fresh else { return Duration::ZERO };
        let shared = Arc::clone(&self.0);
        let written = spawn_blocking(move || shared.compiled.write(digest, &code)).await;
        if let Ok(Err(error)) = written {
            // It is loaded all the same; the next start compiles it again.
            tracing::error!(plugin.digest = %digest, %error, "compiled code could not be kept");
        }
        took
    }
}

/// Code that is not on disk yet, and how long it took to make.
struct Fresh {
    code: Compiled,
    took: Duration,
}

impl Shared {
    fn link(&self, code: &Compiled) -> wasmtime::Result<Plugin> {
        Plugin::new(&self.engine, &code.load(&self.engine)?)
    }
}
