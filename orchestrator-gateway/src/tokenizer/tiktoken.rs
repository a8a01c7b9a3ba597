//! `.tiktoken`: a token in base64 and its place on each line. The pattern is not in it, so that only those
//! files are read whose pattern is known. Source: <https://github.com/openai/tiktoken>, version 0.14.0,
//! `tiktoken_ext/openai_public.py`, whose digests these are; for Qwen the file `qwen.tiktoken` of
//! <https://pypi.org/project/dashscope/>, version 2.0.2.

use super::{Model, Tokenizer, added::Added, merge::Merges, split::Split};
use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// A file that is known.
struct Known {
    /// SHA-256 of the whole file.
    digest: &'static str,
    encoding: Option<&'static str>,
    pattern: &'static str,
}

const R50K: &str = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const CL100K: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const KNOWN: [Known; 5] = [
    Known {
        digest: "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
        encoding: Some("r50k_base"),
        pattern: R50K,
    },
    Known {
        digest: "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069",
        encoding: Some("p50k_base"),
        pattern: R50K,
    },
    Known {
        digest: "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        encoding: Some("cl100k_base"),
        pattern: CL100K,
    },
    Known {
        digest: "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        encoding: Some("o200k_base"),
        pattern: O200K,
    },
    Known {
        digest: "b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186",
        encoding: None,
        pattern: QWEN,
    },
];

pub(super) fn read(content: &[u8]) -> Result<Tokenizer, String> {
    let digest: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    let Some(known) = KNOWN.iter().find(|known| known.digest == digest) else {
        return Err(
            "it is neither a tokenizer.json nor a SentencePiece model, nor one of the .tiktoken files \
                    that are known (r50k_base, p50k_base, cl100k_base, o200k_base, qwen)"
                .into(),
        );
    };
    let splits = vec![Split::isolated(known.pattern)?];
    let ranks = ranks(content).ok_or("a line of it is not a token and its place")?;
    Ok(Tokenizer {
        encoding: known.encoding,
        // What a user says is never taken for a token that begins a message.
        before: Added::default(),
        normalizers: Vec::new(),
        after: Added::default(),
        splits,
        model: Model::Bytes(Merges::Ranks(ranks)),
    })
}

fn ranks(content: &[u8]) -> Option<HashMap<Box<[u8]>, u32>> {
    let mut ranks = HashMap::new();
    for line in std::str::from_utf8(content).ok()?.lines().filter(|line| !line.is_empty()) {
        let (token, rank) = line.split_once(' ')?;
        ranks.insert(BASE64_STANDARD.decode(token).ok()?.into(), rank.parse().ok()?);
    }
    Some(ranks)
}
