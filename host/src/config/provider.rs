//! The OpenID provider that people may sign in with, where there is one.

use std::sync::Arc;

use super::{ConfigError, Given, Hidden};
use crate::domain::event::check_label;
use crate::domain::oidc::{EMAIL_CLAIM, Issuer, NotAnIssuer, OidcSettings};
use crate::domain::secret::Secret;

/// Its secret is no flag, as no key is.
const SECRET: &str = "HOOKYARD_OIDC_CLIENT_SECRET";
/// At most this many bytes in a client's id, and in its secret.
const MAX_TEXT: usize = 1024;

impl Given {
    /// Whom people may sign in with.
    pub(super) fn provider(&self) -> Result<Option<OidcSettings>, ConfigError> {
        let given = std::env::var(SECRET).ok().filter(|secret| !secret.is_empty()).map(Hidden);
        let secret = given.or_else(|| self.oidc_client_secret.clone());
        let (issuer, client_id, Hidden(secret)) = match (&self.oidc_issuer, &self.oidc_client_id, secret) {
            (None, None, _) if self.oidc_name.is_none() && self.oidc_email_claim.is_none() => return Ok(None),
            (Some(issuer), Some(client_id), Some(secret)) => (issuer, client_id, secret),
            (None, ..) => return Err(missing("oidc-issuer")),
            (_, None, _) => return Err(missing("oidc-client-id")),
            (.., None) => return Err(missing("oidc-client-secret")),
        };
        let issuer: Issuer = issuer
            .parse()
            .map_err(|problem: NotAnIssuer| ConfigError::invalid_url("oidc-issuer", issuer, problem.to_string()))?;
        if !is_plain(client_id) {
            return Err(ConfigError::invalid("oidc-client-id", client_id, unfit()));
        }
        if !is_plain(&secret) {
            return Err(ConfigError::invalid(SECRET, "...", unfit()));
        }
        let name = self.oidc_name.clone().unwrap_or_else(|| issuer.host());
        let email_claim = self.oidc_email_claim.clone().unwrap_or_else(|| EMAIL_CLAIM.to_owned());
        for (setting, text) in [("oidc-name", &name), ("oidc-email-claim", &email_claim)] {
            check_label(text).map_err(|problem| ConfigError::invalid(setting, text, problem.to_string()))?;
        }
        let (client_id, client_secret) = (client_id.clone(), Arc::new(Secret::stored(secret)));
        Ok(Some(OidcSettings { issuer, client_id, client_secret, name, email_claim }))
    }
}

fn missing(setting: &'static str) -> ConfigError {
    let problem = format!(
        "oidc-issuer, oidc-client-id and the client's secret are needed together; the secret is {SECRET}, or \
         oidc-client-secret in hookyard.toml"
    );
    ConfigError::invalid(setting, "", problem)
}

/// VSCHAR of RFC 6749, appendix A.
fn is_plain(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.len()) && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

fn unfit() -> String {
    format!("give 1 to {MAX_TEXT} printable ASCII characters, as the provider shows it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(file: &str) -> Result<Option<OidcSettings>, String> {
        let given: Given = toml::from_str(file).map_err(|error| error.to_string())?;
        assert!(!format!("{given:?}").contains("hush"), "it is not printed");
        given.provider().map_err(|error| error.to_string())
    }

    const ALL: &str =
        "oidc-issuer = \"https://id.example/us\"\noidc-client-id = \"hookyard\"\noidc-client-secret = \"hush\"\n";

    #[test]
    fn a_provider_is_what_the_operator_wrote() {
        assert!(given("").unwrap().is_none());
        let settings = given(ALL).unwrap().unwrap();
        assert_eq!((settings.name.as_str(), settings.email_claim.as_str()), ("id.example", "email"));
        assert_eq!(settings.client_secret.reveal(), "hush");
        let more = format!("{ALL}oidc-name = \"Example\"\noidc-email-claim = \"upn\"");
        let settings = given(&more).unwrap().unwrap();
        assert_eq!((settings.name.as_str(), settings.email_claim.as_str()), ("Example", "upn"));
    }

    #[track_caller]
    fn check(file: &str, expected: &str) {
        let said = given(file).err().unwrap_or_default();
        assert!(said.starts_with(expected), "{said}");
    }

    #[test]
    fn an_error_names_the_setting() {
        check("oidc-issuer = \"https://id.example\"", "oidc-client-id = ``: oidc-issuer, oidc-client-id and");
        check("oidc-client-id = \"x\"", "oidc-issuer = ``: ");
        check("oidc-name = \"Example\"", "oidc-issuer = ``: ");
        let without = ALL.replace("oidc-client-secret = \"hush\"", "");
        check(&without, "oidc-client-secret = ``: oidc-issuer, oidc-client-id and the client's secret are needed");
        let plain = ALL.replace("https", "http");
        check(&plain, "oidc-issuer = `http:...`: give the https URL that the provider calls itself by");
        check(&ALL.replace("\"hookyard\"", "\"\""), "oidc-client-id = ``: give 1 to 1024");
        check(&ALL.replace("hush", "hush\\n"), "HOOKYARD_OIDC_CLIENT_SECRET = `...`: give 1 to 1024");
        check(&format!("{ALL}oidc-name = \"\""), "oidc-name = ``: ");
        check(&format!("{ALL}oidc-email-claim = \"\""), "oidc-email-claim = ``: ");
    }
}
