//! Older servers that are listed as newer ones.

use super::*;

fn as_newer(older: &Offering) -> Value {
    entry(older.address(), json!({"wire": 1}))
}

#[tokio::test]
async fn the_reply_to_the_only_call_is_its_reply_and_the_next_connection_is_probed() {
    let older = Offering::classic(&["add"]).await;
    let registry = registry_of(vec![as_newer(&older)]).await;
    let client = client_of(&registry);
    for _ in 0..3 {
        assert_eq!(client.call("add", ()).await.unwrap(), 1);
    }
    assert_eq!(failures(&client, "add", 30).await, []);
    assert_eq!(older.count("add"), 33, "none was executed twice");
}

#[tokio::test]
async fn its_failure_is_that_of_the_call() {
    let older = Offering::classic(&["add"]).await;
    let registry = registry_of(vec![as_newer(&older)]).await;
    let error = client_of(&registry).call("ad", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchMethod, "{error}");
    assert!(error.to_string().contains("the nearest name is add"), "{error}");
}

#[tokio::test]
async fn several_calls_at_once_are_lost_and_no_reply_goes_to_the_wrong_one() {
    const CALLS: usize = 8;
    let older = crate::fakes::scripted(|connection, socket, _| async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut reader, mut writer) = socket.into_split();
        let mut bytes = [0; 1024];
        // It takes the calls of the first connection for one, as soon as all have arrived.
        let mut missing = if connection == 0 { CALLS } else { 1 };
        while let Ok(count @ 1..) = reader.read(&mut bytes).await {
            let lines = bytes[..count].iter().filter(|&&byte| byte == b'\n').count();
            missing = missing.saturating_sub(lines);
            if missing == 0 {
                writer.write_all(br#"{"res": 1}"#).await.unwrap();
            }
        }
    })
    .await;
    let registry = registry_of(vec![entry(older.address, json!({"wire": 1}))]).await;
    let client = client_of(&registry);
    let calls = (0..CALLS).map(|_| client.call("add", ()));
    for result in futures_util::future::join_all(calls).await {
        let error = result.unwrap_err();
        assert!(matches!(error, CallError::ConnectionLost { executed: true, .. }), "{error}");
        assert!(error.to_string().contains("an older server"), "{error}");
    }
    assert_eq!(client.call("add", ()).await.unwrap(), 1);
}
