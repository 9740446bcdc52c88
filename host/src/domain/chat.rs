//! Chat: where the operator's language model is, if there is one.

/// Where the model is. Holds a key, so that it has no `Debug`.
#[derive(Clone)]
pub struct ChatSettings {
    /// The whole URL: `https://api.openai.com/v1/chat/completions`.
    pub url: url::Url,
    pub model: String,
    pub key: Option<String>,
}
