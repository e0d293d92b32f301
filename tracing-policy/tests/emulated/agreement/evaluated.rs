//! What the form between policy and bytecode makes of a call.

use std::collections::BTreeMap;

use bpf_probes::kernel::Namespace;
use tracing_policy::lower::{self, Purpose};
use tracing_policy::policy::{CapabilitySet, Family as Kept, Resolved};
use tracing_policy::{Rider, ir};

use super::CLASSES;
use super::calls::{self, Call, Family, Net};

/// All policies of a set on their hook.
pub(super) struct Hook(ir::Hook);

impl Hook {
    pub(super) fn of(policies: &[Resolved]) -> Self {
        let numbers: Vec<Vec<u32>> = (0..)
            .take(policies.len())
            .map(|policy| (policy * CLASSES..(policy + 1) * CLASSES).collect())
            .collect();
        let rider =
            |(policy, numbers): (&'_ Resolved, &'_ Vec<u32>)| (policy.hooks[0].clone(), numbers.clone());
        let owned: Vec<_> = policies.iter().zip(&numbers).map(rider).collect();
        let riders: Vec<Rider<'_>> = owned
            .iter()
            .map(|(hook, numbers)| Rider {
                hook,
                policy_number: 0,
                layout_number: 0,
                first_selector: 0,
                class_numbers: numbers,
            })
            .collect();
        Self(lower::hook(&riders, Purpose::Report))
    }

    /// For each policy that matches, its selector that acts.
    pub(super) fn evaluate(&self, policies: &[Resolved], call: &Call) -> Vec<(usize, usize)> {
        let classes =
            |family, known: bool| known.then(|| calls::classes(policies, call, family, CLASSES).collect());
        let call = ir::Call {
            values: self.0.reads.iter().map(|read| value(*read, call)).collect(),
            modes: self.0.reads.iter().map(|_| call.file.as_ref().map_or(0, |file| file.mode)).collect(),
            host_pid: call.tgid,
            own_pid: call.own_pid,
            task: task(call),
            classes: classes(Family::Own, call.known),
            parent_classes: classes(Family::Parent, call.parent_known),
            workload_classes: Vec::new(),
            monitored: Vec::new(),
        };
        let matched = self.0.evaluate(&call);
        let numbered = matched.iter().enumerate();
        numbered.filter_map(|(rider, selector)| Some((rider, usize::from((*selector)?.number)))).collect()
    }
}

fn value(read: ir::Read, call: &Call) -> ir::Value {
    let bytes = |text: &str| ir::Value::Bytes(text.as_bytes().to_vec());
    let number = |number: u64| match read.ty.family() {
        Kept::Number(ty) => ir::Value::Number(ty.from_register(number)),
        Kept::String | Kept::Path | Kept::Object(_) | Kept::Nothing => ir::Value::Error,
    };
    match read.index {
        0 => number(call.number),
        1 => call.text.as_deref().map_or(ir::Value::Error, bytes),
        // an empty path is that of a file without one
        2 => call
            .file
            .as_ref()
            .map_or(ir::Value::Error, |file| bytes(file.path.as_deref().unwrap_or_default())),
        3 => match &call.net {
            None => ir::Value::Error,
            Some(Net::Named(name)) => bytes(name),
            Some(Net::Described(subject)) => ir::Value::Network(*subject),
        },
        index => call.sets[usize::from(index) - 4].map_or(ir::Value::Error, number),
    }
}

/// The thread's numbers as tests look at them.
fn task(call: &Call) -> BTreeMap<ir::Subject, u64> {
    let sets = [CapabilitySet::Effective, CapabilitySet::Inheritable, CapabilitySet::Permitted];
    let mut task: BTreeMap<ir::Subject, u64> = BTreeMap::new();
    let before = call.recorded.as_ref().unwrap_or(&call.thread);
    let mut changed = 0;
    for kind in Namespace::ALL {
        let number = call.thread.namespaces[kind as usize];
        task.insert(ir::Subject::Namespace(kind), number.into());
        changed |= u64::from(number != before.namespaces[kind as usize]) << kind.index();
    }
    task.insert(ir::Subject::NamespacesChanged, changed);
    for set in sets {
        let bits = call.thread.capabilities[set as usize];
        task.insert(ir::Subject::Capabilities(set), bits);
        task.insert(ir::Subject::CapabilitiesChanged(set), bits ^ before.capabilities[set as usize]);
    }
    task
}
