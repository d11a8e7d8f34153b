//! Tests that need a minute of wall clock, or an otherwise idle machine.

/// Whether slow tests run: `RPCD_SLOW_TESTS=1`, which `.ci/run` sets. Otherwise it prints which
/// test is skipped and why, and the caller must return.
///
/// ```
/// # fn the_test() {
/// if !rpc_tests::slow::enabled("four windows of 15 s without a frame") {
///     return;
/// }
/// # }
/// ```
pub fn enabled(why: &str) -> bool {
    let enabled = std::env::var("RPCD_SLOW_TESTS").as_deref() == Ok("1");
    if !enabled {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        eprintln!("skipped {test}: {why}; RPCD_SLOW_TESTS=1 runs it");
    }
    enabled
}
