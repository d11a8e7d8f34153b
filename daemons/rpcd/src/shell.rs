//! Commands as they are shown: to be pasted into a shell, whatever a peer says of itself.

/// A command with these words, each of them a [`shell_word`](rpc_wire::shell_word), and the flags, which are quoted
/// already. Words that look like options come last, where nothing is an option.
pub fn command(program: &str, words: &[String], flags: &str) -> String {
    let looks_like_option = |word: &String| word.trim_start_matches('\'').starts_with('-');
    let are_options = words.iter().any(looks_like_option);
    let words = words.join(" ");
    let parts = match are_options {
        true => [program, flags.trim(), "--", &words],
        false => [program, &words, flags.trim(), ""],
    };
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use rpc_wire::shell_word;

    use super::*;

    #[test]
    fn words_that_look_like_options_are_none() {
        let shown = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| shell_word(word)).collect();
            command("rpcd call", &words, " -p 7")
        };
        assert_eq!(shown(&["add", "1"]), "rpcd call add 1 -p 7");
        assert_eq!(shown(&["--registry=x"]), "rpcd call -p 7 -- --registry=x");
        assert_eq!(shown(&["echo", "-x"]), "rpcd call -p 7 -- echo -x");
        assert_eq!(command("rpcd call", &["add".to_owned()], ""), "rpcd call add");
    }
}
