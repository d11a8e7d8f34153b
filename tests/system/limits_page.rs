//! docs/limits.md has every limit with its default, what happens at it, and a test that shows it.
//!
//! A limit is a number or a time of a library's option type, or a constant named `MAX_…`. The page's
//! last section, of the constants, is written from their comments by
//! `RPCD_UPDATE=1 cargo test -p rpc-tests limits_page`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write};
use std::path::{Path, PathBuf};

/// Where constants are limits.
const SOURCES: [&str; 9] = [
    "shared/wire/src",
    "shared/client/src",
    "shared/host/src",
    "shared/load/src",
    "shared/security/src",
    "shared/settings/src",
    "daemons",
    "console/core/src",
    "console/src",
];

/// What the last section begins with.
const FIXED: &str = "## Fixed\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn page() -> PathBuf {
    root().join("docs/limits.md")
}

/// The options of each section of the page.
fn options() -> [(&'static str, String); 12] {
    fn shown(options: impl Debug) -> String {
        // A share that is a number is a line like that of any other number.
        format!("{options:#?}").replace("AtMost(\n        ", "").replace(",\n    ),", ",")
    }
    let settings = rpc_settings::Settings::default();
    [
        ("Server", shown(settings.server.limits)),
        ("Registry", shown(settings.registry_server.options)),
        ("etcd", shown(settings.etcd)),
        ("Workers", shown(settings.worker)),
        ("Tools for agents", shown(rpc_gateway::GatewayOptions::default())),
        ("Tools by HTTP", shown(rpc_gateway::HttpOptions::default())),
        ("Client", shown(&settings.client)),
        ("Retries", shown(settings.client.retry)),
        ("Ejection", shown(settings.client.ejection)),
        ("Registry client", shown(rpc_client::registry::RegistryClientOptions::default())),
        ("Log", shown(settings.log)),
        ("Console", shown(settings.console)),
    ]
}

/// The numbers, times and shares among options, by name.
fn limits(options: &str) -> BTreeMap<&str, &str> {
    let fields = options.lines().filter_map(|line| line.strip_prefix("    "));
    let fields = fields.filter_map(|field| field.strip_suffix(',')?.split_once(": "));
    // What is further in belongs to an option that has options of its own.
    let own = fields.filter(|(name, _)| !name.starts_with(' '));
    own.filter(|(_, value)| amount(value).is_some()).collect()
}

/// A number without its unit: bytes, milliseconds or pieces; of a share, less than nothing.
fn amount(text: &str) -> Option<f64> {
    if ["Quarter", "a quarter, at least 256"].contains(&text) {
        return Some(-1.0);
    }
    let text = text.replace([',', '_'], "");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" | "bytes" | "ms" => 1.0,
        "s" => 1000.0,
        "min" => 60_000.0,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

/// A row of the page: a name, a default, what happens, and tests.
struct Row {
    default: String,
    at_the_limit: String,
    tests: Vec<String>,
}

/// The rows of a section.
fn rows(page: &str, section: &str) -> BTreeMap<String, Row> {
    let heading = format!("## {section}\n");
    let (_, text) = page.split_once(&heading).unwrap_or_else(|| panic!("no section {section}"));
    let text = text.split("\n## ").next().unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let row = |row: &str| {
        let cells: Vec<_> = row.trim_end_matches(" |").split(" | ").collect();
        let [name, default, at_the_limit, tests] = cells[..] else { panic!("four cells: {row}") };
        let tests = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let (default, at_the_limit) = (default.to_owned(), at_the_limit.to_owned());
        (name.trim_end_matches('`').to_owned(), Row { default, at_the_limit, tests })
    };
    let (rows, count): (BTreeMap<_, _>, _) = (rows.clone().map(row).collect(), rows.count());
    assert_eq!(rows.len(), count, "{section} has a name twice");
    rows
}

/// What is wrong in a section, each in a line.
fn mistakes(page: &str, section: &str, options: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let (rows, limits) = (rows(page, section), limits(options));
    let mut mistakes = Vec::new();
    for (name, default) in &limits {
        match rows.get(*name) {
            None => {
                mistakes.push(format!("{section}: {name} is missing; its default is {default}"))
            }
            Some(row) if amount(&row.default) != amount(default) => {
                let printed = &row.default;
                mistakes.push(format!("{section}: {name} is {default} by default, not {printed}"));
            }
            Some(_) => {}
        }
    }
    for (name, row) in &rows {
        if !limits.contains_key(&**name) {
            mistakes.push(format!("{section}: {name} is no limit any more"));
        }
        if row.at_the_limit.is_empty() || row.tests.is_empty() {
            mistakes.push(format!("{section}: {name} says neither what happens nor what shows it"));
        }
        for test in row.tests.iter().filter(|test| !tests.contains(*test)) {
            mistakes.push(format!("{section}: there is no {test}, which shows {name}"));
        }
    }
    mistakes
}

#[test]
fn every_limit_is_on_the_page_with_its_default_and_a_test() {
    let page = std::fs::read_to_string(page()).unwrap();
    let tests = functions();
    let mistakes: Vec<_> = options()
        .iter()
        .flat_map(|(section, options)| mistakes(&page, section, options, &tests))
        .collect();
    assert!(mistakes.is_empty(), "docs/limits.md:\n{}", mistakes.join("\n"));
}

#[test]
fn every_fixed_limit_is_on_the_page() {
    let path = page();
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, printed) = page.split_once(FIXED).expect("the last section");
    let constants = constants();
    if std::env::var_os("RPCD_UPDATE").is_some() {
        std::fs::write(path, format!("{before}{FIXED}{constants}")).unwrap();
        return;
    }
    assert!(
        printed == constants,
        "docs/limits.md: RPCD_UPDATE=1 cargo test -p rpc-tests limits_page"
    );
}

/// The last section of the page.
fn constants() -> String {
    let mut text = String::from(
        "\nThese bound work and memory, and are not options. What happens is said in the code's words.\n\n\
         | bound | value | where | what happens |\n|---|---|---|---|\n",
    );
    for (path, code) in SOURCES.iter().flat_map(|folder| files(&root().join(folder))) {
        let path = path.strip_prefix(root()).unwrap().display().to_string();
        // In a view they are sizes of pictures.
        let is_shipped = !["/tests", "/fixture", "/view"].iter().any(|part| path.contains(part));
        for (name, value, comment) in constants_of(&code).into_iter().filter(|_| is_shipped) {
            assert!(!comment.is_empty(), "{path}: {name} does not say what happens at it");
            let path = path.replace("/src/", " ").replace(".rs", "");
            writeln!(text, "| `{name}` | {value} | {path} | {comment} |").unwrap();
        }
    }
    text
}

/// The constants `MAX_…` of a file: name, value and comment.
fn constants_of(code: &str) -> Vec<(String, String, String)> {
    let mut comment = String::new();
    let mut found = Vec::new();
    for line in code.lines() {
        if let Some(text) = line.strip_prefix("///") {
            comment.push_str(text);
            continue;
        }
        let item = line.split_once("const MAX_").filter(|(before, _)| !before.starts_with(' '));
        if let Some((name, value)) = item.and_then(|(_, item)| item.split_once(": ")) {
            let (_, value) = value.split_once(" = ").expect("a value in one line");
            let value = shown(value.trim_end_matches(';'));
            found.push((format!("MAX_{name}"), value, comment.trim().replace('|', "\\|")));
        }
        comment.clear();
    }
    found
}

/// A constant's value as people write it, or as it is in the code.
fn shown(value: &str) -> String {
    let plain = value.replace('_', "");
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let value = match plain.split_once("<<") {
        Some((base, shift)) => number(base).zip(number(shift)).map(|(base, shift)| base << shift),
        None => plain.split('*').map(number).product(),
    };
    let is_size = plain.contains("<<") || plain.contains("1024");
    match value {
        None => format!("`{plain}`"),
        Some(size) if is_size && size % (1 << 20) == 0 => format!("{} MiB", size >> 20),
        Some(size) if is_size && size % 1024 == 0 => format!("{} KiB", size >> 10),
        Some(number) => thousands(number),
    }
}

fn thousands(number: u64) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", thousands(number / 1000), number % 1000),
    }
}

