//! What a command line does, as far as that can be told without running it.
//!
//! The grammar is that of the POSIX shell (IEEE Std 1003.1, Shell Command Language, 2.2 to 2.10)
//! as far as it is plain: words, quotes, lists, pipelines, redirections. Whatever could make a shell
//! do something else than is written (expansions, substitutions, subshells, keywords, assignments,
//! comments) is not interpreted: the command line then counts as uncertain.

/// The longest command line that is read, in bytes.
const MOST_BYTES: usize = 64 * 1024;

/// How deep shells that are started by a command line are followed.
const MOST_SHELLS: usize = 3;

/// Programs that run the words behind them, as far as a denial is concerned.
const WRAPPERS: [&str; 20] = [
    "sudo", "doas", "env", "nice", "nohup", "time", "timeout", "xargs", "command", "exec",
    "builtin", "setsid", "stdbuf", "ionice", "chroot", "busybox", "watch", "strace", "flock",
    "unshare",
];

/// Words with which a shell begins something else than a simple command.
const KEYWORDS: [&str; 22] = [
    "if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac",
    "select", "function", "time", "coproc", "!", "[[", "{", "}", "eval", "source",
];

/// What a command line does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct CommandLine {
    /// The simple commands, in order.
    pub(super) commands: Vec<Simple>,
    /// The files that are read or written by redirections.
    pub(super) redirections: Vec<Redirection>,
    /// Whether a shell does exactly this and nothing else.
    pub(super) certain: bool,
    /// Whether it is more than one simple command without redirections.
    pub(super) compound: bool,
}

/// One program with its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Simple {
    pub(super) words: Vec<Word>,
    /// What it does when it is a shell that is given a script.
    pub(super) script: Option<Box<CommandLine>>,
}

/// A word of a command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Word {
    /// Without its quotes.
    pub(super) text: String,
    /// Whether a shell makes other words of it, by the names of files.
    pub(super) expands: bool,
}

/// A file that is read or written beside a command's own doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Redirection {
    pub(super) path: String,
    pub(super) writes: bool,
}

impl CommandLine {
    /// Reads a command line.
    pub(super) fn read(text: &str) -> Self {
        Self::read_within(text, MOST_SHELLS)
    }

    fn read_within(text: &str, shells: usize) -> Self {
        if text.len() > MOST_BYTES {
            return Self::default();
        }
        let mut line = Reader::new(text).line();
        for command in &mut line.commands {
            command.script = script_of(&command.words)
                .filter(|_| shells > 0)
                .map(|script| Box::new(Self::read_within(script, shells - 1)));
        }
        if !line.certain {
            let hidden: Vec<Simple> =
                line.commands.iter().flat_map(|command| substituted(command, shells)).collect();
            line.commands.extend(hidden);
        }
        let moves = |simple: &Simple| {
            let program = simple.words.first().map_or("", |word| word.text.as_str());
            matches!(program, "cd" | "pushd" | "popd")
        };
        // Where a relative file lies is not known once the directory has changed.
        let moved = line.commands.iter().any(moves);
        if moved && line.redirections.iter().any(|file| !file.path.starts_with('/')) {
            line.certain = false;
        }
        line
    }

    /// Every simple command, those of started shells among them.
    pub(super) fn every_command(&self) -> Vec<&Simple> {
        let mut every = Vec::new();
        for command in &self.commands {
            every.push(command);
            if let Some(script) = &command.script {
                every.extend(script.every_command());
            }
        }
        every
    }

    /// Every redirection, those of started shells among them.
    pub(super) fn every_redirection(&self) -> Vec<&Redirection> {
        let mut every: Vec<&Redirection> = self.redirections.iter().collect();
        for script in self.commands.iter().filter_map(|command| command.script.as_ref()) {
            every.extend(script.every_redirection());
        }
        every
    }
}

impl Simple {
    /// The words from which on a denial may match: all of them, and what stands behind assignments
    /// and programs that run other programs.
    pub(super) fn tails(&self) -> Vec<&[Word]> {
        let mut tails = Vec::new();
        let mut rest = &self.words[..];
        while let Some((first, behind)) = rest.split_first() {
            tails.push(rest);
            if WRAPPERS.contains(&base(&first.text)) {
                // Their own options and operands are not told from what they run.
                tails.extend((0..behind.len()).map(|place| &behind[place..]));
                break;
            }
            if !is_assignment(&first.text) {
                break;
            }
            rest = behind;
        }
        tails
    }
}

