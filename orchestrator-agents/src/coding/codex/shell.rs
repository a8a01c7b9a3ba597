//! Commands without the shell that is wrapped around them.

/// The script of `/bin/bash -lc 'script'`; the whole command where it is no such line.
pub(super) fn script(command: &str) -> String {
    unwrap(command).unwrap_or_else(|| command.to_owned())
}

fn unwrap(command: &str) -> Option<String> {
    let (shell, rest) = command.split_once(' ')?;
    let name = shell.rsplit('/').next()?;
    if !["bash", "sh", "zsh"].contains(&name) {
        return None;
    }
    let rest = rest.strip_prefix("-lc ").or_else(|| rest.strip_prefix("-c "))?;
    word(rest)
}

/// What a shell takes `text` for, when that is one word.
fn word(text: &str) -> Option<String> {
    let mut word = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => loop {
                match letters.next()? {
                    '\'' => break,
                    letter => word.push(letter),
                }
            },
            '"' => loop {
                match letters.next()? {
                    '"' => break,
                    '\\' => match letters.next()? {
                        letter @ ('"' | '\\' | '$' | '`') => word.push(letter),
                        '\n' => {}
                        letter => word.extend(['\\', letter]),
                    },
                    letter => word.push(letter),
                }
            },
            '\\' => word.push(letters.next()?),
            letter if letter.is_whitespace() => return None,
            letter => word.push(letter),
        }
    }
    Some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_around_a_command_is_taken_away() {
        for (command, expected) in [
            ("/bin/bash -lc 'printf hi > a; cat a'", "printf hi > a; cat a"),
            ("/bin/bash -lc pwd", "pwd"),
            ("/usr/bin/zsh -c \"echo 'a' \\\"b\\\" \\$c \\d\"", "echo 'a' \"b\" $c \\d"),
            ("bash -lc 'it'\"'\"'s'", "it's"),
            ("sh -c a\\ b", "a b"),
            // Not one word, not a shell, not ended: as they are.
            ("bash -lc echo hi", "bash -lc echo hi"),
            ("git status", "git status"),
            ("bash -lc 'open", "bash -lc 'open"),
            ("bash -lc \"open\\", "bash -lc \"open\\"),
            ("", ""),
        ] {
            assert_eq!(script(command), expected, "{command}");
        }
    }
}
