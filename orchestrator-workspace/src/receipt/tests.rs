use super::*;
use orchestrator_core::{
    id::{AttemptNumber, BlobId, CommitId, TaskName},
    workspace::{CheckOutcome, Evidence, Verdict},
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn commit(digit: char) -> CommitId {
    CommitId::new(digit.to_string().repeat(40)).unwrap()
}

fn task() -> TaskName {
    TaskName::new("build").unwrap()
}

fn evidence() -> Vec<u8> {
    let evidence = Evidence {
        commit: commit('a'),
        base: commit('b'),
        tree: commit('c'),
        sandbox: "landlock".into(),
        environment: [("system".to_owned(), "linux".to_owned())].into(),
        checks: Vec::new(),
        findings: Vec::new(),
        judgement: None,
        verdict: Verdict::Verified,
    };
    serde_json::to_vec(&evidence).unwrap()
}

fn blob() -> BlobId {
    BlobId::new("sha256:1").unwrap()
}

fn events() -> Vec<Value> {
    (0..3).map(|number| json!({ "sequence": number, "kind": "x" })).collect()
}

/// One fixed key, so that every run of the tests sees the same bytes.
fn key() -> SigningKey {
    let mut pkcs8 = vec![
        0x30, 0x53, 0x02, 0x01, 0x01, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    // The first vector of RFC 8032, section 7.1.
    let private = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let bytes = |text: &str| -> Vec<u8> {
        (0..32).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap()).collect()
    };
    pkcs8.extend(bytes(private));
    pkcs8.extend([0xa1, 0x23, 0x03, 0x21, 0x00]);
    pkcs8.extend(bytes(public));
    SigningKey::from_bytes(&pkcs8).unwrap()
}

fn entries() -> Vec<ReceiptEntry> {
    vec![
        ReceiptEntry::Run {
            workflow: "feature".into(),
            version: Some("1.2.0".into()),
            status: "succeeded".into(),
            began: "2026-01-02T10:00:00Z".into(),
            ended: Some("2026-01-02T10:05:00Z".into()),
            orchestrator: "0.1.0".into(),
        },
        ReceiptEntry::Agent {
            name: "dev".into(),
            provider: "lab".into(),
            model: Some("m-1".into()),
            version: None,
        },
        ReceiptEntry::Attempt {
            task: task(),
            attempt: AttemptNumber(1),
            agent: "dev".into(),
            status: "succeeded".into(),
            cost_usd: "0.4".parse().unwrap(),
            commit: Some(commit('a')),
            base: Some(commit('b')),
        },
        ReceiptEntry::Evidence {
            task: task(),
            attempt: AttemptNumber(1),
            commit: commit('a'),
            tree: commit('c'),
            verdict: Verdict::Verified,
            sandbox: "landlock".into(),
            checks: vec![Checked { name: "cargo test".into(), outcome: CheckOutcome::Passed }],
            blobs: vec![BlobDigest::new("evidence", blob(), &evidence())],
        },
        ReceiptEntry::Landing {
            task: task(),
            target: "main".into(),
            before: commit('b'),
            commit: commit('d'),
            verified: true,
            blobs: Vec::new(),
        },
        ReceiptEntry::PullRequest {
            task: task(),
            target: "main".into(),
            commit: commit('a'),
            url: "https://forge.example/7".into(),
            number: Some(7),
            verified: true,
        },
        ReceiptEntry::Cost {
            usd: "0.4".parse().unwrap(),
            calls: 4,
            input_tokens: 900,
            output_tokens: 90,
        },
    ]
}

fn receipt() -> Receipt {
    issue(RunId::new("r_1").unwrap(), LogHead::of(&events()), entries(), &key())
}

fn tree_of(commit: &CommitId) -> Option<CommitId> {
    let is_known = ["a", "b", "d"].iter().any(|digit| commit.as_str().starts_with(digit));
    is_known.then(|| self::commit('c'))
}

fn problems(bytes: &[u8], trust: &Trust<'_>) -> Vec<Problem> {
    verify(bytes, trust).problems
}

#[test]
fn a_receipt_is_verified_with_all_that_it_names() {
    let blobs = |id: &BlobId| (*id == blob()).then(evidence);
    let events = events();
    let trust = Trust {
        key: Some(key().public()),
        blobs: Some(&blobs),
        commits: Some(&tree_of),
        events: Some(&events),
    };
    let result = verify(&receipt().to_bytes(), &trust);
    assert_eq!(result.problems, []);
    assert_eq!((result.blobs, result.commits), (1, 6));
    assert_eq!(result.receipt, Some(receipt()));
    // A log that has gone on is right; one that is shorter or other is not.
    let mut longer = events.clone();
    longer.push(json!({ "sequence": 3 }));
    let with = |events: &[Value]| {
        problems(&receipt().to_bytes(), &Trust { events: Some(events), ..Trust::default() })
    };
    assert_eq!(with(&longer), []);
    assert!(matches!(with(&events[..2])[..], [Problem::Log(_)]));
    longer[1] = json!({ "sequence": 1, "kind": "y" });
    assert!(matches!(with(&longer)[..], [Problem::Log(_)]));
}

#[test]
fn each_kind_of_fault_has_its_own_reason() {
    let bytes = receipt().to_bytes();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let plain = Trust::default();
    assert!(matches!(problems(b"{", &plain)[..], [Problem::Unreadable(_)]));
    assert_eq!(
        problems(br#"{"schema":"orchestrator.receipt/v9"}"#, &plain),
        [Problem::Schema("orchestrator.receipt/v9".into())]
    );
    let other = SigningKey::generate().unwrap();
    assert_eq!(
        problems(&bytes, &Trust { key: Some(other.public()), ..Trust::default() }),
        [Problem::Untrusted(key().public())]
    );
    let chain = |at, about: &str| Problem::Chain { at, about: about.into() };
    let altered = text.replace("\"verified\": true", "\"verified\": false");
    assert_eq!(
        problems(altered.as_bytes(), &plain),
        [Problem::Signature, chain(5, "`build` landing on `main`")]
    );
    // The one who alters an entry and mends the chain has no key to sign it.
    let mut mended = receipt();
    mended.entries.remove(1);
    let plain_entries = mended.entries.iter().map(|chained| chained.entry.clone()).collect();
    let mut mended = issue(mended.run, mended.log, plain_entries, &other);
    mended.key = key().public().to_string();
    assert_eq!(problems(&mended.to_bytes(), &plain), [Problem::Signature]);
    // The order of entries is part of what is signed.
    let mut moved = receipt();
    moved.entries.swap(2, 3);
    assert!(
        problems(&moved.to_bytes(), &plain)
            .contains(&chain(3, "the evidence of attempt 1 of `build`"))
    );
    let compact = serde_json::to_vec(&receipt()).unwrap();
    assert_eq!(problems(&compact, &plain), [Problem::Text(1)]);
}

#[test]
fn what_it_names_must_be_what_is_there() {
    let bytes = receipt().to_bytes();
    let with_blob = |content: Option<Vec<u8>>| {
        let blobs = move |_: &BlobId| content.clone();
        problems(&bytes, &Trust { blobs: Some(&blobs), ..Trust::default() })
    };
    let what = || "evidence".to_owned();
    assert_eq!(with_blob(None), [Problem::BlobMissing { what: what(), blob: blob() }]);
    let mut other = evidence();
    other[20] ^= 1;
    assert_eq!(with_blob(Some(other)), [Problem::BlobDiffers { what: what(), blob: blob() }]);

    let commits = |_: &CommitId| None;
    let missing = problems(&bytes, &Trust { commits: Some(&commits), ..Trust::default() });
    assert_eq!(missing.len(), 6);
    assert!(missing.contains(&Problem::CommitMissing(commit('d'))));
    let commits = |_: &CommitId| Some(commit('e'));
    assert_eq!(
        problems(&bytes, &Trust { commits: Some(&commits), ..Trust::default() }),
        [Problem::TreeDiffers { commit: commit('a'), tree: commit('c') }]
    );
}

/// A receipt that says `verified` of evidence that says something else.
#[test]
fn a_receipt_cannot_say_more_than_its_evidence() {
    let failed = String::from_utf8(evidence()).unwrap().replace("verified", "failed").into_bytes();
    let mut all = entries();
    if let ReceiptEntry::Evidence { blobs, .. } = &mut all[3] {
        blobs[0] = BlobDigest::new("evidence", blob(), &failed);
    }
    let receipt = issue(RunId::new("r_1").unwrap(), LogHead::of(&events()), all, &key());
    let blobs = |_: &BlobId| Some(failed.clone());
    let about = "the evidence of attempt 1 of `build`".to_owned();
    assert_eq!(
        problems(&receipt.to_bytes(), &Trust { blobs: Some(&blobs), ..Trust::default() }),
        [Problem::EvidenceDiffers { about, field: "verdict" }]
    );
}

#[test]
fn a_private_key_shows_itself_to_nobody() {
    let shown = format!("{:?}", key());
    assert!(shown.contains("ed25519:d75a9801"));
    assert!(!shown.contains("9d61b19d"));
    assert_eq!(SigningKey::from_bytes(&key().to_bytes()).unwrap().public(), key().public());
    assert_eq!(SigningKey::from_bytes(b"x").unwrap_err(), KeyError::Invalid);
    let text = key().public().to_string();
    assert_eq!(text.parse::<PublicKey>().unwrap(), key().public());
    assert!("ed25519:zz".parse::<PublicKey>().is_err());
}

/// The schema that is published fits what is written, and no more.
#[test]
fn the_schema_is_of_what_is_written() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schemas/receipt.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let document: Value = serde_json::from_slice(&receipt().to_bytes()).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(&document).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let mut other = document.clone();
    other["entries"][0]["entry"]["extra"] = json!(1);
    assert!(!validator.is_valid(&other));
    other = document;
    other["entries"][3]["entry"]["verdict"] = json!("fine");
    assert!(!validator.is_valid(&other));
}

/// Every byte of a receipt, one after the other, with one bit of it turned.
#[test]
fn every_flipped_byte_is_found() {
    let bytes = receipt().to_bytes();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 7);
        assert!(!problems(&flipped, &Trust::default()).is_empty(), "byte {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_change_of_its_bytes_is_found(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        how in 0..3,
    ) {
        let bytes = receipt().to_bytes();
        let at = at.index(bytes.len());
        let mut changed = bytes.clone();
        match how {
            0 => changed[at] = byte,
            1 => changed.insert(at, byte),
            _ => drop(changed.remove(at)),
        }
        prop_assume!(changed != bytes);
        prop_assert!(!problems(&changed, &Trust::default()).is_empty());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(!problems(&bytes, &Trust::default()).is_empty());
    }
}
