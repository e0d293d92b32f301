//! Sizes.

/// `bytes` in decimal units with at most two digits of fraction: `1.88 MB`, `0 B`.
pub(crate) fn bytes(bytes: u64) -> String {
    let (mut unit, mut size) = ("B", 1);
    for larger in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        if bytes / size < 1000 {
            break;
        }
        (unit, size) = (larger, size * 1000);
    }
    let hundredths = u128::from(bytes) * 100 / u128::from(size);
    let (whole, fraction) = (hundredths / 100, hundredths % 100);
    let number = match (fraction / 10, fraction % 10) {
        (0, 0) => whole.to_string(),
        (tenths, 0) => format!("{whole}.{tenths}"),
        _ => format!("{whole}.{fraction:02}"),
    };
    format!("{number} {unit}")
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn memory_has_decimal_units_and_at_most_two_digits() {
        for (size, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1 kB"),
            (1_500, "1.5 kB"),
            (1_880_000, "1.88 MB"),
            (1_050_000_000, "1.05 GB"),
            (u64::MAX, "18.44 EB"),
        ] {
            assert_eq!(bytes(size), expected);
        }
    }
}
