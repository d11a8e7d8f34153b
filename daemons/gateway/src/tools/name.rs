//! The names of tools, which depend on nothing but a method and its service: no other one changes them.

/// Characters of a name that every client and model takes; the protocol has up to 128.
const MAX_NAME_CHARS: usize = 64;

/// The names that it may have, the best first.
///
/// # Errors
/// It can have none.
pub(super) fn of(prefix: &str, service: Option<&str>, method: &str) -> Result<[String; 2], String> {
    if method.is_empty() {
        return Err("its name is empty".to_owned());
    }
    let full = full(prefix, service, method);
    let marked = marked(&full);
    let first = if is_usual(&full) { full } else { marked.clone() };
    Ok([first, marked])
}

/// Whether a tool is called as its method is.
pub(super) fn is_kept(prefix: &str, service: Option<&str>, method: &str) -> bool {
    service.is_none() && is_usual(&full(prefix, None, method))
}

fn full(prefix: &str, service: Option<&str>, method: &str) -> String {
    match service {
        Some(service) => format!("{prefix}{service}.{method}"),
        None => format!("{prefix}{method}"),
    }
}

/// Whether every client takes it.
fn is_usual(name: &str) -> bool {
    name.len() <= MAX_NAME_CHARS && name.chars().all(is_usual_character)
}

fn is_usual_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Such a name of any: with its checksum, by which names that look alike differ whichever others there are.
fn marked(name: &str) -> String {
    /// Of the underscore and the checksum.
    const MARK_CHARS: usize = 9;
    let usual = name.chars().map(|c| if is_usual_character(c) { c } else { '_' });
    let start: String = usual.take(MAX_NAME_CHARS - MARK_CHARS).collect();
    format!("{start}_{:08x}", checksum(name))
}

/// FNV-1a: it must be the same everywhere and for ever.
fn checksum(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
