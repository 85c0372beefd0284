//! What keys may be for.

/// A group of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Answers, in all dialects.
    Generate,
    /// Embeddings and orders of documents.
    Embed,
    /// What there is and how it is; tokens of texts.
    Read,
    /// Prometheus' metrics.
    Metrics,
    /// Everything else, which changes the server.
    Admin,
}

impl Scope {
    pub(super) const ALL: [Self; 5] =
        [Self::Generate, Self::Embed, Self::Read, Self::Metrics, Self::Admin];

    /// As the key file has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Scope::Generate => "generate",
            Scope::Embed => "embed",
            Scope::Read => "read",
            Scope::Metrics => "metrics",
            Scope::Admin => "admin",
        }
    }

    /// What a route is for, which is named as the router has it. One that is not here is an
    /// administrator's.
    pub(crate) fn of(route: &str) -> Self {
        match route {
            "/v1/chat/completions"
            | "/v1/completions"
            | "/v1/messages"
            | "/v1/responses"
            | "/v1/responses/{id}"
            | "/v1/responses/{id}/input_items"
            | "/api/generate"
            | "/api/chat" => Scope::Generate,
            "/v1/embeddings" | "/v1/rerank" | "/rerank" | "/api/embed" | "/api/embeddings" => {
                Scope::Embed
            }
            "/health"
            | "/v1/models"
            | "/v1/models/{*id}"
            | "/v1/messages/count_tokens"
            | "/tokenize"
            | "/detokenize"
            | "/api/tags"
            | "/api/ps"
            | "/api/show"
            | "/api/version" => Scope::Read,
            "/metrics" => Scope::Metrics,
            _ => Scope::Admin,
        }
    }
}
