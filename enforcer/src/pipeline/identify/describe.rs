//! What events show of a process.

use std::sync::Arc;

use api::event::{self, EnvironmentVariable, Namespace, Process, SharedProcess, Timestamp, text};
use api::filter::Redaction;
use api::name::{ProcessFlags, absolute_binary, arguments_of_nul_separated, exec_id};
use bpf_probes::abi::{Credentials, Namespaces, process_flag};

use super::environment::ShownVariables;
use super::proc::RunningProcess;
use super::table::{Incarnation, KERNEL, Known};
use super::users::Users;
use crate::pipeline::config::Config;
use crate::pipeline::enrich::{HostNamespaces, capabilities, container_id, credentials, namespaces};

/// What is known of a process, in the kernel's terms.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) id: Incarnation,
    /// [`process_flag`] bits.
    pub(super) flags: u32,
    /// The executable, maybe relative to `cwd`.
    pub(super) binary: &'a [u8],
    pub(super) cwd: &'a [u8],
    /// Without the first, each ended by NUL.
    pub(super) arguments: &'a [u8],
    /// Each variable ended by NUL.
    pub(super) environment: &'a [u8],
    pub(super) auid: u32,
    pub(super) credentials: &'a Credentials,
    pub(super) namespaces: &'a Namespaces,
    pub(super) cgroup: &'a [u8],
    pub(super) start: Timestamp,
}

/// Describes processes as the options say.
#[derive(Debug)]
pub(super) struct Describe {
    node: Box<str>,
    redaction: Arc<Redaction>,
    show_credentials: bool,
    show_namespaces: bool,
    environment: ShownVariables,
    users: Option<Users>,
    host: HostNamespaces,
    empty: Arc<str>,
}

impl Describe {
    pub(super) fn new(config: &Config, host: HostNamespaces) -> Self {
        Self {
            node: config.exec_id_node.clone(),
            redaction: Arc::clone(&config.redaction),
            show_credentials: config.process_credentials,
            show_namespaces: config.process_namespaces,
            environment: config.environment.clone(),
            users: config.user_names.then(|| Users::new(&config.proc_root)),
            host,
            empty: "".into(),
        }
    }

    /// The node's name in exec ids.
    pub(super) fn node(&self) -> &str {
        &self.node
    }

    /// Whether events show how privileges changed.
    pub(super) const fn shows_credentials(&self) -> bool {
        self.show_credentials
    }

    pub(super) fn exec_id(&self, id: Incarnation) -> Arc<str> {
        exec_id(&self.node, id.ktime, id.tgid).into()
    }

    /// `text`, sharing the memory of `like` where it is the same.
    fn share(&self, text: &str, like: Option<&Arc<str>>) -> Arc<str> {
        match like {
            _ if text.is_empty() => Arc::clone(&self.empty),
            Some(like) if **like == *text => Arc::clone(like),
            _ => text.into(),
        }
    }

    /// The process of these facts. Texts that `parent` has too are shared with it.
    pub(super) fn process(
        &mut self,
        facts: &Facts<'_>,
        parent: Option<&SharedProcess>,
        parent_exec_id: Arc<str>,
    ) -> Process {
        let cwd = text(facts.cwd);
        let cwd = if facts.flags & process_flag::ROOT_CWD != 0 { "/" } else { &*cwd };
        let binary = text(facts.binary);
        let binary = if binary.is_empty() { String::new() } else { absolute_binary(cwd, &binary) };
        let arguments = arguments_of_nul_separated(facts.arguments);
        let arguments = self.redaction.redact(&binary, &arguments).unwrap_or(arguments);
        let docker = container_id(facts.cgroup).unwrap_or_default();
        let environment = self
            .environment
            .variables(facts.environment, |variable| self.redaction.redact(&binary, variable));
        let environment = share_variables(environment, parent);
        Process {
            exec_id: self.exec_id(facts.id),
            pid: Some(facts.id.tgid),
            uid: Some(facts.credentials.euid),
            cwd: self.share(cwd, parent.map(|parent| &parent.cwd)),
            binary: self.share(&binary, parent.map(|parent| &parent.binary)),
            arguments: self.share(&arguments, None),
            flags: ProcessFlags::from_bits(facts.flags),
            start_time: Some(facts.start),
            auid: Some(facts.auid),
            pod: None,
            docker: self.share(docker, parent.map(|parent| &parent.docker)),
            parent_exec_id,
            cap: self.show_credentials.then(|| capabilities(facts.credentials)),
            ns: self.show_namespaces.then(|| namespaces(facts.namespaces, &self.host)),
            credentials: self.show_credentials.then(|| Box::new(credentials(facts.credentials))),
            user: self.user(facts),
            in_init_tree: Some(facts.flags & process_flag::IN_INIT_TREE != 0),
            environment,
        }
    }