/// The commands whose output makes up the words of `command`, for denials.
fn substituted(command: &Simple, shells: usize) -> Vec<Simple> {
    let within = |word: &Word| {
        let (_, script) = word.text.split_once("$(").or_else(|| word.text.split_once('`'))?;
        Some(CommandLine::read_within(script, shells.checked_sub(1)?).commands)
    };
    command.words.iter().filter_map(within).flatten().collect()
}

/// The file name of a program.
pub(super) fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else { return false };
    let name = name.strip_suffix('+').unwrap_or(name);
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '[' | ']'))
}

/// The script of `sh -c SCRIPT`: without anything behind it, which the script could use.
fn script_of(words: &[Word]) -> Option<&str> {
    let [program, options @ .., script] = words else { return None };
    let is_shell = matches!(base(&program.text), "sh" | "bash" | "dash" | "zsh" | "ksh");
    let is_plain = |option: &Word| {
        let letters = option.text.strip_prefix('-').unwrap_or_default();
        !option.expands
            && !letters.is_empty()
            && letters.chars().all(|letter| matches!(letter, 'c' | 'l' | 'e' | 'u' | 'x' | 'i'))
    };
    let last = options.last()?;
    let given = is_shell && options.iter().all(is_plain) && last.text.ends_with('c');
    // Of several `-c` the first script counts, of which this is none.
    let once = options.iter().map(|option| option.text.matches('c').count()).sum::<usize>() == 1;
    (given && once && !program.expands && !script.expands).then_some(script.text.as_str())
}

