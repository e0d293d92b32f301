//! Functions and types of a kernel's module, and what is reached from what functions return.

use std::path::Path;

use e2e::ensure;
use e2e::event::{Argument, Event, Hook};
use e2e::expect::Outcome;
use e2e::scenario::{Guest, Settings, must};

/// A hook on `struct ovl_inode_params`, which is the module's own.
const OF_TYPES: &str = "  - call: ovl_get_inode
    syscall: false
    args:
    - {index: 1, type: string, resolve: upperdentry.d_name.name}
    - {index: 1, type: string, resolve: upperdentry.d_name.name, btfType: ovl_inode_params, btfTypeModule: overlay}
    return: true
    returnArg: {index: 0, resolve: i_mode}
    selectors:
    - matchArgs: [{args: [1], operator: Equal, values: [seen-above]}]
";

const TEXT: &str = "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: modules}
spec:
  fentries:
  - call: ovl_lookup
    syscall: false
    args: [{index: 1, type: string, resolve: d_name.name}]
    selectors:
    - matchArgs: [{index: 1, operator: Equal, values: [seen-above]}]
  kprobes:
  - call: do_filp_open
    syscall: false
    ignore: {callNotFound: true}
    return: true
    returnArg: {index: 0, type: string, resolve: f_path.dentry.d_name.name}
    selectors:
    - matchReturnArgs: [{index: 0, operator: Equal, values: [seen-above]}]
  - call: do_file_open
    syscall: false
    ignore: {callNotFound: true}
    return: true
    returnArg: {index: 0, type: string, resolve: f_path.dentry.d_name.name}
    selectors:
    - matchReturnArgs: [{index: 0, operator: Equal, values: [seen-above]}]
  - call: vfs_read
    syscall: false
    args: [{index: 0, type: file}]
    data: [{index: 0, type: char_buf, source: pt_regs, resolve: rsi, returnCopy: true}]
    selectors:
    - matchArgs: [{index: 0, operator: Equal, values: [/mnt/modules/all/seen-above]}]
";

/// A file of an overlay is looked up, opened and read: by functions of the module, on types of the module.
pub(crate) fn overlay(guest: &Guest) -> Outcome {
    let script = "mkdir -p /mnt/modules && mount -t tmpfs modules /mnt/modules && cd /mnt/modules && mkdir lower upper work all
         printf 'what it holds' >upper/seen-above && chmod 640 upper/seen-above && echo x >upper/not-looked-for
         mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay all";
    must(&["sh", "-c", script])?;
    // types of modules came with 5.11; before, the policy says what an argument points to
    let has_types = Path::new("/sys/kernel/btf/overlay").exists();
    ensure!(has_types != (guest.variant.kernel.name == "5.10"), "types of the module: {has_types}");
    let text = if has_types {
        format!("{TEXT}{OF_TYPES}")
    } else {
        TEXT.replace("resolve: d_name.name}", "resolve: d_name.name, btfType: dentry}")
    };
    let mut daemon = Settings::default().policy(&text).start(guest)?;
    let mut events = daemon.events()?;
    let all = Path::new("/mnt/modules/all");
    let (held, other) = (std::fs::read(all.join("seen-above"))?, std::fs::read(all.join("not-looked-for"))?);
    ensure!((held.as_slice(), other.as_slice()) == (b"what it holds", b"x\n"), "read {held:?}, {other:?}");
    let seen = daemon.settle(&mut events)?;
    must(&["sh", "-c", "umount /mnt/modules/all && umount /mnt/modules"])?;
    let hooks: Vec<&Hook> = seen.iter().filter_map(|event: &Event| event.of_policy("modules")).collect();
    let of = |function: &str| -> Vec<&Hook> {
        hooks.iter().filter(|hook| hook.function_name == function).copied().collect()
    };
    let name = |argument: Option<&Argument>| argument.and_then(|it| it.string_arg.clone());
    let is_it = |argument: Option<&Argument>| name(argument).as_deref() == Some("seen-above");
    let made = of("ovl_get_inode");
    ensure!(made.is_empty() != has_types, "files of an overlay: {hooks:?}");
    for hook in made {
        ensure!(is_it(hook.args.first()) && is_it(hook.args.get(1)), "the module's types: {hook:?}");
        let mode = hook.returned.as_ref().and_then(|mode| mode.uint_arg);
        ensure!(mode == Some(0o100_640), "the mode of what was returned: {:?}", hook.returned);
    }
    let looked_up = of("ovl_lookup");
    ensure!(looked_up.len() == 1 && is_it(looked_up[0].args.first()), "looked up: {looked_up:?}");
    // which newer kernels call otherwise
    let opened = [of("do_filp_open"), of("do_file_open")].concat();
    // the file of the layer may be opened so too
    ensure!(!opened.is_empty(), "opened nothing: {hooks:?}");
    ensure!(opened.iter().all(|hook| is_it(hook.returned.as_ref())), "opened: {opened:?}");
    let filled = of("vfs_read").into_iter().filter_map(|hook| hook.data.first()?.bytes_arg.clone());
    // base64 of `what it holds`; the end of the file fills nothing
    let filled: Vec<String> = filled.filter(|bytes| !bytes.is_empty()).collect();
    ensure!(filled == ["d2hhdCBpdCBob2xkcw=="], "read: {filled:?}");
    Ok(())
}
