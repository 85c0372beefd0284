//! What the environment says about hubs, tokens and tools.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of pulls. [`Settings::from_env`] reads the variables that the hub's own tools use.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// `HF_ENDPOINT`: where `hf:` sources are asked for.
    pub hf_endpoint: String,
    /// `HF_TOKEN`, else the file `HF_TOKEN_PATH`, else `token` in `HF_HOME`. It is sent to the
    /// endpoint's own host only.
    pub hf_token: Option<String>,
    /// `HF_HUB_OFFLINE`: pulls from the network fail, what is in the store is used.
    pub offline: bool,
    /// `RUSHLIGHT_PYTHON`: the interpreter whose `pip` fetches `pypi:` sources.
    pub python: PathBuf,
    /// Whether plain `http` is allowed to hosts other than this one.
    pub allow_http: bool,
    /// How long a server may say nothing.
    pub patience: Duration,
    /// The pause before a broken download is tried again; doubled each time nothing came.
    pub retry_pause: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hf_endpoint: "https://huggingface.co".to_owned(),
            hf_token: None,
            offline: false,
            python: "python3".into(),
            allow_http: false,
            patience: Duration::from_secs(60),
            retry_pause: Duration::from_secs(1),
        }
    }
}

impl Settings {
    /// Reads the environment.
    pub fn from_env() -> Self {
        let set = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let defaults = Self::default();
        let hf_home = set("HF_HOME").map(PathBuf::from).or_else(|| {
            let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
            Some(
                cache
                    .or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")))?
                    .join("huggingface"),
            )
        });
        let token_file =
            set("HF_TOKEN_PATH").map(PathBuf::from).or(hf_home.map(|d| d.join("token")));
        let token = set("HF_TOKEN").or_else(|| {
            let bytes = crate::layout::read_bounded(&token_file?, 4096).ok()?;
            String::from_utf8(bytes).ok()
        });
        Self {
            hf_endpoint: set("HF_ENDPOINT").unwrap_or(defaults.hf_endpoint),
            hf_token: token.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()),
            offline: set("HF_HUB_OFFLINE").is_some_and(|v| is_true(&v)),
            python: set("RUSHLIGHT_PYTHON").map_or(defaults.python, PathBuf::from),
            ..defaults
        }
    }
}

/// As huggingface_hub reads its switches.
fn is_true(value: &str) -> bool {
    ["1", "ON", "YES", "TRUE"].contains(&value.trim().to_uppercase().as_str())
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("hf_endpoint", &self.hf_endpoint)
            .field("hf_token", &self.hf_token.as_ref().map(|_| "set"))
            .field("offline", &self.offline)
            .field("python", &self.python)
            .finish_non_exhaustive()
    }
}
