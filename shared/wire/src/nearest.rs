//! The known name that was probably meant, for "did you mean" in every program.

/// The most similar of `known`, if any is similar enough: at most a third of the letters differ.
///
/// ```
/// assert_eq!(rpc_wire::nearest("adn", ["add", "hello"]), Some("add"));
/// assert_eq!(rpc_wire::nearest("quit", ["add", "hello"]), None);
/// ```
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A comparison costs the product of the lengths; no real name is that long.
    if name.len() > 100 {
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
