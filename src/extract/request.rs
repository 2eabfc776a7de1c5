//! Where requests go and how they authenticate: the connector's templates filled with the operator's inputs.
//!
//! Secrets only ever become header values. Not here: which page to ask for.
use super::InputValue;
use crate::{
    error::{Error, Kind, Result},
    manifest::{Auth, Connector, InputKind, Template},
    secret::Secret,
    wire::Request,
};
use std::{collections::BTreeMap, fmt::Write};

const BASIC: &str = "Basic ";
/// Where the id goes in the path of a single record.
const ID_PLACE: &str = "{id}";

/// One account of a provider.
#[derive(Debug)]
pub(super) struct Account {
    base: String,
    texts: BTreeMap<String, String>,
    secrets: Vec<Secret>,
    headers: Vec<(String, Secret)>,
}

impl Account {
    /// Fails `Invalid` when an input is missing or unfit, or a template names something unknown.
    pub(super) fn new(
        connector: &Connector,
        inputs: &BTreeMap<String, InputValue>,
        base_url: Option<&str>,
    ) -> Result<Self> {
        let mut texts = BTreeMap::new();
        let mut secrets = BTreeMap::new();
        for input in &connector.inputs {
            let given = inputs.get(&input.name).ok_or_else(|| {
                Error::new(Kind::Invalid, format!("input `{}` is missing", input.name))
                    .with("connector", &connector.name)
                    .hint(format!("add it under `source.connection`: {}", input.meaning))
            })?;
            match (input.kind, given) {
                (InputKind::Secret, InputValue::Secret(secret)) => {
                    fit_for_header(&input.name, secret.expose())?;
                    secrets.insert(input.name.clone(), secret.clone());
                }
                (InputKind::Secret, InputValue::Text(_)) => {
                    return Err(unfit(&input.name, "is a secret: take it from the environment or a file"));
                }
                (InputKind::HostLabel | InputKind::Text, InputValue::Secret(_)) => {
                    return Err(unfit(&input.name, "appears in URLs, so it cannot be a secret"));
                }
                (kind, InputValue::Text(text)) => {
                    fit_for_url(&input.name, kind, text)?;
                    texts.insert(input.name.clone(), encoded(text));
                }
            }
        }
        let base = match base_url {
            Some(url) => url.to_owned(),
            None => render(&connector.base_url, &texts)?,
        };
        let (name, value) = authentication(connector, &secrets)?;
        let coded = value.expose().strip_prefix(BASIC).map(Secret::new);
        let fixed = connector.headers.iter().map(|(name, value)| (name.clone(), Secret::new(value.clone())));
        Ok(Self {
            base: proper_base(&base)?,
            texts,
            secrets: secrets.into_values().chain(coded).collect(),
            headers: fixed.chain([(name, value)]).collect(),
        })
    }
    /// Base URL and path. Fails `Invalid` on a place that names no text input.
    pub(super) fn url(&self, path: &Template) -> Result<String> {
        let path = render(path, &self.texts)?;
        let slash = if path.starts_with('/') || path.is_empty() { "" } else { "/" };
        Ok(format!("{}{slash}{path}", self.base))
    }
    /// The same of a path with a place `{id}`.
    pub(super) fn url_of(&self, path: &Template, id: &str) -> Result<String> {
        fit_for_url("id", InputKind::Text, id)?;
        self.url(&Template(path.0.replace(ID_PLACE, &encoded(id))))
    }
    pub(super) fn request(&self, url: &str, query: Vec<(String, String)>) -> Request {
        Request { url: url.to_owned(), query, headers: self.headers.clone() }
    }
    /// The text without any of our secrets, in case the provider echoes one.
    pub(super) fn redact(&self, text: &str) -> String {
        let secrets = self.secrets.iter().map(Secret::expose).filter(|s| !s.is_empty());
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

fn unfit(name: &str, why: &str) -> Error {
    Error::new(Kind::Invalid, format!("input `{name}` {why}")).hint("correct it under `source.connection`")
}

fn fit_for_header(name: &str, secret: &str) -> Result<()> {
    if secret.is_empty() {
        return Err(unfit(name, "is empty"));
    }
    if secret.chars().any(char::is_control) {
        return Err(unfit(name, "holds a line break or control character"));
    }
    Ok(())
}

fn fit_for_url(name: &str, kind: InputKind, text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(unfit(name, "is empty"));
    }
    if matches!(text, "." | "..") {
        return Err(unfit(name, "would climb out of its place in the URL"));
    }
    let label = text.len() <= 63
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if kind == InputKind::HostLabel && !label {
        return Err(unfit(name, "must be one host label: letters, digits and `-`, at most 63"));
    }
    Ok(())
}

fn proper_base(url: &str) -> Result<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let fine = rest.is_some_and(|r| {
        !r.is_empty() && !r.starts_with('/') && !r.contains(['?', '#', '@', '{', '}', ' ', '\\'])
    });
    if !fine {
        return Err(Error::new(Kind::Invalid, format!("`{url}` is not a base URL"))
            .hint("give `base_url` as https://host[:port][/path], without user, query or places"));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

fn authentication(connector: &Connector, secrets: &BTreeMap<String, Secret>) -> Result<(String, Secret)> {
    let secret = |input: &str| {
        secrets.get(input).ok_or_else(|| {
            Error::new(Kind::Invalid, format!("`auth` names `{input}`, which is not a secret input"))
                .with("connector", &connector.name)
        })
    };
    Ok(match &connector.auth {
        Auth::Basic { user, password } => {
            let pair = format!("{}:{password}", secret(user)?.expose());
            ("authorization".to_owned(), Secret::new(format!("{BASIC}{}", base64(pair.as_bytes()))))
        }
        Auth::Header { name, value } => (name.clone(), secret(value)?.clone()),
    })
}

fn render(template: &Template, values: &BTreeMap<String, String>) -> Result<String> {
    let broken = |why: String| Error::new(Kind::Invalid, why).with("template", &template.0);
    let mut out = String::new();
    let mut rest = template.0.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        let (name, tail) = after.split_once('}').ok_or_else(|| broken("a `{` is never closed".into()))?;
        let value = values.get(name).ok_or_else(|| broken(format!("`{{{name}}}` is not a text input")))?;
        out.push_str(before);
        out.push_str(value);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().chain(&[0, 0]).take(3).fold(0usize, |bits, &b| bits << 8 | usize::from(b));
        for place in 0..4 {
            let digit = DIGITS.get(bits >> (18 - 6 * place) & 63).copied().unwrap_or(b'=');
            out.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// The request as a person would write it; there is no secret in it, and long values are cut.
pub(super) fn place(request: &Request) -> String {
    const VALUE_CHARS_MAX: usize = 40;
    let mut place = request.url.clone();
    for (i, (name, value)) in request.query.iter().enumerate() {
        let short: String = value.chars().take(VALUE_CHARS_MAX).collect();
        place.push_str(if i == 0 { "?" } else { "&" });
        place.push_str(&format!("{name}={short}"));
    }
    place
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_pads_as_rfc_4648_shows() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
