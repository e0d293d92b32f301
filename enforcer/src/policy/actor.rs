//! The thread on which policies change, and the handle that others ask it through.
//!
//! Loading compiles and waits for the verifier, so it has a thread of its own; requests are taken one after the other.

use std::io;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};
use tracing_policy::policy::{Mode, Workload};
use tracing_policy::source::SourceText;

use super::classes::ProcessList;
use super::compiler::Compiler;
use super::durable::{Durable, Keep, Restored};
use super::failure::PolicyError;
use super::identity::Identity;
use super::kept::KeptPolicies;
use super::port::{CellPort, ClassPort, HookPort};
use super::store::{LayoutSink, Store};
use super::workloads::ContainerCgroup;

/// Requests that wait for the thread at most; further clients wait for room.
const QUEUE: usize = 64;

type Reply<T> = oneshot::Sender<Result<T, PolicyError>>;

enum Request {
    Add { domain: String, sources: Vec<SourceText>, keep: Keep, reply: Reply<Vec<Identity>> },
    Restore { reply: Reply<Restored> },
    Remove { identity: Identity, reply: Reply<()> },
    Configure { identity: Identity, enable: Option<bool>, mode: Option<Mode>, reply: Reply<()> },
    AddWorkload { cgroup: ContainerCgroup, workload: Workload, reply: Reply<()> },
    RemoveWorkload { cgroup: u64, reply: Reply<()> },
    Stop,
}

/// Asks for changes of policies. Clones ask the same thread.
#[derive(Clone, Debug)]
pub struct Policies {
    requests: mpsc::Sender<Request>,
}

/// The thread; [`PolicyThread::stop`] ends it.
#[derive(Debug)]
pub struct PolicyThread {
    requests: mpsc::Sender<Request>,
    thread: JoinHandle<()>,
}

impl Policies {
    /// Starts the thread. `make` makes the store on it; policies of clients outlive the daemon in `kept`.
    ///
    /// # Errors
    /// When no thread can be made.
    pub fn start<P, C, L, S>(
        make: impl FnOnce() -> Store<P, C, L, S> + Send + 'static,
        kept: Option<KeptPolicies>,
    ) -> io::Result<(Self, PolicyThread)>
    where
        P: HookPort + ClassPort + CellPort,
        C: Compiler,
        L: ProcessList,
        S: LayoutSink,
    {
        let (requests, waiting) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("policies".to_owned())
            .spawn(move || serve(Durable::new(make(), kept), waiting))?;
        Ok((Self { requests: requests.clone() }, PolicyThread { requests, thread }))
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, PolicyError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_stopped| PolicyError::Stopping)?;
        answer.await.map_err(|_stopped| PolicyError::Stopping)?
    }

    /// Whether there is still somebody who serves requests.
    pub fn are_served(&self) -> bool {
        !self.requests.is_closed()
    }

    /// Adds policies of a client, all or none; they are kept.
    ///
    /// # Errors
    /// See [`PolicyError`].
    pub async fn add(&self, domain: &str, sources: Vec<SourceText>) -> Result<Vec<Identity>, PolicyError> {
        let domain = domain.to_owned();
        self.ask(|reply| Request::Add { domain, sources, keep: Keep::Yes, reply }).await
    }

    /// Adds policies of files, all or none, from a thread that is not on the runtime.
    ///
    /// # Errors
    /// See [`PolicyError`].
    pub fn add_files(&self, domain: &str, sources: Vec<SourceText>) -> Result<Vec<Identity>, PolicyError> {
        let domain = domain.to_owned();
        self.ask_blocking(|reply| Request::Add { domain, sources, keep: Keep::No, reply })
    }

    /// Brings back the policies of clients that were kept, from a thread that is not on the runtime. One that cannot be harms no other.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn restore(&self) -> Result<Restored, PolicyError> {
        self.ask_blocking(|reply| Request::Restore { reply })
    }

    fn ask_blocking<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, PolicyError> {
        let (reply, answer) = oneshot::channel();
        self.requests.blocking_send(request(reply)).map_err(|_stopped| PolicyError::Stopping)?;
        answer.blocking_recv().map_err(|_stopped| PolicyError::Stopping)?
    }

    /// Removes a policy.
    ///
    /// # Errors
    /// See [`PolicyError`].
    pub async fn remove(&self, identity: Identity) -> Result<(), PolicyError> {
        self.ask(|reply| Request::Remove { identity, reply }).await
    }

    /// Enables or disables a policy, and changes its mode, in this order.
    ///
    /// # Errors
    /// See [`PolicyError`].
    pub async fn configure(
        &self,
        identity: Identity,
        enable: Option<bool>,
        mode: Option<Mode>,
    ) -> Result<(), PolicyError> {
        self.ask(|reply| Request::Configure { identity, enable, mode, reply }).await
    }

    /// Tells of a container of a pod: what scopes of policies choose by. When this returns, programs know it.
    ///
    /// # Errors
    /// See [`PolicyError`].
    pub async fn add_workload(&self, cgroup: ContainerCgroup, workload: Workload) -> Result<(), PolicyError> {
        self.ask(|reply| Request::AddWorkload { cgroup, workload, reply }).await
    }

    /// Tells that the container with this cgroup is gone.
    ///
    /// # Errors
    /// See [`PolicyError`].
    pub async fn remove_workload(&self, cgroup: u64) -> Result<(), PolicyError> {
        self.ask(|reply| Request::RemoveWorkload { cgroup, reply }).await
    }
}

impl PolicyThread {
    /// Ends the thread after the requests before, and with it all policies: their programs are detached when this returns.
    ///
    /// # Errors
    /// When the thread panicked.
    pub fn stop(self) -> std::thread::Result<()> {
        // A thread that is gone already has nothing to stop.
        if self.requests.blocking_send(Request::Stop).is_err() {
            tracing::debug!("the policy thread had ended");
        }
        self.thread.join()
    }
}

fn serve<P, C, L, S>(mut policies: Durable<P, C, L, S>, mut waiting: mpsc::Receiver<Request>)
where
    P: HookPort + ClassPort + CellPort,
    C: Compiler,
    L: ProcessList,
    S: LayoutSink,
{
    while let Some(request) = waiting.blocking_recv() {
        // A client that did not wait for its answer has none.
        let heard = match request {
            Request::Add { domain, sources, keep, reply } => {
                reply.send(policies.add(&domain, &sources, keep)).is_ok()
            }
            Request::Restore { reply } => reply.send(policies.restore()).is_ok(),
            Request::Remove { identity, reply } => reply.send(policies.remove(&identity)).is_ok(),
            Request::Configure { identity, enable, mode, reply } => {
                reply.send(policies.configure(&identity, enable, mode)).is_ok()
            }
            Request::AddWorkload { cgroup, workload, reply } => {
                reply.send(policies.store().add_workload(cgroup, workload)).is_ok()
            }
            Request::RemoveWorkload { cgroup, reply } => {
                reply.send(policies.store().remove_workload(cgroup)).is_ok()
            }
            Request::Stop => return,
        };
        if !heard {
            tracing::debug!("a client left before its policy request was done");
        }
    }
}
