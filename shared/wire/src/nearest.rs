//! The known names that were probably meant, for "did you mean" in every program.

/// A comparison costs the product of the lengths; no real name is longer.
const LONGEST: usize = 100;

/// The most similar of `known`, if any is similar enough: at most a third of the letters differ, or one.
///
/// ```
/// assert_eq!(rpc_wire::nearest("adn", ["add", "hello"]), Some("add"));
/// assert_eq!(rpc_wire::nearest("quit", ["add", "hello"]), None);
/// ```
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    most_similar(name, known, 1).first().copied()
}

/// At most `count` of `known` that are as similar as [`nearest`] requires, the most similar first.
///
/// ```
/// assert_eq!(rpc_wire::most_similar("ad", ["aid", "mul", "add"], 2), ["add", "aid"]);
/// assert_eq!(rpc_wire::most_similar("nosuch", ["echo", "add", "divide"], 3), [""; 0]);
/// ```
pub fn most_similar<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    count: usize,
) -> Vec<&'a str> {
    if name.len() > LONGEST {
        return Vec::new();
    }
    let name = name.to_lowercase();
    let known = known.into_iter().filter(|known| known.len() <= LONGEST);
    let mut ranked: Vec<_> =
        known.filter_map(|known| Some((distance(&name, known)?, known))).collect();
    ranked.sort_unstable();
    ranked.dedup();
    ranked.into_iter().take(count).map(|(_, known)| known).collect()
}

/// How many letters differ, if they are few. One of one letter is all of them.
fn distance(name: &str, known: &str) -> Option<usize> {
    let letters = name.chars().count();
    let distance = strsim::damerau_levenshtein(name, &known.to_lowercase());
    let longer = letters.max(known.chars().count());
    (distance < longer && distance <= (letters / 3).max(1)).then_some(distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_similar_names_are_suggested_the_most_similar_first() {
        let known = ["echo", "add", "divide", "subtract", "subtract_all", "m"];
        for (name, similar) in [
            ("nosuch", &[][..]),
            ("ad", &["add"]),
            ("ADD", &["add"]),
            ("x", &[]),
            ("", &[]),
            ("subtrat", &["subtract"]),
            ("subtract_al", &["subtract_all", "subtract"]),
        ] {
            assert_eq!(most_similar(name, known, 3), similar, "{name}");
            assert_eq!(nearest(name, known), similar.first().copied(), "{name}");
        }
        assert_eq!(most_similar("ad", ["add", "add"], 3), ["add"]);
        assert_eq!(most_similar(&"a".repeat(101), ["a"], 3), [""; 0]);
    }
}
