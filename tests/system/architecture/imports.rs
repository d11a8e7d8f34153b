//! Imports between the files of a crate, read from its sources.
//!
//! An import is a path from `crate`, `self`, `super` or a child module, in a `use` or in code; it
//! refers to the file that defines the name, through re-exports. Test code is ignored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;
use syn::{Attribute, Item, ItemMod, ItemUse, Meta, UseTree};

/// A crate's files, each by its module path: `["session", "dispatch"]`.
#[derive(Debug, Default)]
pub(super) struct Crate {
    files: BTreeMap<Vec<String>, File>,
}

#[derive(Debug, Default)]
struct File {
    path: PathBuf,
    /// Names that a `use` brings into this module: name → path.
    reexports: BTreeMap<String, Vec<String>>,
    /// Paths in `use` items and in code.
    paths: BTreeSet<Vec<String>>,
}

/// Imports: file → files.
pub(super) type Graph = BTreeMap<PathBuf, BTreeSet<PathBuf>>;

impl Crate {
    /// Reads the sources below `src`; paths are relative to `root`.
    pub(super) fn read(root: &Path, src: &str) -> Self {
        let mut files = Vec::new();
        collect(&root.join(src), &mut files);
        let texts = files.into_iter().map(|file| {
            let text = std::fs::read_to_string(&file).unwrap();
            (file.strip_prefix(root).unwrap().to_owned(), text)
        });
        Self::parse(src, texts)
    }

    /// The same from texts, each with its path, which starts with `src`.
    pub(super) fn parse(src: &str, texts: impl IntoIterator<Item = (PathBuf, String)>) -> Self {
        let parsed = texts.into_iter().map(|(path, text)| {
            let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            (path, file)
        });
        let parsed: Vec<_> = parsed.collect();
        // Modules in files of their own that are compiled for tests only.
        let mut tests = BTreeSet::new();
        for (path, file) in &parsed {
            let module = module_path(src, path);
            for item in &file.items {
                if let Item::Mod(child) = item
                    && child.content.is_none()
                    && is_test(&child.attrs)
                {
                    tests.insert([&module[..], &[child.ident.to_string()]].concat());
                }
            }
        }
        let mut found = Self::default();
        for (path, file) in parsed {
            let module = module_path(src, &path);
            if tests.iter().any(|test| module.starts_with(test)) {
                continue;
            }
            let mut reader = Reader::default();
            reader.visit_file(&file);
            let Reader { reexports, paths, .. } = reader;
            found.files.insert(module, File { path, reexports, paths });
        }
        found
    }

    /// The imports.
    pub(super) fn graph(&self) -> Graph {
        let mut graph = Graph::new();
        for (module, file) in &self.files {
            let arrows = graph.entry(file.path.clone()).or_default();
            for path in &file.paths {
                if let Some(target) = self.resolve(module, path, 0)
                    && target != module
                {
                    arrows.insert(self.files[target].path.clone());
                }
            }
        }
        graph
    }

    /// The module of the file that a path refers to; `None` if it is outside the crate.
    fn resolve<'a>(
        &'a self,
        from: &[String],
        path: &[String],
        depth: usize,
    ) -> Option<&'a [String]> {
        // Follows chains of re-exports; a circle of them does not compile.
        if depth > 16 {
            return None;
        }
        let mut module = from.to_vec();
        let mut rest = path;
        let mut is_local = false;
        while let Some((first, others)) = rest.split_first() {
            match first.as_str() {
                "crate" => module.clear(),
                "self" => {}
                "super" => drop(module.pop()),
                _ => break,
            }
            (rest, is_local) = (others, true);
        }
        while let Some((name, others)) = rest.split_first() {
            let child = [&module[..], std::slice::from_ref(name)].concat();
            if self.files.contains_key(&child) {
                (module, rest, is_local) = (child, others, true);
                continue;
            }
            // Without a prefix, a name that is not a child belongs to another crate or was
            // imported.
            if !is_local {
                return None;
            }
            let file = self.files.get(&module)?;
            if let Some(reexported) = file.reexports.get(name) {
                let path = [&reexported[..], others].concat();
                return self.resolve(&module.clone(), &path, depth + 1);
            }
            break;
        }
        let (module, _) = self.files.get_key_value(&module).filter(|_| is_local)?;
        Some(module)
    }
}

