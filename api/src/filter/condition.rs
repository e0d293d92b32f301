//! One filter: the fields that are set, all of which must match.

use std::sync::Arc;

use regex::RegexSet;

use super::capability::CapabilityFilter;
use super::cel::Expression;
use super::compile;
use super::label::Selector;
use super::pid_set::PidSet;
use crate::event::{Event, Pod, Process};
use crate::name::EventType;
use crate::wire;

/// Why a filter cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// An expression of the Common Expression Language that is none, or asks for what there is not.
    #[error("filter field cel_expression: {expression:?}: {reason}")]
    Cel {
        /// The text, or its beginning.
        expression: String,
        /// What is wrong with it.
        reason: String,
    },
    /// More expressions than one filter may have.
    #[error("filter field cel_expression: {count} expressions, and at most {MAX_CEL} are taken")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// An expression that is none.
    #[error("filter field {field}: {source}")]
    Expression {
        /// Its name in the API.
        field: &'static str,
        /// What is wrong, with the expression.
        source: Box<regex::Error>,
    },
    /// An event type that there is not.
    #[error("filter field event_set: there is no event type {number}")]
    EventType {
        /// The number.
        number: i32,
    },
    /// A label selector that is none.
    #[error("filter field labels: {selector:?} is no selector: {reason}")]
    Label {
        /// The text.
        selector: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A path that no event has.
    #[error("field filter: no event has a field {path}")]
    Field {
        /// The path.
        path: String,
    },
    /// What to do with fields, of which there are two.
    #[error("field filter: there is no action {number}")]
    FieldAction {
        /// The number.
        number: i32,
    },
    /// A condition on a capability set that is not exactly one.
    #[error("filter field capabilities: give exactly one of any, all, exactly and none for a set")]
    Capabilities,
}

/// One test on an event.
#[derive(Debug, Clone)]
enum Condition {
    EventSet(Vec<EventType>),
    PolicyNames(Vec<String>),
    Process(OfProcess),
    Parent(OfProcess),
    Ancestor(OfProcess),
    HealthCheck(bool),
    PidSet(Arc<PidSet>),
    Cel(Arc<[Expression]>),
}

/// Expressions of one filter at most.
const MAX_CEL: usize = 16;
/// What an error shows of an expression, in bytes.
const SHOWN: usize = 120;

/// One test on a process of the event.
#[derive(Debug, Clone)]
enum OfProcess {
    Binary(RegexSet),
    Arguments(RegexSet),
    ContainerId(RegexSet),
    ContainerName(RegexSet),
    PodName(RegexSet),
    NamespaceExpression(RegexSet),
    Namespace(Vec<String>),
    Pid(Vec<u32>),
    InInitTree(bool),
    Capabilities(CapabilityFilter),
    Labels(Vec<Selector>),
}

impl Condition {
    fn matches(&self, event: &Event) -> bool {
        match self {
            Self::EventSet(types) => types.contains(&event.event_type()),
            Self::PolicyNames(names) => {
                event.policy_name().is_some_and(|policy| names.iter().any(|name| name == policy))
            }
            Self::Process(test) => event.process().is_some_and(|process| test.matches(process)),
            Self::Parent(test) => event.parent().is_some_and(|parent| test.matches(parent)),
            Self::Ancestor(test) => event.ancestors().iter().any(|ancestor| test.matches(ancestor)),
            Self::PidSet(pids) => pids.matches(event),
            Self::Cel(expressions) => expressions.iter().any(|expression| expression.is_true_of(event)),
            Self::HealthCheck(wanted) => event.process().is_some_and(|process| {
                let probe = |process: &Process| {
                    let container = process.pod.as_ref().and_then(|pod| pod.container.as_ref());
                    container.is_some_and(|container| container.maybe_exec_probe)
                };
                (probe(process) || event.parent().is_some_and(|parent| probe(parent))) == *wanted
            }),
        }
    }
}

