//! Texts in commands that people paste into a shell.

/// A text as one word of a POSIX shell.
///
/// Not by `shlex`, which quotes every `=` and `,`, so that each keyword argument would be quoted.
pub fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,@%+=".contains(c);
    // zsh expands a leading `=` to the path of a command.
    if !text.is_empty() && !text.starts_with('=') && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (text, shown) in [
            ("a=b,c", "a=b,c"),
            ("-x", "-x"),
            ("", "''"),
            ("=ls", "'=ls'"),
            ("it's", r"'it'\''s'"),
            ("[1]", "'[1]'"),
            ("$(touch x)", "'$(touch x)'"),
            ("`id`", "'`id`'"),
        ] {
            assert_eq!(shell_word(text), shown);
        }
    }
}
