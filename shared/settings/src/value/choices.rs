//! Values that are one of a few names.

use rpc_client::Balance;
use rpc_host::logging::LogFormat;
use rpc_security::{Require, TlsVersion};

/// An enum whose variants have names in files, flags and variables.
pub(crate) trait Choice: Copy + PartialEq + 'static {
    /// Every variant with its name, in order.
    const ALL: &'static [(&'static str, Self)];
}

impl Choice for Balance {
    const ALL: &'static [(&'static str, Self)] = &Balance::ALL;
}

impl Choice for Require {
    const ALL: &'static [(&'static str, Self)] = &Require::ALL;
}

impl Choice for TlsVersion {
    const ALL: &'static [(&'static str, Self)] = &TlsVersion::ALL;
}

impl Choice for LogFormat {
    const ALL: &'static [(&'static str, Self)] = &LogFormat::ALL;
}

/// Declares such an enum.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl Choice for $name {
            const ALL: &'static [(&'static str, Self)] = &[$(($text, Self::$variant)),+];
        }
    };
}

choice! {
    /// The console's colours.
    Theme {
        /// By the terminal's own 16 colours; mono where `NO_COLOR` is set.
        #[default]
        Auto = "auto",
        /// For a dark background.
        Dark = "dark",
        /// For a light background.
        Light = "light",
        /// None.
        Mono = "mono",
    }
}

choice! {
    /// The console's symbols.
    Glyphs {
        /// By locale and terminal: ASCII where they name one without Unicode.
        #[default]
        Auto = "auto",
        /// Lines, blocks and bullets.
        Unicode = "unicode",
        /// For terminals and fonts without them.
        Ascii = "ascii",
    }
}

choice! {
    /// The colour of a registry's name in the console.
    Colour {
        /// As everything else.
        #[default]
        None = "none",
        /// Red.
        Red = "red",
        /// Yellow.
        Yellow = "yellow",
        /// Green.
        Green = "green",
        /// Blue.
        Blue = "blue",
        /// Magenta.
        Magenta = "magenta",
        /// Cyan.
        Cyan = "cyan",
    }
}

choice! {
    /// What `rpcd registry` keeps registrations in.
    StoreKind {
        /// A database in a folder.
        #[default]
        Redb = "redb",
        /// An etcd cluster, which several registries share.
        Etcd = "etcd",
        /// Nothing: they are gone with the process.
        None = "none",
    }
}

/// One of a few names.
pub(crate) mod choice {
    use super::Choice;

    pub(crate) fn read<T: Choice>(text: &str) -> Result<T, String> {
        let found = T::ALL.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        found.ok_or_else(|| {
            let names: Vec<&str> = T::ALL.iter().map(|(name, _)| *name).collect();
            let meant = rpc_wire::nearest(text, names.iter().copied())
                .map(|near| format!("; did you mean {near}?"))
                .unwrap_or_default();
            format!("expected one of {}{meant}", names.join(", "))
        })
    }

    pub(crate) fn show<T: Choice>(value: &T) -> String {
        let name = T::ALL.iter().find(|(_, named)| named == value).map(|(name, _)| *name);
        name.unwrap_or_default().to_owned()
    }
}

/// `yes` or `no`, the answer to a question; `true` and `false` mean the same.
pub(crate) mod answer {
    pub(crate) fn read(text: &str) -> Result<bool, String> {
        match text {
            "yes" | "true" => Ok(true),
            "no" | "false" => Ok(false),
            _ => Err("expected yes or no".to_owned()),
        }
    }

    pub(crate) fn show(value: &bool) -> String {
        if *value { "yes".to_owned() } else { "no".to_owned() }
    }
}

/// `true` or `false`.
pub(crate) mod switch {
    pub(crate) fn read(text: &str) -> Result<bool, String> {
        text.parse().map_err(|_| "expected true or false".to_owned())
    }

    pub(crate) fn show(value: &bool) -> String {
        value.to_string()
    }
}
