//! What a program says of itself.

use orchestrator_agents::{
    coding::{self, Untold},
    command::Environment,
};
use std::{path::Path, time::Duration};

#[tokio::test]
async fn a_program_that_is_asked_about_itself_is_held_to_a_limit_and_to_a_home() {
    let home = tempfile::tempdir().unwrap();
    let ask = async |script: &str, limit: u64| {
        let environment = Environment::from_vars([("PATH".into(), "/usr/bin:/bin".into())], &[]);
        let limit = Duration::from_millis(limit);
        coding::ask(Path::new("/bin/sh"), &["-c", script], &environment, home.path(), limit).await
    };
    let told = ask("echo one; echo two >&2; echo $HOME; exit 3", 60_000).await.unwrap();
    assert_eq!(told.stdout, format!("one\n{}\n", home.path().display()));
    assert_eq!((told.stderr.as_str(), told.is_well), ("two\n", false));
    let told = ask("head -c 1000000 /dev/zero | tr '\\0' x", 60_000).await.unwrap();
    assert_eq!((told.stdout.len(), told.is_well), (64 * 1024, true));
    let endless = ask("trap '' TERM; (setsid sleep 600 &); while :; do sleep 600; done", 300).await;
    assert!(matches!(endless, Err(Untold::TooLong(_))), "{endless:?}");
    let environment = Environment::default();
    let missing = home.path().join("missing");
    let limit = Duration::from_secs(60);
    let told = coding::ask(&missing, &["x"], &environment, home.path(), limit);
    assert!(matches!(told.await, Err(Untold::NotStarted(_))));
}
