//! Hooks × recorded kernels → mechanisms.

#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "tests")]

use super::{Duty, Exactness, Hook, Plan, PlanError, Sensor, plan};
use crate::kernel::{ActiveLsms, Answer, Feature, KernelView, Preemption, Symbols, SyscallName, recorded};

const REPORT: &[Duty] = &[Duty::Report];
const OVERRIDE: &[Duty] = &[Duty::Report, Duty::Override];

fn syscall(name: &str, due: &[Duty]) -> Hook {
    Hook::syscall(SyscallName::parse(name).unwrap(), due)
}

/// `kprobe security_file_open: Decide | …`, with a `?` before it when calls may be missed.
fn shown(plan: &Plan) -> String {
    let each: Vec<_> = plan.attachments.iter().map(|a| format!("{}: {:?}", a.mechanism, a.role)).collect();
    let mark = if plan.exactness == Exactness::MayMiss { "? " } else { "" };
    format!("{mark}{}", each.join(" | "))
}

#[track_caller]
fn expect(hook: &Hook, kernel: &KernelView, expected: &str) {
    assert_eq!(shown(&plan(hook, kernel).unwrap()), expected, "{hook:?} on {}", kernel.release());
}

#[track_caller]
fn refused(hook: &Hook, kernel: &KernelView) -> (PlanError, String) {
    let error = plan(hook, kernel).unwrap_err();
    let text = error.to_string();
    (error, text)
}

#[test]
fn reports_and_signals_on_a_function_take_a_kprobe() {
    let hook = Hook::function("security_file_open", &[Duty::Report, Duty::Signal]);
    for folder in ["5.10", "6.1", "6.12", "7.2"] {
        expect(&hook, &recorded(folder), "kprobe security_file_open: Decide");
    }
}

#[test]
fn a_denial_takes_lsm_where_it_is_active_and_fmod_ret_where_it_is_not() {
    let hook = Hook::function("security_file_open", OVERRIDE);
    expect(&hook, &recorded("5.10"), "fmod_ret security_file_open: DecideAndDeny");
    for folder in ["6.1", "6.12", "7.2"] {
        expect(&hook, &recorded(folder), "kprobe security_file_open: Decide | lsm file_open: Deny");
    }
    let only_override = Hook::function("security_file_open", &[Duty::Override]);
    expect(&only_override, &recorded("7.2"), "lsm file_open: Deny");
    let renamed = Hook::function("security_bprm_check", &[Duty::Override]);
    expect(&renamed, &recorded("6.12"), "lsm bprm_check_security: Deny");
}

#[test]
fn a_kernel_that_hides_its_active_modules_is_taken_for_one_without_lsm() {
    let hook = Hook::function("security_file_open", OVERRIDE);
    let kernel = recorded("6.12").changed(|facts| facts.lsms = None);
    expect(&hook, &kernel, "fmod_ret security_file_open: DecideAndDeny");
}

#[test]
fn a_preemptible_kernel_without_lsm_kills_who_got_through() {
    let hook = Hook::function("security_file_open", OVERRIDE);
    let kernel = recorded("6.12").changed(|facts| {
        facts.preemption = Preemption::Full;
        facts.lsms = Some(ActiveLsms::parse("capability,apparmor"));
    });
    expect(
        &hook,
        &kernel,
        "? kprobe security_file_open: NoteDenial | fmod_ret security_file_open: ReturnNoted \
         | kretprobe security_file_open: KillEscaped",
    );
    let full = recorded("6.12").changed(|facts| facts.preemption = Preemption::Full);
    expect(&hook, &full, "kprobe security_file_open: Decide | lsm file_open: Deny");
    let unknown = recorded("5.10").changed(|facts| facts.preemption = Preemption::Unknown);
    assert_eq!(plan(&hook, &unknown).unwrap().exactness, Exactness::MayMiss);
}

#[test]
fn a_hook_with_other_parameters_than_its_function_is_told_what_to_return() {
    let hook = Hook::function("security_inode_rename", OVERRIDE);
    let expected = "kprobe security_inode_rename: NoteDenial | lsm inode_rename: ReturnNoted";
    expect(&hook, &recorded("6.12"), expected);
}

