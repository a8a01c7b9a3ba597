//! What a person at a terminal sees: a real pseudo-terminal, its screen read by an emulator.

use crate::{
    harness::{PATIENCE, Project, binary},
    models,
};
use orchestrator_testkit::model_server::ModelServer;
use pty_process::{Size, blocking::Pty};
use std::{
    io::{Read, Write},
    process::Child,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
};

/// A terminal with a command in it.
pub(crate) struct Terminal {
    pty: Arc<Pty>,
    child: Child,
    coming: Receiver<Vec<u8>>,
    emulator: vt100::Parser,
    bytes: Vec<u8>,
}

impl Terminal {
    pub(crate) fn open(project: &Project, (columns, rows): (u16, u16), arguments: &[&str]) -> Self {
        let (pty, pts) = pty_process::blocking::open().expect("a pseudo-terminal");
        pty.resize(Size::new(rows, columns)).expect("a size");
        let child = pty_process::blocking::Command::new(binary())
            .args(arguments)
            .env_clear()
            .envs(project.environment())
            .current_dir(project.path())
            .spawn(pts)
            .expect("the binary starts");
        let (pty, (send, coming)) = (Arc::new(pty), channel());
        let reader = Arc::clone(&pty);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Linux answers EIO once the last process has closed its side.
            while let Ok(read @ 1..) = (&*reader).read(&mut buffer) {
                if send.send(buffer[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        let emulator = vt100::Parser::new(rows, columns, 1_000);
        Self { pty, child, coming, emulator, bytes: Vec::new() }
    }

    /// Reads until the screen fits or the command has let go of the terminal.
    pub(crate) fn until(&mut self, fits: impl Fn(&str) -> bool) -> String {
        loop {
            let screen = self.emulator.screen().contents();
            if fits(&screen) {
                return screen;
            }
            match self.coming.recv_timeout(PATIENCE) {
                Ok(bytes) => {
                    self.emulator.process(&bytes);
                    self.bytes.extend(bytes);
                }
                Err(RecvTimeoutError::Disconnected) => return screen,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("waited in vain; on the screen:\n{screen}")
                }
            }
        }
    }

    pub(crate) fn types(&mut self, text: &str) {
        (&*self.pty).write_all(text.as_bytes()).expect("it can be typed");
    }

    /// Waits for the end; gives the exit code, and all that is on the screen and above it.
    pub(crate) fn end(mut self) -> (Option<i32>, String, Self) {
        self.until(|_| false);
        let code = self.child.wait().expect("it ends").code();
        let screen = self.emulator.screen_mut();
        screen.set_scrollback(usize::MAX);
        let (above, rows) = (screen.scrollback(), usize::from(screen.size().0));
        let mut lines = Vec::new();
        // Page through what has scrolled off, oldest first, then the screen itself.
        let mut back = above;
        while back > 0 {
            screen.set_scrollback(back);
            let (_, columns) = screen.size();
            lines.extend(screen.rows(0, columns).take(back.min(rows)));
            back = back.saturating_sub(rows);
        }
        screen.set_scrollback(0);
        let (_, columns) = screen.size();
        lines.extend(screen.rows(0, columns));
        (code, lines.join("\n").trim_end().to_owned(), self)
    }
}

const THREE: &str = r#"
name: three
tasks:
  first: { command: [sh, -c, "echo one"] }
  second: { needs: [first], command: [sh, -c, "until [ -e go ]; do read -t 0.02 x < /dev/zero || sleep 0.02; done"] }
  third: { needs: [second], command: [sh, -c, "echo three"] }
"#;

#[test]
fn the_tree_is_redrawn_in_place_and_stays_in_the_scrollback() {
    let project = Project::with_flow(THREE);
    let mut terminal = Terminal::open(&project, (100, 30), &["execute", "--workflow", "flow.yaml"]);
    let screen = terminal
        .until(|s| s.contains("✔ first") && s.contains(" second") && s.contains("1/3 tasks"));
    assert!(screen.contains("├─ ✔ first"), "{screen}");
    assert!(screen.contains("· third"), "{screen}");
    project.write("go", "");
    let (code, text, terminal) = terminal.end();
    assert_eq!(code, Some(0), "{text}");
    // Frames replace each other: each task's line is there once, with how it ended.
    for line in ["├─ ✔ first", "├─ ✔ second", "├─ ✔ third", "└─ 3/3 tasks", "succeeded in"]
    {
        assert_eq!(text.matches(line).count(), 1, "`{line}` in\n{text}");
    }
    assert!(!terminal.emulator.screen().hide_cursor(), "the cursor is shown");
}

#[test]
fn forty_columns_and_more_tasks_than_rows_are_enough() {
    let mut flow = String::from("name: many\nmax-parallel: 2\ntasks:\n");
    for i in 0..30 {
        flow += &format!("  a-task-with-a-long-name-{i:02}: {{ command: [\"true\"] }}\n");
    }
    flow += "  gate: { command: [sh, -c, \"until [ -e go ]; do sleep 0.02; done\"] }\n";
    let project = Project::with_flow(&flow);
    let mut terminal = Terminal::open(&project, (40, 10), &["execute", "--workflow", "flow.yaml"]);
    let screen = terminal.until(|s| s.contains("30/31 tasks") && s.contains(" more: "));
    assert!(screen.contains(" gate"), "what runs is shown:\n{screen}");
    for line in screen.lines() {
        assert!(line.chars().count() <= 40, "folded: {line}");
    }
    assert_eq!(screen.matches("30/31 tasks").count(), 1, "{screen}");
    project.write("go", "");
    let (code, text, _) = terminal.end();
    assert_eq!(code, Some(0), "{text}");
    // At the end every task is shown, once, above what fits on the screen.
    assert_eq!(text.matches("├─ ✔ a-task-with").count(), 30, "{text}");
    assert_eq!(text.matches("31/31 tasks").count(), 1, "{text}");
    assert!(!text.contains(" more: "), "{text}");
}

#[test]
fn ctrl_c_is_polite_and_the_run_goes_on_later() {
    let project = Project::with_flow(THREE);
    let mut terminal = Terminal::open(&project, (100, 30), &["execute", "--workflow", "flow.yaml"]);
    terminal.until(|s| s.contains("✔ first"));
    terminal.types("\x03");
    let (code, text, terminal) = terminal.end();
    assert_eq!(code, Some(130), "{text}");
    assert!(text.contains("orchestrator resume r"), "{text}");
    assert!(!terminal.emulator.screen().hide_cursor(), "the cursor is shown");
    project.write("go", "");
    let ran = project.ok(&["resume"]);
    assert!(ran.stderr.contains("third: succeeded"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("first: started"), "{}", ran.stderr);
}

#[test]
fn no_color_leaves_the_tree_and_takes_the_colour() {
    let flow = "name: one\ntasks:\n  only: { command: [\"true\"] }\n";
    for (variable, colored) in [("NO_COLOR", false), ("IRRELEVANT", true)] {
        let project = Project::with_flow(flow).with(variable, "1");
        let terminal = Terminal::open(&project, (80, 24), &["execute", "--workflow", "flow.yaml"]);
        let (code, text, terminal) = terminal.end();
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains("✔ only"), "{text}");
        let bytes = String::from_utf8_lossy(&terminal.bytes);
        assert_eq!(bytes.contains("\x1b[32m"), colored, "{variable}: {bytes:?}");
    }
}

#[test]
fn a_dumb_terminal_gets_plain_lines() {
    let flow = "name: one\ntasks:\n  only: { command: [\"true\"] }\n";
    let project = Project::with_flow(flow).with("TERM", "dumb");
    let terminal = Terminal::open(&project, (80, 24), &["execute", "--workflow", "flow.yaml"]);
    let (code, text, terminal) = terminal.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("only: started by command"), "{text}");
    assert!(!terminal.bytes.contains(&0x1b), "{:?}", String::from_utf8_lossy(&terminal.bytes));
}

#[test]
fn a_clean_up_asks_first_and_no_means_no() {
    let project = Project::with_flow("name: one\ntasks:\n  only: { command: [\"true\"] }\n");
    project.ok(&["execute", "--workflow", "flow.yaml"]);
    let mut terminal = Terminal::open(&project, (80, 24), &["clean", "--older-than", "0s"]);
    terminal.until(|s| s.contains("remove 1 run"));
    terminal.types("n\n");
    let (code, text, _) = terminal.end();
    assert_eq!(code, Some(3), "{text}");
    assert_eq!(project.json(&["list-runs"])["items"].as_array().map(Vec::len), Some(1));
}

#[test]
fn init_asks_what_the_agents_run_on() {
    let config = ".orchestrator/config.toml";
    let project = Project::new().with("DEEPSEEK_API_KEY", "sk-test-0123456789");
    let mut terminal = Terminal::open(&project, (100, 30), &["init"]);
    let screen = terminal.until(|s| s.contains("What do the agents run on? [deepseek]"));
    assert!(screen.contains("DEEPSEEK_API_KEY is set"), "{screen}");
    terminal.types("antropic\n");
    terminal.until(|s| s.contains("answer one of: deepseek, anthropic, openai, gemini, builtin"));
    terminal.types("Anthropic\n");
    terminal.until(|s| s.contains("config.toml`? [Y/n]"));
    terminal.types("n\n");
    let (code, text, _) = terminal.end();
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("nothing was written"), "{text}");
    assert_eq!(project.read(config), "");

