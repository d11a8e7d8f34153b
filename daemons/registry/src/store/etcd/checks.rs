//! Settings of a cluster that fit together: TLS and its files, a user and its password.

use url::{Host, Url};

use super::{EtcdError, EtcdOptions, access};

/// What is set for TLS has a use, and is whole.
pub(super) fn check_tls(options: &EtcdOptions) -> Result<(), String> {
    let EtcdOptions { endpoints, ca, cert, key, .. } = options;
    let secure = endpoints.iter().filter(|url| url.starts_with("https:")).count();
    let what = match (secure, ca, cert, key) {
        (0, None, None, None) => return Ok(()),
        (0, ..) => "ca, cert and key are for https endpoints, and there are none of those",
        _ if secure < endpoints.len() => "some endpoints have https and others not",
        (_, _, Some(_), None) | (_, _, None, Some(_)) => "cert and key belong together",
        _ => return Ok(()),
    };
    Err(format!("{what}; check [etcd]"))
}

/// The user has a password, which travels inside TLS, or stays on this machine.
pub(super) fn check_password(options: &EtcdOptions, members: &[Url]) -> Result<(), String> {
    if options.user.is_none() {
        return Ok(());
    }
    let has_none = options.password_file.is_none() && options.password.is_none();
    if has_none {
        return Err("user has no password; set password_file, or RPCD_ETCD_PASSWORD in the environment; check [etcd]".to_owned());
    }
    // It is read again with each token; what is wrong with it now would be so for ever.
    access::password(options).map_err(|error| error.to_string())?;
    if options.allow_plaintext_password {
        return Ok(());
    }
    match members.iter().find(|member| member.scheme() == "http" && !is_loopback(member)) {
        None => Ok(()),
        Some(member) => Err(format!(
            "user and password would travel to {} in plain text; use https in endpoints, or set allow_plaintext_password = true; check [etcd]",
            EtcdError::name_of(member)
        )),
    }
}

fn is_loopback(member: &Url) -> bool {
    match member.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::etcd::Etcd;

    #[test]
    fn endpoints_are_urls_and_what_is_set_for_tls_goes_together() {
        let refused = |endpoints: &[&str], change: fn(&mut EtcdOptions)| {
            let endpoints = endpoints.iter().copied().map(str::to_owned).collect();
            let mut options = EtcdOptions { endpoints, ..EtcdOptions::default() };
            change(&mut options);
            Etcd::new(options).unwrap_err()
        };
        fn file() -> Option<std::path::PathBuf> {
            Some("/nowhere".into())
        }
        for endpoints in [vec![], vec!["127.0.0.1:2379"], vec!["ftp://h:1"], vec!["http://"]] {
            refused(&endpoints, |_| ());
        }
        let secure = ["https://h:1"];
        assert!(refused(&["http://h:1"], |o| o.ca = file()).contains("for https"));
        let some = ["https://h:1", "http://h:2"];
        assert!(refused(&some, |o| o.ca = file()).contains("others not"));
        let half = refused(&secure, |o| (o.ca, o.cert) = (file(), file()));
        assert!(half.contains("belong together"), "{half}");
        #[cfg(feature = "etcd-tls")]
        assert!(refused(&secure, |o| o.ca = file()).contains("/nowhere: "));
    }

    #[test]
    fn a_user_has_a_password_that_can_be_read() {
        let user = || EtcdOptions { user: Some("u".to_owned()), ..EtcdOptions::default() };
        let refused = Etcd::new(user()).unwrap_err();
        assert!(refused.contains("user has no password; set password_file"), "{refused}");
        let options = EtcdOptions { password_file: Some("/nowhere".into()), ..user() };
        let refused = Etcd::new(options).unwrap_err();
        assert!(
            refused.contains("/nowhere: ") && refused.contains("check password_file"),
            "{refused}"
        );
    }

    #[test]
    fn a_password_is_sent_to_this_machine_or_inside_tls() {
        let with_user = |endpoint: &str, allow_plaintext_password| {
            let options = EtcdOptions {
                endpoints: vec![endpoint.to_owned()],
                user: Some("u".to_owned()),
                password: Some("marked".to_owned().into()),
                allow_plaintext_password,
                ..EtcdOptions::default()
            };
            Etcd::new(options).map(|_| ())
        };
        for endpoint in ["http://10.0.0.1:2379", "http://etcd:2379", "http://[2001:db8::1]:2379"] {
            let refused = with_user(endpoint, false).unwrap_err();
            assert!(refused.contains("2379 in plain text"), "{refused}");
            assert_eq!(with_user(endpoint, true), Ok(()));
        }
        for endpoint in ["http://127.0.0.1:2379", "http://localhost:2379", "http://[::1]:2379"] {
            assert_eq!(with_user(endpoint, false), Ok(()));
        }
    }
}
