//! How the commands of `rpcd` get TLS and the token: as options, and in variables for what must not be an option.

use super::environment;
use crate::model::access::{Access, TlsFiles, TokenPlace};
use rpc_wire::is_hidden;
use rpc_wire::shell_word;

impl Access {
    /// The options of a command.
    pub(in crate::model) fn options(&self) -> Vec<String> {
        match &self.tls {
            None => Vec::new(),
            Some(TlsFiles { ca: None, .. }) => vec!["--tls".to_owned()],
            Some(TlsFiles { ca: Some(ca), .. }) => vec!["--tls-ca".to_owned(), ca.clone()],
        }
    }

    /// The variables of a command, to be written before it.
    pub(in crate::model) fn variables(&self) -> Result<String, String> {
        let mut variables: Vec<(&str, &str)> = Vec::new();
        if let Some(TlsFiles { own: Some((cert, key)), .. }) = &self.tls {
            variables.extend([("TLS_CERT", cert.as_str()), ("TLS_KEY", key.as_str())]);
        }
        if let Some(TokenPlace::File(path)) = &self.token {
            variables.push(("TOKEN_FILE", path));
        }
        if self.withheld.is_some() {
            // The command names the registry, to which a token would be shown then.
            variables.push(("TOKEN_FILE", ""));
        }
        if self.in_plain && self.token.is_some() && self.tls.is_none() {
            variables.push(("ALLOW_PLAINTEXT_TOKEN", "true"));
        }
        if variables.iter().any(|(_, value)| value.contains(is_hidden)) {
            return Err(
                "the path of a file has characters that cannot be part of a command".to_owned()
            );
        }
        let shown = |(name, value): (&str, &str)| match value {
            "" => format!("RPCD_CLIENT_{name}= "),
            value => format!("RPCD_CLIENT_{name}={} ", shell_word(value)),
        };
        let withheld = if self.withheld.is_some() { "RPCD_TOKEN= " } else { "" };
        Ok(withheld.to_owned() + &variables.into_iter().map(shown).collect::<String>())
    }

    /// The options of `curl`.
    pub(super) fn of_curl(&self) -> Vec<String> {
        let Some(tls) = &self.tls else { return Vec::new() };
        let option = |name: &str, path: &String| [name.to_owned(), path.clone()];
        let ca = tls.ca.iter().flat_map(|ca| option("--cacert", ca));
        let own = tls.own.iter();
        let own =
            own.flat_map(|(cert, key)| [option("--cert", cert), option("--key", key)].concat());
        ca.chain(own).collect()
    }
}

impl TokenPlace {
    /// The mark that stands for the token in what is copied.
    pub(super) fn mark(&self) -> String {
        match self {
            Self::Environment => environment::mark("RPCD_TOKEN"),
            Self::File(path) => environment::mark(&format!("file:{path}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{secured, shell, snippet};
    use super::super::{Format, Snippet};
    use crate::model::access::{Access, TokenPlace};
    use crate::model::service::Service;
    use rpc_wire::call::Args;

    #[test]
    fn commands_of_rpcd_name_the_files_of_tls_and_of_the_token() {
        let args = Args::none();
        let direct = Snippet { target: snippet().peer, args, ..secured() };
        let variables = "RPCD_CLIENT_TLS_CERT=/tls/own.pem RPCD_CLIENT_TLS_KEY=/tls/own.key \
                         RPCD_CLIENT_TOKEN_FILE='/my token'";
        let place = "--tls-ca /tls/ca.pem -i 127.0.0.1 -p 8089";
        let command = direct.write(Format::Rpcd).unwrap();
        assert_eq!(command, format!("{variables} rpcd call {place} -- add"));
        let tool = direct.write(Format::Mcp).unwrap();
        assert!(tool.contains(&format!(" | {variables} rpcd mcp {place} ")), "{tool}");
        let of_system = Access { tls: Some(Default::default()), ..Access::default() };
        let command = Snippet { access: of_system, ..direct.clone() }.write(Format::Rpcd).unwrap();
        assert_eq!(command, "rpcd call --tls -i 127.0.0.1 -p 8089 -- add");
        let odd = Access { token: Some(TokenPlace::File("/a\nb".to_owned())), ..Access::default() };
        assert!(Snippet { access: odd, ..direct }.write(Format::Rpcd).is_err());
    }

    #[test]
    fn a_token_that_the_console_withholds_is_withheld_by_the_commands_that_it_copies() {
        let access = Access { withheld: Some("why".to_owned()), ..Access::default() };
        let command =
            Snippet { args: Args::none(), access, ..snippet() }.write(Format::Rpcd).unwrap();
        let withheld = "RPCD_TOKEN= RPCD_CLIENT_TOKEN_FILE= rpcd call ";
        assert!(command.starts_with(withheld), "{command}");
        let seen = command.replace("rpcd call", "env | grep -E '^RPCD_(TOKEN|CLIENT)' #");
        assert_eq!(shell(&format!("RPCD_TOKEN=s; export RPCD_TOKEN; {seen}")).lines().count(), 2);
    }

    #[test]
    fn curl_reads_the_token_from_its_input_and_shows_it_where_the_console_would() {
        let secured = Snippet { args: Args::none(), ..secured() };
        let command = secured.write(Format::Curl).unwrap();
        let start = "printf 'Authorization: Bearer %s\\n' \"$(cat '/my token')\" | curl -H @- --cacert /tls/ca.pem \
                     --cert /tls/own.pem --key /tls/own.key ";
        assert!(command.starts_with(start), "{command}");
        assert!(command.ends_with(" -- https://127.0.0.1:8089/rpc"), "{command}");
        let far = rpc_wire::instance::Instance::new("10.0.0.7", 8089).key();
        let token = Some(TokenPlace::Environment);
        let access = Access { token, ..Access::default() };
        let near = Snippet { access, ..secured };
        let command = near.write(Format::Curl).unwrap();
        assert!(command.contains("\"$RPCD_TOKEN\" | curl -H @- -H "), "{command}");
        let command = Snippet { peer: Some(far), ..near }.write(Format::Curl).unwrap();
        assert!(!command.contains("TOKEN"), "others could read it: {command}");
    }

    #[test]
    fn nc_has_no_tls_and_python_verifies_the_service_that_is_listed() {
        let secured = Snippet { service: Service::named("shop"), ..secured() };
        let why = secured.write(Format::Netcat).unwrap_err();
        assert_eq!(why, "nc has no TLS: use curl, Python or rpcd");
        let python = secured.write(Format::Python).unwrap();
        for part in ["cafile=\"/tls/ca.pem\"", "\"rpcd://service/shop\"", "open(\"/my token\")"] {
            assert!(python.contains(part), "{part}: {python}");
        }
    }
}
