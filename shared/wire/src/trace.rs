//! The trace context of a caller.

/// Bytes of a `traceparent`, which is kept while its call runs. That of version 00 has 55; later ones may be longer, but
/// hardly longer than what the W3C wants carried of the whole `tracestate`.
const MAX_BYTES: usize = 512;

/// Whether it is a `traceparent` as the W3C has it: `00-<32 hex>-<16 hex>-<2 hex>` in lower case, neither of the ids
/// all zeros. Later versions may go on after it, up to 512 bytes.
pub fn is_traceparent(text: &str) -> bool {
    if text.len() > MAX_BYTES {
        return false;
    }
    let is_hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |part: &str, digits| is_hex(part, digits) && part.bytes().any(|it| it != b'0');
    let mut parts = text.splitn(5, '-');
    let [version, trace, parent, flags] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let is_version = is_hex(version, 2) && version != "ff";
    let is_ended = version != "00" || parts.next().is_none();
    is_version && is_id(trace, 32) && is_id(parent, 16) && is_hex(flags, 2) && is_ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_form_of_the_w3c_is_a_trace_context() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (given, is_one) in [
            (format!("00-{trace}-00f067aa0ba902b7-01"), true),
            (format!("cc-{trace}-00f067aa0ba902b7-01"), true),
            (format!("cc-{trace}-00f067aa0ba902b7-01-what-comes-later"), true),
            (format!("cc-{trace}-00f067aa0ba902b7-01-{}", "x".repeat(456)), true),
            (format!("cc-{trace}-00f067aa0ba902b7-01-{}", "x".repeat(457)), false),
            (format!("00-{trace}-00f067aa0ba902b7-01-more"), false),
            (format!("00-{trace}-00f067aa0ba902b7-01-"), false),
            (format!("ff-{trace}-00f067aa0ba902b7-01"), false),
            (format!("0-{trace}-00f067aa0ba902b7-01"), false),
            (format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()), false),
            (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), false),
            (format!("00-{trace}-0000000000000000-01"), false),
            (format!("00-{trace}-00f067aa0ba902b7-1"), false),
            (format!("00-{trace}-00f067aa0ba902b7"), false),
            (format!("00-{}g-00f067aa0ba902b7-01", &trace[1..]), false),
            ("junk".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(is_traceparent(&given), is_one, "{given}");
        }
    }
}
