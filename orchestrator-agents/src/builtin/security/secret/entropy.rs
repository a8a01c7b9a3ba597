//! How random a value looks.

/// Shannon entropy of the bytes of `value`, in bits per byte: 0 when all are the same, at most
/// the logarithm of its length.
pub(super) fn shannon(value: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let length = value.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / length;
            -share * share.log2()
        })
        .sum()
}

/// How often neighbouring characters differ in class (lower, upper, digit, other). Words and
/// identifiers change seldom, keys all the time.
pub(super) fn changes(value: &str) -> usize {
    let class = |byte: u8| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    value.as_bytes().windows(2).filter(|pair| class(pair[0]) != class(pair[1])).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_tells_keys_from_words() {
        for (value, low, high) in [
            ("", 0.0, 0.0),
            ("aaaaaaaa", 0.0, 0.0),
            ("abababab", 1.0, 1.0),
            ("password", 2.7, 2.8),
            ("0123456789abcdef", 4.0, 4.0),
        ] {
            let entropy = shannon(value);
            assert!(entropy >= low && entropy <= high, "{value}: {entropy}");
        }
    }

    #[test]
    fn class_changes_are_counted() {
        for (value, expected) in [("", 0), ("word", 0), ("Word", 1), ("a1B2", 3), ("two-words", 2)]
        {
            assert_eq!(changes(value), expected, "{value}");
        }
    }
}
