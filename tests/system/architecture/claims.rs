//! Claims of maps about imports: `a → b → c` means that `a` imports `b`, `b` imports `c`, and none
//! imports one to its left.

use std::collections::BTreeSet;
use std::path::Path;

use super::imports::Graph;

/// One chain of a map.
#[derive(Debug)]
pub(super) struct Claim {
    /// The map's name, for messages.
    pub(super) map: String,
    /// The crate it describes.
    pub(super) of: String,
    /// The links of the chain, each with its modules.
    chain: Vec<Vec<String>>,
}

/// The chains in `text`: in backticks, about `of`; or on a line that names its crate first, such as
/// `rpc-server: session → dispatch`.
pub(super) fn claims_of(map: &str, of: Option<&str>, text: &str) -> Vec<Claim> {
    let mut claims = Vec::new();
    let mut add = |of: &str, chain: &str| {
        let links = chain.split('→').map(|link| {
            let names = link.split([',', '{', '}']).map(|name| name.trim().to_owned());
            names.filter(|name| !name.is_empty()).collect()
        });
        claims.push(Claim { map: map.to_owned(), of: of.to_owned(), chain: links.collect() });
    };
    for line in text.lines() {
        match (of, line.split_once(':')) {
            (Some(of), _) => {
                line.split('`')
                    .skip(1)
                    .step_by(2)
                    .filter(|code| code.contains('→'))
                    .for_each(|code| add(of, code));
            }
            (None, Some((of, chains))) if of.starts_with("rpc") && chains.contains('→') => {
                chains.split(';').for_each(|chain| add(of.trim(), chain));
            }
            (None, _) => {}
        }
    }
    claims
}

/// The differences between a claim and the graph.
pub(super) fn differences(claim: &Claim, graph: &Graph) -> Vec<String> {
    let mut differences = Vec::new();
    let mut found = BTreeSet::new();
    for (file, imports) in graph {
        let Some(from) = link_of(claim, file) else { continue };
        for imported in imports {
            let Some(to) = link_of(claim, imported) else { continue };
            found.insert((from, to));
            if to.0 < from.0 {
                differences.push(format!("{} imports {}", file.display(), imported.display()));
            }
        }
    }
    for (at, pair) in claim.chain.windows(2).enumerate() {
        for (a, from) in pair[0].iter().enumerate() {
            for (b, to) in pair[1].iter().enumerate() {
                if !found.contains(&((at, a), (at + 1, b))) {
                    differences.push(format!("{from} imports nothing of {to}"));
                }
            }
        }
    }
    differences
}

/// The link that a file belongs to: that of its innermost module in the chain.
fn link_of(claim: &Claim, file: &Path) -> Option<(usize, usize)> {
    let file = file.with_extension("");
    let parts = file.iter().filter_map(|part| part.to_str());
    // A crate's directory may have the name of one of its modules.
    let parts: Vec<&str> = parts.skip_while(|part| *part != "src").collect();
    parts.iter().rev().find_map(|part| {
        claim.chain.iter().enumerate().find_map(|(at, link)| {
            link.iter().position(|name| name == part).map(|index| (at, index))
        })
    })
}
