//! The documented `config.ini`, generated from the table of keys.

use std::fmt::Write as _;

use super::{KEYS, Key};

const HEAD: &str = "\
# Settings of rpcd and rpc-console, each at its default.
#
# A flag wins over the environment, the environment over ./config.ini, that over the user's
# $XDG_CONFIG_HOME/rpcd/config.ini (~/.config/rpcd/config.ini), that over the default. --config FILE
# reads FILE instead of both. The variable of a key is RPCD_SECTION_KEY: RPCD_REGISTRY_HOST,
# RPCD_REGISTRY_SERVER_TTL, RPCD_LOG_LEVEL. [keys] and [registry.NAME] have no variables.
# ./config.ini does not say where secrets are or go: token_file, allow_plaintext_token and the client's tls are
# not read there.
# An unknown key or a bad value is an error. Comments take a whole line. Keys that begin with max_
# are limits. Times have a unit (500ms, 10s, 1m), sizes may have one (64KiB, 4MiB).
";

const SECTIONS: [(&str, &str); 10] = [
    ("registry", "The registry that servers, clients and the console use."),
    ("registry-server", "rpcd registry."),
    ("etcd", "The etcd cluster of rpcd registry with store = etcd."),
    (
        "security",
        "Who may do what in rpcd serve and rpcd registry. A program shows its own token, that of the variable
# RPCD_TOKEN or of a token_file.",
    ),
    ("server", "rpcd serve."),
    ("worker", "rpcd serve --worker 'COMMAND': a program of any language as methods."),
    ("tls", "Certificates of rpcd serve and rpcd registry. Files that are replaced hold within a second or two."),
    (
        "client",
        "Every program that calls: rpcd call, bench, methods, instances; rpc-console. The console's
# calls to any instance go through a client of its own; one that is chosen is called by its address.",
    ),
    (
        "log",
        "Every program. The console logs to its Logs view and to files, never to the terminal.",
    ),
    ("console", "rpc-console."),
];

const NAMED: &str = "
# Further registries, for rpc-console to switch between, one section each.
# [registry.staging]
# host = 10.0.0.5
# port = 9999
# [registry.prod]
# host = 10.0.0.6
# color = red
# confirm = yes
";

/// The head of the console's keys; the console's own table follows it, below [`document`].
pub const KEYS_HEAD: &str = "
# Keys of rpc-console: an action and its keys, separated by blanks; leave empty to unbind.
# A key is a character, or space enter esc tab shift-tab backspace delete up down left right home
# end pgup pgdn F1 to F12; ctrl-x and alt-x for others. While text is typed, characters are text.
[keys]
";

/// The text of the documented `config.ini`: every key, its description and its default. The
/// console's keys ([`KEYS_HEAD`]) follow it.
pub fn document() -> String {
    let mut out = HEAD.to_owned();
    for (section, doc) in SECTIONS {
        let _ = write!(out, "\n# {doc}\n[{section}]\n");
        for key in KEYS.iter().filter(|key| key.section == section) {
            let Key { name, doc, .. } = key;
            let line = format!("{name} = {}", key.default_value());
            let _ = write!(out, "# {doc}\n{}\n", line.trim_end());
        }
        if section == "registry" {
            out.push_str(NAMED);
        }
    }
    out
}
