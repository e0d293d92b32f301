//! Stages 4 and 5 together: the riders of a hook to the programs of its attachments.

use bpf_probes::builder::BuildError;
use bpf_probes::kernel::KernelView;
use bpf_probes::spec::{AttachSpec, CollectionSpec};

use crate::diagnostic::{Code, Diagnostic};
use crate::emit::{self, Body, Notes};
use crate::ir::SourceMap;
use crate::lower::{self, Purpose};
use crate::policy::{Attachment, Convention, Exactness, ResolvedHook, Role, Seat};
use crate::resolve;

/// A hook of one policy with the numbers that the daemon gave it.
#[derive(Clone, Copy, Debug)]
pub struct Rider<'a> {
    /// The hook.
    pub hook: &'a ResolvedHook,
    /// Index of the policy's mode in `bpf_probes::abi::Control::mode`.
    pub policy_number: u32,
    /// Number of the records' layout.
    pub layout_number: u32,
    /// Index of the first selector's counters in `bpf_probes::abi::Counters::selectors`.
    pub first_selector: u32,
    /// One for each of the hook's classes.
    pub class_numbers: &'a [u32],
}

/// The program of one attachment of a hook.
#[derive(Clone, Debug)]
pub struct CompiledBody {
    /// Where it runs, behind a stub.
    pub target: AttachSpec,
    /// What it does there.
    pub role: Role,
    /// Whether it sees every call there.
    pub exactness: Exactness,
    /// Why this mechanism.
    pub reason: String,
    /// The program "body", its maps, and the shared maps it needs.
    pub collection: CollectionSpec,
    /// What the origins of its instructions mean; riders are those given to [`compile_hook`].
    pub source_map: SourceMap,
}

/// All programs of a hook.
#[derive(Clone, Debug)]
pub struct CompiledHook {
    /// One a distinct attachment, in the order in which the riders name their targets, those of one target in the order in which they are to be attached.
    pub bodies: Vec<CompiledBody>,
}

/// Compiles all policies on one hook together: one program for each distinct attachment, with those riders in it that ask for it.
///
/// # Errors
/// What this kernel lacks, at the place of the first policy that needs it.
pub fn compile_hook(riders: &[Rider<'_>], kernel: &KernelView) -> Result<CompiledHook, Vec<Diagnostic>> {
    let mut bodies: Vec<CompiledBody> = Vec::new();
    let mut errors: Vec<Diagnostic> = both_ends(riders).into_iter().collect();
    for rider in riders {
        for attachment in &rider.hook.attachments {
            let seat = seat(riders, attachment);
            let same = |body: &CompiledBody| body.target == attachment.target && body.role.seat() == seat;
            if bodies.iter().any(same) {
                continue;
            }
            match body(riders, attachment, kernel) {
                Ok(body) => bodies.push(body),
                Err(error) => errors.push(error),
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let targets: Vec<AttachSpec> = bodies.iter().map(|body| body.target.clone()).collect();
    bodies.sort_by_key(|body| (targets.iter().position(|target| *target == body.target), body.role.seat()));
    Ok(CompiledHook { bodies })
}

/// The override of one policy that returns at once from a function that another wants to see return.
fn both_ends(riders: &[Rider<'_>]) -> Option<Diagnostic> {
    let in_user_space = |rider: &&Rider<'_>| rider.hook.key.convention == Convention::User;
    if !riders.iter().filter(in_user_space).any(|rider| rider.hook.returned.is_some()) {
        return None;
    }
    let mut selectors = riders.iter().flat_map(|rider| &rider.hook.selectors);
    let rewrite = selectors.find_map(|selector| selector.rewrite.as_ref().filter(|it| it.moves_stack()))?;
    Some(resolve::both_ends(rewrite))
}

/// The place of an attachment's program. Who only reports rides ahead of the program that overrides, where there is one.
fn seat(riders: &[Rider<'_>], attachment: &Attachment) -> Seat {
    let mut all = riders.iter().flat_map(|rider| &rider.hook.attachments);
    let is_ahead = |other: &Attachment| other.target == attachment.target && other.role.seat() == Seat::Ahead;
    let seat = attachment.role.seat();
    if seat == Seat::Entry && all.any(is_ahead) { Seat::Ahead } else { seat }
}

fn body(
    riders: &[Rider<'_>],
    attachment: &Attachment,
    kernel: &KernelView,
) -> Result<CompiledBody, Diagnostic> {
    let (target, its_seat) = (&attachment.target, seat(riders, attachment));
    let same = |other: &&Attachment| other.target == *target && seat(riders, other) == its_seat;
    let aboard = |rider: &Rider<'_>| rider.hook.attachments.iter().any(|other| same(&other));
    let all = riders.iter().flat_map(|rider| &rider.hook.attachments);
    let attachment = all.filter(same).max_by_key(|other| other.role).unwrap_or(attachment);
    let chosen: Vec<usize> =
        riders.iter().enumerate().filter(|(_, rider)| aboard(rider)).map(|(index, _)| index).collect();
    let span = chosen.first().and_then(|&first| riders.get(first)).map(|rider| rider.hook.span);
    let refuse =
        |message: String| Diagnostic::error(Code::NotOnThisKernel, span.unwrap_or_default(), message);
    let purpose = match attachment.role {
        Role::Report
        | Role::ReportAndOverride
        | Role::ReportAndKillDenied
        | Role::ReportAndNote
        | Role::ReportAndDeny => Purpose::Report,
        // only the first of them filters
        Role::Deny
        | Role::DenyNoted
        | Role::Forget
        | Role::ForgetAndKill
        | Role::Override
        | Role::TakeHash
        | Role::FaultIn { .. } => Purpose::Deny,
        Role::AskForHash => Purpose::Ask,
        Role::Return => Purpose::Return,
    };
    let Some(kind) = attachment.target.program_kind() else {
        return Err(refuse("nothing can be attached there".to_owned()));
    };
    let there: Vec<Rider<'_>> = chosen.iter().filter_map(|&index| riders.get(index)).copied().collect();
    let hook = lower::hook(&there, purpose);
    let Some(key) = there.first().map(|rider| &rider.hook.key) else {
        return Err(refuse("no policy asks for that".to_owned()));
    };
    let body =
        Body { target: &attachment.target, kind, role: attachment.role, purpose, notes: Notes::of(key) };
    let built: Result<CollectionSpec, BuildError> = match attachment.role {
        Role::DenyNoted => emit::returner(body, kernel),
        Role::Forget | Role::ForgetAndKill => emit::forgetter(body, kernel),
        Role::Override if key.convention == Convention::User => emit::rewriter(body, kernel),
        Role::Override => emit::overrider(body, kernel),
        Role::TakeHash => emit::take_hash(body, kernel),
        Role::FaultIn { arguments } => emit::fault_in(body, arguments, kernel),
        Role::Report
        | Role::ReportAndOverride
        | Role::ReportAndKillDenied
        | Role::ReportAndNote
        | Role::ReportAndDeny
        | Role::Return
        | Role::AskForHash
        | Role::Deny => emit::hook(&hook, body, kernel),
    };
    let collection = built
        .map_err(|error| refuse(format!("the program for {} cannot be built: {error}", attachment.target)))?;
    Ok(CompiledBody {
        target: attachment.target.clone(),
        role: attachment.role,
        exactness: attachment.exactness.clone(),
        reason: attachment.reason.clone(),
        collection,
        source_map: hook.places.for_riders(&chosen),
    })
}
