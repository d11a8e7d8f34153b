//! Programs that some tests need.

/// Whether the program is there that a Debian package has.
///
/// # Panics
/// `CI=true` and it is missing.
pub fn has(program: &str, package: &str) -> bool {
    // The one program without that flag.
    let flag = if program == "openssl" { "version" } else { "--version" };
    let found = std::process::Command::new(program).arg(flag).output();
    is_there(found.is_ok_and(|output| output.status.success()), package)
}

/// `found`, whether what a Debian package has is there. Without it tests are skipped with a message; with
/// `CI=true` they fail instead, since nobody reads the messages there.
///
/// # Panics
/// `CI=true` and it is missing.
pub(crate) fn is_there(found: bool, package: &str) -> bool {
    if !found {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "{package} is missing: install it (a package of Debian, or tests/peers/install), CI=true forbids skipping"
        );
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        eprintln!("skipped {test}: {package} is not installed");
    }
    found
}
