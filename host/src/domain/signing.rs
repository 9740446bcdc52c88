//! What a dialect signs with: the secrets of its endpoints, and the headers of a
//! message, the signature last.

use std::collections::BTreeMap;
use std::fmt;

use super::dialect::Dialect;
use super::evidence::{Evidence, Locator};
use super::header::Header;
use super::secret::{KeyForm, Secret};
use super::signature::Scheme;
use super::time::Timestamp;

impl Dialect {
    /// The scheme that signs with `secret`.
    pub fn scheme_for(&self, secret: &Secret) -> Option<&Scheme> {
        self.signature.iter().find(|scheme| scheme.takes(secret))
    }

    /// The secret of a new endpoint: the one that was given, or one that is made
    /// of `random`, or none where the dialect does without.
    pub fn secret(&self, given: Option<&str>, random: [u8; 24]) -> Result<Option<Secret>, SecretError> {
        let Some(first) = self.signature.first() else {
            return if given.is_some() { Err(SecretError::Unsigned(self.title.clone())) } else { Ok(None) };
        };
        match given {
            Some(text) => {
                let signing =
                    |scheme: &Scheme| Secret::parse(text, scheme.key).ok().filter(|secret| scheme.key.can_sign(secret));
                self.signature.iter().find_map(signing).map(Some).ok_or_else(|| {
                    let problem = Secret::parse(text, first.key).err().map(|problem| problem.to_string());
                    SecretError::BadForm(problem.unwrap_or_else(|| "a public key cannot sign".to_owned()))
                })
            }
            None if self.secret.optional => Ok(None),
            None => Ok(Some(match first.key {
                KeyForm::Standard => Secret::standard(random),
                _ => Secret::text(&self.secret.prefix, random),
            })),
        }
    }

    /// Whether messages carry a signature of each secret while a rotation
    /// overlaps. Otherwise the old one signs until its end.
    pub fn signs_with_several(&self) -> bool {
        self.signature.iter().any(|scheme| scheme.split.is_some())
    }

    /// The dialect's own headers around a body, the signature last. `secrets`
    /// are those that sign now, the newest first. Says whether each did: a message
    /// that should be signed must not go out without.
    pub fn sign<'s>(
        &self,
        headers: Vec<Header>,
        body: &[u8],
        url: &str,
        secrets: impl Iterator<Item = &'s Secret>,
        sent_at: Timestamp,
    ) -> (Vec<Header>, bool) {
        let request = Evidence::new(&headers, "", url, body);
        let mut signed: BTreeMap<&str, (&Scheme, Vec<String>)> = BTreeMap::new();
        let mut all_signed = true;
        for secret in secrets {
            let signature =
                self.scheme_for(secret).and_then(|scheme| Some((scheme, scheme.sign(secret, &request, sent_at)?)));
            let Some((scheme, signature)) = signature else {
                all_signed = false;
                continue;
            };
            let Locator::Header(name) = &scheme.at else { continue };
            let (_, signatures) = signed.entry(name).or_insert_with(|| (scheme, Vec::new()));
            signatures.push(signature);
        }
        let value = |scheme: &Scheme, signatures: &[String]| match (&scheme.split, signatures) {
            (Some(split), all) => {
                // A timestamp that stands beside the signatures goes before them.
                let beside = scheme.timestamp.as_ref().filter(|stamp| stamp.at == scheme.at);
                let stamp = beside.map(|stamp| format!("{}{}", stamp.prefix, sent_at.as_secs()));
                let parts: Vec<&str> = stamp.iter().chain(all).map(String::as_str).collect();
                parts.join(split)
            }
            (None, [.., oldest]) => oldest.clone(),
            (None, []) => String::new(),
        };
        let signatures: Vec<Header> = signed
            .into_iter()
            .map(|(name, (scheme, all))| Header { name: name.to_owned(), value: value(scheme, &all) })
            .collect();
        (headers.into_iter().chain(signatures).collect(), all_signed || self.signature.is_empty())
    }
}

/// Why an endpoint cannot have this secret.
#[derive(Debug, PartialEq, Eq)]
pub enum SecretError {
    Unsigned(String),
    BadForm(String),
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(title) => write!(f, "{title} signs nothing; leave the secret out"),
            Self::BadForm(problem) => f.write_str(problem),
        }
    }
}
