//! Filters as options give them: JSON objects, one after the other.

use prost::{Message, Name};
use prost_reflect::{DeserializeOptions, DynamicMessage};
use serde_json::Value;

use crate::json::descriptor;
use crate::wire;

/// The filters of an allow or deny list. Names of fields may be in snake or camel case.
///
/// # Errors
///
/// Where the text is no JSON, or names a field or a value that there is not.
pub fn read_filters(text: &str) -> Result<Vec<wire::Filter>, serde_json::Error> {
    values(text)?.into_iter().map(message).collect()
}

/// Field filters; paths may be in snake or camel case too.
///
/// # Errors
///
/// As [`read_filters`].
pub fn read_field_filters(text: &str) -> Result<Vec<wire::FieldFilter>, serde_json::Error> {
    let read = |mut value: Value| {
        // Protobuf's JSON has paths in camel case only.
        if let Some(Value::String(paths)) = value.get_mut("fields") {
            *paths = in_camel_case(paths);
        }
        message(value)
    };
    values(text)?.into_iter().map(read).collect()
}

/// Redaction filters.
///
/// # Errors
///
/// As [`read_filters`].
pub fn read_redaction_filters(text: &str) -> Result<Vec<wire::RedactionFilter>, serde_json::Error> {
    values(text)?.into_iter().map(message).collect()
}

fn values(text: &str) -> Result<Vec<Value>, serde_json::Error> {
    serde_json::Deserializer::from_str(text).into_iter().collect()
}

fn message<M: Message + Name + Default>(value: Value) -> Result<M, serde_json::Error> {
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let dynamic = DynamicMessage::deserialize_with_options(descriptor::<M>(), value, &options)?;
    dynamic.transcode_to().map_err(serde::de::Error::custom)
}

fn in_camel_case(paths: &str) -> String {
    let mut text = String::with_capacity(paths.len());
    let mut raise = false;
    for letter in paths.chars().filter(|letter| !letter.is_whitespace()) {
        if letter == '_' {
            raise = true;
        } else {
            text.push(if std::mem::take(&mut raise) { letter.to_ascii_uppercase() } else { letter });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::{read_field_filters, read_filters, read_redaction_filters};

    // proves: FLT-13
    #[test]
    fn a_list_is_objects_one_after_the_other_in_either_case() {
        assert_eq!(read_filters(" \n").unwrap(), []);
        let text = r#"{"event_set":["PROCESS_EXEC"],"healthCheck":true}
            {"namespace":["","kube-system"]}{"parentBinaryRegex":["x"]}"#;
        let filters = read_filters(text).unwrap();
        assert_eq!((filters[0].event_set.as_slice(), filters[0].health_check), ([1].as_slice(), Some(true)));
        assert_eq!(filters[1].namespace, ["", "kube-system"]);
        assert_eq!(filters[2].parent_binary_regex, ["x"]);
        let fields = read_field_filters(r#"{"fields":"process.exec_id, parent.execId","action":"EXCLUDE"}"#);
        assert_eq!(fields.unwrap()[0].fields.as_ref().unwrap().paths, ["process.exec_id", "parent.exec_id"]);
        let redaction = read_redaction_filters(r#"{"redact":["(x)"],"binary_regex":["y"]}"#).unwrap();
        assert_eq!(
            (redaction[0].redact.as_slice(), redaction[0].binary_regex.as_slice()),
            (["(x)".to_owned()].as_slice(), ["y".to_owned()].as_slice())
        );
    }

    // proves: FLT-13
    #[test]
    fn what_is_misspelt_is_refused() {
        for text in [
            r#"{"evnt_set":["PROCESS_EXEC"]}"#,
            r#"{"event_set":["PROCESS_EXECUTE"]}"#,
            r#"{"pid":"x"}"#,
            r#"[{"pid":[1]}]"#,
            r#"{"pid":[1]"#,
        ] {
            assert!(read_filters(text).is_err(), "{text}");
        }
    }
}