/// The circles of a graph: sets of files that import each other, largest first. A file and the
/// directory of its name are one module, whose parts may use what it defines: imports from a file's
/// own parents do not count.
pub(super) fn circles(graph: &Graph) -> Vec<BTreeSet<PathBuf>> {
    let is_parent = |file: &Path, of: &Path| {
        let is_root = file.file_stem().is_some_and(|stem| stem == "lib");
        let folder = file.with_extension("");
        of.starts_with(if is_root { file.parent().unwrap() } else { &folder })
    };
    let across = |(file, imports): (&PathBuf, &BTreeSet<PathBuf>)| {
        let others = imports.iter().filter(|other| !is_parent(other, file)).cloned();
        (file.clone(), others.collect())
    };
    let graph: &Graph = &graph.iter().map(across).collect();
    let reachable: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> =
        graph.keys().map(|file| (file, reach(graph, file))).collect();
    let mut circles: Vec<BTreeSet<PathBuf>> = Vec::new();
    for (file, reached) in &reachable {
        if reached.contains(file) && !circles.iter().any(|circle| circle.contains(*file)) {
            let mutual = reached.iter().filter(|other| reachable[**other].contains(file));
            circles.push(mutual.map(|other| PathBuf::clone(other)).collect());
        }
    }
    circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
    circles
}

fn reach<'a>(graph: &'a Graph, from: &PathBuf) -> BTreeSet<&'a PathBuf> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&PathBuf> = graph[from].iter().collect();
    while let Some(file) = next.pop() {
        if reached.insert(file) {
            next.extend(&graph[file]);
        }
    }
    reached
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

/// `src/session/dispatch.rs` is `["session", "dispatch"]`; `lib.rs` and `main.rs` are the root.
fn module_path(src: &str, path: &Path) -> Vec<String> {
    let inside = path.strip_prefix(src).unwrap().with_extension("");
    let parts: Vec<String> = inside.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    match &parts[..] {
        [one] if one == "lib" => Vec::new(),
        // A binary beside the library: nothing in the crate can import it.
        _ => parts,
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string().contains("test"),
        Meta::Path(path) => path.is_ident("test"),
        _ => false,
    })
}

#[derive(Default)]
struct Reader {
    reexports: BTreeMap<String, Vec<String>>,
    paths: BTreeSet<Vec<String>>,
    /// Nesting depth of inline modules.
    inside: usize,
}

impl Reader {
    fn read_use(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.read_use(&path.tree, &with(&path.ident)),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.read_use(tree, before));
            }
            UseTree::Name(name) if name.ident == "self" => {
                self.bring(before.last(), before.to_vec())
            }
            UseTree::Name(name) => self.bring(Some(&name.ident.to_string()), with(&name.ident)),
            UseTree::Rename(rename) => {
                self.bring(Some(&rename.rename.to_string()), with(&rename.ident));
            }
            UseTree::Glob(_) => self.add(before.to_vec()),
        }
    }

    /// Adds a name to this module, for its children.
    fn bring(&mut self, name: Option<&String>, path: Vec<String>) {
        if let Some(name) = name
            && self.inside == 0
        {
            self.reexports.insert(name.clone(), path.clone());
        }
        self.add(path);
    }

    /// Adds a path as written; inline modules consume its `super`s.
    fn add(&mut self, path: Vec<String>) {
        let supers = path.iter().take_while(|part| *part == "super").count();
        self.paths.insert(path[supers.min(self.inside)..].to_vec());
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => return syn::visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            syn::visit::visit_item(self, item);
        }
    }

    /// An inline module belongs to its file.
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.inside += 1;
        syn::visit::visit_item_mod(self, module);
        self.inside -= 1;
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.read_use(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 && path.leading_colon.is_none() {
            self.add(path.segments.iter().map(|part| part.ident.to_string()).collect());
        }
        syn::visit::visit_path(self, path);
    }
}
