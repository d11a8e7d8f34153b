//! The compile errors of `#[rpc_method]` and `#[rpc_service]`, and functions that are methods.

/// `TRYBUILD=overwrite cargo test -p rpc-macros` writes the expected messages.
#[test]
fn what_cannot_be_a_method_or_service_is_an_error_that_says_why() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/passes.rs");
    cases.compile_fail("tests/ui/errors/*.rs");
    cases.compile_fail("tests/ui/service/*.rs");
}
