//! How programs reach a registry or a server as the console does, and why a token is withheld from it.

use std::path::PathBuf;

use rpc_client::{ClientOptions, Token};
use rpc_console_core::model::access::{Access, TlsFiles, TokenPlace};
use rpc_console_core::model::registries::NamedRegistry;
use rpc_settings::{RegistryAddress, Settings, SettingsError};
use rpc_wire::target::Target;

use super::{Options, addresses};

impl Options {
    /// The token for what is opened by its address: it is shown to no registry that a folder's file names.
    ///
    /// # Errors
    /// Its file cannot be used.
    pub fn client_token(&self, settings: &Settings) -> Result<Option<Token>, SettingsError> {
        settings.client_token(self.typed_with_also(settings))
    }

    /// The registry of the settings, if a folder's file has further addresses for the one that was typed.
    fn typed_with_also<'a>(&self, settings: &'a Settings) -> Option<&'a RegistryAddress> {
        let is_typed = self.server.is_none() && self.registry.is_some();
        let registry = Some(&settings.registry).filter(|_| is_typed);
        registry.filter(|registry| registry.of_folder.contains(&"also"))
    }

    /// How programs reach a registry or a server, and its servers, with these options of the console.
    pub fn access(
        &self,
        named: &NamedRegistry,
        settings: &Settings,
        options: &ClientOptions,
    ) -> Access {
        let path = |path: &PathBuf| {
            let absolute = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            absolute.to_string_lossy().into_owned()
        };
        let files = &options.tls_files;
        let own = files.cert.as_ref().zip(files.key.as_ref());
        let tls = options.tls.then(|| TlsFiles {
            ca: files.ca.as_ref().map(path),
            own: own.map(|(cert, key)| (path(cert), path(key))),
        });
        let known =
            addresses(settings).find(|(name, _)| *name == named.name).map(|(_, known)| known);
        let file = known.and_then(|known| known.token_file.as_ref());
        let file = file.or(settings.client_token_file.as_ref());
        let place = match settings.token {
            Some(_) => Some(TokenPlace::Environment),
            None => file.map(|file| TokenPlace::File(path(file))),
        };
        let withheld = match (known, &named.target) {
            (Some(known), _) => settings.withheld(known, None),
            (None, Target::Registry { url }) => {
                self.typed_with_also(settings).and_then(|known| settings.withheld(known, Some(url)))
            }
            (None, Target::Direct { .. } | Target::JsonRpc { .. }) => None,
        };
        Access {
            tls,
            token: place.filter(|_| options.token.is_some()),
            in_plain: options.allow_plaintext_token,
            withheld,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_folder_names_gets_no_token_and_says_why_and_what_is_typed_gets_it() {
        let secret = "rpcd_0123456789abcdef0123456789abcdef";
        let variable = ("RPCD_TOKEN".to_owned(), secret.to_owned());
        let mut settings = Settings::parse("", "config.ini", [variable]).unwrap();
        settings.registry.of_folder = vec!["host"];
        let access = |typed: Option<&str>| {
            let registry = typed.map(str::to_owned);
            let options = Options { registry, ..Options::default() };
            let token = options.client_token(&settings).unwrap();
            let client = ClientOptions { token, ..ClientOptions::default() };
            let clients = options.clients(&settings, &mut Vec::new()).unwrap();
            let registries = options.registries(&settings).unwrap();
            let current = registries.current().unwrap();
            let own = clients.get(&current.name).unwrap_or(&client);
            options.access(current, &settings, own)
        };
        let of_folder = access(None);
        assert_eq!(of_folder.token, None);
        let why = of_folder.withheld.unwrap();
        assert!(why.contains("./config.ini says where it is"), "{why}");
        let typed = access(Some("http://127.0.0.1:9999"));
        assert_eq!((typed.token, typed.withheld), (Some(TokenPlace::Environment), None));
    }
}
