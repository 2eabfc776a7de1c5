//! connector.yaml, its mappings and the unified entities together: checked once, here, so that nothing downstream
//! checks again.
//!
//! Streams are proven in `stream`, field types in `record`, mappings in `lint`.
use super::{
    Auth, Budget, Connector, ErrorRule, Input, InputKind, MinorUnits, Probe, Requires, Template, fingerprint,
    raw, stream,
};
use crate::{
    entity::{Entity, Policies},
    error::Result,
    yaml::{File, Pairs, WordOr, line, suggest},
};
use serde_saphyr::Spanned;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Money has eight decimal places; a smaller unit could not be kept.
const PLACES_MAX: u8 = 8;

/// Proves one connector: `yaml` is its connector.yaml, `sql` all its mappings. Fails `Invalid` with file and line.
pub fn load(
    name: &str,
    yaml: &File,
    sql: &[File],
    entities: &BTreeMap<String, Arc<Entity>>,
) -> Result<Connector> {
    let raw: raw::Connector = yaml.read()?;
    let own = &raw.connector.value;
    if own != name {
        let what = format!("connector `{own}` stands in a folder named `{name}`; both names must be equal");
        return Err(yaml.error(line(&raw.connector), what));
    }
    let inputs = inputs(&raw.inputs);
    let prover = Prover { file: yaml, inputs: &inputs };
    if let Some((name, _)) = raw.inputs.0.iter().find(|(name, _)| !Prover::is_name(&name.value)) {
        let what = format!("input `{}` is not snake_case", name.value);
        return Err(yaml.error(line(name), what).hint("lower-case letters, digits and `_`, a letter first"));
    }
    let streams = stream::streams(&prover, name, &raw.streams, sql, entities)?;
    Ok(Connector {
        name: name.to_owned(),
        title: raw.title.clone(),
        hash: fingerprint::connector(yaml),
        mapping_hash: fingerprint::mapping(yaml, &streams),
        base_url: prover.base_url(&raw.base_url)?,
        auth: prover.auth(&raw.auth)?,
        headers: prover.headers(&raw.headers)?,
        budget: prover.budget(&raw.budget)?,
        errors: prover.errors(&raw.errors)?,
        minor_units: prover.minor_units(&raw.minor_units)?,
        probe: Probe { path: prover.path(&raw.probe.path)?, query: prover.query(&raw.probe.query) },
        rights: raw.rights.clone(),
        streams,
        inputs,
        policies: Policies::default(),
    })
}

fn inputs(raw: &Pairs<WordOr<InputKind, raw::Input>>) -> Vec<Input> {
    let input = |(name, input): &(Spanned<String>, WordOr<InputKind, raw::Input>)| {
        let (kind, meaning) = match input {
            WordOr::Word(kind) => (*kind, String::new()),
            WordOr::Map(long) => (long.kind, long.meaning.clone()),
        };
        Input { name: name.value.clone(), kind, meaning }
    };
    raw.0.iter().map(input).collect()
}

/// What every check of one file needs.
pub(super) struct Prover<'a> {
    pub(super) file: &'a File,
    inputs: &'a [Input],
}

