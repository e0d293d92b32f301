//! Options that the environment sets.

use std::collections::BTreeMap;

/// What stands before the name of an option in the environment.
const PREFIX: &str = "TETRAGON_";

/// The value of each of `names` that the environment sets, by the option's name. A variable that is empty counts as not set, one that is
/// not text is left out. `lookup` is the environment.
pub(super) fn values(
    names: &[String],
    lookup: impl Fn(&str) -> Option<std::ffi::OsString>,
) -> BTreeMap<String, String> {
    names
        .iter()
        .filter_map(|name| {
            let value = lookup(&variable(name))?.into_string().ok()?;
            (!value.is_empty()).then(|| (name.clone(), value))
        })
        .collect()
}

/// The variable of an option: `TETRAGON_RB_SIZE` for `rb-size`.
pub(super) fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.to_ascii_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: INST-06
    #[test]
    fn a_variable_is_found_by_the_name_of_its_option() {
        let names = ["rb-size".to_owned(), "debug".to_owned(), "btf".to_owned()];
        let found = values(&names, |variable| match variable {
            "TETRAGON_RB_SIZE" => Some("1M".into()),
            "TETRAGON_BTF" => Some("".into()),
            _ => None,
        });
        assert_eq!(found, BTreeMap::from([("rb-size".to_owned(), "1M".to_owned())]));
    }
}