    let mut terminal = Terminal::open(&project, (100, 30), &["init"]);
    terminal.until(|s| s.contains("What do the agents run on?"));
    terminal.types("\n");
    terminal.until(|s| s.contains("[Y/n]"));
    terminal.types("\n");
    let (code, text, _) = terminal.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(project.read(config).contains("provider = \"deepseek\""), "{}", project.read(config));

    // Said beforehand, nothing is asked; and what is there is refused before any question.
    let (code, text, _) = Terminal::open(&project, (100, 30), &["init"]).end();
    assert_eq!(code, Some(2), "{text}");
    let arguments = ["init", "--force", "--yes", "--provider", "openai"];
    let (code, text, _) = Terminal::open(&project, (100, 30), &arguments).end();
    assert_eq!(code, Some(0), "{text}");
    assert!(project.read(config).contains("provider = \"openai\""), "{}", project.read(config));
}

#[test]
fn much_spending_is_asked_about_once_there_is_somebody_to_ask() {
    let server = ModelServer::start().expect("a server");
    let project = models::project(&server, "anthropic", "claude-sonnet-4-5");
    project.ok(&["config", "set", "confirm.usd", "0.01"]);
    let arguments = ["execute", "add a flag", "--task-type", "quick-implementation"];
    let mut terminal = Terminal::open(&project, (100, 30), &arguments);
    terminal.until(|s| s.contains("Go on? [y/N]"));
    terminal.types("no\n");
    let (code, text, _) = terminal.end();
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("nothing was started or spent"), "{text}");
    assert!(server.requests().is_empty());

    models::script(&server, 0);
    let mut terminal = Terminal::open(&project, (100, 30), &arguments);
    terminal.until(|s| s.contains("Go on? [y/N]"));
    terminal.types("y\n");
    let (code, text, _) = terminal.end();
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(server.requests().len(), 4);

    models::script(&server, 0);
    let arguments = [&arguments[..], &["--yes"]].concat();
    let (code, text, _) = Terminal::open(&project, (100, 30), &arguments).end();
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("Go on?"), "{text}");
}

