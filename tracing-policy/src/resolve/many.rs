//! Hooks on many functions that come from one list, or on many of one file: one hook for all of them, where one attachment can serve them.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use bpf_probes::attach::{
    CallEnd, Duty, Exactness as Planned, ManyMechanism, ManyPlaces, ManyPlan, Sharing, UserPlace, can_share,
    plan_many,
};
use bpf_probes::kernel::KernelView;
use bpf_probes::spec::AttachSpec;

use super::policy::Facts;
use super::user_code::UserCode;
use super::{function, mechanism, uprobe};
use crate::diagnostic::Report;
use crate::policy::{
    Action, ArgumentType, AttachPreference, Attachment, Convention, Exactness, Function, Hook, HookKey,
    HookKind, Means, Member, Policy, ResolvedHook, Role, Uprobe, UserAddress,
};

/// Some of an entry's hooks, to be resolved as one.
#[derive(Debug)]
pub(super) struct Gathered<'h> {
    /// The hook that is resolved.
    first: &'h Hook,
    /// The functions of the kernel that it has to fit beside the first one's.
    others: Vec<(&'h Hook, &'h Function, HookKey)>,
    members: Vec<Member>,
    target: AttachSpec,
    plan: ManyPlan,
}

/// Hooks of one entry of the policy, gathered as far as one attachment can serve them, and the rest.
pub(super) fn gather<'h>(
    policy: &Policy,
    hooks: &[&'h Hook],
    facts: Facts<'_>,
) -> (Vec<Gathered<'h>>, Vec<&'h Hook>) {
    let can = |first: &&&Hook| hooks.len() > 1 && can_be_one_of_many(first);
    match hooks.first().filter(can).map(|first| &first.kind.value) {
        Some(HookKind::Kprobe(_)) => gather_functions(policy, hooks, facts.kernel),
        Some(HookKind::Uprobe(uprobe)) => gather_places(policy, hooks, uprobe, facts),
        Some(HookKind::Lsm(_) | HookKind::Tracepoint(_) | HookKind::Usdt(_) | HookKind::Loader) | None => {
            (Vec::new(), hooks.to_vec())
        }
    }
}

