//! System tests: the daemons as their users run them.
fn main() {}
