//! The last component of a path, tested before the path is formed.

use super::Reads;
use crate::ir::{BytesTest, Check, Leaf, Selector, Test};
use crate::policy::{Sense, StringForm};

/// More leaves than this are not worth comparing.
const MOST_LEAVES: usize = 16;

/// Adds a leaf test before each test that only paths with certain last components can pass.
pub(super) fn add(selector: &mut Selector, reads: &Reads) {
    let mut added = Vec::new();
    for test in &selector.tests {
        let Check::Bytes(bytes) = &test.check else { continue };
        let is_path = reads.get(bytes.read).is_some_and(|read| read.ty.is_path());
        if !is_path {
            continue;
        }
        if let Some(leaves) = leaves(bytes) {
            added.push(Test { check: Check::Leaf { read: bytes.read, leaves }, origin: test.origin });
        }
    }
    selector.tests.extend(added);
}

/// The last components that may match; `None` where every one may, or too many.
fn leaves(test: &BytesTest) -> Option<Vec<Leaf>> {
    let rules_out = test.sense == Sense::Plain && test.form != StringForm::Prefix;
    if !rules_out || test.values.len() > MOST_LEAVES {
        return None;
    }
    let mut leaves = Vec::with_capacity(test.values.len());
    for value in &test.values {
        match value.iter().rposition(|&byte| byte == b'/') {
            // the root has no component, and no other path ends so; the root is never ruled out by its leaf
            Some(at) if at + 1 == value.len() => {}
            Some(at) => leaves.push(Leaf::Whole(value.get(at + 1..)?.to_vec())),
            // not absolute: no path is like this
            None if test.form == StringForm::Exact => {}
            None if value.is_empty() => return None,
            None => leaves.push(Leaf::End(value.clone())),
        }
    }
    leaves.sort_unstable();
    leaves.dedup();
    Some(leaves)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::ReadId;

    fn test(form: StringForm, values: &[&str]) -> BytesTest {
        let values = values.iter().map(|value| value.as_bytes().to_vec()).collect();
        BytesTest { read: ReadId(0), form, sense: Sense::Plain, values, table: None }
    }

    #[test]
    fn an_exact_path_has_its_last_component_and_an_end_may_be_part_of_one() {
        let exact = leaves(&test(StringForm::Exact, &["/etc/shadow", "/etc/gshadow", "/"]));
        assert_eq!(exact, Some(vec![Leaf::Whole(b"gshadow".to_vec()), Leaf::Whole(b"shadow".to_vec())]));
        let end = leaves(&test(StringForm::Postfix, &[".ssh/id", ".key", "/x/"]));
        assert_eq!(end, Some(vec![Leaf::Whole(b"id".to_vec()), Leaf::End(b".key".to_vec())]));
    }

    #[test]
    fn what_every_component_may_pass_is_not_tested() {
        assert_eq!(leaves(&test(StringForm::Prefix, &["/etc"])), None);
        assert_eq!(leaves(&test(StringForm::Postfix, &["", "a"])), None);
        let negated = BytesTest { sense: Sense::Negated, ..test(StringForm::Exact, &["/a"]) };
        assert_eq!(leaves(&negated), None);
    }
}
