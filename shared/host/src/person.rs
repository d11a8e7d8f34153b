//! Who runs this program, and where, as others read it.

use rpc_wire::instance::MAX_BY_BYTES;
use rpc_wire::is_hidden;

/// `user@machine`, in at most [`MAX_BY_BYTES`]: the user by the environment (`USER`, `LOGNAME`), else by
/// number.
pub fn user_at_machine() -> String {
    let named = |name: &str| std::env::var(name).ok().filter(|user| !user.is_empty());
    let user = named("USER").or_else(|| named("LOGNAME"));
    let user = user.unwrap_or_else(|| format!("uid{}", rustix::process::getuid().as_raw()));
    let mut person = format!("{user}@{}", machine()).replace(is_hidden, "");
    while person.len() > MAX_BY_BYTES {
        person.pop();
    }
    person
}

/// The machine's name.
pub fn machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().replace(is_hidden, "")
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_names_a_user_and_a_machine() {
        let person = super::user_at_machine();
        let (user, machine) = person.split_once('@').unwrap();
        assert!(!user.is_empty() && !machine.is_empty(), "{person}");
        assert!(person.len() <= super::MAX_BY_BYTES && !person.contains(super::is_hidden));
    }
}
