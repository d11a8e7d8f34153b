//! Detects the protocol of a connection by its first bytes.

/// The protocol of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// JSON messages: a [`session`](crate::session).
    Json,
    /// HTTP/1.
    Http,
    /// A TLS handshake: refused until a later version.
    Tls,
    /// None of these.
    Unknown,
}

const HTTP_METHODS: [&str; 10] = [
    "GET ", "PUT ", "POST ", "HEAD ", "PATCH ", "QUERY ", "TRACE ", "DELETE ", "OPTIONS ",
    "CONNECT ",
];
const TLS_HANDSHAKE: u8 = 0x16;

/// The protocol, or `None` if more bytes are needed.
pub(crate) fn sniff(bytes: &[u8]) -> Option<Protocol> {
    let bytes = bytes.trim_ascii_start();
    match bytes.first()? {
        b'{' | b'[' => Some(Protocol::Json),
        &TLS_HANDSHAKE => Some(Protocol::Tls),
        _ => {
            let begins = |method: &&str| {
                let method = method.as_bytes();
                let seen = bytes.len().min(method.len());
                bytes[..seen] == method[..seen]
            };
            match HTTP_METHODS.iter().find(|method| begins(method)) {
                Some(method) if bytes.len() >= method.len() => Some(Protocol::Http),
                Some(_) => None,
                None => Some(Protocol::Unknown),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_select_the_protocol() {
        let cases: [(&[u8], Option<Protocol>); 13] = [
            (b"", None),
            (b" \r\n", None),
            (b" {", Some(Protocol::Json)),
            (b"[", Some(Protocol::Json)),
            (b"G", None),
            (b"PO", None),
            (b"GET / HTTP/1.1", Some(Protocol::Http)),
            (b"OPTIONS * HTTP/1.1", Some(Protocol::Http)),
            (b"GETX", Some(Protocol::Unknown)),
            (b"get ", Some(Protocol::Unknown)),
            (b"\x16\x03\x01", Some(Protocol::Tls)),
            (b"hello", Some(Protocol::Unknown)),
            (b"\x00", Some(Protocol::Unknown)),
        ];
        for (bytes, expected) in cases {
            assert_eq!(sniff(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_method_split_anywhere_is_still_http() {
        for method in HTTP_METHODS {
            for cut in 1..method.len() {
                let seen = sniff(&method.as_bytes()[..cut]);
                assert!(seen.is_none(), "{method} at {cut}: {seen:?}");
            }
            assert_eq!(sniff(method.as_bytes()), Some(Protocol::Http));
        }
    }

    #[test]
    fn any_bytes_that_select_a_protocol_select_it_with_more_of_them() {
        rpc_fuzz::bytes("first_bytes", |bytes| {
            let mut found = None;
            for end in 0..=bytes.len() {
                let now = sniff(&bytes[..end]);
                assert!(found.is_none() || now == found, "{found:?}, then {now:?}");
                found = now;
            }
        });
    }
}
