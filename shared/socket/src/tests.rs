//! Sockets inside TLS, over real ones.

use std::io::ErrorKind;
use std::time::Duration;

use rpc_security::tls::{ClientTls, ServerIdentity, ServerTls};
use rpc_security::{ClientTlsOptions, TlsOptions};
use rpc_tests::pki::{Authority, Subject};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::{HandshakeError, Socket, accept, connect};

const SOON: Duration = Duration::from_secs(20);

struct Pair {
    client: Socket,
    server: Socket,
}

fn sides() -> (ServerTls, ClientTls) {
    let authority = Authority::new("a");
    let own = authority.issue("server", &Subject::server(&[]));
    let options = TlsOptions { cert: Some(own.cert), key: Some(own.key), ..TlsOptions::default() };
    let server = ServerTls::load(&options).unwrap().unwrap();
    let options = ClientTlsOptions { ca: Some(authority.ca()), ..ClientTlsOptions::default() };
    (server, ClientTls::load(&options).unwrap())
}

async fn streams() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

async fn pair() -> Pair {
    let (ours, theirs) = sides();
    let (client, mut server) = streams().await;
    let connection = theirs.connect(ServerIdentity::Host("127.0.0.1")).unwrap();
    let accepted = async {
        // A part of it was read to see what it is.
        let mut first = vec![0; 7];
        server.read_exact(&mut first).await.unwrap();
        accept(server, &first, ours.config()).await
    };
    let (client, server) =
        timeout(SOON, async { tokio::join!(connect(client, connection), accepted) }).await.unwrap();
    Pair { client: client.unwrap(), server: server.unwrap() }
}

fn numbered(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at / 7) as u8).collect()
}

#[tokio::test]
async fn what_is_written_at_once_arrives_in_order() {
    let Pair { client, mut server } = pair().await;
    let sent = numbered(3 << 20);
    let expected = sent.clone();
    let (reader, writer) = client.into_split();
    let writing = tokio::spawn(async move {
        let mut done = 0;
        while done < sent.len() {
            match writer.try_write(&sent[done..]) {
                Ok(count) => done += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    writer.writable().await.unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
    });
    let mut received = vec![0; expected.len()];
    timeout(SOON, server.read_exact(&mut received)).await.unwrap().unwrap();
    assert!(received == expected);
    writing.await.unwrap();
    drop(reader);
    let end = timeout(SOON, server.read(&mut received)).await.unwrap();
    assert_eq!(end.unwrap(), 0, "it said good-bye");
}

#[tokio::test]
async fn the_peer_can_read_what_counts_as_written_and_no_more() {
    let Pair { mut client, mut server } = pair().await;
    let sent = numbered(1 << 20);
    // Closing with bytes unread would reset the connection.
    server.write_all(b"x").await.unwrap();
    client.read_exact(&mut [0]).await.unwrap();
    let (reader, writer) = client.into_split();
    let mut counted = 0;
    loop {
        match writer.try_write(&sent[counted % 1000..]) {
            Ok(count) => counted += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    drop((reader, writer));
    let mut received = Vec::new();
    timeout(SOON, server.read_to_end(&mut received)).await.unwrap().unwrap();
    assert_eq!(received.len(), counted);
}

#[tokio::test]
async fn it_is_a_stream_like_any_other() {
    let Pair { mut client, mut server } = pair().await;
    let sent = numbered(1 << 20);
    let copy = async {
        client.write_all(&sent).await.unwrap();
        client.shutdown().await.unwrap();
        let mut back = Vec::new();
        client.read_to_end(&mut back).await.unwrap();
        back
    };
    let echo = async {
        let (mut reader, mut writer) = server.split();
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let (back, ()) = timeout(SOON, async { tokio::join!(copy, echo) }).await.unwrap();
    assert!(back == sent);
}

#[tokio::test]
async fn what_is_not_tls_ends_the_handshake_with_an_alert() {
    let (ours, _) = sides();
    let (mut client, server) = streams().await;
    client.write_all(b"{\"method\": \"add\"}").await.unwrap();
    let result = timeout(SOON, accept(server, &[], ours.config())).await.unwrap();
    let Err(HandshakeError::Tls(_, _server)) = result else { panic!("{result:?}") };
    let mut alert = [0; 7];
    timeout(SOON, client.read_exact(&mut alert)).await.unwrap().unwrap();
    assert_eq!(alert[0], 21, "{alert:?}");
}

#[tokio::test]
async fn a_handshake_is_bounded_in_bytes() {
    let (ours, _) = sides();
    let (mut client, server) = streams().await;
    let accepting = tokio::spawn(accept(server, &[], ours.config()));
    // A ClientHello that goes on and on: its first record, again and again.
    let mut record = vec![0x16, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff];
    record.resize(5 + 0x4000, 0);
    for _ in 0..20 {
        if client.write_all(&record).await.is_err() {
            break;
        }
    }
    let result = timeout(SOON, accepting).await.unwrap().unwrap();
    assert!(result.is_err());
}
