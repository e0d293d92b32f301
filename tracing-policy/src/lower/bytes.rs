//! Paths and strings.

use crate::ir::{BytesTest, Check, ReadId};
use crate::policy::StringTest;

/// The test of a path or string; values that no subject can have are gone.
pub(super) fn test(read: ReadId, test: &StringTest) -> Check {
    let possible = test.values.iter().filter(|value| !value.value.contains(&0));
    let mut values: Vec<Vec<u8>> = possible.map(|value| value.value.clone()).collect();
    values.sort_unstable();
    values.dedup();
    Check::Bytes(BytesTest { read, form: test.form, sense: test.sense, values, table: None })
}
