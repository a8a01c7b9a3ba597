//! The file: a header, then one exchange a line.

use super::{CassetteError, exchange::Exchange, exchange::digest, request::Digest};
use orchestrator_core::agent::AgentSpec;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, path::Path};

/// What every cassette of this version names in its first line.
pub const SCHEMA: &str = "orchestrator.cassette/v2";

/// What earlier versions named there: the same, without calls that were stopped.
const EARLIER: &str = "orchestrator.cassette/v1";

/// How the schemas of all versions begin.
const FAMILY: &str = "orchestrator.cassette/v";

/// The first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Header {
    /// [`SCHEMA`], or that of an earlier version.
    pub schema: String,
    /// What tells this recording from every other.
    pub id: String,
    /// The version of the program that made it.
    pub program: String,
    /// Who asked models, as they were: so that a replay finds agents where no key makes any.
    #[serde(default)]
    pub agents: Vec<AgentSpec>,
}

impl Header {
    /// The header of a recording by `agents`.
    pub fn new(id: impl Into<String>, agents: Vec<AgentSpec>) -> Self {
        let program = env!("CARGO_PKG_VERSION").to_owned();
        Self { schema: SCHEMA.into(), id: id.into(), program, agents }
    }
}

/// A cassette that was read: every exchange of a recording.
#[derive(Debug)]
pub struct Cassette {
    header: Header,
    pub(super) exchanges: Vec<Exchange>,
    /// The exchanges of each request, in the order in which they ended.
    pub(super) by_digest: BTreeMap<Digest, Vec<usize>>,
    /// Where the whole lines end, before the calls that were given up last of all.
    kept: usize,
    is_torn: bool,
}

impl Cassette {
    /// Reads the file.
    ///
    /// # Errors
    /// See [`Cassette::parse`]; a file that cannot be read.
    pub fn read(file: &Path) -> Result<Self, CassetteError> {
        let bytes = std::fs::read(file)
            .map_err(|source| CassetteError::Read { file: file.to_owned(), source })?;
        Self::parse(file, &bytes)
    }

    /// Reads `bytes`, the content of `file`. A last line that is not whole is left out: the recording
    /// ended while it was written.
    ///
    /// # Errors
    /// A file of another kind or of a newer version, a line that cannot be read.
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Self, CassetteError> {
        let mut at = 0;
        let mut lines = Vec::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            at += line.len();
            lines.push((line, at));
        }
        let Some(((first, end), rest)) = lines.split_first() else {
            let (file, reason) = (file.to_owned(), "it is empty".to_owned());
            return Err(CassetteError::Foreign { file, reason });
        };
        let header = header(file, first)?;
        let mut cassette = Self {
            header,
            exchanges: Vec::new(),
            by_digest: BTreeMap::new(),
            kept: *end,
            is_torn: false,
        };
        for (place, (line, end)) in rest.iter().enumerate() {
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice::<Exchange>(line) {
                Ok(exchange) => {
                    if !exchange.was_given_up() {
                        cassette.kept = *end;
                    }
                    cassette.add(exchange);
                }
                // Only the last line can have no end, and then nobody has waited for it.
                Err(_) if !line.ends_with(b"\n") => {
                    cassette.is_torn = true;
                    break;
                }
                Err(error) => {
                    let (file, reason) = (file.to_owned(), error.to_string());
                    return Err(CassetteError::Damaged { file, line: place + 2, reason });
                }
            }
        }
        Ok(cassette)
    }

    fn add(&mut self, exchange: Exchange) {
        let place = self.exchanges.len();
        let digest = digest(exchange.kind, &exchange.account, &exchange.request);
        self.by_digest.entry(digest).or_default().push(place);
        self.exchanges.push(exchange);
    }

    /// The first line.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How many exchanges it holds.
    pub fn len(&self) -> usize {
        self.exchanges.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.exchanges.is_empty()
    }

    /// Whether its last line was cut off while it was written.
    pub fn is_torn(&self) -> bool {
        self.is_torn
    }

    /// How many bytes its whole lines have, without the calls at its end that were given up: what
    /// stopped the recording stopped them, and they are made again when it goes on.
    pub(super) fn kept(&self) -> u64 {
        self.kept as u64
    }
}

fn header(file: &Path, line: &[u8]) -> Result<Header, CassetteError> {
    let foreign =
        |reason: &str| CassetteError::Foreign { file: file.to_owned(), reason: reason.to_owned() };
    let value: Value =
        serde_json::from_slice(line).map_err(|_| foreign("its first line is not JSON"))?;
    match value.get("schema").and_then(Value::as_str) {
        Some(SCHEMA | EARLIER) => serde_json::from_value(value).map_err(|error| {
            CassetteError::Damaged { file: file.to_owned(), line: 1, reason: error.to_string() }
        }),
        Some(newer) if newer.starts_with(FAMILY) => {
            Err(CassetteError::Newer { file: file.to_owned(), found: newer.to_owned() })
        }
        Some(other) => Err(foreign(&format!("its first line says that it is `{other}`"))),
        None => Err(foreign("its first line names no schema")),
    }
}
