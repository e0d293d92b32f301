//! Hooks on many functions that come from one list: one hook for all of them, where one attachment can serve them.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use bpf_probes::attach::{
    Duty, Exactness as Planned, ManyMechanism, ManyPlaces, ManyPlan, Sharing, can_share, plan_many,
};
use bpf_probes::kernel::KernelView;
use bpf_probes::spec::AttachSpec;

use super::{function, mechanism};
use crate::diagnostic::Report;
use crate::policy::{
    Action, ArgumentType, AttachPreference, Attachment, Convention, Exactness, Function, Hook, HookKey,
    HookKind, Means, Member, Policy, ResolvedHook, Role,
};

/// Some of a list's hooks, to be resolved as one.
#[derive(Debug)]
pub(super) struct Gathered<'h> {
    /// The hooks; they differ in their function only.
    hooks: Vec<(&'h Hook, &'h Function, HookKey)>,
    plan: ManyPlan,
}

/// Hooks of one entry of the policy, gathered as far as one attachment can serve them, and the rest.
pub(super) fn gather<'h>(
    policy: &Policy,
    hooks: &[&'h Hook],
    kernel: &KernelView,
) -> (Vec<Gathered<'h>>, Vec<&'h Hook>) {
    let (mut gathered, mut rest) = (Vec::new(), Vec::new());
    let mut kinds: [Vec<(&Hook, &Function, HookKey)>; 3] = Default::default();
    let can = hooks.len() > 1 && hooks.first().is_some_and(|hook| can_be_one_of_many(hook));
    for &hook in hooks {
        let (HookKind::Kprobe(function), true) = (&hook.kind.value, can) else {
            rest.push(hook);
            continue;
        };
        // what is wrong with one is said when it is resolved by itself
        let key = function::key(hook, function, kernel, &mut Report::default());
        let kind = match key.as_ref().map(|key| key.convention) {
            Some(Convention::Function) => 0,
            Some(Convention::Syscall { .. }) => 1,
            Some(Convention::Syscall32 { .. }) => 2,
            Some(Convention::Lsm | Convention::Tracepoint | Convention::RawTracepoint | Convention::User)
            | None => kinds.len(),
        };
        let key = key.filter(|key| can_share(&key.function, kernel));
        match (kinds.get_mut(kind), key) {
            (Some(kind), Some(key)) if kind.iter().all(|(.., other)| *other != key) => {
                kind.push((hook, function, key));
            }
            // the same once more
            (Some(_), Some(_)) => {}
            _ => rest.push(hook),
        }
    }
    let sharing = match policy.attach {
        AttachPreference::Planner => Sharing::Allowed,
        AttachPreference::Single => Sharing::Refused,
    };
    for (hooks, places) in
        kinds.into_iter().zip([ManyPlaces::Functions, ManyPlaces::Syscalls, ManyPlaces::Syscalls])
    {
        match plan_many(places, hooks.len(), sharing, kernel) {
            Some(plan) => gathered.push(Gathered { hooks, plan }),
            None => rest.extend(hooks.into_iter().map(|(hook, ..)| hook)),
        }
    }
    (gathered, rest)
}

/// Whether a hook only watches, and reads its arguments alike at every function.
fn can_be_one_of_many(hook: &Hook) -> bool {
    let watches = |duty: &Duty| matches!(duty, Duty::Report | Duty::Signal | Duty::ReadRegisters);
    let only_watches = mechanism::duties(hook).iter().all(watches);
    let is_alike = hook
        .arguments
        .iter()
        .all(|argument| argument.ty.value != ArgumentType::SockaddrUn && argument.size_index.is_none());
    // who tells an enforcer must come before it at the same function, which one program sees to
    let is_about = |action: &Action| {
        matches!(action, Action::NotifyEnforcer(_) | Action::CleanupEnforcerNotification | Action::Enforce(_))
    };
    let mut actions = hook.selectors.iter().flat_map(|selector| &selector.actions);
    // what is reached from arguments is another thing at each function
    let is_settled = hook.untyped.is_none();
    // limits of reports are by layout
    let is_limited = hook.selectors.iter().any(|selector| selector.post.limit.is_some());
    hook.means == Means::Any
        && only_watches
        && is_alike
        && is_settled
        && !is_limited
        && !actions.any(|action| is_about(&action.value))
}

impl Gathered<'_> {
    /// One of the hooks.
    pub(super) fn first(&self) -> Option<&Hook> {
        self.hooks.first().map(|(hook, ..)| *hook)
    }

    /// All of them as one hook, which is `first` made one of many. `None` when the report says what does not fit.
    pub(super) fn unite(
        &self,
        first: ResolvedHook,
        kernel: &KernelView,
        report: &mut Report,
    ) -> Option<ResolvedHook> {
        let mut fits = true;
        for (hook, place, key) in self.hooks.get(1..).unwrap_or_default() {
            fits &= function::fits(hook, place, key, kernel, report);
        }
        let symbols: Vec<String> = self.hooks.iter().map(|(.., key)| key.function.clone()).collect();
        let members = self.hooks.iter().map(|(.., key)| Member {
            function: key.function.clone(),
            number: match key.convention {
                Convention::Syscall { number } | Convention::Syscall32 { number } => Some(number),
                Convention::Function
                | Convention::Lsm
                | Convention::Tracepoint
                | Convention::RawTracepoint
                | Convention::User => None,
            },
        });
        let members = members.collect();
        let mut hasher = DefaultHasher::new();
        symbols.hash(&mut hasher);
        let name = format!("{} and {} more", first.key.function, symbols.len().saturating_sub(1));
        let key = HookKey {
            function: format!("{name} ({:016x})", hasher.finish()),
            convention: first.key.convention,
        };
        let target = match self.plan.mechanism {
            ManyMechanism::KprobeMulti => AttachSpec::KprobeMulti { symbols },
            ManyMechanism::SysEnter => AttachSpec::RawTracepoint { name: "sys_enter".to_owned() },
        };
        let exactness = match self.plan.exactness {
            Planned::Exact => Exactness::Exact,
            Planned::MayMiss => Exactness::CanMiss(self.plan.reason.clone()),
        };
        let attachment =
            Attachment { target, role: Role::Report, reason: self.plan.reason.clone(), exactness };
        let layout = crate::policy::RecordLayout { function_name: name, ..first.layout.clone() };
        fits.then(|| ResolvedHook { key, attachments: vec![attachment], layout, members, ..first })
    }
}