#[test]
fn json_is_a_line_an_event_on_a_terminal_too() {
    let project = Project::with_flow("name: one\ntasks:\n  only: { command: [\"true\"] }\n");
    let arguments = ["execute", "--workflow", "flow.yaml", "--json"];
    let (code, text, terminal) = Terminal::open(&project, (500, 30), &arguments).end();
    assert_eq!(code, Some(0), "{text}");
    let bytes = String::from_utf8_lossy(&terminal.bytes);
    assert!(bytes.lines().count() >= 4, "{bytes}");
    for line in bytes.lines() {
        let event: Result<serde_json::Value, _> = serde_json::from_str(line);
        assert!(event.is_ok_and(|event| event["schema"].is_string()), "{line}");
    }
}

#[test]
fn a_person_at_the_terminal_is_told_how_to_answer_and_waited_for() {
    let project = Project::with_flow(
        "name: ask\ntasks:\n  build: { command: [echo, v1] }\n  sign-off: { needs: [build], approval: { message: Land it? } }\n  land: { needs: [sign-off], command: [echo, landed] }\n",
    );
    let arguments = ["execute", "--workflow", "flow.yaml"];
    let mut terminal = Terminal::open(&project, (120, 30), &arguments);
    let screen =
        terminal.until(|s| s.contains("orchestrator approve r_") && s.contains("◷ sign-off"));
    assert!(screen.contains("waits for you: Land it?"), "{screen}");
    let pause = project.json(&["pause", "latest"]);
    assert_eq!(pause["items"][0]["driven"], true, "{pause}");
    terminal.until(|s| s.contains("paused"));
    project.ok(&["resume"]);
    project.ok(&["approve", "sign-off"]);
    let (code, text, _) = terminal.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("✔ land") && text.contains("landed"), "{text}");
}

