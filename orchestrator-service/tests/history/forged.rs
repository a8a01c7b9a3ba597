//! Files that are not what was exported: refused, with nothing stored.

use crate::{
    place::Place,
    transfer::{EVERYTHING, export, origin},
};
use orchestrator_service::{ImportOptions, Pause, RunQuery};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{fs, path::Path};

/// The document with its checksum, as whoever forges it would write it.
fn sealed(document: &Value) -> String {
    let mut document = document.clone();
    document.as_object_mut().unwrap().remove("checksum");
    let text = serde_json::to_string_pretty(&document).unwrap();
    let text = text.strip_suffix("\n}").unwrap();
    let digest: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{text},\n  \"checksum\": \"sha256:{digest}\"\n}}")
}

/// Checks that the file with this text is refused because of `reason`, and that nothing is stored.
async fn refused(text: &[u8], reason: &str) {
    let place = Place::new();
    let file = place.root().join("forged.json");
    fs::write(&file, text).unwrap();
    refused_file(&place, &file, reason).await;
}

async fn refused_file(place: &Place, file: &Path, reason: &str) {
    let error = place.service().import(file, ImportOptions::default()).await.unwrap_err();
    assert_eq!(error.code(), "ORC-0631", "{error}");
    assert!(error.to_string().contains(reason), "{reason}: {error}");
    let runs = place.service().runs(&RunQuery::default()).await.unwrap();
    assert!(runs.items.is_empty(), "{reason}");
    let blobs = place.root().join(".orchestrator/state/blobs");
    assert_eq!(files(&blobs), 0, "{reason}");
}

fn files(directory: &Path) -> usize {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let entries = entries.map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

/// A run that waits for an approval, and that has been paused and resumed before.
pub(crate) async fn open(place: &Place) -> String {
    let text = "name: open\ntasks:\n  sign: { approval: { message: 'Land it?' } }\n  \
                land: { needs: [sign], command: [sh, -c, 'echo x >> landed'] }\n";
    let mut execution = place.start(text).await.unwrap();
    let run = execution.run().to_string();
    while place.service().task("sign", Some(&run)).await.unwrap().task.status != "waiting" {
        execution.next().await;
    }
    place.service().pause(&run, Pause::Gently).await.unwrap();
    place.service().go_on(&run, None).await.unwrap();
    execution.control().interrupt();
    execution.wait().await.unwrap();
    run
}

fn deep(levels: usize) -> Value {
    (0..levels).fold(json!(1), |value, _| json!([value]))
}

/// The first event of the first log of that kind.
fn event<'a>(document: &'a mut Value, kind: &str) -> &'a mut Value {
    let events = document["logs"][0]["events"].as_array_mut().unwrap();
    events.iter_mut().find(|event| event["event"]["type"] == kind).unwrap()
}