impl Prover<'_> {
    fn input(&self, name: &str, at: u64) -> Result<&Input> {
        self.inputs.iter().find(|i| i.name == name).ok_or_else(|| {
            let known = self.inputs.iter().map(|i| i.name.as_str());
            self.file.error(at, format!("no input is called `{name}`")).hint(suggest(name, known))
        })
    }

    fn secret(&self, name: &Spanned<String>) -> Result<String> {
        let input = self.input(&name.value, line(name))?;
        if input.kind != InputKind::Secret {
            let what = format!("input `{}` authenticates, so its kind must be secret", input.name);
            return Err(self.file.error(line(name), what));
        }
        Ok(input.name.clone())
    }

    /// Text with `{input}` places. Secrets are refused: they would end up in logs and messages.
    pub(super) fn template(&self, text: &Spanned<String>) -> Result<Template> {
        for name in self.places(text)? {
            if self.input(name, line(text))?.kind == InputKind::Secret {
                let what = format!("`{{{name}}}` is a secret and must not be part of an address or scope");
                return Err(self.file.error(line(text), what).hint("use it in `auth`"));
            }
        }
        Ok(Template(text.value.clone()))
    }

    fn places<'t>(&self, text: &'t Spanned<String>) -> Result<Vec<&'t str>> {
        let mut names = Vec::new();
        let mut rest = text.value.as_str();
        let broken = || self.file.error(line(text), "`{` and `}` must enclose the name of an input");
        while let Some((before, after)) = rest.split_once('{') {
            let (name, tail) = after.split_once('}').ok_or_else(broken)?;
            if before.contains('}') || name.contains('{') {
                return Err(broken());
            }
            names.push(name);
            rest = tail;
        }
        if rest.contains('}') { Err(broken()) } else { Ok(names) }
    }

    /// Names of the places are inputs, so they are written like one.
    fn is_name(name: &str) -> bool {
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    }

    /// A path below the base URL.
    pub(super) fn path(&self, text: &Spanned<String>) -> Result<Template> {
        if !text.value.starts_with('/') || text.value.contains(['?', '#', ' ']) {
            let what = format!("path `{}` must begin with `/` and hold no `?`, `#` or space", text.value);
            return Err(self.file.error(line(text), what).hint("parameters go into `query`"));
        }
        self.template(text)
    }

    fn base_url(&self, text: &Spanned<String>) -> Result<Template> {
        let at = line(text);
        let rest = text.value.strip_prefix("https://").filter(|r| !r.is_empty() && !r.ends_with('/'));
        let rest = rest.filter(|r| !r.contains(['?', '#', '@', ' ']));
        let rest = rest.ok_or_else(|| {
            self.file
                .error(at, "base_url must be `https://host/path`, without a trailing `/`, `?`, `#` or `@`")
        })?;
        let host = rest.split('/').next().unwrap_or_default();
        if host.is_empty() {
            return Err(self.file.error(at, "base_url names no host"));
        }
        let host = Spanned::new(host.to_owned(), text.referenced, text.defined);
        for name in self.places(&host)? {
            if self.input(name, at)?.kind == InputKind::Text {
                let what = format!("`{{{name}}}` is part of the host name, so its kind must be host_label");
                return Err(self.file.error(at, what));
            }
        }
        self.template(text)
    }

    fn auth(&self, raw: &Spanned<raw::Auth>) -> Result<Auth> {
        let a = &raw.value;
        let need = |key: &'static str, value: &Option<Spanned<String>>| self.need(raw, "auth", key, value);
        match a.kind {
            raw::AuthKind::Basic => {
                self.foreign("auth kind basic", [("name", &a.name), ("value", &a.value)])?;
                let user = self.secret(&need("user", &a.user)?)?;
                Ok(Auth::Basic { user, password: need("password", &a.password)?.value })
            }
            raw::AuthKind::Header => {
                self.foreign("auth kind header", [("user", &a.user), ("password", &a.password)])?;
                let name = self.header_name(&need("name", &a.name)?)?;
                Ok(Auth::Header { name, value: self.secret(&need("value", &a.value)?)? })
            }
        }
    }

    /// The value of a key that this kind requires.
    pub(super) fn need<T: Clone, U>(
        &self,
        around: &Spanned<U>,
        what: &str,
        key: &str,
        value: &Option<Spanned<T>>,
    ) -> Result<Spanned<T>> {
        value.clone().ok_or_else(|| {
            self.file.error(line(around), format!("the key `{key}` is missing in this `{what}`"))
        })
    }

    /// Refuses keys that belong to another kind.
    pub(super) fn foreign<'k, T: 'k>(
        &self,
        kind: &str,
        keys: impl IntoIterator<Item = (&'static str, &'k Option<Spanned<T>>)>,
    ) -> Result<()> {
        for (key, value) in keys {
            if let Some(value) = value {
                return Err(self
                    .file
                    .error(line(value), format!("the key `{key}` does not belong to {kind}")));
            }
        }
        Ok(())
    }

    fn header_name(&self, name: &Spanned<String>) -> Result<String> {
        let token = name.value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if !token || name.value.is_empty() {
            return Err(self.file.error(line(name), format!("`{}` is not a header name", name.value)));
        }
        Ok(name.value.to_ascii_lowercase())
    }

    fn headers(&self, raw: &Pairs<String>) -> Result<Vec<(String, String)>> {
        let mut headers: Vec<(String, String)> = Vec::new();
        for (name, value) in &raw.0 {
            let lower = self.header_name(name)?;
            if lower == "authorization" || headers.iter().any(|(other, _)| *other == lower) {
                let what = format!("header `{lower}` is already set, by `auth` or by another line");
                return Err(self.file.error(line(name), what));
            }
            headers.push((lower, value.clone()));
        }
        Ok(headers)
    }

    fn budget(&self, raw: &raw::Budget) -> Result<Budget> {
        if raw.requests.value == 0 {
            return Err(self.file.error(line(&raw.requests), "`requests` must be greater than 0"));
        }
        if raw.concurrency.value == 0 {
            return Err(self.file.error(line(&raw.concurrency), "`concurrency` must be greater than 0"));
        }
        Ok(Budget {
            scope: self.template(&raw.scope)?,
            requests: raw.requests.value,
            per: self.positive("per", &raw.per)?,
            concurrency: raw.concurrency.value,
        })
    }

    fn errors(&self, raw: &[Spanned<raw::ErrorRule>]) -> Result<Vec<ErrorRule>> {
        let mut rules = Vec::new();
        for (i, rule) in raw.iter().enumerate() {
            let r = &rule.value;
            for status in &r.status {
                if !(300..=599).contains(&status.value) {
                    let what = format!("status {} is not an error: give 300 to 599", status.value);
                    return Err(self.file.error(line(status), what));
                }
            }
            let body = r.body.as_ref().map(|b| self.error_body(b)).transpose()?;
            if r.status.is_empty() && body.is_none() && i + 1 < raw.len() {
                let what = "this rule matches every error, so the rules after it are never asked";
                return Err(self.file.error(line(rule), what));
            }
            let status = r.status.iter().map(|s| s.value).collect();
            rules.push(ErrorRule { status, body, class: r.class, hint: r.hint.clone() });
        }
        Ok(rules)
    }

    fn error_body(&self, raw: &raw::ErrorBody) -> Result<(String, Vec<String>)> {
        if raw.any_of.value.is_empty() {
            return Err(self.file.error(line(&raw.any_of), "`any_of` must name at least one text"));
        }
        Ok((self.pointer(&raw.pointer)?, raw.any_of.value.clone()))
    }

    /// A JSON pointer to one value.
    pub(super) fn pointer(&self, raw: &Spanned<String>) -> Result<String> {
        let names = raw.value.strip_prefix('/').map(|p| p.split('/').all(|s| !s.is_empty() && s != "*"));
        if names != Some(true) {
            let what = format!("`{}` is not a JSON pointer such as `/next_offset`", raw.value);
            return Err(self.file.error(line(raw), what));
        }
        Ok(raw.value.clone())
    }

    /// What the probe must answer for a stream to be there.
    pub(super) fn requires(&self, raw: &raw::Requires) -> Result<Requires> {
        if raw.any_of.value.is_empty() {
            return Err(self.file.error(line(&raw.any_of), "`any_of` must name at least one text"));
        }
        if raw.otherwise.value.trim().is_empty() {
            return Err(self
                .file
                .error(line(&raw.otherwise), "`otherwise` must say what the account has instead"));
        }
        let (any_of, otherwise) = (raw.any_of.value.clone(), raw.otherwise.value.clone());
        Ok(Requires { pointer: self.pointer(&raw.pointer)?, any_of, otherwise })
    }

    fn minor_units(&self, raw: &Spanned<raw::MinorUnits>) -> Result<MinorUnits> {
        let m = &raw.value;
        for code in m.exceptions.keys() {
            if code.len() != 3 || !code.chars().all(|c| c.is_ascii_uppercase()) {
                let what = format!("`{code}` is not an ISO 4217 code such as `JPY`");
                return Err(self.file.error(line(raw), what));
            }
        }
        if m.exceptions.values().chain([&m.default]).any(|places| *places > PLACES_MAX) {
            let what = format!("`minor_units` has more than {PLACES_MAX} decimal places");
            return Err(self.file.error(line(raw), what));
        }
        Ok(MinorUnits { default: m.default, exceptions: m.exceptions.clone() })
    }

    /// Fixed parameters.
    pub(super) fn query(&self, raw: &Pairs<String>) -> Vec<(String, String)> {
        raw.0.iter().map(|(name, value)| (name.value.clone(), value.clone())).collect()
    }

    /// `90s`, `5m`, `2h`, `30d`; zero is allowed.
    pub(super) fn duration(&self, key: &str, raw: &Spanned<String>) -> Result<Duration> {
        let text = raw.value.as_str();
        let unit = |c: char| match c {
            's' => Some(1),
            'm' => Some(60),
            'h' => Some(3_600),
            'd' => Some(86_400),
            _ => None,
        };
        let split = text.char_indices().next_back().and_then(|(i, c)| Some((text.get(..i)?, unit(c)?)));
        let secs = split.and_then(|(digits, unit)| Some(u64::from(number(digits, 9)?) * unit));
        secs.map(Duration::from_secs).ok_or_else(|| {
            self.file
                .error(line(raw), format!("`{key}: {text}` is not a duration such as 90s, 5m, 2h or 30d"))
        })
    }

    /// A duration that is not zero.
    pub(super) fn positive(&self, key: &str, raw: &Spanned<String>) -> Result<Duration> {
        let duration = self.duration(key, raw)?;
        if duration.is_zero() {
            return Err(self.file.error(line(raw), format!("`{key}` must be greater than 0")));
        }
        Ok(duration)
    }
}

/// A whole number of at most so many digits, without sign, space or leading zero.
pub(super) fn number(text: &str, digits_max: usize) -> Option<u32> {
    let plain = text.len() <= digits_max && text.bytes().all(|b| b.is_ascii_digit());
    if !plain || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.parse().ok()
}