#[test]
fn many_items_take_one_line_at_the_end() {
    let project = Project::with_flow(
        "name: many\ntasks:\n  list: { command: [echo, \"[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\"], output: { type: array } }\n  each: { needs: [list], for-each: tasks.list.output, command: [echo, \"{{ item }}\"] }\n",
    );
    let terminal = Terminal::open(&project, (100, 30), &["execute", "--workflow", "flow.yaml"]);
    let (code, text, _) = terminal.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("10 done of 10") && text.contains("2/2 tasks"), "{text}");
    assert!(!text.contains("each:3"), "{text}");
    let table = project.ok(&["run-details", "latest"]).stdout;
    assert!(table.contains("10 of 10 items") && !table.contains("each:3"), "{table}");
}

#[test]
fn a_secret_is_asked_for_and_not_shown() {
    let project = Project::new();
    let mut terminal = Terminal::open(&project, (90, 30), &["secrets", "set", "SOME_KEY"]);
    terminal.until(|screen| screen.contains("value of SOME_KEY"));
    // A character is taken back, and a line is begun anew.
    terminal.types("nonsense\x15sk-hidden-12345x\x7f\r");
    let (code, text, terminal) = terminal.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("kept SOME_KEY"), "{text}");
    let bytes = String::from_utf8_lossy(&terminal.bytes).into_owned();
    assert!(!bytes.contains("hidden") && !bytes.contains("nonsense"), "{bytes:?}");
    assert_eq!(project.json(&["secrets", "list"])["items"][0]["name"], "SOME_KEY");
}

#[test]
fn ctrl_c_at_a_hidden_prompt_leaves_the_terminal_as_it_was() {
    let project = Project::new();
    let mut terminal = Terminal::open(&project, (90, 30), &["secrets", "set", "SOME_KEY"]);
    let echoes = |terminal: &Terminal| {
        let modes = rustix::termios::tcgetattr(&*terminal.pty).expect("a terminal").local_modes;
        modes.contains(rustix::termios::LocalModes::ECHO | rustix::termios::LocalModes::ICANON)
    };
    terminal.until(|screen| screen.contains("value of SOME_KEY"));
    assert!(!echoes(&terminal), "what is typed would be shown");
    terminal.types("sk-hid\x03");
    let (code, text, terminal) = terminal.end();
    assert_eq!(code, Some(130), "{text}");
    assert!(echoes(&terminal));
    assert_eq!(project.json(&["secrets", "list"])["items"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_passphrase_is_asked_for_once_it_is_needed() {
    let project = Project::new();
    let open = |arguments: &[&str]| Terminal::open(&project, (90, 30), arguments);
    let mut terminal = open(&["secrets", "set", "SOME_KEY"]);
    terminal.until(|screen| screen.contains("value of SOME_KEY"));
    terminal.types("sk-hidden\r");
    assert_eq!(terminal.end().0, Some(0));
    let mut terminal = open(&["secrets", "rotate", "--passphrase"]);
    terminal.until(|screen| screen.contains("new passphrase"));
    terminal.types("correct horse\r");
    terminal.until(|screen| screen.contains("the same again"));
    terminal.types("another horse\r");
    terminal.until(|screen| screen.contains("not the same"));
    terminal.types("correct horse\r");
    terminal.until(|screen| screen.matches("the same again").count() == 2);
    terminal.types("correct horse\r");
    let (code, text, _) = terminal.end();
    assert_eq!(code, Some(0), "{text}");
    for (typed, expected) in [("wrong horse\r", Some(4)), ("correct horse\r", Some(0))] {
        let mut terminal = open(&["secrets", "rotate"]);
        terminal.until(|screen| screen.contains("passphrase of the credential store"));
        terminal.types(typed);
        let (code, text, _) = terminal.end();
        assert_eq!(code, expected, "{text}");
        assert!(!text.contains("horse"), "{text}");
    }
}