#[tokio::test]
async fn what_was_forged_is_refused_and_nothing_is_kept() {
    let place = origin();
    let run = place.run(EVERYTHING).await.run;
    let (_, original) = export(&place, &run).await;
    let check = async |reason: &str, change: &dyn Fn(&mut Value)| {
        let mut document = original.clone();
        change(&mut document);
        refused(sealed(&document).as_bytes(), reason).await;
    };
    let first = |document: &mut Value| -> Value { document["logs"][0]["events"][0].clone() };
    // Ids.
    check("is not valid", &|d| d["logs"][0]["run"] = json!("../../etc")).await;
    check("is not the id of a run", &|d| {
        for log in d["logs"].as_array_mut().unwrap() {
            let text = log.to_string().replace(&run, "r_a.b");
            *log = serde_json::from_str(&text).unwrap();
        }
    })
    .await;
    check("is that of run", &|d| d["logs"][0]["run"] = json!("r_other")).await;
    check("is there twice", &|d| {
        let log = d["logs"][1].clone();
        d["logs"].as_array_mut().unwrap().push(log);
    })
    .await;
    check("stands before its parent", &|d| {
        d["logs"].as_array_mut().unwrap().reverse();
    })
    .await;
    check("no child of a run before it", &|d| {
        d["logs"][1]["events"][0]["event"]["parent"] = json!("r_other");
    })
    .await;
    check("task name", &|d| event(d, "task-expanded")["event"]["task"] = json!("a/b")).await;
    check("is not the id of a blob", &|d| d["blobs"][0]["id"] = json!("sha256:0")).await;
    // Blobs.
    check("is damaged", &|d| d["blobs"][0]["base64"] = json!("AAAA")).await;
    check("not base64", &|d| d["blobs"][0]["base64"] = json!("%")).await;
    check("is missing", &|d| {
        d["blobs"].as_array_mut().unwrap().remove(0);
    })
    .await;
    check("is there twice", &|d| {
        let blob = d["blobs"][0].clone();
        d["blobs"].as_array_mut().unwrap().push(blob);
    })
    .await;
    check("nothing refers to blob", &|d| {
        let bytes =
            Sha256::digest("abc").iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let blob = json!({ "id": format!("sha256:{bytes}"), "base64": "YWJj" });
        d["blobs"].as_array_mut().unwrap().push(blob);
    })
    .await;
    // A megabyte of text that nothing refers to is no other case than three letters.
    check("is damaged", &|d| d["blobs"][0]["base64"] = "QUFB".repeat(1 << 18).into()).await;
    check("bytes, not 1", &|d| {
        let events = d["logs"][0]["events"].as_array_mut().unwrap();
        let large = events.iter_mut().find(|e| e["event"]["output"]["blob"].is_object()).unwrap();
        large["event"]["output"]["blob"]["bytes"] = json!(1);
    })
    .await;
    // Events.
    check("has version 9", &|d| d["logs"][0]["events"][1]["version"] = json!(9)).await;
    check("has version 0", &|d| d["logs"][0]["events"][1]["version"] = json!(0)).await;
    check("unknown variant", &|d| {
        d["logs"][0]["events"][1]["event"]["type"] = json!("never-heard-of");
    })
    .await;
    check("stands where", &|d| {
        let second = d["logs"][0]["events"][1].clone();
        d["logs"][0]["events"].as_array_mut().unwrap().insert(1, second);
    })
    .await;
    check("stands where", &|d| {
        d["logs"][0]["events"].as_array_mut().unwrap().remove(1);
    })
    .await;
    check("does not begin with its creation", &|d| {
        d["logs"][0]["events"].as_array_mut().unwrap().remove(0);
    })
    .await;
    check("exists already", &|d| {
        let mut created = first(d);
        created["seq"] = json!(2);
        d["logs"][0]["events"][1] = created;
    })
    .await;
    check("no task `nobody`", &|d| {
        event(d, "attempt-started")["event"]["task"] = json!("nobody");
    })
    .await;
    check("is none that a run reaches", &|d| {
        event(d, "attempt-started")["event"]["epoch"] = json!(u64::MAX);
    })
    .await;
    check("after the year 9999", &|d| d["logs"][0]["events"][1]["at"] = json!(u64::MAX)).await;
    check("does not have 2 items", &|d| event(d, "task-expanded")["event"]["count"] = json!(2))
        .await;
    check("more than are allowed", &|d| {
        event(d, "task-expanded")["event"]["count"] = json!(4_000_000_000_u32);
    })
    .await;
    check("nested too deeply", &|d| {
        event(d, "attempt-succeeded")["event"]["output"] = json!({ "inline": deep(74) });
    })
    .await;
    check("cannot be read", &|d| {
        event(d, "attempt-succeeded")["event"]["output"] = json!({ "inline": deep(200) });
    })
    .await;
    check("circle", &|d| {
        let tasks = &mut first(d)["event"]["workflow"]["tasks"];
        let mut tasks = tasks.take();
        tasks[0]["needs"] = json!(["large"]);
        d["logs"][0]["events"][0]["event"]["workflow"]["tasks"] = tasks;
    })
    .await;
    // The document.
    check("of the schema", &|d| d["schema"] = json!("orchestrator.export/v1")).await;
    check("unknown field", &|d| d["more"] = json!(1)).await;
    check("0 runs", &|d| d["logs"] = json!([])).await;
}

