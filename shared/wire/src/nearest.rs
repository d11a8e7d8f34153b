//! The known names that were probably meant, for "did you mean" in every program.

/// A comparison costs the product of the lengths; no real name is longer.
const LONGEST: usize = 100;

/// The most similar of `known`, if any is similar enough: at most a third of the letters differ.
///
/// ```
/// assert_eq!(rpc_wire::nearest("adn", ["add", "hello"]), Some("add"));
/// assert_eq!(rpc_wire::nearest("quit", ["add", "hello"]), None);
/// ```
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
    let name = name.to_lowercase();
    let distance = |known: &str| strsim::damerau_levenshtein(&name, &known.to_lowercase());
    let (distance, best) = known
        .into_iter()
        .map(|known| (distance(known), known))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= (name.chars().count() / 3).max(1)).then_some(best)
}

/// At most `count` of `known`, the most similar first, however different they are.
///
/// ```
/// assert_eq!(rpc_wire::most_similar("ad", ["mul", "sub", "add"], 2), ["add", "mul"]);
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
    let distance = |known: &str| strsim::damerau_levenshtein(&name, &known.to_lowercase());
    let known = known.into_iter().filter(|known| known.len() <= LONGEST);
    let mut ranked: Vec<_> = known.map(|known| (distance(known), known)).collect();
    ranked.sort_unstable();
    ranked.dedup();
    ranked.into_iter().take(count).map(|(_, known)| known).collect()
}