    /// The name of the user, of processes that see users as the host does.
    fn user(&mut self, facts: &Facts<'_>) -> Option<Arc<str>> {
        let (own, host) = (facts.namespaces, &self.host);
        if own.user != host.user || own.mnt != host.mnt {
            return None;
        }
        self.users.as_mut()?.name(facts.credentials.euid)
    }

    /// A process found in procfs, to be known as `id`.
    pub(super) fn running(
        &mut self,
        running: &RunningProcess,
        id: Incarnation,
        parent: Option<Incarnation>,
        parent_exec_id: Arc<str>,
        start: Timestamp,
    ) -> Known {
        let mut flags = process_flag::PROC_FS;
        let cwd = running.cwd.as_deref();
        flags |= match cwd {
            Some(b"/") => process_flag::ROOT_CWD,
            Some(_) => 0,
            None => process_flag::NO_CWD,
        };
        if running.truncated {
            flags |= process_flag::TRUNCATED_ARGUMENTS;
        }
        if running.in_init_tree {
            flags |= process_flag::IN_INIT_TREE;
        }
        let facts = Facts {
            id,
            flags,
            binary: if running.kernel_thread { b"" } else { &running.binary },
            cwd: cwd.unwrap_or_default(),
            arguments: &running.arguments,
            environment: &running.environment,
            auid: running.auid,
            credentials: &running.credentials,
            namespaces: &running.namespaces,
            cgroup: &running.cgroup,
            start,
        };
        let mut process = self.process(&facts, None, parent_exec_id);
        if running.kernel_thread {
            // A name, not a path: it is not joined to the working directory.
            process.binary = text(&running.binary).into();
        }
        Known {
            process: SharedProcess::new(process),
            parent,
            shown_refcnt: 0,
            kernel_thread: running.kernel_thread,
        }
    }

    /// The pseudo process that stands for the kernel; it is its own parent.
    pub(super) fn kernel(&mut self, start: Timestamp) -> Known {
        let facts = Facts {
            id: KERNEL,
            flags: process_flag::PROC_FS,
            binary: b"",
            cwd: b"",
            arguments: b"",
            environment: b"",
            auid: u32::MAX,
            credentials: &Credentials::default(),
            namespaces: &Namespaces::default(),
            cgroup: b"",
            start,
        };
        let exec_id = self.exec_id(KERNEL);
        let mut process = self.process(&facts, None, exec_id);
        process.binary = "<kernel>".into();
        process.ns = self.show_namespaces.then(unnumbered_namespaces);
        Known {
            process: SharedProcess::new(process),
            parent: Some(KERNEL),
            shown_refcnt: 0,
            kernel_thread: false,
        }
    }
}

/// The same variables, sharing the memory of the parent's where they are equal.
fn share_variables(
    variables: Vec<EnvironmentVariable>,
    parent: Option<&SharedProcess>,
) -> Arc<[EnvironmentVariable]> {
    match parent {
        Some(parent) if *parent.environment == *variables => Arc::clone(&parent.environment),
        _ => variables.into(),
    }
}

/// The kernel's namespaces as upstream shows them: there, without a number; those of time are left out.
fn unnumbered_namespaces() -> event::Namespaces {
    let there = Some(Namespace::default());
    event::Namespaces {
        uts: there,
        ipc: there,
        mnt: there,
        pid: there,
        pid_for_children: there,
        net: there,
        time: None,
        time_for_children: None,
        cgroup: there,
        user: there,
    }
}
