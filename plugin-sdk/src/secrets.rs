//! Signing with secrets that the tenant stored under a name. A plugin that does
//! declares it: `Description::capability("secrets")`; and whoever configures it
//! grants the names: `"grants": {"secrets": ["crm"]}`.
//!
//! No plugin ever sees a secret. Examples may use none. Outside a component
//! there are those that a test set: see
//! [`native::set_secret`](crate::native::set_secret).

use std::fmt;

/// Why nothing was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretError {
    /// The step is not granted the name.
    Denied,
    /// The step is granted the name, and there is no such secret any more.
    Missing,
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denied => "the step is not granted this secret",
            Self::Missing => "there is no such secret any more",
        })
    }
}

impl std::error::Error for SecretError {}

/// HMAC-SHA-256 (RFC 2104) of `data`, 32 bytes. The key is the secret's text in
/// UTF-8.
pub fn hmac_sha256(name: &str, data: &[u8]) -> Result<Vec<u8>, SecretError> {
    #[cfg(target_arch = "wasm32")]
    {
        use crate::bindings::secrets::hookyard::plugin::secrets as host;
        host::hmac_sha256(name, data).map_err(|error| match error {
            host::SecretError::Denied => SecretError::Denied,
            host::SecretError::Missing => SecretError::Missing,
        })
    }
    #[cfg(not(target_arch = "wasm32"))]
    crate::native::hmac_sha256(name, data)
}
