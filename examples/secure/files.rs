//! What each program reads: its settings, its certificate, the tokens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rpc_examples::authority::{Authority, write_private};

/// A folder with all of them.
pub(crate) struct Files {
    folder: PathBuf,
    authority: Authority,
}

impl Files {
    /// An authority, and no other files yet.
    pub(crate) fn new(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self { folder: folder.to_owned(), authority: Authority::new(folder)? })
    }

    /// The file by which daemons know who may do what.
    pub(crate) fn tokens(&self, lines: &[&str]) -> anyhow::Result<()> {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        Ok(write_private(&self.folder.join("tokens"), &text)?)
    }

    /// The file with the secret of the caller.
    pub(crate) fn secret(&self, secret: &str) -> anyhow::Result<()> {
        Ok(write_private(&self.folder.join("secret"), secret)?)
    }

    /// The settings of the registry.
    pub(crate) fn of_registry(&self) -> anyhow::Result<String> {
        let daemon = self.daemon("registry", &["127.0.0.1"], None)?;
        self.write("registry", &format!("{daemon}\n[registry-server]\nstore = none\n"))
    }

    /// The settings of a server. Its certificate names no host: callers look for the service, wherever it is.
    pub(crate) fn of_server(&self, name: &str, registry: SocketAddr) -> anyhow::Result<String> {
        let daemon = self.daemon(name, &[], Some("sums"))?;
        let registers = self.registry(registry, Some(name));
        self.write(name, &format!("{daemon}\n[server]\nservice = sums\n{registers}"))
    }

    /// The settings of who calls, showing a `certificate`, a `token`, or both.
    pub(crate) fn of_caller(
        &self,
        name: &str,
        registry: SocketAddr,
        shows: &[&str],
    ) -> anyhow::Result<String> {
        let mut own = None;
        if shows.contains(&"certificate") {
            self.authority.issue(name, &[&format!("{name}.example")], None)?;
            own = Some(name);
        }
        // Each asks the registry by itself, not by the list that another has kept.
        let mut text =
            format!("{}\n[client]\ntimeout = 5s\nlist_cache =\n", self.registry(registry, own));
        if shows.contains(&"token") {
            text += &format!("token_file = {}\n", self.path("secret"));
        }
        self.write(name, &text)
    }

    /// What a daemon shows, and what it demands: of everybody a certificate of the authority, and what `tokens` says.
    fn daemon(&self, name: &str, hosts: &[&str], service: Option<&str>) -> anyhow::Result<String> {
        let issued = self.authority.issue(name, hosts, service)?;
        Ok(format!(
            "[tls]\ncert = {}\nkey = {}\nclient_ca = {}\nrequire = certificate\n\n\
             [security]\ntokens = {}\n",
            issued.cert.display(),
            issued.key.display(),
            self.authority.ca().display(),
            self.path("tokens"),
        ))
    }

    /// Where the registry is, whom to believe that it is, and the certificate that is shown there.
    fn registry(&self, at: SocketAddr, own: Option<&str>) -> String {
        let ca = self.authority.ca();
        let mut text = format!(
            "\n[registry]\nhost = {}\nport = {}\ntls_ca = {}\n",
            at.ip(),
            at.port(),
            ca.display()
        );
        if let Some(name) = own {
            let [cert, key] = ["pem", "key"].map(|suffix| self.path(&format!("{name}.{suffix}")));
            text += &format!("tls_cert = {cert}\ntls_key = {key}\n");
        }
        text
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let path = self.path(&format!("{name}.ini"));
        write_private(Path::new(&path), text)?;
        Ok(path)
    }
}
