//! The base, with a program that is a shell.

mod scripted;

use super::*;
use orchestrator_core::{
    error::ErrorClass,
    id::{AttemptNumber, MessageNumber, TurnNumber},
    port::{Call, Permit, RecordedTurn, Steer},
};
use scripted::{Ear, Place};
use serde_json::json;
use std::fs;

fn text(answer: Result<Answer, Failure>) -> String {
    answer.unwrap().output.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_it_does_is_recorded_in_order_and_its_whole_output_is_kept() {
    let place = Place::new();
    let script = "echo session s1; echo say hello; echo tool Bash; echo ended Bash; echo say bye; \
                  echo used 7; echo done all of it; pwd >&2; cat \"$HOME/.shell/settings\" >&2";
    let (ear, ended) = place.run(script).await;
    let answer = ended.unwrap();
    assert_eq!(answer.output, json!("all of it"));
    assert_eq!(ear.all("turn"), ["model hello", "tool Bash", "model bye"]);
    assert_eq!(ear.all("session"), ["s1"]);
    assert_eq!(answer.spend[0].usage.input.0, 7);
    assert_eq!(answer.artifacts[0].name, "transcript.jsonl");
    let transcript = String::from_utf8(answer.artifacts[0].bytes.clone()).unwrap();
    assert!(transcript.starts_with("session s1\nsay hello\n") && transcript.ends_with("it\n"));
    let stderr = ear.all("log Stderr").join("\n");
    assert!(stderr.contains(&place.path().display().to_string()) && stderr.ends_with("set"));
    assert!(fs::read_dir(place.path().join("homes")).unwrap().next().is_none(), "no home stays");
}

#[tokio::test]
async fn success_needs_the_last_event_and_the_exit_code() {
    let place = Place::new();
    for (script, class, part) in [
        ("echo session s1", ErrorClass::Crashed, "did not say that its work is done"),
        ("true", ErrorClass::Crashed, "exit code 0"),
        ("echo done ok; exit 3", ErrorClass::Crashed, "said done and failed"),
        ("echo oops >&2; exit 3", ErrorClass::Crashed, "oops"),
        ("kill -9 $$", ErrorClass::Crashed, "signal 9"),
        ("echo failed later", ErrorClass::RateLimited, "later"),
        ("echo what is this; echo {", ErrorClass::Incompatible, "nothing that it printed"),
        ("exec /nowhere/at/all", ErrorClass::InvalidRequest, "127"),
        ("echo quota used up; sleep 60", ErrorClass::Auth, "used up"),
    ] {
        let (_, ended) = place.run(script).await;
        let failure = ended.unwrap_err();
        assert_eq!(failure.class, class, "{script}: {failure}");
        assert!(failure.message.contains(part), "{script}: {failure}");
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_says_so() {
    let place = Place::new();
    let mut agent = place.agent("");
    agent.command = vec!["/nowhere/program".into()];
    let failure = agent.perform(&place.assignment(), &Ear::default()).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::InvalidRequest);
    assert!(failure.message.contains("no such program"), "{failure}");
}

#[tokio::test]
async fn a_quiet_program_is_stopped_with_all_that_it_started() {
    let place = Place::new();
    let limits = Limits {
        first_event: Duration::from_millis(200),
        idle: Duration::from_millis(200),
        linger: Duration::from_millis(200),
        grace: Duration::from_millis(200),
    };
    let orphan = "setsid sh -c 'trap \"\" TERM; echo $$ > orphan; sleep 300' & \
                  while [ ! -s orphan ]; do sleep 0.01; done; trap '' TERM;";
    for (script, part) in [
        ("sleep 300", "nothing that could be understood"),
        ("echo gibberish; sleep 300", "nothing that could be understood"),
        ("echo say hi; sleep 300", "nothing more"),
    ] {
        let agent = place.agent(&format!("{orphan} {script}")).limits(limits);
        let failure = agent.perform(&place.assignment(), &Ear::default()).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::TimedOut, "{script}");
        assert!(failure.message.contains(part), "{failure}");
        let orphan = place.path().join("orphan");
        let pid = fs::read_to_string(&orphan).unwrap();
        // Nobody may have reaped it yet.
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        assert!(stat.map_or(true, |stat| stat.contains(") Z ")), "{script}");
        fs::remove_file(orphan).unwrap();
    }
    let agent = place.agent("echo done well; sleep 300").limits(limits);
    let answer = agent.perform(&place.assignment(), &Ear::default()).await;
    assert_eq!(text(answer), "well", "what is over is over");
}

#[tokio::test]
async fn it_is_stopped_when_the_attempt_is_or_its_turns_are_not_taken() {
    let place = Place::new();
    let ear = Ear::default();
    let agent = place.agent("echo say hi; sleep 300");
    let assignment = place.assignment();
    let stopping = async {
        ear.until("turn").await;
        ear.stop.notify_one();
    };
    let (ended, ()) = tokio::join!(agent.perform(&assignment, &ear), stopping);
    assert_eq!(ended.unwrap_err().class, ErrorClass::Cancelled);
    let ear = Ear { refuses_turns: true, ..Ear::default() };
    let failure = agent.perform(&assignment, &ear).await.unwrap_err();
    assert_eq!((failure.class, failure.message.as_str()), (ErrorClass::NoProgress, "stuck"));
}

#[tokio::test]
async fn a_cut_off_session_goes_on_and_is_charged_for_the_new_alone() {
    let place = Place::new();
    let script = "case $1 in new) echo session s7; echo say first; echo used 100; exit 9;; \
                  *) echo session s7; echo used 130; echo \"done $1 $2\";; esac";
    let (_, ended) = place.run(script).await;
    let failure = ended.unwrap_err();
    assert_eq!(failure.spend[0].usage.input.0, 100);
    assert!(place.path().join("homes/r_1+t+1+cli/home").is_dir(), "the session is in it");
    let mut assignment = place.assignment();
    (assignment.attempt, assignment.session) = (AttemptNumber(2), Some("s7".into()));
    let answer = place.agent(script).perform(&assignment, &Ear::default()).await.unwrap();
    let said = answer.output.as_str().unwrap();
    assert!(said.starts_with("resume:s7 You were interrupted"), "{said}");
    assert_eq!(answer.spend[0].usage.input.0, 30);
    assert!(!place.path().join("homes/r_1+t+1+cli").exists());
}

#[tokio::test]
async fn a_session_that_is_not_known_any_more_is_told_to_a_new_one() {
    let place = Place::new();
    let turn = Call::new("model", "m", "");
    let recorded = vec![RecordedTurn::new(TurnNumber(1), turn, json!({ "text": "I began." }))];
    let script = "case $1 in new) echo session s8; printf 'done %s' \"$2\" | tr '\\n' ' '; echo;; \
                  *) echo no such session >&2; exit 1;; esac";
    let mut assignment = place.assignment();
    assignment.session = Some("s7".into());
    assignment.recorded_turns = 1;
    // Its home is there in the first round and gone in the second.
    fs::create_dir_all(place.path().join("homes/r_1+t+1+cli/home")).unwrap();
    for _ in 0..2 {
        let ear = Ear { recorded: recorded.clone(), ..Ear::default() };
        let said = text(place.agent(script).perform(&assignment, &ear).await);
        assert!(said.contains("Do it.") && said.contains("You said: I began."), "{said}");
        assert_eq!(ear.all("session"), ["s8"]);
    }
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_mended_in_its_session() {
    let place = Place::new();
    let script = "echo session s1; case $1 in new) echo 'done {\"ok\": 1}';; \
                  *) case $2 in *'does not fit'*) echo 'done {\"ok\": true}';; esac;; esac";
    let mut assignment = place.assignment();
    assignment.output_schema = Some(Arc::new(json!({
        "type": "object", "required": ["ok"], "properties": { "ok": { "type": "boolean" } },
    })));
    let ear = Ear::default();
    let answer = place.agent(script).perform(&assignment, &ear).await.unwrap();
    assert_eq!(answer.output, json!({ "ok": true }));
    let never = "echo session s1; echo done nothing of the kind";
    let failure = place.agent(never).perform(&assignment, &ear).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::BadOutput, "{failure}");
}

#[tokio::test]
async fn several_questions_are_answered_in_any_order_and_one_is_withdrawn() {
    let place = Place::new();
    let script = "echo ask one; echo ask two; echo ask three; echo withdraw three; \
                  read a; read b; echo \"done $a, $b\"";
    let denied = Permit::Denied { why: "not that".into() };
    let ear = Ear::default();
    *ear.permits.lock().unwrap() =
        [("two".to_owned(), denied), ("one".to_owned(), Permit::Allowed)].into();
    let answer = place.agent(script).live().perform(&place.assignment(), &ear).await;
    assert_eq!(text(answer), "two: no, not that, one: yes");
}

#[tokio::test]
async fn people_take_their_time_and_the_program_is_not_idle() {
    let place = Place::new();
    let limits = Limits { idle: Duration::from_millis(100), ..Limits::default() };
    let agent = place.agent("echo ask one; read a; echo \"done $a\"").live().limits(limits);
    let (ear, assignment) = (Ear::default(), place.assignment());
    let answering = async {
        ear.until("asked").await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        ear.permits.lock().unwrap().push_back(("one".to_owned(), Permit::Allowed));
        ear.changed.notify_waiters();
    };
    let (answer, ()) = tokio::join!(agent.perform(&assignment, &ear), answering);
    assert_eq!(text(answer), "one: yes");
}

#[tokio::test]
async fn it_is_told_what_people_say_while_it_works_and_after() {
    let place = Place::new();
    let script = "echo session s1; case $1 in new) echo say hi; read a; read b; read c; \
                  echo \"say $a/$b/$c\"; echo done early;; *) echo \"done $1 $2\";; esac";
    let ear = Ear::default();
    let say = |number: u32, text: &str| Steer::Say {
        number: MessageNumber(number),
        text: text.to_owned(),
    };
    let interrupt = Steer::Interrupt { number: MessageNumber(2), text: None };
    *ear.steers.lock().unwrap() = [say(1, "faster"), interrupt].into();
    let agent = place.agent(script).live();
    assert!(agent.steerable() && !place.agent(script).steerable());
    assert_eq!(text(agent.perform(&place.assignment(), &ear).await), "early");
    let expected = "told faster/interrupt/told Go on as you think best.";
    assert_eq!(ear.all("turn model").last().unwrap(), expected);
    assert_eq!(ear.all("delivered"), ["1", "2"]);

    // What it could not be told any more is told to its session afterwards.
    let script = "echo session s1; case $1 in new) echo done early;; *) echo \"done $1 $2\";; esac";
    let ear = Ear::default();
    ear.steers.lock().unwrap().push_back(say(3, "later: one more thing"));
    // It begins when there is something to be told.
    let agent = place.agent(&format!("sleep 0.2; {script}"));
    let answer = agent.live().perform(&place.assignment(), &ear).await;
    assert_eq!(text(answer), "resume:s1 later: one more thing");
    assert_eq!(ear.all("delivered"), ["3"]);
}

#[tokio::test]
async fn what_is_not_understood_is_counted_and_a_huge_line_is_cut() {
    let place = Place::new();
    let script = "for n in 1 2 3 4 5; do echo gibberish $n; echo novel thing; done; \
                  head -c 5000000 /dev/zero | tr '\\0' x; echo; echo done ok";
    let (ear, ended) = place.run(script).await;
    let answer = ended.unwrap();
    assert_eq!(answer.output, json!("ok"));
    assert!(answer.artifacts[0].bytes.len() > 5_000_000, "the whole is kept");
    let notes = ear.all("log Note").join("\n");
    for part in ["not known here: thing", "thing (5 times)", "3 more lines", "bytes of it were not"]
    {
        assert!(notes.contains(part), "{part} in {notes}");
    }
    assert_eq!(ear.all("log Stdout").len(), 3);
}

#[tokio::test]
async fn its_home_is_its_own_and_gets_the_login_only_when_told_to() {
    let place = Place::new();
    let user = place.path().join("user");
    fs::create_dir_all(user.join(".shell")).unwrap();
    fs::write(user.join(".shell/login"), "secret login").unwrap();
    fs::write(user.join(".shell/other"), "not this").unwrap();
    let script =
        "echo done $(ls -A \"$HOME/.shell\") $(stat -c %a \"$HOME/.shell/settings\" \"$HOME\")";
    let (_, ended) = place.run(script).await;
    assert_eq!(text(ended), "settings 600 700");
    let agent = place.agent(script).logged_in_as(user);
    let answer = agent.perform(&place.assignment(), &Ear::default()).await;
    assert_eq!(text(answer), "login settings 600 700");
}

#[tokio::test]
async fn whoever_meters_it_can_stop_it() {
    #[derive(Debug)]
    struct Strict;
    #[async_trait]
    impl Meter for Strict {
        async fn used(&self, used: &ModelUsage) -> Metered {
            let spend = Spend {
                provider: orchestrator_core::id::ProviderName::new("own").unwrap(),
                model: "m".into(),
                requests: 1,
                usage: used.usage,
                cost: None,
            };
            let stop =
                (used.usage.input.0 > 10).then(|| Failure::new(ErrorClass::OverBudget, "enough"));
            Metered { spend, stop }
        }
    }
    let place = Place::new();
    let agent = place.agent("echo used 5; echo used 50; sleep 300");
    let agent = agent.metered_by(Arc::new(Strict));
    let failure = agent.perform(&place.assignment(), &Ear::default()).await.unwrap_err();
    assert_eq!((failure.class, failure.message.as_str()), (ErrorClass::OverBudget, "enough"));
    assert_eq!((failure.spend[0].usage.input.0, failure.spend[0].requests), (50, 2));
}