#[test]
fn returns_take_fexit_where_trampolines_are_exact_and_a_kretprobe_elsewhere() {
    let hook = Hook::function("vfs_open", &[Duty::Report, Duty::ReportReturn]);
    let pair = "fentry vfs_open: Decide | fexit vfs_open: ReportReturn";
    for folder in ["5.10", "6.1", "6.12"] {
        expect(&hook, &recorded(folder), pair);
    }
    expect(&hook, &recorded("7.2"), "? kprobe vfs_open: Decide | kretprobe vfs_open: ReportReturn");
    // trampolines show no registers
    let registers = Hook::function("vfs_open", &[Duty::Report, Duty::ReportReturn, Duty::ReadRegisters]);
    expect(&registers, &recorded("6.12"), "? kprobe vfs_open: Decide | kretprobe vfs_open: ReportReturn");
    let denied = Hook::function("security_file_open", &[Duty::Report, Duty::Override, Duty::ReportReturn]);
    let expected = "? kprobe security_file_open: Decide | lsm file_open: Deny | kretprobe security_file_open: ReportReturn";
    expect(&denied, &recorded("6.12"), expected);
    let without = recorded("6.12").changed(|facts| {
        facts.features.set_no(Feature::Kprobe);
        facts.preemption = Preemption::Full;
    });
    expect(&hook, &without, &format!("? {pair}"));
    let neither = recorded("6.12").changed(|facts| {
        facts.features.set_no(Feature::Kprobe);
        facts.features.set_no(Feature::Fentry);
    });
    assert!(matches!(refused(&hook, &neither).0, PlanError::NoTracing { .. }));
}

#[test]
fn fentries_are_what_they_say_where_that_misses_no_call_and_kprobes_elsewhere() {
    let hook = Hook::fentry("vfs_open", None, REPORT);
    for folder in ["5.10", "6.1", "6.12"] {
        expect(&hook, &recorded(folder), "fentry vfs_open: Decide");
    }
    expect(&hook, &recorded("7.2"), "kprobe vfs_open: Decide");
    let reasons: Vec<String> =
        plan(&hook, &recorded("7.2")).unwrap().reasons.iter().map(ToString::to_string).collect();
    assert!(reasons.iter().any(|reason| reason.contains("skip calls")), "{reasons:?}");
    let call = SyscallName::parse("sys_openat").unwrap();
    let hook = Hook::fentry(call.symbol(), Some(call), &[Duty::Report, Duty::ReportReturn]);
    let pair = "fentry __x64_sys_openat: Decide | fexit __x64_sys_openat: ReportReturn";
    expect(&hook, &recorded("6.1"), pair);
    expect(&hook, &recorded("6.18"), "raw_tp sys_enter: Decide | raw_tp sys_exit: ReportReturn");
}

#[test]
fn returns_of_system_calls_take_the_exit_that_misses_none() {
    let hook = syscall("sys_openat", &[Duty::Report, Duty::ReportReturn]);
    let fexit = "kprobe __x64_sys_openat: Decide | fexit __x64_sys_openat: ReportReturn";
    for folder in ["5.10", "6.1", "6.12"] {
        expect(&hook, &recorded(folder), fexit);
    }
    let full = recorded("6.12").changed(|facts| facts.preemption = Preemption::Full);
    expect(&hook, &full, "kprobe __x64_sys_openat: Decide | raw_tp sys_exit: ReportReturn");
    let expected = "? kprobe __x64_sys_openat: Decide | kretprobe __x64_sys_openat: ReportReturn";
    expect(&hook, &recorded("7.2"), expected);
}

#[test]
fn a_function_that_cannot_be_made_to_fail_names_one_that_can() {
    let (error, text) = refused(&Hook::function("vfs_open", OVERRIDE), &recorded("6.12"));
    assert!(matches!(error, PlanError::NoDenial { .. }));
    assert!(text.contains("hook security_file_open"), "{text}");
    let injectable = recorded("6.12").changed(|facts| {
        facts.features.set(Feature::OverrideReturn, Answer::Yes);
        facts.error_injectable = Some(Symbols::from_names(["vfs_open"]));
    });
    let expected = "kprobe+override_return vfs_open: DecideAndDeny";
    expect(&Hook::function("vfs_open", OVERRIDE), &injectable, expected);
}

