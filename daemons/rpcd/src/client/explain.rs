//! What was probably meant by a call that failed.

use rpc_client::{CallError, ClientOptions, Code, Target};
use rpc_wire::paths::RESERVED_PREFIX;

use super::discovery::Discovery;
use super::{mistaken, no_instance, reserved};
use crate::failure::Failure;

/// The failure of a call of the method, with what was probably meant. `stream`: it was called as one.
pub(super) async fn failure(
    error: CallError,
    name: &str,
    discovery: &mut Discovery<'_>,
    stream: bool,
) -> Failure {
    let CallError::Remote { peer, fault } = &error else {
        return without_reply(error, discovery.client().target(), discovery.options()).await;
    };
    let is_unknown = is_unknown(&error, name);
    let may_be_stream = fault.message.contains("a stream");
    let peer = peer.clone();
    let is_foreign = reserved::is_foreign(discovery.client(), &error, name, None);
    let mut failure = Failure::of_call(error);
    if is_unknown && name.starts_with(RESERVED_PREFIX) && reserved::find(name).is_some() {
        failure.message = match is_foreign {
            true => format!("{peer} is {}", reserved::foreign(name)),
            false => format!("{peer} is an older server without {name}; upgrade it"),
        };
    } else if is_unknown {
        let methods = discovery.methods().await;
        if methods.iter().any(|method| method.name == name) {
            failure.message.push_str(&format!(
                "; {peer} does not have it, another instance does: choose one by -i and -p"
            ));
        } else if let Some(near) = reserved::nearest(name, methods) {
            failure.message.push_str(&format!("; did you mean {near}?"));
            return failure.with_nearest([near]);
        }
    } else if may_be_stream && !stream {
        failure.message = format!("{name} is a stream; add --stream");
    }
    failure
}

/// The failure of a call or stream to which no method replied: nobody could be called, or what answered is something else.
pub(super) async fn without_reply(
    error: CallError,
    target: &Target,
    options: &ClientOptions,
) -> Failure {
    if let Some(failure) = mistaken::registry(&error).await {
        return failure;
    }
    if let Some(failure) = no_instance::of_error(&error, options).await {
        return failure;
    }
    no_instance::with_not_asked(Failure::of_call(error), target, options).await
}

/// Whether nobody that could be called has the method: nothing was executed.
pub(super) fn is_unknown(error: &CallError, name: &str) -> bool {
    match error {
        CallError::NoSuchMethod(_) => true,
        CallError::Remote { fault, .. } => {
            fault.code == Code::MethodNotFound && fault.message == name
        }
        _ => false,
    }
}