#[tokio::test]
async fn a_file_that_was_cut_off_or_changed_is_refused() {
    let place = Place::new();
    let run = place.run("name: w\ntasks:\n  a: { command: [echo, hello] }\n").await.run;
    let (file, _) = export(&place, &run).await;
    let text = fs::read(file).unwrap();
    for part in 1..8 {
        refused(&text[..text.len() * part / 8], "incomplete").await;
    }
    let changed = String::from_utf8(text.clone()).unwrap().replace("hello", "hallo");
    refused(changed.as_bytes(), "was changed").await;
    let mut half = text.clone();
    let end = half.len() - 10;
    half[end] ^= 1;
    refused(&half, "was changed").await;
}

#[tokio::test]
async fn a_file_without_bound_is_not_read() {
    let place = Place::new();
    let path = place.root().join("bomb.json");
    fs::write(&path, "{\n  \"schema\": \"orchestrator.export/v2\",\n").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    refused_file(&place, &path, "more than 268435456 bytes").await;
    let directory = place.root();
    refused_file(&place, &directory, "not a file").await;
}

#[tokio::test]
async fn an_open_run_with_a_definition_that_cannot_start_is_refused() {
    let place = Place::new();
    let run = open(&place).await;
    let (_, mut document) = export(&place, &run).await;
    let tasks = &mut document["logs"][0]["events"][0]["event"]["workflow"]["tasks"];
    tasks[1]["when"] = json!("1 +");
    refused(sealed(&document).as_bytes(), "workflow is not valid").await;
}

/// A stream of numbers: splitmix64 (Steele, Lea, Flood 2014).
fn numbers(mut state: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below.max(1) as u64).unwrap()
    }
}

/// Puts one value of the document in the place of another, or drops, doubles or moves events.
fn garble(document: &mut Value, next: &mut impl FnMut(usize) -> usize) {
    let events = document["logs"][0]["events"].as_array_mut().unwrap();
    let (one, other) = (1 + next(events.len() - 1), 1 + next(events.len() - 1));
    match next(5) {
        0 => {
            events.remove(one);
        }
        1 => {
            let event = events[one].clone();
            events.insert(other, event);
        }
        2 => events.swap(one, other),
        3 => {
            let event = events[other]["event"].clone();
            let name = ["task", "attempt", "count", "number", "by", "next", "ask"][next(7)];
            if let Some(value) = event.get(name) {
                events[one]["event"][name] = value.clone();
            }
        }
        _ => {
            let keys: Vec<String> =
                events[one]["event"].as_object().unwrap().keys().cloned().collect();
            let key = &keys[next(keys.len())];
            let values = [
                json!(null),
                json!(0),
                json!(1),
                json!(4_294_967_295_u32),
                json!([]),
                json!("a"),
                json!("a:0"),
                json!(true),
            ];
            events[one]["event"][key.as_str()] = values[next(values.len())].clone();
        }
    }
    for (place, event) in events.iter_mut().enumerate() {
        event["seq"] = json!(place + 1);
    }
}

#[tokio::test]
async fn whatever_a_log_says_it_is_taken_or_refused() {
    let place = origin();
    let run = place.run(EVERYTHING).await.run;
    let (_, closed) = export(&place, &run).await;
    let waiting = open(&place).await;
    let (_, waiting) = export(&place, &waiting).await;
    let other = Place::new();
    let service = other.service();
    let file = other.root().join("garbled.json");
    let (mut taken, mut turned_away) = (0, 0);
    for seed in 0..150 {
        let mut next = numbers(seed);
        let mut document = if seed % 2 == 0 { closed.clone() } else { waiting.clone() };
        for _ in 0..=next(3) {
            garble(&mut document, &mut next);
        }
        fs::write(&file, sealed(&document)).unwrap();
        let options = ImportOptions { new_id: true, ..ImportOptions::default() };
        match service.import(&file, options).await {
            Ok(view) => {
                taken += 1;
                // What was taken can be looked at.
                service.why(&view.name).await.unwrap();
                service.run(&view.name).await.unwrap();
            }
            Err(error) => {
                assert_eq!(error.code(), "ORC-0631", "seed {seed}: {error}");
                turned_away += 1;
            }
        }
    }
    assert!(taken > 0 && turned_away > 50, "{taken} taken, {turned_away} refused");
}
