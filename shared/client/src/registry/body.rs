//! Responses: read by chunks up to a limit, and turned into values or errors.

use reqwest::{Response, StatusCode};
use serde::Deserialize;

use rpc_wire::paths;

use super::options::Limit;
use super::{RegistryClient, RegistryClientError};
use crate::error::{cut, said};

impl RegistryClient {
    /// The response, if its status is a success.
    pub(super) async fn successful(
        &self,
        response: Response,
    ) -> Result<Response, RegistryClientError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let (path, asked) = (response.url().path().to_owned(), response.url().clone());
        if status == StatusCode::NOT_FOUND && path.starts_with("/v1/") {
            return Err(RegistryClientError::Unsupported { url: self.url().to_owned(), path });
        }
        if status == StatusCode::NOT_FOUND {
            return Err(RegistryClientError::NotARegistry { url: self.url().to_owned() });
        }
        let body = self.bytes(response, self.options.max_instance()).await.unwrap_or_default();
        if status == StatusCode::CONFLICT
            && let Ok(Superseded { incarnation, listed }) = serde_json::from_slice(&body)
        {
            let url = self.url().to_owned();
            return Err(RegistryClientError::Superseded { url, incarnation, listed });
        }
        let message = said(&body)
            .unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason given").to_owned());
        if status == StatusCode::FORBIDDEN && message.starts_with(paths::TLS_ONLY) {
            let url = self.url().to_owned();
            return Err(RegistryClientError::Insecure { url, reason: message });
        }
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(RegistryClientError::NotAllowed {
                kept_back: self.credential.as_ref().is_some_and(|it| !it.may_go_to(&asked)),
                url: self.url().to_owned(),
                status: status.as_u16(),
                message,
            });
        }
        Err(RegistryClientError::Refused {
            url: self.url().to_owned(),
            status: status.as_u16(),
            message,
        })
    }

    pub(super) fn bad_reply(&self, reason: impl std::fmt::Display) -> RegistryClientError {
        let reason = cut(&reason.to_string());
        RegistryClientError::BadReply { url: self.url().to_owned(), reason }
    }

    pub(super) fn failed(&self, error: &reqwest::Error) -> RegistryClientError {
        RegistryClientError::of(error, self.url().to_owned())
    }

    /// The whole body.
    pub(super) async fn bytes(
        &self,
        mut response: Response,
        Limit { bytes: limit, option }: Limit,
    ) -> Result<Vec<u8>, RegistryClientError> {
        let length = response.content_length().and_then(|length| usize::try_from(length).ok());
        let from = response.url().clone();
        // A vector that grows to a long body would take up to three times as much.
        let mut body = Vec::with_capacity(length.unwrap_or_default().min(limit));
        while let Some(chunk) = response.chunk().await.map_err(|error| {
            let failed = self.failed(&error);
            self.addresses.leave(&from);
            failed
        })? {
            if body.len() + chunk.len() > limit {
                return Err(RegistryClientError::TooLarge {
                    url: self.url().to_owned(),
                    limit,
                    option,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Why a start of an instance is refused: there is a later one.
#[derive(Deserialize)]
struct Superseded {
    incarnation: u64,
    /// Whether that is listed.
    #[serde(default)]
    listed: bool,
}
