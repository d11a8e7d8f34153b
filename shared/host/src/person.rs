//! Who runs this program, as others read it.

/// `user@machine`: the user by the environment (`USER`, `LOGNAME`), else by number.
pub fn user_at_machine() -> String {
    let named = |name: &str| std::env::var(name).ok().filter(|user| !user.is_empty());
    let user = named("USER").or_else(|| named("LOGNAME"));
    let user = user.unwrap_or_else(|| format!("uid{}", rustix::process::getuid().as_raw()));
    format!("{user}@{}", rustix::system::uname().nodename().to_string_lossy())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_names_a_user_and_a_machine() {
        let person = super::user_at_machine();
        let (user, machine) = person.split_once('@').unwrap();
        assert!(!user.is_empty() && !machine.is_empty(), "{person}");
    }
}