#[test]
fn a_function_that_does_not_exist_is_an_error_with_names_like_it() {
    let (error, text) = refused(&Hook::function("security_file_opne", REPORT), &recorded("6.12"));
    assert!(matches!(error, PlanError::NoFunction { .. }));
    assert!(text.contains("it has security_file_open"), "{text}");
}

#[test]
fn a_kernel_that_cannot_trace_functions_says_so_and_names_system_calls() {
    let (error, text) = refused(&Hook::function("security_file_open", REPORT), &recorded("6.18"));
    assert!(matches!(error, PlanError::NoTracing { .. }));
    assert!(text.contains("kprobe: no; fentry: refused: ") && text.contains("not permitted"), "{text}");
    assert!(text.contains("sys_openat"), "{text}");
    let denial = Hook::function("security_file_open", OVERRIDE);
    let (_, text) = refused(&denial, &recorded("6.18"));
    assert!(text.contains("fmod_ret: refused"), "{text}");
    assert!(text.contains("use Sigkill on a system call that leads there: sys_open, sys_openat"), "{text}");
}

#[test]
fn system_calls_take_a_kprobe_or_where_there_is_none_a_raw_tracepoint() {
    let hook = syscall("sys_openat", &[Duty::Report, Duty::Signal]);
    for folder in ["5.10", "6.1", "6.12", "7.2"] {
        expect(&hook, &recorded(folder), "kprobe __x64_sys_openat: Decide");
    }
    expect(&hook, &recorded("6.18"), "raw_tp sys_enter: Decide");
    let both = syscall("sys_openat", &[Duty::Report, Duty::ReportReturn]);
    expect(&both, &recorded("6.18"), "raw_tp sys_enter: Decide | raw_tp sys_exit: ReportReturn");
    let preemptible = recorded("7.2").changed(|facts| facts.features.set_no(Feature::Kprobe));
    expect(&hook, &preemptible, "? raw_tp sys_enter: Decide");
}

#[test]
fn a_denied_system_call_is_overridden_where_the_kernel_can() {
    let hook = syscall("sys_openat", OVERRIDE);
    let custom = recorded("6.12").changed(|facts| facts.features.set(Feature::OverrideReturn, Answer::Yes));
    expect(&hook, &custom, "kprobe+override_return __x64_sys_openat: DecideAndDeny");
    let still = recorded("7.2").changed(|facts| facts.preemption = Preemption::None);
    expect(&hook, &still, "fmod_ret __x64_sys_openat: DecideAndDeny");
}

#[test]
fn a_denied_system_call_is_deferred_to_a_hook_on_its_way_elsewhere() {
    let hook = syscall("sys_symlinkat", OVERRIDE);
    let with = |by: &str, exit: &str| {
        format!(
            "kprobe __x64_sys_symlinkat: NoteDenial | {by}: ReturnNoted | {exit} __x64_sys_symlinkat: ClearNoted"
        )
    };
    expect(&hook, &recorded("5.10"), &with("fmod_ret security_path_symlink", "fexit"));
    expect(&hook, &recorded("6.1"), &with("lsm path_symlink", "fexit"));
    expect(&hook, &recorded("6.12"), &with("lsm path_symlink", "fexit"));
    expect(&hook, &recorded("7.2"), &with("lsm path_symlink", "kretprobe"));
}

#[test]
fn every_way_of_a_call_is_closed_and_what_gets_past_is_killed() {
    expect(
        &syscall("sys_openat", OVERRIDE),
        &recorded("7.2"),
        "kprobe __x64_sys_openat: NoteDenial | lsm path_mknod: ReturnNoted | lsm file_open: ReturnNoted \
         | kretprobe __x64_sys_openat: KillEscaped",
    );
    let preemptible = recorded("6.1").changed(|facts| {
        facts.preemption = Preemption::Full;
        facts.lsms = Some(ActiveLsms::parse("apparmor"));
    });
    expect(
        &syscall("sys_connect", OVERRIDE),
        &preemptible,
        "? kprobe __x64_sys_connect: NoteDenial | fmod_ret security_socket_connect: ReturnNoted \
         | kretprobe __x64_sys_connect: KillEscaped",
    );
}

