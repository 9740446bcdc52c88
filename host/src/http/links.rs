//! Links that let somebody in once, in the place of an e-mail that this program
//! does not send: whoever makes one hands it over.

use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use crate::clock::random;
use crate::domain::id::UserId;
use crate::domain::session::{LINK, Link, TokenText};
use crate::domain::time::Timestamp;
use crate::domain::user::Whose;
use crate::store::StoreError;

/// A link as it is shown, once.
#[derive(Serialize, ToSchema)]
#[schema(as = UserLink)]
pub(super) struct LinkView {
    /// Lets somebody in, once. Shown once.
    pub(super) url: String,
    pub(super) expires_at: Timestamp,
}

/// A new link to be stored, and what is shown of it.
pub(super) fn made(app: &App, whose: Whose, user: Option<UserId>) -> (Link, LinkView) {
    let token = TokenText::new(random());
    let ends_at = app.clock.now() + LINK;
    let url = format!("{}/link/{}", app.public_url.trim_end_matches('/'), token.reveal());
    (Link { hash: token.hash(), whose, user, ends_at }, LinkView { url, expires_at: ends_at })
}

/// The link with which somebody becomes the operator's first user, while there is
/// none. A link that was made before opens nothing any more.
pub(crate) async fn first(app: &App) -> Result<Option<String>, StoreError> {
    if !app.people.users(Whose::Operator, None, 1).await?.is_empty() {
        return Ok(None);
    }
    let (link, view) = made(app, Whose::Operator, None);
    app.people.create_link(&link).await?;
    Ok(Some(view.url))
}
