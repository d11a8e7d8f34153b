//! `rpcd release-brake`: removes the silent instances that the registry holds.

use rpc_client::registry::RegistryClient;
use serde_json::json;

use crate::failure::Failure;
use crate::output;
use crate::plan::AskRegistry;

/// Ends the registry's brake on mass expiry, and says what that did.
///
/// # Errors
/// The registry is unreachable, refuses the request, or is an older one.
pub async fn release_brake(ask: AskRegistry) -> Result<(), Failure> {
    let registry = RegistryClient::new(&ask.url, ask.options)?;
    let released = registry.release_brake().await?;
    if ask.json {
        return output::json(&json!({ "released": released }).to_string());
    }
    output::text(&match released {
        0 => "the registry holds no silent instances".to_owned(),
        1 => "1 silent instance is removed".to_owned(),
        held => format!("{held} silent instances are removed"),
    })
}
