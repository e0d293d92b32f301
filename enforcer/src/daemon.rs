//! The daemon: configure, build, run, drain. The one file that knows all parts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use api::event::Node;
use bpf_probes::abi::map_name;
use bpf_probes::kernel::{FeatureSet, KernelView};
use bpf_probes::load::probe::{ProbeError, ProbeOptions, host_namespaces, kernel_view, kernel_view_by};
use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;
use tracing_policy::ir::RecordLayout;
use tracing_policy::source::SourceText;

use crate::config::{ExportSettings, PolicyDirectory, Settings};
use crate::host::{
    Cgroups, Info, InfoFile, PidFile, PidFileError, ProcessesInProc, RunDirError, make_run_dir, node_name,
};
use crate::kernel::{
    self, Base, BaseError, BaseSizes, Keep, KeepError, KernelCompiler, KernelPort, KnownKernel, SetupError,
    Types,
};
use crate::log::LevelControl;
use crate::metrics;
use crate::pipeline::{
    Config, HookLayout, Hub, Layouts, Pipeline, PipelineHandle, Replay, ScanError, Sources, SpawnError,
};
use crate::policy::source::{ReadError, read_directory, read_file};
use crate::policy::{
    Board, KeptError, KeptPolicies, LayoutSink, Policies, PolicyError, Restored, STATIC_DOMAIN, Store, World,
};
use crate::requests::Requests;
use crate::server::{
    self, BindError, BoundSocket, Containers, HealthServer, MAX_REQUEST, MetricsServer, Observed, Service,
};
use crate::shutdown::{Drain, Report};
pub use crate::sinks::ExportError;
use crate::sinks::{self, EventLog, SinkThread};

