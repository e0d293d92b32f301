//! What both schemas ask of an event.

use serde_json::{Map, Value, json};

/// An event's JSON, taken apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    whole: &'a Map<String, Value>,
    /// `process_exec`, `process_kprobe` …
    pub(crate) kind: &'a str,
    /// What stands under it.
    pub(crate) body: &'a Value,
}

/// What an event is about, besides its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject<'a> {
    /// A program begins.
    Start,
    /// A process ends.
    End,
    /// A file, by its path.
    File(&'a str),
    /// A connection.
    Network(&'a Value),
    /// A module of the kernel, by its name.
    Module(&'a str),
    /// A file with code that is mapped.
    Library(&'a str),
    /// A function of the kernel or of a program, by its name.
    Function(&'a str),
    /// Something that the agent says of itself.
    Agent,
}

/// What was done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing: it was seen.
    Seen,
    /// The call failed, or its caller was killed.
    Denied,
}

/// Text at a path of keys, where there is some.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
}

/// Puts `value` under a dotted path, unless it is nothing.
pub(crate) fn put(document: &mut Value, path: &str, value: Option<Value>) {
    let Some(value) = value.filter(|value| !value.is_null()) else { return };
    let mut place = document;
    for key in path.split('.') {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[key];
    }
    *place = value;
}

/// What a value says as text.
pub(crate) fn string(value: Option<&str>) -> Option<Value> {
    value.map(Value::from)
}

impl<'a> Fields<'a> {
    /// `None` for what is no event.
    pub(crate) fn of(event: &'a Value) -> Option<Self> {
        let whole = event.as_object()?;
        let is_kind = |(name, value): &(&String, &Value)| {
            value.is_object() && !matches!(name.as_str(), "aggregation_info" | "node_labels")
        };
        let (kind, body) = whole.iter().find(is_kind)?;
        Some(Self { whole, kind, body })
    }

    /// A field of the event itself, such as `node_name`.
    pub(crate) fn outer(&self, name: &str) -> Option<&'a str> {
        self.whole.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// How many alike events it stands for, where it was aggregated.
    pub(crate) fn count(&self) -> Option<u64> {
        let count = self.whole.get("aggregation_info")?.get("count")?;
        count.as_u64().or_else(|| count.as_str()?.parse().ok())
    }

    /// Its process, or nothing.
    pub(crate) fn process(&self) -> Option<&'a Value> {
        self.body.get("process")
    }

    /// The parent of its process.
    pub(crate) fn parent(&self) -> Option<&'a Value> {
        self.body.get("parent")
    }

    /// `args`
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &'a Value> {
        self.body.get("args").and_then(Value::as_array).into_iter().flatten()
    }

    /// What it is about.
    pub(crate) fn subject(&self) -> Subject<'a> {
        match self.kind {
            "process_exec" => return Subject::Start,
            "process_exit" => return Subject::End,
            "process_loader" => return Subject::Library(text(self.body, "/path").unwrap_or_default()),
            "process_throttle" | "rate_limit_info" | "test" => return Subject::Agent,
            _ => {}
        }
        let found = self.arguments().find_map(|argument| {
            let path = ["/file_arg/path", "/path_arg/path", "/linux_binprm_arg/path"];
            let network = ["sock_arg", "skb_arg", "sockaddr_arg"];
            let file = path.iter().find_map(|path| text(argument, path)).map(Subject::File);
            let network = || network.iter().find_map(|name| argument.get(name)).map(Subject::Network);
            let module = || text(argument, "/module_arg/name").map(Subject::Module);
            file.or_else(network).or_else(module)
        });
        found.unwrap_or_else(|| Subject::Function(self.function()))
    }

    /// The function, probe or event that was hooked.
    pub(crate) fn function(&self) -> &'a str {
        ["/function_name", "/symbol", "/event", "/name"]
            .iter()
            .find_map(|name| text(self.body, name))
            .unwrap_or_default()
    }

    /// `KPROBE_ACTION_…` without its head, for events of hooks.
    pub(crate) fn action(&self) -> Option<&'a str> {
        Some(text(self.body, "/action")?.trim_start_matches("KPROBE_ACTION_"))
    }

    /// What is left of the event when its processes are taken out, which have a place.
    pub(crate) fn rest(&self) -> Value {
        let mut rest = self.body.clone();
        if let Some(fields) = rest.as_object_mut() {
            fields.remove("process");
            fields.remove("parent");
        }
        rest
    }

    /// What was done about it.
    pub(crate) fn verdict(&self) -> Verdict {
        let acts = |pointer: &str| {
            let action = text(self.body, pointer).map(|action| action.trim_start_matches("KPROBE_ACTION_"));
            matches!(action, Some("SIGKILL" | "SIGNAL" | "OVERRIDE" | "NOTIFYENFORCER"))
        };
        if acts("/action") || acts("/return_action") { Verdict::Denied } else { Verdict::Seen }
    }
}

/// The program of a process with its arguments.
pub(crate) fn command_line(process: &Value) -> Option<Value> {
    let binary = text(process, "/binary")?;
    Some(match text(process, "/arguments") {
        Some(arguments) => format!("{binary} {arguments}").into(),
        None => binary.into(),
    })
}

/// The container's id, as far as it is known.
pub(crate) fn container_id(process: &Value) -> Option<Value> {
    let id = text(process, "/pod/container/id").map(|id| id.rsplit("://").next().unwrap_or(id));
    string(id.or_else(|| text(process, "/docker")))
}

/// Name of the user, where events show it.
pub(crate) fn user_name(process: &Value) -> Option<Value> {
    string(text(process, "/user/name"))
}

/// `tcp` for `IPPROTO_TCP`.
pub(crate) fn transport(at: &Value) -> Option<Value> {
    text(at, "/protocol").map(|name| name.trim_start_matches("IPPROTO_").to_lowercase().into())
}

/// The last part of a path.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A number as JSON, from protobuf's JSON where 64 bits are text.
pub(crate) fn number(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
