//! Paths and strings.

use crate::ir::{self, BytesTest, Check, ReadId};
use crate::policy::{Bytes, ContainsTest, StringTest};

/// The test of a path or string; values that no subject can have are gone.
pub(super) fn test(read: ReadId, test: &StringTest, is_buffer: bool) -> Check {
    let values = possible(&test.values, is_buffer);
    Check::Bytes(BytesTest { read, form: test.form, sense: test.sense, values, table: None })
}

/// The test for a text.
pub(super) fn contains(read: ReadId, test: &ContainsTest) -> Check {
    let values = possible(&test.values, false);
    Check::Contains(ir::ContainsTest { read, case: test.case, values, search: None })
}

/// Values that a subject can have, each once; only buffers hold NUL.
fn possible(values: &[Bytes], is_buffer: bool) -> Vec<Vec<u8>> {
    let possible = values.iter().filter(|value| is_buffer || !value.value.contains(&0));
    let mut values: Vec<Vec<u8>> = possible.map(|value| value.value.clone()).collect();
    values.sort_unstable();
    values.dedup();
    values
}
