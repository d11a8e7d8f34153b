//! The compile errors of `#[rpc_method]`, and functions it accepts.

/// `TRYBUILD=overwrite cargo test -p rpc-macros` writes the expected messages.
#[test]
fn a_function_that_cannot_be_a_method_is_an_error_that_says_why() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/passes.rs");
    cases.compile_fail("tests/ui/errors/*.rs");
}
