//! Many coding CLIs at once.

use crate::harness::{Project, eventually};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs};

const AGENTS: usize = 100;
const MESSAGES: usize = 40;
/// The most memory of the orchestrator, in KiB.
const MOST: u64 = 300 * 1024;

/// Waits until all are there, and then says many things as fast as it can.
const PROGRAM: &str = r#"
cat > /dev/null
: > "here/$$"
while [ ! -e go ]; do sleep 0.1; done
echo '{"type":"system","subtype":"init","session_id":"'$$'","model":"m","claude_code_version":"2.1.329"}'
i=0
while [ $i -lt 40 ]; do
  echo '{"type":"assistant","parent_tool_use_id":null,"message":{"model":"m","content":[{"type":"text","text":"message '$i'"}]}}'
  i=$((i + 1))
done
echo '{"type":"result","subtype":"success","is_error":false,"session_id":"'$$'","terminal_reason":"completed","permission_denials":[],"result":"over","modelUsage":{}}'
"#;

/// A figure of `/proc/PID/status` in KiB.
fn kib(process: u32, figure: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(figure))?;
    line.trim_start_matches(':').split_whitespace().next()?.parse().ok()
}

#[test]
fn of_a_hundred_at_once_no_word_is_lost_or_overtaken_and_memory_is_bounded() {
    let project = Project::new();
    project.write("crowd.sh", PROGRAM);
    fs::create_dir(project.path().join("here")).expect("a directory");
    let config = "[agents.dev]\nprovider = \"claude-code\"\nmode = \"own-login\"\nlive = false\n\
                  command = [\"sh\", \"crowd.sh\"]\n";
    project.write(".orchestrator/config.toml", config);
    let mut flow = format!("name: flow\nmax-parallel: {AGENTS}\ntasks:\n");
    for number in 0..AGENTS {
        flow += &format!("  t{number}: {{ agent: dev, prompt: go }}\n");
    }
    project.write(".orchestrator/workflows/flow.yaml", &flow);
    let mut running = project.start(&["execute", "--workflow", "flow", "--json"]);
    let here = project.path().join("here");
    eventually("all to be there", || {
        (fs::read_dir(&here).expect("a directory").count() == AGENTS).then_some(())
    });
    project.write("go", "");
    let process = running.id();
    let mut most = 0;
    while let Some(peak) = kib(process, "VmHWM") {
        most = most.max(peak);
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    let ran = running.end().expect(0);
    println!("{AGENTS} at once: the orchestrator took {} MiB", most / 1024);
    assert!(most > 0 && most < MOST, "{most} KiB");

    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in ran.stdout.lines() {
        let event: Value = serde_json::from_str(line).expect("a JSON line");
        if event["type"] == json!("turn-recorded") {
            let task = event["task"].as_str().expect("a task").to_owned();
            let text = &event["turn"]["output"]["inline"]["text"];
            said.entry(task).or_default().push(text.as_str().expect("text").to_owned());
        }
    }
    let expected: Vec<String> = (0..MESSAGES).map(|number| format!("message {number}")).collect();
    assert_eq!(said.len(), AGENTS);
    assert!(said.values().all(|said| *said == expected), "in order, each once");
}