impl OfProcess {
    fn matches(&self, process: &Process) -> bool {
        let pod = |test: &dyn Fn(&Pod) -> bool| process.pod.as_deref().is_some_and(test);
        match self {
            Self::Binary(expressions) => expressions.is_match(&process.binary),
            Self::Arguments(expressions) => expressions.is_match(&process.arguments),
            Self::ContainerId(expressions) => expressions.is_match(&process.docker),
            Self::ContainerName(expressions) => pod(&|pod| {
                pod.container.as_ref().is_some_and(|container| expressions.is_match(&container.name))
            }),
            Self::PodName(expressions) => pod(&|pod| expressions.is_match(&pod.name)),
            Self::NamespaceExpression(expressions) => pod(&|pod| expressions.is_match(&pod.namespace)),
            Self::Namespace(names) => {
                let namespace = process.pod.as_ref().map_or("", |pod| &pod.namespace);
                names.iter().any(|name| name == namespace)
            }
            Self::Pid(pids) => process.pid.is_some_and(|pid| pids.contains(&pid)),
            Self::InInitTree(wanted) => process.in_init_tree.unwrap_or(false) == *wanted,
            Self::Capabilities(filter) => filter.matches(process),
            Self::Labels(selectors) => {
                pod(&|pod| selectors.iter().any(|selector| selector.matches(&pod.labels)))
            }
        }
    }
}

/// The conditions of one filter, cheapest first.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    conditions: Vec<Condition>,
}

impl Filter {
    /// Whether all conditions hold; a filter without any matches everything.
    pub(super) fn matches(&self, event: &Event) -> bool {
        self.conditions.iter().all(|condition| condition.matches(event))
    }

    /// The set of processes that must learn from every event.
    pub(super) fn pid_set(&self) -> Option<&Arc<PidSet>> {
        self.conditions.iter().find_map(|condition| match condition {
            Condition::PidSet(pids) => Some(pids),
            Condition::EventSet(_)
            | Condition::PolicyNames(_)
            | Condition::Process(_)
            | Condition::Parent(_)
            | Condition::Ancestor(_)
            | Condition::HealthCheck(_)
            | Condition::Cel(_) => None,
        })
    }

    pub(super) fn compile(filter: &wire::Filter) -> Result<Self, FilterError> {
        let mut conditions = Vec::new();
        if !filter.event_set.is_empty() {
            conditions.push(Condition::EventSet(compile::event_types(&filter.event_set)?));
        }
        conditions.extend(filter.health_check.map(Condition::HealthCheck));
        if !filter.policy_names.is_empty() {
            conditions.push(Condition::PolicyNames(filter.policy_names.clone()));
        }
        let mut process = Vec::new();
        if !filter.pid.is_empty() {
            process.push(OfProcess::Pid(filter.pid.clone()));
        }
        process.extend(filter.in_init_tree.map(OfProcess::InInitTree));
        if !filter.namespace.is_empty() {
            process.push(OfProcess::Namespace(filter.namespace.clone()));
        }
        if let Some(capabilities) = &filter.capabilities {
            process.push(OfProcess::Capabilities(CapabilityFilter::compile(capabilities)?));
        }
        if !filter.labels.is_empty() {
            process.push(OfProcess::Labels(selectors(&filter.labels)?));
        }
        conditions.extend(process.into_iter().map(Condition::Process));
        if !filter.pid_set.is_empty() {
            conditions.push(Condition::PidSet(Arc::new(PidSet::new(filter.pid_set.clone()))));
        }
        expressions(filter, &mut conditions)?;
        // Last: by far the dearest.
        conditions.extend(cel(filter)?.map(Condition::Cel));
        Ok(Self { conditions })
    }
}

fn selectors(labels: &[String]) -> Result<Vec<Selector>, FilterError> {
    let parse = |text: &String| {
        Selector::parse(text).map_err(|reason| FilterError::Label { selector: text.clone(), reason })
    };
    labels.iter().map(parse).collect()
}

