//! What the pipeline is told at its start.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use api::event::Node;
use api::filter::Redaction;

use super::ancestors::AncestorKinds;
use super::identify::ShownVariables;
use crate::requests::Requests;

/// Settings of a pipeline.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "settings that do not depend on each other")]
pub struct Config {
    /// Stands in every event.
    pub node: Arc<Node>,
    /// Name of the node in exec ids.
    pub exec_id_node: Box<str>,
    /// Processes that the table holds at most.
    pub process_entries: usize,
    /// Ended processes that the table keeps at most, so that late events find them.
    pub released_entries: usize,
    /// Time between two steps of the release of ended processes.
    pub gc_interval: Duration,
    /// Processes whose long arguments may be incomplete at a time.
    pub data_entries: usize,
    /// Calls under way whose return is waited for, at most.
    pub calls: usize,
    /// What of the arguments of processes is never stored.
    pub redaction: Arc<Redaction>,
    /// Events show capabilities and credentials.
    pub process_credentials: bool,
    /// Events show namespaces.
    pub process_namespaces: bool,
    /// Events show the addresses of stack frames.
    pub stack_addresses: bool,
    /// Events show the names of users.
    pub user_names: bool,
    /// Which variables of their environment events show of processes.
    pub environment: ShownVariables,
    /// Which events show the ancestors of their processes.
    pub ancestors: AncestorKinds,
    /// Events are counted by program and policy.
    pub count_events: bool,
    /// How long each record takes is measured.
    pub measure_latency: bool,
    /// How long records are read after a stop, at most.
    pub drain_limit: Duration,
    /// Where procfs is mounted.
    pub proc_root: PathBuf,
    /// Who makes the requests of policies, where that is allowed.
    pub requests: Option<Requests>,
}

impl Config {
    /// The defaults, for a node of this name.
    pub fn new(node_name: &str) -> Self {
        Self {
            node: Arc::new(Node::named(node_name)),
            exec_id_node: node_name.into(),
            process_entries: 65_536,
            released_entries: 1024,
            gc_interval: Duration::from_secs(30),
            data_entries: 1024,
            calls: 4096,
            redaction: Arc::default(),
            process_credentials: false,
            process_namespaces: false,
            stack_addresses: false,
            user_names: false,
            environment: ShownVariables::Hidden,
            ancestors: AncestorKinds::default(),
            count_events: true,
            measure_latency: false,
            drain_limit: Duration::from_secs(2),
            proc_root: PathBuf::from("/proc"),
            requests: None,
        }
    }
}