/// Why the daemon did not come up.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each names the part, whose error says the rest")]
pub enum StartError {
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    #[error(transparent)]
    PidFile(#[from] PidFileError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    Probe(#[from] ProbeError),
    #[error(transparent)]
    Kept(#[from] KeptError),
    #[error("the base programs: {0}")]
    Base(#[from] BaseError),
    #[error(transparent)]
    Scan(#[from] ScanError),
    #[error(transparent)]
    Pipeline(#[from] SpawnError),
    #[error("no thread could be started: {0}")]
    Thread(std::io::Error),
    #[error(transparent)]
    ReadPolicy(#[from] ReadError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Keep(#[from] KeepError),
    #[error("no event loop could be made: {0}")]
    Runtime(std::io::Error),
    #[error("{path} could not be written: {source}")]
    Info { path: PathBuf, source: std::io::Error },
}

/// A daemon whose parts run, except that its servers do not answer yet.
#[derive(Debug)]
pub struct Daemon {
    started: Instant,
    settings: Settings,
    sockets: Vec<BoundSocket>,
    metrics: Option<MetricsServer>,
    health: Option<HealthServer>,
    observed: Observed,
    kernel: Arc<KnownKernel>,
    features: FeatureSet,
    policies: Policies,
    log: Option<EventLog>,
    /// Processes that ran before.
    processes: usize,
    drain: Drain,
}

/// Everything that holds objects of the kernel or a thread.
#[derive(Debug)]
struct KernelSide {
    base: Base,
    pipeline: PipelineHandle,
    sinks: Vec<SinkThread>,
    log: Option<EventLog>,
    hub: Hub,
    layouts: Arc<Layouts>,
    requests: Option<Requests>,
    /// Processes that ran before.
    processes: usize,
}

/// Hands the compiler's layouts to the event path.
#[derive(Clone, Debug)]
struct SharedLayouts {
    layouts: Arc<Layouts>,
    /// Policies' requests are made.
    requests_are_made: bool,
}

impl LayoutSink for SharedLayouts {
    fn insert(&self, number: u32, layout: &RecordLayout) {
        if !self.requests_are_made && layout.requests.iter().any(|requests| !requests.is_empty()) {
            tracing::warn!(
                policy = layout.policy_name,
                hook = layout.function_name,
                "GetUrl and DnsLookup are reported but not carried out: --allow-policy-requests is not given"
            );
        }
        self.layouts.insert(number, HookLayout::from(layout));
    }

    fn remove(&self, number: u32) {
        self.layouts.remove(number);
    }
}

impl Daemon {
    /// Brings up all parts in order: what can be refused without loading anything comes first. After an error nothing is left behind.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn build(settings: Settings, started: Instant) -> Result<Self, StartError> {
        make_run_dir(&settings.run_dir)?;
        let pid_file = PidFile::take(&settings.run_dir.join("tetragon.pid"), std::process::id(), is_daemon)?;
        let texts = policy_texts(&settings)?;
        let kept = settings.kept_policies.as_deref().map(KeptPolicies::open).transpose()?;
        let sockets = settings.server.addresses.iter().map(server::bind).collect::<Result<Vec<_>, _>>()?;
        let metrics = settings.metrics.server.map(MetricsServer::bind).transpose()?;
        let health = settings.server.health.and_then(|it| HealthServer::bind(it).transpose()).transpose()?;
        kernel::prepare(settings.btf.as_deref())?;
        let view = Arc::new(kernel_facts(&settings)?);
        step(started, "the kernel is probed");
        let keep = Arc::new(Keep::open(&settings.keep, &view)?);
        let node = node(&settings);
        let KernelSide { base, pipeline, sinks, log, hub, layouts, requests, processes } =
            start_events(&settings, &view, &keep, Arc::clone(&node))?;
        step(started, "the base programs run");
        let board = Board::default();
        let features = view.facts().features.clone();
        let types = if settings.btf.is_some() { Types::File } else { Types::Kernel };
        let kernel = Arc::new(KnownKernel::new(view, types));
        let port = KernelPort::new(Arc::clone(&kernel), &base, settings.procfs.clone(), Arc::clone(&keep))?;
        let observed =
            Observed { requests, ..observed(&settings, &node, &base, &pipeline, &sinks, hub, board.clone()) };
        let compiler = KernelCompiler::new(Arc::clone(&kernel), &port);
        let world = World {
            port,
            compiler,
            processes: ProcessesInProc::new(settings.procfs.clone()),
            layouts: SharedLayouts { layouts, requests_are_made: observed.requests.is_some() },
        };
        let (policies, policy_thread) =
            Policies::start(move || Store::new(world, board), kept).map_err(StartError::Thread)?;
        let drain = Drain::new(pid_file, base, pipeline, sinks, policy_thread, keep);
        let daemon = Self {
            started,
            settings,
            sockets,
            metrics,
            health,
            observed,
            kernel,
            features,
            policies,
            log,
            processes,
            drain,
        };
        daemon.load(texts)
    }

    /// Loads the policies of files, all or none, then those of clients that were kept.
    fn load(self, texts: Vec<SourceText>) -> Result<Self, StartError> {
        let loaded =
            if texts.is_empty() { Ok(Vec::new()) } else { self.policies.add_files(STATIC_DOMAIN, texts) };
        match loaded.and_then(|_| self.policies.restore()) {
            Ok(Restored { restored, failed }) => {
                step(self.started, "the policies run");
                if restored + failed > 0 {
                    tracing::info!(restored, failed, "policies of clients are back");
                }
                Ok(self)
            }
            Err(error) => {
                self.drain.abandon();
                Err(error.into())
            }
        }
    }

    /// Serves until a signal asks for the end, then drains. Clients may change how much is logged by `level`.
    ///
    /// # Errors
    /// When the servers cannot be started.
    pub fn run(self, level: LevelControl) -> Result<Report, StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StartError::Runtime)?;
        let info = write_info(&self.settings, &self.sockets, self.metrics.as_ref())?;
        let report = runtime.block_on(self.serve(level));
        drop(info);
        runtime.shutdown_background();
        Ok(report)
    }

    async fn serve(self, level: LevelControl) -> Report {
        let stop = CancellationToken::new();
        let cgroups = Cgroups::of_machine(&self.settings.procfs);
        tracing::info!("cgroups: {cgroups}");
        let service = Service::new(
            self.observed.clone(),
            self.policies.clone(),
            Containers::new(cgroups),
            self.features.clone(),
            self.settings.describe(),
            self.settings.bounds.listener_queue,
            level,
        );
        let mut servers = tokio::task::JoinSet::new();
        for socket in self.sockets {
            tracing::info!("serving on {}", socket.address());
            match &socket {
                BoundSocket::Loopback(_) => tracing::warn!(
                    "{} is neither encrypted nor asks who connects: any user of this machine can",
                    socket.address()
                ),
                BoundSocket::Tls(_, tls) if tls.lets_anybody_in() => tracing::warn!(
                    "{} does not ask who connects: who reaches it can change policies; --server-tls-client-ca-files lets only \
                     clients with a certificate in",
                    socket.address()
                ),
                BoundSocket::Tls(..) | BoundSocket::Unix(_) => {}
            }
            servers.spawn(server::serve(service.clone(), self.log.clone(), socket, stop.clone()));
        }
        if let Some(metrics) = self.metrics {
            tracing::info!("metrics on http://{}/metrics", metrics.address());
            servers.spawn(metrics.serve(self.observed.clone(), stop.clone()));
        }
        if let Some(health) = self.health {
            tracing::info!("health service on {}", health.address());
            servers.spawn(health.serve(self.policies.clone(), stop.clone()));
        }
        tokio::spawn(metrics::watch(self.observed.clone(), stop.clone()));
        tokio::spawn(self.kernel.let_go_when_unused(stop.clone()));
        self.drain.take_over();
        let policies = self.observed.board.policies().len();
        let ready = || {
            let milliseconds = milliseconds_since(self.started);
            tracing::info!(policies, processes = self.processes, milliseconds, "enforcer ready");
            tell_supervisor(NotifyState::Ready);
        };
        self.drain.run(servers, stop, self.observed, ready).await
    }
}

/// Tells who started the daemon (systemd, for one) how far it is; nobody may have asked to be told.
pub(crate) fn tell_supervisor(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!("the supervisor could not be told: {error}");
    }
}

/// What the running kernel is and can do.
fn kernel_facts(settings: &Settings) -> Result<KernelView, StartError> {
    let options = ProbeOptions::default();
    let view = match &settings.btf {
        Some(path) => kernel_view_by(kernel::types_in(path)?, &options)?,
        None => kernel_view(&options)?,
    };
    tracing::info!("kernel {}: {}", view.release(), kernel::in_words(&view.facts().features));
    Ok(view.changed(|facts| facts.namespaces = host_namespaces(&settings.procfs)))
}

/// Says how far the start has come.
fn step(started: Instant, what: &str) {
    tracing::debug!(milliseconds = milliseconds_since(started), "{what}");
}

fn milliseconds_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Whether a process is a daemon of the other make, which locks no pid file.
fn is_daemon(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == "tetragon")
}

/// The texts of all policies that files bring, read before anything is loaded.
fn policy_texts(settings: &Settings) -> Result<Vec<SourceText>, ReadError> {
    let mut texts = match &settings.policy_dir {
        PolicyDirectory::Default(path) if path.is_dir() => read_directory(path)?,
        PolicyDirectory::Default(_) | PolicyDirectory::None => Vec::new(),
        PolicyDirectory::Named(path) => read_directory(path)?,
    };
    for file in &settings.policy_files {
        texts.push(read_file(file)?);
    }
    Ok(texts)
}

/// Loads and attaches the base programs, and starts the event path behind them.
fn start_events(
    settings: &Settings,
    view: &KernelView,
    keep: &Keep,
    node: Arc<Node>,
) -> Result<KernelSide, StartError> {
    let bounds = &settings.bounds;
    let sizes = BaseSizes {
        ring: bounds.ring_bytes,
        enforcement_ring: bounds.enforcement_ring_bytes,
        processes: bounds.kernel_processes,
        environment: settings.content.environment.read(),
        cgroup_rate: settings.cgroup_rate,
    };
    let hub = Hub::new();
    let (sinks, log) = match &settings.export {
        Some(export) => sinks::open(export, bounds.listener_queue, &hub, &node)?,
        None => (Vec::new(), None),
    };
    let mut base = Base::load(view, sizes)?;
    let sources = Sources {
        events: Box::new(base.ring(map_name::EVENTS)?),
        enforcement: Box::new(base.ring(map_name::ENFORCEMENT)?),
    };
    base.attach(keep)?;
    // From here on every new process is seen; those that were before come from proc.
    let mut replay = Replay::scan(&settings.procfs, settings.content.environment.read())?;
    let processes = base.introduce(&mut replay)?;
    let layouts = Arc::new(Layouts::default());
    let requests = settings.policy_requests.map(Requests::start).transpose().map_err(StartError::Thread)?;
    let config = Config { requests: requests.clone(), ..pipeline_config(settings, node) };
    let pipeline = Pipeline::spawn(config, sources, Arc::clone(&layouts), hub.clone(), replay)?;
    Ok(KernelSide { base, pipeline, sinks, log, hub, layouts, requests, processes })
}

/// What events say of this node.
fn node(settings: &Settings) -> Arc<Node> {
    let name = node_name(|variable| std::env::var_os(variable));
    Arc::new(Node { cluster_name: settings.cluster_name.as_str().into(), ..Node::named(&name) })
}

fn pipeline_config(settings: &Settings, node: Arc<Node>) -> Config {
    let defaults = Config::new(&node.name);
    Config {
        node,
        redaction: Arc::clone(&settings.redaction),
        process_entries: settings.bounds.processes,
        calls: settings.bounds.calls,
        process_credentials: settings.content.credentials,
        process_namespaces: settings.content.namespaces,
        stack_addresses: settings.content.stack_addresses,
        user_names: settings.content.user_names,
        environment: settings.content.environment.clone(),
        ancestors: settings.content.ancestors,
        gc_interval: settings.bounds.release_interval,
        data_entries: settings.bounds.long_values,
        count_events: settings.metrics.events,
        measure_latency: settings.metrics.latency,
        proc_root: settings.procfs.clone(),
        ..defaults
    }
}

fn observed(
    settings: &Settings,
    node: &Arc<Node>,
    base: &Base,
    pipeline: &PipelineHandle,
    sinks: &[SinkThread],
    hub: Hub,
    board: Board,
) -> Observed {
    Observed {
        board,
        hub,
        cells: Arc::clone(base.cells()),
        base: Arc::clone(base.collection()),
        base_exactness: base.exactness(),
        pipeline: pipeline.counters(),
        inspector: pipeline.inspector(),
        sinks: sinks.iter().map(|sink| (sink.name().to_owned(), Arc::clone(sink.counters()))).collect(),
        ring_bytes: [
            ("events", u64::from(settings.bounds.ring_bytes)),
            ("enforcement", u64::from(settings.bounds.enforcement_ring_bytes)),
        ],
        process_capacity: settings.bounds.processes,
        kernel_processes: settings.bounds.kernel_processes,
        long_values: settings.bounds.long_values,
        node: Arc::clone(node),
        event_labels: settings.metrics.labels,
        requests: None,
    }
}

/// Tells clients where the daemon is: the Unix socket, if there is one.
fn write_info(
    settings: &Settings,
    sockets: &[BoundSocket],
    metrics: Option<&MetricsServer>,
) -> Result<InfoFile, StartError> {
    let unix = sockets.iter().find(|socket| matches!(socket, BoundSocket::Unix(_)));
    let text = |path: Option<&Path>| path.map(|path| path.display().to_string()).unwrap_or_default();
    let info = Info {
        export_filename: text(settings.export.as_ref().and_then(ExportSettings::path)),
        btf: text(Some(settings.btf.as_deref().unwrap_or(Path::new(kernel::KERNEL_TYPES)))),
        server_address: unix.or(sockets.first()).map(BoundSocket::address).unwrap_or_default(),
        metrics_address: metrics.map(|metrics| metrics.address().to_string()).unwrap_or_default(),
        max_recv_size: MAX_REQUEST,
        pid: std::process::id(),
    };
    let path = settings.run_dir.join("tetragon-info.json");
    InfoFile::write(&path, &info).map_err(|source| StartError::Info { path, source })
}
