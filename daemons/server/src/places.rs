//! Places for connections and calls: one peer has a share of them.

pub(crate) mod calls;
pub(crate) mod connections;

/// "1 call", "2 calls".
pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
