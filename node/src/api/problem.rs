//! Answers that say no, and requests whose faults are answered so.

use super::MAX_BODY;
use super::metrics::ErrorCode;
use crate::app::Trouble;
use crate::app::view::ErrorView;
use crate::errors;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{self, FromRequest, FromRequestParts, Query, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};

/// An error as a problem document.
pub struct Problem(pub ErrorView);

impl From<ErrorView> for Problem {
    fn from(error: ErrorView) -> Self {
        Self(error)
    }
}

impl From<Trouble> for Problem {
    fn from(trouble: Trouble) -> Self {
        Self(trouble.into())
    }
}

/// A problem document, as RFC 9457 has it and with what the command shows.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Document {
    /// What is wrong; the same as `what`.
    title: String,
    /// Why; the same as `why`.
    detail: String,
    /// The HTTP status.
    status: u16,
    /// The code, such as `NP-WALLET-001`.
    code: String,
    /// What is wrong.
    what: String,
    /// Why.
    why: String,
    /// What to do.
    fix: String,
    /// The exit code of a command that ends with it.
    exit: u8,
}

impl From<ErrorView> for Document {
    fn from(error: ErrorView) -> Self {
        let ErrorView { code, what, why, fix, exit, status } = error;
        Self { title: what.clone(), detail: why.clone(), status, code, what, why, fix, exit }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let code = Extension(ErrorCode(self.0.code.clone()));
        let body = serde_json::to_vec(&Document::from(self.0)).unwrap_or_default();
        (status, code, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}

/// A JSON body, whose faults are problems like all others.
pub struct Body<T>(pub T);

impl<T: for<'de> Deserialize<'de>, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Json(value) = Json::<T>::from_request(request, state).await.map_err(|fault: JsonRejection| {
            match fault.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Problem(errors::too_large(MAX_BODY)),
                _ => Problem(errors::bad_request(fault.body_text())),
            }
        })?;
        Ok(Self(value))
    }
}

/// Parameters of the address, likewise.
pub struct Parameters<T>(pub T);

impl<T: for<'de> Deserialize<'de> + Send, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut axum::http::request::Parts, state: &S) -> Result<Self, Problem> {
        let parsed = Query::<T>::from_request_parts(parts, state).await;
        let Query(value) =
            parsed.map_err(|fault: QueryRejection| Problem(errors::bad_request(fault.body_text())))?;
        Ok(Self(value))
    }
}

/// What the address names, likewise.
pub struct Path<T>(pub T);

impl<T: for<'de> Deserialize<'de> + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut axum::http::request::Parts, state: &S) -> Result<Self, Problem> {
        let parsed = extract::Path::<T>::from_request_parts(parts, state).await;
        let extract::Path(value) =
            parsed.map_err(|fault: PathRejection| Problem(errors::bad_request(fault.body_text())))?;
        Ok(Self(value))
    }
}

/// The answer where the API has nothing of this name.
pub async fn nothing_here(request: Request) -> Problem {
    Problem(errors::no_route(request.method(), request.uri().path()))
}

/// The answer where it has something, but not for this method.
pub async fn not_so(request: Request) -> Problem {
    let error = errors::no_route(request.method(), request.uri().path());
    Problem(ErrorView { status: StatusCode::METHOD_NOT_ALLOWED.as_u16(), ..error })
}