/// Adds the conditions that are regular expressions.
fn expressions(filter: &wire::Filter, conditions: &mut Vec<Condition>) -> Result<(), FilterError> {
    type Of = fn(OfProcess) -> Condition;
    type Make = fn(RegexSet) -> OfProcess;
    let fields: [(&'static str, &[String], Of, Make); 9] = [
        ("namespace_regex", &filter.namespace_regex, Condition::Process, OfProcess::NamespaceExpression),
        ("pod_regex", &filter.pod_regex, Condition::Process, OfProcess::PodName),
        ("container_name_regex", &filter.container_name_regex, Condition::Process, OfProcess::ContainerName),
        ("container_id", &filter.container_id, Condition::Process, OfProcess::ContainerId),
        ("binary_regex", &filter.binary_regex, Condition::Process, OfProcess::Binary),
        ("parent_binary_regex", &filter.parent_binary_regex, Condition::Parent, OfProcess::Binary),
        ("ancestor_binary_regex", &filter.ancestor_binary_regex, Condition::Ancestor, OfProcess::Binary),
        ("arguments_regex", &filter.arguments_regex, Condition::Process, OfProcess::Arguments),
        ("parent_arguments_regex", &filter.parent_arguments_regex, Condition::Parent, OfProcess::Arguments),
    ];
    for (field, texts, of, make) in fields {
        if !texts.is_empty() {
            conditions.push(of(make(compile::expressions(field, texts)?)));
        }
    }
    Ok(())
}

/// The expressions of `cel_expression`. Every field of the message is named here or in [`Filter::compile`]: a new one does not compile until it is.
fn cel(filter: &wire::Filter) -> Result<Option<Arc<[Expression]>>, FilterError> {
    let wire::Filter {
        cel_expression,
        pid_set: _,
        labels: _,
        event_set: _,
        pid: _,
        in_init_tree: _,
        namespace: _,
        policy_names: _,
        container_id: _,
        binary_regex: _,
        parent_binary_regex: _,
        arguments_regex: _,
        parent_arguments_regex: _,
        health_check: _,
        pod_regex: _,
        capabilities: _,
        ancestor_binary_regex: _,
        container_name_regex: _,
        namespace_regex: _,
    } = filter;
    if cel_expression.len() > MAX_CEL {
        return Err(FilterError::TooMany { count: cel_expression.len() });
    }
    let compile = |text: &String| {
        Expression::compile(text).map_err(|reason| {
            let expression = text.chars().take(SHOWN).collect();
            FilterError::Cel { expression, reason }
        })
    };
    let compiled: Vec<Expression> = cel_expression.iter().map(compile).collect::<Result<_, _>>()?;
    Ok((!compiled.is_empty()).then(|| compiled.into()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;

    use super::super::FilterLists;
    use crate::json::{read_event, read_message};
    use crate::wire::Filter;

    /// An exec in a pod with a parent and an ancestor, and a kprobe on the host without a parent.
    const EVENTS: [&str; 2] = [
        r#"{"process_exec":{"process":{"pid":7,"binary":"/bin/ls","arguments":"-l /etc","docker":"0123456789",
            "in_init_tree":true,"cap":{"effective":["CAP_KILL","CAP_BPF"]},
            "pod":{"namespace":"prod","name":"web-1","pod_labels":{"app":"web"},"container":{"name":"main","maybe_exec_probe":true}}},
            "parent":{"binary":"/bin/sh","arguments":"-c x"},"ancestors":[{"binary":"/sbin/init"}]}}"#,
        r#"{"process_kprobe":{"process":{"pid":8,"binary":"/bin/cat"},"policy_name":"p"}}"#,
    ];

    /// Whether the filter, written as JSON, matches each of the events.
    fn matches(filter: &str) -> [bool; 2] {
        let filter: Filter = read_message(filter.as_bytes()).unwrap();
        let lists = FilterLists::compile(&[filter], &[]).unwrap();
        EVENTS.map(|event| lists.wants(&read_event(event.as_bytes()).unwrap()))
    }

    // proves: FLT-01, FLT-02, FLT-03, FLT-04, FLT-05, FLT-06, FLT-07, FLT-08, FLT-09, FLT-10
    #[test]
    fn each_field_tests_what_it_names() {
        for (filter, expected) in [
            ("{}", [true, true]),
            (r#"{"event_set":["PROCESS_EXEC","PROCESS_EXIT"]}"#, [true, false]),
            (r#"{"binary_regex":["^/sbin","cat$"]}"#, [false, true]),
            (r#"{"arguments_regex":["/etc"]}"#, [true, false]),
            (r#"{"parent_binary_regex":["sh"]}"#, [true, false]),
            (r#"{"parent_arguments_regex":["^-c"]}"#, [true, false]),
            (r#"{"ancestor_binary_regex":["init"]}"#, [true, false]),
            (r#"{"ancestor_binary_regex":["sh"]}"#, [false, false]),
            (r#"{"container_id":["^0123"]}"#, [true, false]),
            (r#"{"container_name_regex":["ai"]}"#, [true, false]),
            (r#"{"pod_regex":["^web-"]}"#, [true, false]),
            (r#"{"namespace":["prod"]}"#, [true, false]),
            (r#"{"namespace":[""]}"#, [false, true]),
            (r#"{"namespace":["dev",""]}"#, [false, true]),
            (r#"{"namespace_regex":["^pr"]}"#, [true, false]),
            (r#"{"namespace_regex":[""]}"#, [true, false]),
            (r#"{"pid":[1,8]}"#, [false, true]),
            (r#"{"pid_set":[1,8]}"#, [false, true]),
            (r#"{"labels":["app in (web)","x"]}"#, [true, false]),
            (r#"{"labels":["!app"]}"#, [false, false]),
            (r#"{"policy_names":["q","p"]}"#, [false, true]),
            (r#"{"in_init_tree":true}"#, [true, false]),
            (r#"{"in_init_tree":false}"#, [false, true]),
            (r#"{"health_check":true}"#, [true, false]),
            (r#"{"health_check":false}"#, [false, true]),
            (r#"{"capabilities":{"effective":{"any":["CAP_KILL","CAP_CHOWN"]}}}"#, [true, false]),
            (r#"{"capabilities":{"effective":{"all":["CAP_KILL","CAP_CHOWN"]}}}"#, [false, false]),
            (r#"{"capabilities":{"effective":{"exactly":["CAP_KILL","CAP_BPF"]}}}"#, [true, false]),
            (r#"{"capabilities":{"permitted":{"none":["CAP_KILL"]}}}"#, [true, false]),
            (r#"{"binary_regex":["ls"],"pid":[8]}"#, [false, false]),
            (r#"{"cel_expression":["process_exec.process.pid == 7u", "false"]}"#, [true, false]),
            (r#"{"cel_expression":["true"],"pid":[8]}"#, [false, true]),
        ] {
            assert_eq!(matches(filter), expected, "{filter}");
        }
    }

    // proves: FLT-01
    #[test]
    fn filters_are_joined_by_or_and_deny_wins() {
        let event = read_event(EVENTS[0].as_bytes()).unwrap();
        let filter = |text: &str| read_message::<Filter>(text.as_bytes()).unwrap();
        let (hit, miss) = (filter(r#"{"pid":[7]}"#), filter(r#"{"pid":[99]}"#));
        assert!(FilterLists::none().wants(&event));
        assert!(FilterLists::compile(&[miss.clone(), hit.clone()], &[]).unwrap().wants(&event));
        assert!(FilterLists::compile(&[], &[miss]).unwrap().wants(&event));
        assert!(
            !FilterLists::compile(std::slice::from_ref(&hit), std::slice::from_ref(&hit))
                .unwrap()
                .wants(&event)
        );
    }

    // proves: FLT-03 (pid_set)
    #[test]
    fn descendants_are_found_until_they_end_whatever_else_the_filter_wants() {
        let filter: Filter = read_message(br#"{"pid_set":[7],"event_set":["PROCESS_KPROBE"]}"#).unwrap();
        let lists = FilterLists::compile(&[filter], &[]).unwrap();
        let wants = |kind: &str, pid: u32, parent: u32| {
            let text = format!(r#"{{"{kind}":{{"process":{{"pid":{pid}}},"parent":{{"pid":{parent}}}}}}}"#);
            lists.wants(&read_event(text.as_bytes()).unwrap())
        };
        assert!(!wants("process_kprobe", 8, 1));
        assert!(!wants("process_exec", 8, 7), "followed, not wanted");
        assert!(
            wants("process_kprobe", 8, 1) && wants("process_kprobe", 9, 8) && wants("process_kprobe", 7, 1)
        );
        assert!(!wants("process_exit", 8, 7));
        assert!(!wants("process_kprobe", 8, 1), "its number is free again");
        assert!(wants("process_kprobe", 9, 1));
    }

    #[test]
    fn an_event_without_a_process_matches_no_process_filter() {
        let event = Arc::new(read_event(br#"{"test":{}}"#).unwrap());
        for (filter, expected) in [
            (r#"{"namespace":[""]}"#, false),
            (r#"{"in_init_tree":false}"#, false),
            (r#"{"event_set":["TEST"]}"#, true),
        ] {
            let filter: Filter = read_message(filter.as_bytes()).unwrap();
            assert_eq!(FilterLists::compile(&[filter], &[]).unwrap().wants(&event), expected);
        }
    }

    #[test]
    fn what_cannot_be_evaluated_is_refused_by_name() {
        for (filter, expected) in [
            (
                r#"{"cel_expression":["1"]}"#,
                "filter field cel_expression: \"1\": it is neither true nor false",
            ),
            (r#"{"labels":["a=b","a in b"]}"#, "filter field labels: \"a in b\" is no selector: "),
            (r#"{"event_set":[3]}"#, "filter field event_set: there is no event type 3"),
            (r#"{"binary_regex":["("]}"#, "filter field binary_regex: "),
            (r#"{"pod_regex":["(((a{100}){100}){100}){100}"]}"#, "filter field pod_regex: "),
            (r#"{"capabilities":{"effective":{}}}"#, "filter field capabilities: give exactly one"),
        ] {
            let filter: Filter = read_message(filter.as_bytes()).unwrap();
            let error = FilterLists::compile(&[], &[filter]).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
