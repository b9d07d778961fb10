//! Answers that say no, and requests whose faults are answered so.

use super::MAX_BODY;
use crate::app::Trouble;
use crate::app::view::ErrorView;
use crate::errors;
use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
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

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Document {
            title: String,
            detail: String,
            #[serde(flatten)]
            error: ErrorView,
        }
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let document = Document { title: self.0.what.clone(), detail: self.0.why.clone(), error: self.0 };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
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