/// The names of all functions in the workspace's sources.
fn functions() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (_, code) in ["shared", "daemons", "console", "tests", "examples"]
        .iter()
        .flat_map(|folder| files(&root().join(folder)))
    {
        let after = code.split("fn ").skip(1);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        names
            .extend(after.map(|code| code.chars().take_while(|c| is_name(*c)).collect::<String>()));
    }
    names
}

/// The Rust files below a folder, in order, with their text.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut entries: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let mut found = Vec::new();
    for path in entries {
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

#[test]
fn a_mistake_in_the_page_is_said() {
    let tests = BTreeSet::from(["a_test".to_owned()]);
    let options = "Options {\n    max_a: 4096,\n    max_b: 3,\n    time: 1.5s,\n    name: \"x\",\n    \
                   part: Part {\n        max_c: 1,\n    },\n}";
    let page =
        |rows: &str| format!("# Limits\n\n## Part\n\n{rows}\n\n## Other\n| `x` | 1 | y | `z` |\n");
    let say = |rows: &str| mistakes(&page(rows), "Part", options, &tests);
    let right = "| `max_a` | 4 KiB | refused | `a_test` |\n| `max_b` | 3 | refused | `a_test` |\n\
                 | `time` | 1,500 ms | closed | `a_test` |";
    assert_eq!(say(right), [""; 0]);
    assert_eq!(say(&right.replace("4 KiB", "4")), ["Part: max_a is 4096 by default, not 4"]);
    let renamed = say(&right.replace("max_b", "max_d"));
    assert_eq!(
        renamed,
        ["Part: max_b is missing; its default is 3", "Part: max_d is no limit any more"]
    );
    let untested = say(&right.replace("closed | `a_test`", "closed | `gone`"));
    assert_eq!(untested, ["Part: there is no gone, which shows time"]);
}

#[test]
fn a_constant_is_read_with_its_comment() {
    let code = "/// Bytes kept;\n/// the rest is cut.\npub(super) const MAX_KEPT_BYTES: usize = 64 * 1024;\n\
                const MAX: u8 = 1;\n    const MAX_INNER: u8 = 1;\nconst MAX_ITEMS: u64 = 10_000;\n";
    let name = |text: &str| text.to_owned();
    assert_eq!(
        constants_of(code),
        [
            (name("MAX_KEPT_BYTES"), name("64 KiB"), name("Bytes kept; the rest is cut.")),
            (name("MAX_ITEMS"), name("10,000"), String::new()),
        ]
    );
}