/// Reads a command line, character after character.
struct Reader<'t> {
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    line: CommandLine,
    words: Vec<Word>,
    word: Word,
    /// Whether a word has begun, and whether part of it is quoted.
    begun: bool,
    quoted: bool,
    /// The redirection that waits for its file.
    target: Option<Target>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Read,
    Write,
    /// A descriptor, or a file that is written.
    Descriptor,
    /// A text, which is no file.
    Text,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        let line = CommandLine { certain: true, ..CommandLine::default() };
        Self {
            rest: text.chars().peekable(),
            line,
            words: Vec::new(),
            word: Word::default(),
            begun: false,
            quoted: false,
            target: None,
        }
    }

    fn line(mut self) -> CommandLine {
        while let Some(next) = self.rest.next() {
            self.take(next);
        }
        self.end_command();
        let line = &mut self.line;
        line.certain &= !line.commands.is_empty();
        line.compound |= line.commands.len() > 1 || !line.redirections.is_empty();
        self.line
    }

    fn take(&mut self, next: char) {
        match next {
            ' ' | '\t' => self.end_word(),
            '\n' | ';' => self.operator(),
            '&' | '|' => {
                match self.rest.peek() {
                    Some('>') if next == '&' => {
                        self.rest.next();
                        self.rest.next_if_eq(&'>');
                        return self.redirect(Target::Write);
                    }
                    // `|&` passes errors on too.
                    Some(&'&' | &'|') => drop(self.rest.next()),
                    _ => {}
                }
                self.operator();
            }
            '>' => {
                self.descriptor();
                let target = match self.rest.peek() {
                    Some('>' | '|') => {
                        self.rest.next();
                        Target::Write
                    }
                    Some('&') => {
                        self.rest.next();
                        Target::Descriptor
                    }
                    Some('(') => {
                        self.line.certain = false;
                        Target::Write
                    }
                    _ => Target::Write,
                };
                self.redirect(target);
            }
            '<' => {
                self.descriptor();
                let target = match self.rest.peek() {
                    Some('>') => {
                        self.rest.next();
                        Target::Write
                    }
                    Some('&') => {
                        self.rest.next();
                        Target::Descriptor
                    }
                    // A text in place of a file: what ends it is not looked for.
                    Some('<') => {
                        while self.rest.next_if_eq(&'<').is_some() {}
                        self.line.certain = false;
                        Target::Text
                    }
                    Some('(') => {
                        self.line.certain = false;
                        Target::Read
                    }
                    _ => Target::Read,
                };
                self.redirect(target);
            }
            '\'' => {
                self.begin(true);
                loop {
                    match self.rest.next() {
                        Some('\'') => break,
                        Some(c) => self.push(c),
                        None => break self.line.certain = false,
                    }
                }
            }
            '"' => self.double_quotes(),
            '\\' => {
                self.begin(true);
                match self.rest.next() {
                    Some('\n') | None => self.line.certain = false,
                    Some(c) => self.push(c),
                }
            }
            '$' | '`' => {
                self.uncertain(next);
                // What is substituted is looked at as a command of its own, for denials.
                if next == '`' || self.rest.peek() == Some(&'(') {
                    self.end_command();
                }
            }
            '(' | ')' => {
                self.line.certain = false;
                self.operator();
            }
            '{' | '}' | '*' | '?' | '[' => {
                self.begin(false);
                self.word.expands = true;
                self.push(next);
            }
            '#' if !self.begun => self.uncertain(next),
            '~' if !self.begun => {
                self.begin(false);
                self.push(next);
            }
            // Nothing that is typed has any other control character.
            c if c.is_control() => self.uncertain(c),
            c => {
                self.begin(false);
                self.push(c);
            }
        }
    }

    fn double_quotes(&mut self) {
        self.begin(true);
        loop {
            match self.rest.next() {
                Some('"') => return,
                Some('\\') => match self.rest.next() {
                    Some(c @ ('$' | '`' | '"' | '\\')) => self.push(c),
                    Some('\n') | None => self.line.certain = false,
                    Some(c) => {
                        self.push('\\');
                        self.push(c);
                    }
                },
                Some(c @ ('$' | '`')) => {
                    self.line.certain = false;
                    self.push(c);
                }
                Some(c) => self.push(c),
                None => return self.line.certain = false,
            }
        }
    }

    fn begin(&mut self, quoted: bool) {
        self.begun = true;
        self.quoted |= quoted;
    }

    fn push(&mut self, c: char) {
        self.line.certain &= c != '\0';
        self.word.text.push(c);
    }

    fn uncertain(&mut self, c: char) {
        self.line.certain = false;
        self.begin(false);
        self.push(c);
    }

    fn operator(&mut self) {
        self.line.compound = true;
        self.end_command();
    }

    /// The number before a redirection is no word.
    fn descriptor(&mut self) {
        let number = self.begun && !self.quoted && !self.word.text.is_empty();
        if number && self.word.text.chars().all(|c| c.is_ascii_digit()) && self.target.is_none() {
            self.word = Word::default();
            self.begun = false;
        }
    }

    fn redirect(&mut self, target: Target) {
        self.end_word();
        // A redirection without a file before it.
        self.line.certain &= self.target.is_none();
        self.line.compound = true;
        self.target = Some(target);
    }

    fn end_word(&mut self) {
        if !self.begun {
            return;
        }
        let quoted = std::mem::take(&mut self.quoted);
        self.begun = false;
        let word = std::mem::take(&mut self.word);
        match self.target.take() {
            None => {
                let first = self.words.is_empty();
                let begins = first && !quoted;
                if begins && (is_assignment(&word.text) || KEYWORDS.contains(&word.text.as_str())) {
                    self.line.certain = false;
                }
                // What is run is known, or nothing is; `.` reads a script.
                let hidden = first && (word.expands || matches!(word.text.as_str(), "" | "."));
                let home = word.text.starts_with('~') && !quoted;
                self.line.certain &= !(hidden || first && home);
                self.words.push(word);
            }
            Some(Target::Text) => {}
            Some(Target::Descriptor)
                if word.text == "-" || word.text.chars().all(|c| c.is_ascii_digit()) => {}
            Some(target) => {
                self.line.certain &= !word.expands && !word.text.is_empty();
                // A home that is quoted is none, and that of somebody else is not known.
                let plain = !quoted && word.text.starts_with("~/");
                self.line.certain &= plain || !word.text.starts_with('~');
                let writes = target != Target::Read;
                self.line.redirections.push(Redirection { path: word.text, writes });
            }
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        if self.target.take().is_some() {
            self.line.certain = false;
        }
        let words = std::mem::take(&mut self.words);
        if !words.is_empty() {
            self.line.commands.push(Simple { words, script: None });
        }
    }
}