fn gather_functions<'h>(
    policy: &Policy,
    hooks: &[&'h Hook],
    kernel: &KernelView,
) -> (Vec<Gathered<'h>>, Vec<&'h Hook>) {
    let (mut gathered, mut rest) = (Vec::new(), Vec::new());
    let mut kinds: [Vec<(&Hook, &Function, HookKey)>; 3] = Default::default();
    for &hook in hooks {
        let HookKind::Kprobe(function) = &hook.kind.value else {
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
    for (hooks, places) in
        kinds.into_iter().zip([ManyPlaces::Functions, ManyPlaces::Syscalls, ManyPlaces::Syscalls])
    {
        match plan_many(places, hooks.len(), sharing(policy.attach), kernel) {
            Some(plan) => gathered.extend(Gathered::functions(hooks, plan)),
            None => rest.extend(hooks.into_iter().map(|(hook, ..)| hook)),
        }
    }
    (gathered, rest)
}

/// Places of one file by symbols, so that events of each tell its own.
fn gather_places<'h>(
    policy: &Policy,
    hooks: &[&'h Hook],
    uprobe: &Uprobe,
    facts: Facts<'_>,
) -> (Vec<Gathered<'h>>, Vec<&'h Hook>) {
    let none = (Vec::new(), hooks.to_vec());
    let plan = |count| plan_many(ManyPlaces::InFile, count, sharing(policy.attach_user), facts.kernel);
    if plan(hooks.len()).is_none() {
        return none;
    }
    // what is wrong with the file is said when each is resolved by itself
    let Some(file) = uprobe::file(uprobe, facts.binaries) else { return none };
    let code = UserCode::of(file);
    code.prepare();
    let (mut places, mut rest, mut known) = (Vec::new(), Vec::new(), HashSet::new());
    for &hook in hooks {
        let HookKind::Uprobe(uprobe) = &hook.kind.value else { return none };
        let is_plain = matches!(uprobe.address, UserAddress::Symbol { .. })
            && uprobe.reference_counter == 0
            && uprobe::pointers(hook) == 0;
        match code.find(&uprobe.address) {
            Ok(offset) if is_plain => {
                let symbol = uprobe.address.to_string();
                if known.insert(symbol.clone()) {
                    places.push((hook, symbol, offset));
                }
            }
            Ok(_) | Err(_) => rest.push(hook),
        }
    }
    match plan(places.len()).zip(places.first()) {
        Some((plan, (first, _, offset))) => {
            let place =
                UserPlace { file: file.id, path: file.path.clone(), offset: *offset, reference_counter: 0 };
            let further = places.iter().skip(1).map(|(.., offset)| *offset).collect();
            let member = |(_, symbol, _): &(_, String, _)| Member { function: symbol.clone(), number: None };
            let members = places.iter().map(member).collect();
            let target = AttachSpec::UprobeMulti { place: Box::new(place), further, end: CallEnd::Entry };
            (vec![Gathered { first, others: Vec::new(), members, target, plan }], rest)
        }
        None => none,
    }
}

const fn sharing(attach: AttachPreference) -> Sharing {
    match attach {
        AttachPreference::Planner => Sharing::Allowed,
        AttachPreference::Single => Sharing::Refused,
    }
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

impl<'h> Gathered<'h> {
    fn functions(mut hooks: Vec<(&'h Hook, &'h Function, HookKey)>, plan: ManyPlan) -> Option<Self> {
        let first = hooks.first().map(|(hook, ..)| *hook)?;
        let members: Vec<Member> = hooks.iter().map(|(.., key)| member(key)).collect();
        let symbols = || members.iter().map(|member| member.function.clone()).collect();
        let target = match plan.mechanism {
            ManyMechanism::KprobeMulti => AttachSpec::KprobeMulti { symbols: symbols() },
            ManyMechanism::SysEnter => AttachSpec::RawTracepoint { name: "sys_enter".to_owned() },
            ManyMechanism::UprobeMulti => return None,
        };
        Some(Self { first, others: hooks.split_off(1), members, target, plan })
    }

    /// One of the hooks.
    pub(super) const fn first(&self) -> &'h Hook {
        self.first
    }

    /// All of them as one hook, which is `first` made one of many. `None` when the report says what does not fit.
    pub(super) fn unite(
        self,
        first: ResolvedHook,
        kernel: &KernelView,
        report: &mut Report,
    ) -> Option<ResolvedHook> {
        let mut fits = true;
        for (hook, place, key) in &self.others {
            fits &= function::fits(hook, place, key, kernel, report);
        }
        let mut hasher = DefaultHasher::new();
        self.target.hash(&mut hasher);
        self.members.iter().for_each(|member| member.function.hash(&mut hasher));
        let name = format!("{} and {} more", first.key.function, self.members.len().saturating_sub(1));
        let key = HookKey {
            function: format!("{name} ({:016x})", hasher.finish()),
            convention: first.key.convention,
        };
        let exactness = match self.plan.exactness {
            Planned::Exact => Exactness::Exact,
            Planned::MayMiss => Exactness::CanMiss(self.plan.reason.clone()),
        };
        let attachment =
            Attachment { target: self.target, role: Role::Report, reason: self.plan.reason, exactness };
        let layout = crate::policy::RecordLayout { function_name: name, ..first.layout.clone() };
        let members = self.members;
        fits.then(|| ResolvedHook { key, attachments: vec![attachment], layout, members, ..first })
    }
}

fn member(key: &HookKey) -> Member {
    let number = match key.convention {
        Convention::Syscall { number } | Convention::Syscall32 { number } => Some(number),
        Convention::Function
        | Convention::Lsm
        | Convention::Tracepoint
        | Convention::RawTracepoint
        | Convention::User => None,
    };
    Member { function: key.function.clone(), number }
}
