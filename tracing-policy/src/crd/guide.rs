//! What types cannot say of a field: a sentence, a default, a limit.

/// What a field is when it is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Default {
    /// Absent.
    None,
    /// `true`.
    True,
    /// `false`.
    False,
    /// `0`.
    Zero,
    /// A word.
    Word(&'static str),
}

/// What is said of a field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guide {
    field: &'static str,
    /// A sentence.
    pub(super) text: &'static str,
    /// What it is when it is absent.
    pub(super) default: Default,
    /// How many entries a list may have.
    pub(super) most: Option<u32>,
}

const fn said(field: &'static str, text: &'static str) -> Guide {
    Guide { field, text, default: Default::None, most: None }
}

const fn with(field: &'static str, default: Default, text: &'static str) -> Guide {
    Guide { field, text, default, most: None }
}

/// What is said of a field of a mapping, which messages call `object`.
pub(super) fn guide(object: &str, field: &str) -> Option<&'static Guide> {
    let (_, fields) = GUIDES.iter().find(|(name, _)| *name == object)?;
    fields.iter().find(|guide| guide.field == field)
}

const GUIDES: &[(&str, &[Guide])] = &[
    (
        "`spec`",
        &[
            said("kprobes", "Entries (and returns) of kernel functions and system calls."),
            said("fentries", "The same through fentry; without actions that enforce."),
            said("tracepoints", "Tracepoints of the kernel."),
            said("uprobes", "Functions of programs and libraries."),
            said("usdts", "Probes that a program declares in its ELF notes."),
            said("lsmhooks", "Hooks of security modules."),
            with("loader", Default::False, "Whether to report the files that processes map to execute."),
            said("enforcers", "The functions on which `NotifyEnforcer` acts."),
            said("lists", "Named lists of symbols."),
            said("options", "Settings of the policy."),
            said("podSelector", "Pods that the policy applies to; none named means all."),
            said("containerSelector", "Containers that the policy applies to, by `name` and `repo`."),
            said("hostSelector", "`{}` adds the processes of the host to those of the selected pods."),
            said("nodeSelector", "Nodes that the policy applies to."),
            said("selectorsMacros", "Pieces of selectors by name."),
        ],
    ),
    (
        "a kprobe",
        &[
            said("call", "The symbol, `sys_NAME` for a system call, or `list:NAME`."),
            with("syscall", Default::True, "Whether the arguments are those of a system call."),
            with("return", Default::False, "Whether to report what the call returns."),
            said("returnArg", "The type of what it returns."),
            said("returnArgAction", "`TrackSock` or `UntrackSock`, on the socket that it returns."),
            said("args", "The arguments that events carry and filters test."),
            said("data", "More values, read from the task or the registers."),
            said(
                "selectors",
                "The first whose filters all match acts; none means that every call is reported.",
            ),
            said("message", "Text that each event of the hook carries: 2 to 256 bytes."),
            Guide {
                most: Some(16),
                ..said("tags", "Words that each event of the hook carries, each 2 to 128 bytes.")
            },
            said("ignore", "What may be missing."),
        ],
    ),
    (
        "`ignore` of a kprobe",
        &[with(
            "callNotFound",
            Default::False,
            "Whether to load the rest of the policy where the kernel lacks the symbol.",
        )],
    ),
    (
        "`ignore` of a uprobe",
        &[with(
            "digestVerificationFailure",
            Default::False,
            "Whether to load the rest of the policy where the file has another digest.",
        )],
    ),
    (
        "a tracepoint",
        &[
            said("subsystem", "The folder below `events` in tracefs."),
            said("event", "The tracepoint."),
            with("raw", Default::False, "Whether to read the raw arguments instead of the fields."),
            said("args", "The fields that events carry and filters test; an index counts the common fields."),
            said(
                "selectors",
                "The first whose filters all match acts; none means that every call is reported.",
            ),
            said("message", "Text that each event of the hook carries: 2 to 256 bytes."),
            Guide {
                most: Some(16),
                ..said("tags", "Words that each event of the hook carries, each 2 to 128 bytes.")
            },
        ],
    ),
    (
        "a uprobe",
        &[
            said("path", "The program or library."),
            said("btfPath", "A file with the types of the program."),
            said("symbols", "Functions, each also as `NAME+0xOFFSET`; or `offsets`, or `addrs`."),
            said("offsets", "Offsets in the file."),
            said("addrs", "Virtual addresses."),
            said("refCtrOffsets", "Offsets of the counters that switch each place on."),
            with("return", Default::False, "Whether to report what the function returns."),
            said("returnArg", "The type of what it returns."),
            said("args", "The arguments that events carry and filters test."),
            said("data", "More values, read from the task or the registers."),
            said(
                "selectors",
                "The first whose filters all match acts; none means that every call is reported.",
            ),
            said("message", "Text that each event of the hook carries: 2 to 256 bytes."),
            Guide {
                most: Some(16),
                ..said("tags", "Words that each event of the hook carries, each 2 to 128 bytes.")
            },
            said("binaryDigests", "`ALGORITHM:HEX`, one of which the file must have."),
            said("ignore", "What may differ."),
        ],
    ),
    (
        "a usdt",
        &[
            said("path", "The program or library."),
            said("provider", "The provider in the note."),
            said("name", "The probe in the note."),
            said("btfPath", "A file with the types of the program."),
            said("args", "The arguments that events carry and filters test, by their place in the note."),
            said(
                "selectors",
                "The first whose filters all match acts; none means that every call is reported.",
            ),
            said("message", "Text that each event of the hook carries: 2 to 256 bytes."),
            Guide {
                most: Some(16),
                ..said("tags", "Words that each event of the hook carries, each 2 to 128 bytes.")
            },
        ],
    ),
    (
        "an LSM hook",
        &[
            said("hook", "The hook, without prefix: `file_open`."),
            said("args", "The arguments that events carry and filters test."),
            said(
                "selectors",
                "The first whose filters all match acts; none means that every call is reported.",
            ),
            said("message", "Text that each event of the hook carries: 2 to 256 bytes."),
            Guide {
                most: Some(16),
                ..said("tags", "Words that each event of the hook carries, each 2 to 128 bytes.")
            },
        ],
    ),
    (
        "an argument",
        &[
            said("index", "Its place in the prototype, from 0."),
            with("type", Default::Word("auto"), "How it is read."),
            with(
                "sizeArgIndex",
                Default::Zero,
                "The place, from 1, of the argument that holds the size of this one.",
            ),
            with("returnCopy", Default::False, "Whether to read it when the call returns."),
            with(
                "maxData",
                Default::False,
                "Whether to read as much of it as there is, up to 327 360 bytes.",
            ),
            said("label", "Text that the event shows with it."),
            said("resolve", "A path of fields from it to the value: `f_path.dentry.d_name.name`."),
            said("source", "Where an entry of `data` is read from."),
            said("btfType", "The struct to read it as before `resolve`."),
            said("btfTypeModule", "The kernel module that has `btfType`."),
        ],
    ),
    (
        "a selector",
        &[
            said("matchPIDs", "Filters of the process's number."),
            said("matchBinaries", "Filters of the process's program."),
            said("matchParentBinaries", "Filters of its parent's program."),
            said("matchNamespaces", "Filters of its namespaces."),
            said("matchNamespaceChanges", "Filters of namespaces that changed since it was executed."),
            said("matchCapabilities", "Filters of its capabilities."),
            said("matchCapabilityChanges", "Filters of capabilities that changed since it was executed."),
            said("matchArgs", "Filters of arguments."),
            said("matchData", "Filters of values in `data`."),
            said("matchReturnArgs", "Filters of what the call returned."),
            said("matchWorkloads", "Pods and containers that the selector applies to."),
            said("macros", "Names in `selectorsMacros` of which the filters are added."),
            said("matchActions", "What to do, in this order; none means `Post`."),
            said("matchReturnActions", "What to do when `matchReturnArgs` match."),
            said("label", "Text that counters of the selector show."),
        ],
    ),
    (
        "an entry of matchPIDs",
        &[
            said("operator", "Whether the number is one of the values, or none."),
            said("values", "Numbers of processes."),
            with(
                "isNamespacePID",
                Default::False,
                "Whether the values are numbers in the process's own pid namespace.",
            ),
            with("followForks", Default::False, "Whether descendants count too."),
        ],
    ),
    (
        "a filter of binaries",
        &[
            said(
                "operator",
                "How the path of the program is compared: `In`, `NotIn`, `Prefix`, `NotPrefix`, `Postfix`, `NotPostfix`.",
            ),
            said("values", "Paths, or parts of them."),
            with("followChildren", Default::False, "Whether descendants count too."),
        ],
    ),
    (
        "an entry of matchNamespaces",
        &[
            said("namespace", "The kind of namespace."),
            said("operator", "Whether it is one of the values, or none."),
            said("values", "Inode numbers, or `host_ns`."),
        ],
    ),
    (
        "an entry of matchNamespaceChanges",
        &[
            said("operator", "Whether one of the values changed, or another."),
            said("values", "Kinds of namespaces."),
        ],
    ),
    (
        "a filter of capabilities",
        &[
            with("type", Default::Word("Effective"), "The set that is looked at."),
            said("operator", "Whether the set has one of the values, or none."),
            with(
                "isNamespaceCapability",
                Default::False,
                "Whether only processes in a user namespace other than the host's pass.",
            ),
            said("values", "Capabilities: `CAP_SYS_ADMIN`."),
        ],
    ),
    (
        "a filter of arguments",
        &[
            said("index", "The argument, by its place in the prototype."),
            said("args", "Arguments by their place in `args`; goes before `index`."),
            said("operator", "How it is compared."),
            said("values", "What it is compared with."),
        ],
    ),
    (
        "`matchWorkloads`",
        &[
            said("podSelector", "Pods; none named means all."),
            said("containerSelector", "Containers, by `name` and `repo`."),
            said("hostSelector", "`{}` adds the processes of the host."),
        ],
    ),
    (
        "an action",
        &[
            said("action", "What is done."),
            said("argError", "`Override`: what the call returns instead."),
            said("argSig", "`Signal`: the signal."),
            said("argFqdn", "`DnsLookup`: the name."),
            said("argUrl", "`GetUrl`: the URL."),
            said("argSock", "`TrackSock`, `UntrackSock`: the socket's place in `args`."),
            said("argIndex", "`Set`: the argument's place in `args`."),
            said("argValue", "`Set`: the number to write."),
            said("argRegs", "`Override` of a uprobe: assignments `REGISTER=SOURCE`."),
            said("argNewSymbol", "`Override` of a uprobe: the function to go to."),
            said("argNewAddr", "`Override` of a uprobe: the address to go to."),
            said("argNewOffset", "`Override` of a uprobe: the offset in the file to go to."),
            said("rateLimit", "`Post`: at most one report in this time: `5`, `10s`, `1m`, `1h`."),
            with("rateLimitScope", Default::Word("thread"), "`Post`: whose reports count together."),
            with("kernelStackTrace", Default::False, "`Post`: whether to add the kernel's stack."),
            with("userStackTrace", Default::False, "`Post`: whether to add the program's stack."),
            with("imaHash", Default::False, "`Post`: whether to add the file's hash from IMA (LSM hooks)."),
        ],
    ),
    (
        "a list of symbols",
        &[
            said("name", "Its name."),
            said("type", "How it gets its symbols."),
            said("values", "The symbols."),
            said("pattern", "`generated_ftrace`: a regular expression that the symbols match."),
            said("validated", "Without meaning; for compatibility."),
        ],
    ),
    ("an enforcer", &[said("calls", "System calls, `security_*` functions, or `list:NAME`.")]),
    ("an option", &[said("name", "Its name."), said("value", "Its value.")]),
    (
        "a label selector",
        &[
            said("matchLabels", "Labels and their values, all of which must be there."),
            said("matchExpressions", "Conditions, all of which must hold."),
        ],
    ),
    (
        "a label expression",
        &[
            said("key", "The label."),
            said("operator", "What must hold of its value."),
            said("values", "Values."),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::{GUIDES, guide};
    use crate::parse::spec_shape;
    use crate::schema::Shape;

    fn fields(shape: &Shape, found: &mut Vec<(&'static str, &'static str)>) {
        match shape {
            Shape::List(inner) | Shape::Map(inner) => fields(inner, found),
            Shape::Object(object) => {
                for field in &object.fields {
                    found.push((object.what, field.name));
                    fields(&field.shape, found);
                }
            }
            Shape::Text | Shape::Boolean | Shape::Integer { .. } | Shape::Word(_) => {}
        }
    }

    #[test]
    fn every_field_has_a_sentence_and_every_sentence_a_field() {
        let mut there = Vec::new();
        fields(&spec_shape(), &mut there);
        assert!(there.len() > 100, "the parser answers");
        for (object, field) in &there {
            assert!(guide(object, field).is_some(), "{object}: {field}");
        }
        for (object, guides) in GUIDES {
            for guide in *guides {
                assert!(there.contains(&(object, guide.field)), "{object}: {}", guide.field);
            }
        }
    }
}
