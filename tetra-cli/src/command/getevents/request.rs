//! The flags as the filter and the request of the API.

use api::wire;

use crate::args::GetEvents;

/// The one filter that the flags make: all of them must match.
pub(super) fn filter(options: &GetEvents) -> wire::Filter {
    let mut namespace = options.namespace.clone();
    if options.host {
        // Processes outside pods are in the namespace without a name.
        namespace.push(String::new());
    }
    wire::Filter {
        binary_regex: options.process.clone(),
        namespace,
        namespace_regex: options.namespace_regex.clone(),
        pod_regex: options.pod.clone(),
        container_name_regex: options.containers.clone(),
        event_set: options.event_types.iter().map(|kind| kind.number()).collect(),
        policy_names: options.policy_names.clone(),
        cel_expression: options.cel_expression.iter().flat_map(|text| expressions(text)).collect(),
        ..wire::Filter::default()
    }
}

/// The expressions between commas. A comma within brackets or a string belongs to its expression.
fn expressions(text: &str) -> Vec<String> {
    let (mut depth, mut string, mut escaped) = (0_u32, None, false);
    let is_between = |letter: char| {
        let between = letter == ',' && depth == 0 && string.is_none();
        match (letter, string) {
            _ if escaped => escaped = false,
            ('\\', Some(_)) => escaped = true,
            (_, Some(quote)) if letter == quote => string = None,
            ('"' | '\'', None) => string = Some(letter),
            ('(' | '[' | '{', None) => depth += 1,
            (')' | ']' | '}', None) => depth = depth.saturating_sub(1),
            _ => {}
        }
        between
    };
    text.split(is_between).map(str::to_owned).collect()
}

/// The request for a stream.
pub(super) fn request(options: &GetEvents) -> wire::GetEventsRequest {
    let filter = filter(options);
    let nothing = filter == wire::Filter::default();
    wire::GetEventsRequest {
        allow_list: if nothing { Vec::new() } else { vec![filter] },
        deny_list: Vec::new(),
        aggregation_options: None,
        field_filters: field_filters(options),
    }
}

/// Which fields of all events are wanted, and which are not.
pub(super) fn field_filters(options: &GetEvents) -> Vec<wire::FieldFilter> {
    let fields = [
        (&options.include_fields, wire::FieldFilterAction::Include),
        (&options.exclude_fields, wire::FieldFilterAction::Exclude),
    ];
    let given = fields.into_iter().filter(|(fields, _)| !fields.is_empty());
    let filter = |(fields, action): (&Vec<String>, wire::FieldFilterAction)| wire::FieldFilter {
        event_set: Vec::new(),
        fields: Some(field_mask(fields)),
        action: action.into(),
        invert_event_set: None,
    };
    given.map(filter).collect()
}

fn field_mask(fields: &[String]) -> prost_types::FieldMask {
    prost_types::FieldMask { paths: fields.to_vec() }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::panic, reason = "tests")]

    use clap::Parser as _;

    use super::{expressions, request};
    use crate::args::{Arguments, Command, GetEvents};

    fn options(flags: &[&str]) -> Box<GetEvents> {
        let words = ["tetra", "getevents"].iter().chain(flags);
        match Arguments::try_parse_from(words).map(|arguments| arguments.command) {
            Ok(Command::Getevents(options)) => options,
            other => panic!("{other:?}"),
        }
    }

    // proves: CLI-07
    #[test]
    fn all_flags_make_one_filter() {
        let flags = [
            "--host",
            "-n",
            "a,b",
            "--process",
            "x$",
            "--pod",
            "p",
            "-e",
            "PROCESS_EXEC,process_exit",
            "--policy-names",
            "q",
            "--namespace-regex",
            "n",
            "--containers",
            "c",
            "--cel-expression",
            "true",
        ];
        let request = request(&options(&flags));
        assert_eq!(request.allow_list.len(), 1);
        let filter = &request.allow_list[0];
        assert_eq!(filter.namespace, ["a", "b", ""]);
        assert_eq!(filter.event_set, [1, 5]);
        assert_eq!(filter.binary_regex, ["x$"]);
        assert_eq!((filter.pod_regex.len(), filter.policy_names.len()), (1, 1));
        assert_eq!((filter.namespace_regex.len(), filter.container_name_regex.len()), (1, 1));
        assert_eq!(filter.cel_expression, ["true"]);
    }

    #[test]
    fn a_comma_within_an_expression_does_not_end_it() {
        for (text, expected) in [
            ("a == 1,b == 2", &["a == 1", "b == 2"][..]),
            ("a in [1, 2] && f(b, c)", &["a in [1, 2] && f(b, c)"]),
            (r#"a == "x,\",y",b"#, &[r#"a == "x,\",y""#, "b"]),
            ("a == ',(' ,b", &["a == ',(' ", "b"]),
        ] {
            assert_eq!(expressions(text), expected);
        }
    }

    #[test]
    fn a_list_may_be_given_in_several_flags() {
        let request = request(&options(&[
            "-e",
            "PROCESS_EXEC",
            "-e",
            "PROCESS_EXIT",
            "--process",
            "a",
            "--process",
            "b",
        ]));
        assert_eq!(request.allow_list[0].event_set, [1, 5]);
        assert_eq!(request.allow_list[0].binary_regex, ["a", "b"]);
    }

    #[test]
    fn without_flags_nothing_is_filtered() {
        let request = request(&options(&[]));
        assert!(request.allow_list.is_empty() && request.field_filters.is_empty());
    }

    // proves: CLI-08 (what is asked of the daemon)
    #[test]
    fn field_filters_say_what_to_do_with_the_fields() {
        let request = request(&options(&["-f", "process.pid,process.binary", "-F", "parent"]));
        let actions: Vec<_> = request.field_filters.iter().map(|filter| filter.action).collect();
        assert_eq!(actions, [0, 1]);
    }
}
