//! Planted defects that the tests of the whole must find: in no program but one built with the feature `mutants`.

/// The variable that names the defect that a process has.
pub const VARIABLE: &str = "RPC_MUTANT";

/// Whether this process has the planted defect of that name. Without the feature, never: the compiler removes
/// the defect.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub const fn mutant(_name: &str) -> bool {
    false
}

/// Whether this process has the planted defect of that name.
#[cfg(feature = "mutants")]
pub fn mutant(name: &str) -> bool {
    static NAMED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    NAMED.get_or_init(|| std::env::var(VARIABLE).ok()).as_deref() == Some(name)
}
