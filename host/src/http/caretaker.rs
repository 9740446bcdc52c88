//! Whoever looks after people, keys or an audit log. The same routes stand in three
//! places, and the place says what they are about: `/users` is the caller's own
//! tenant's, `/tenants/{tenant}/users` is that tenant's, for the operator, and
//! `/operator/users` the operator's own. `api/mod.rs` lists what stands where.

use std::fmt::Display;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams};
use axum::http::request::Parts;

use super::App;
use super::auth::{Operator, SignedIn, TenantCaller};
use super::error::ApiError;
use crate::clock::mint;
use crate::domain::audit::{Action, Author, Change, Entry};
use crate::domain::id::TenantId;
use crate::domain::session::TokenHash;
use crate::domain::user::Whose;
use crate::store::picture::TenantPicture;

/// A caller who may look after what is [`Self::whose`].
///
/// Cannot be built outside this module, as little as what it is made of.
pub(super) struct Caretaker {
    whose: Whose,
    author: Author,
    is_operator: bool,
    session: Option<TokenHash>,
}

impl Caretaker {
    /// Whose things it is about. A tenant may be gone: its audit log is there
    /// still.
    pub(super) fn whose(&self) -> Whose {
        self.whose
    }

    /// The same of somebody who is there.
    pub(super) fn present(&self, app: &App) -> Result<Whose, ApiError> {
        match self.whose {
            Whose::Operator => Ok(Whose::Operator),
            Whose::Tenant(_) => self.tenant(app).map(|_| self.whose),
        }
    }

    /// The tenant, for what only tenants have.
    pub(super) fn tenant(&self, app: &App) -> Result<Arc<TenantPicture>, ApiError> {
        self.whose.tenant().and_then(|id| app.picture.tenant(id)).ok_or(ApiError::NotFound)
    }

    /// Whether it is the operator who calls, be it for a tenant.
    pub(super) fn is_operator(&self) -> bool {
        self.is_operator
    }

    /// The session by which they call, where it is a browser's.
    pub(super) fn session(&self) -> Option<TokenHash> {
        self.session
    }

    /// What the audit log is to say of what they are about to do.
    pub(super) fn entry(&self, app: &App, action: Action, target: impl Display, changes: Vec<Change>) -> Entry {
        let (id, target) = (mint(app.clock.now()), target.to_string());
        Entry { id, whose: self.whose, by: self.author.clone(), action, target, changes }
    }
}

impl FromRequestParts<App> for Caretaker {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let session = parts.extensions.get::<SignedIn>().map(|signed_in| signed_in.session);
        let route = parts.extensions.get::<MatchedPath>().cloned();
        let place = Place::of(route.as_ref().map_or("", MatchedPath::as_str));
        let (whose, author) = match place {
            Place::Own => {
                let caller = TenantCaller::from_request_parts(parts, app).await?;
                (Whose::Tenant(caller.id()), caller.author())
            }
            Place::Tenant => {
                let _operator = Operator::from_request_parts(parts, app).await?;
                // A tenant learns that it was the operator, not who of them.
                (Whose::Tenant(tenant_in(parts).await?), Author::Operator)
            }
            Place::Operator => {
                let operator = Operator::from_request_parts(parts, app).await?;
                (Whose::Operator, operator.author())
            }
        };
        Ok(Self { whose, author, is_operator: place != Place::Own, session })
    }
}

/// Where a route stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// By itself.
    Own,
    Tenant,
    Operator,
}

impl Place {
    /// Of a route as the router has it.
    fn of(route: &str) -> Self {
        match route {
            route if route.starts_with("/v1/tenants/{tenant}/") => Self::Tenant,
            route if route.starts_with("/v1/operator/") => Self::Operator,
            _ => Self::Own,
        }
    }
}

async fn tenant_in(parts: &mut Parts) -> Result<TenantId, ApiError> {
    let places = RawPathParams::from_request_parts(parts, &()).await.map_err(|_| ApiError::NotFound)?;
    let text = places.iter().find(|(name, _)| *name == "tenant").map(|(_, text)| text);
    text.and_then(|text| text.parse().ok()).ok_or(ApiError::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_route_says_whose_it_is() {
        for (route, place) in [
            ("/v1/users/{id}", Place::Own),
            ("/v1/tenants/{tenant}/users/{id}", Place::Tenant),
            ("/v1/operator/users", Place::Operator),
            // What no caretaker takes is nobody's but a tenant's own caller's.
            ("/v1/tenants/{id}", Place::Own),
            ("", Place::Own),
        ] {
            assert_eq!(Place::of(route), place, "{route}");
        }
    }
}