#[test]
fn ways_that_a_kernel_does_not_have_are_left_out() {
    let hook = syscall("sys_setxattr", &[Duty::Override]);
    let hooks = |folder| -> Vec<String> {
        let plan = plan(&hook, &recorded(folder)).unwrap();
        let noted = plan.attachments.iter().filter(|a| a.role == super::Role::ReturnNoted);
        noted.map(|a| a.mechanism.target().to_owned()).collect()
    };
    assert_eq!(hooks("6.1"), ["inode_setxattr"]);
    assert_eq!(hooks("6.12"), ["inode_setxattr", "inode_set_acl"]);
}

#[test]
fn a_hook_where_zero_has_a_meaning_is_given_its_neutral_value() {
    let plan = plan(&syscall("sys_prctl", OVERRIDE), &recorded("6.12")).unwrap();
    let neutral = plan.attachments.iter().find_map(|a| match a.mechanism {
        super::Mechanism::Lsm { neutral, .. } => Some(neutral),
        _ => None,
    });
    assert_eq!(neutral, Some(-38));
}

#[test]
fn a_call_that_passes_no_hook_cannot_be_denied_without_error_injection() {
    let (error, text) = refused(&syscall("sys_getpid", OVERRIDE), &recorded("6.12"));
    assert!(matches!(error, PlanError::NoHookOnTheWay { .. }));
    assert!(text.contains("override_return: no"), "{text}");
    // setgroups has a hook since 6.1.
    let setgroups = syscall("sys_setgroups", OVERRIDE);
    assert!(matches!(refused(&setgroups, &recorded("5.10")).0, PlanError::NoHookOnTheWay { .. }));
    assert!(plan(&setgroups, &recorded("6.1")).is_ok());
}

#[test]
fn a_kernel_with_tracepoints_only_cannot_deny_a_system_call() {
    let (error, text) = refused(&syscall("sys_openat", OVERRIDE), &recorded("6.18"));
    assert!(matches!(error, PlanError::NoTracing { .. }), "{text}");
    assert!(text.contains("fentry: refused"), "{text}");
    assert!(text.contains("use Sigkill instead of Override"), "{text}");
}

#[test]
fn sensors_sit_on_functions_where_kprobes_work_and_on_tracepoints_elsewhere() {
    for folder in ["5.10", "6.1", "6.12", "7.2"] {
        let kernel = recorded(folder);
        expect(&Hook::sensor(Sensor::Exec), &kernel, "kprobe finalize_exec: Decide");
        expect(&Hook::sensor(Sensor::Fork), &kernel, "kprobe wake_up_new_task: Decide");
        expect(&Hook::sensor(Sensor::Exit), &kernel, "kprobe acct_process: Decide");
    }
    let kernel = recorded("6.18");
    expect(&Hook::sensor(Sensor::Exec), &kernel, "raw_tp sched_process_exec: Decide");
    expect(&Hook::sensor(Sensor::Fork), &kernel, "raw_tp sched_process_fork: Decide");
    expect(&Hook::sensor(Sensor::Exit), &kernel, "raw_tp sched_process_exit: Decide");
    let lazy = recorded("7.2").changed(|facts| facts.features.set_no(Feature::Kprobe));
    expect(&Hook::sensor(Sensor::Exec), &lazy, "? raw_tp sched_process_exec: Decide");
}

#[test]
fn every_deferral_finds_a_hook_on_the_newest_kernel() {
    let kernel = recorded("7.2");
    for entry in super::Deferral::all() {
        let hook = syscall(&format!("sys_{}", entry.wrapper), &[Duty::Override]);
        let planned = plan(&hook, &kernel);
        let missing = matches!(planned, Err(PlanError::NoFunction { .. }));
        assert!(planned.is_ok() || missing, "{}: {planned:?}", entry.wrapper);
    }
}

#[test]
fn reasons_are_sentences_that_name_the_facts() {
    let plan = plan(&syscall("sys_symlinkat", OVERRIDE), &recorded("5.10")).unwrap();
    let text: Vec<String> = plan.reasons.iter().map(ToString::to_string).collect();
    let text = text.join("\n");
    for part in ["override_return: no", "lsm=", "security_path_symlink", "voluntary"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}
