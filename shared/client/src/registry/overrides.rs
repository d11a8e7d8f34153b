//! What operators tell a registry: overrides, and the end of the brake on mass expiry.

use reqwest::{Method, StatusCode, header};
use rpc_wire::instance::{InstanceKey, OverrideEntry, OverrideRequest, read_entries};
use rpc_wire::paths;

use super::{RegistryClient, RegistryClientError};

impl RegistryClient {
    /// Sets an operator's override of an instance, which need not be registered.
    ///
    /// # Errors
    /// [`RegistryClientError::Unsupported`] on an older registry; else see [`RegistryClientError`].
    pub async fn set_override(
        &self,
        key: &InstanceKey,
        asked: &OverrideRequest,
    ) -> Result<OverrideEntry, RegistryClientError> {
        let body = serde_json::to_vec(asked).map_err(|error| self.bad_reply(error))?;
        let request = self
            .request_for(Method::PUT, key)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        self.read_operated(request, paths::OVERRIDES).await
    }

    /// The overrides that stand, those of instances that are not registered included. Entries that cannot be
    /// read are left out, as in a list of instances.
    ///
    /// # Errors
    /// [`RegistryClientError::Unsupported`] on an older registry; else see [`RegistryClientError`].
    pub async fn overrides(&self) -> Result<Vec<OverrideEntry>, RegistryClientError> {
        let response = self.send(self.request(Method::GET, paths::OVERRIDES, &[])).await?;
        let response = self.successful(response).await?;
        let body = self.bytes(response, self.options.max_list()).await?;
        let read = read_entries(&body, self.options.entries());
        let (entries, skipped) = read.map_err(|error| self.bad_reply(error))?;
        match skipped.why {
            Some(why) if entries.is_empty() => Err(self.bad_reply(why)),
            _ => Ok(entries),
        }
    }

    /// Takes an operator's override back. Returns what stood; `None`: there was none.
    ///
    /// # Errors
    /// [`RegistryClientError::Unsupported`] on an older registry; else see [`RegistryClientError`].
    pub async fn clear_override(
        &self,
        key: &InstanceKey,
    ) -> Result<Option<OverrideEntry>, RegistryClientError> {
        self.read_operated(self.request_for(Method::DELETE, key), paths::OVERRIDES).await
    }

    /// Ends the brake on mass expiry: the silent instances that it holds are removed. Returns how many it
    /// held; 0 if it does not hold.
    ///
    /// # Errors
    /// [`RegistryClientError::Unsupported`] on an older registry; else see [`RegistryClientError`].
    pub async fn release_brake(&self) -> Result<usize, RegistryClientError> {
        #[derive(serde::Deserialize)]
        struct Reply {
            released: usize,
        }
        let request = self.request(Method::DELETE, paths::BRAKE, &[]);
        let Reply { released } = self.read_operated(request, paths::BRAKE).await?;
        Ok(released)
    }

    /// The path names the instance.
    fn request_for(&self, method: Method, key: &InstanceKey) -> reqwest::RequestBuilder {
        let InstanceKey { protocol, host, port } = key;
        let mut url = self.addresses.current().clone();
        url.set_path(paths::OVERRIDES);
        // Never `Err`: an http URL has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend([protocol, host, &port.to_string()]);
        }
        self.http.request(method, url).timeout(self.options.timeout)
    }

    async fn read_operated<T: serde::de::DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
        path: &str,
    ) -> Result<T, RegistryClientError> {
        let response = self.send(request).await?;
        let response = match response.status() {
            // An older registry knows neither the path nor the methods.
            StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_IMPLEMENTED => {
                // Nor does what is no registry at all.
                if let Err(error @ RegistryClientError::NotARegistry { .. }) =
                    self.find_all_if_changed(paths::PROTO_JSON, None, None).await
                {
                    return Err(error);
                }
                let (url, path) = (self.url().to_owned(), path.to_owned());
                return Err(RegistryClientError::Unsupported { url, path });
            }
            _ => self.successful(response).await?,
        };
        let body = self.bytes(response, self.options.max_instance()).await?;
        serde_json::from_slice(&body).map_err(|error| self.bad_reply(error))
    }
}
