//! The variable of a path.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use crate::failure::Failure;

/// The variable of a path; where it is no text the request fails in the words of its API.
pub(crate) struct Variable(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Variable {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = Path::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|_| Failure::request("the path is no UTF-8"))?;
        Ok(Self(text))
    }
}
