//! Which licence a licence file holds, by phrases that no other licence has.

/// A licence and the phrases that tell it, all of which its text has; of those that `without`
/// names it has none. Phrases are lower case with single spaces.
struct Mark {
    id: &'static str,
    phrases: &'static [&'static str],
    without: &'static [&'static str],
}

const fn mark(
    id: &'static str,
    phrases: &'static [&'static str],
    without: &'static [&'static str],
) -> Mark {
    Mark { id, phrases, without }
}

/// In the order in which they are tried: the more particular first.
const MARKS: &[Mark] = &[
    mark("AGPL-3.0", &["gnu affero general public license", "remote network interaction"], &[]),
    mark(
        "LGPL-3.0",
        &["gnu lesser general public license", "version 3, 29 june 2007"],
        &["remote network interaction"],
    ),
    mark("LGPL-2.1", &["gnu lesser general public license", "version 2.1, february 1999"], &[]),
    mark(
        "GPL-3.0",
        &["gnu general public license", "version 3, 29 june 2007"],
        &["gnu lesser general public license version 3, 29"],
    ),
    mark("GPL-2.0", &["gnu general public license", "version 2, june 1991"], &[]),
    mark("Apache-2.0", &["apache license", "version 2.0, january 2004"], &[]),
    mark("MPL-2.0", &["mozilla public license version 2.0"], &[]),
    mark("EPL-2.0", &["eclipse public license - v 2.0"], &[]),
    mark("EPL-1.0", &["eclipse public license - v 1.0"], &[]),
    mark("BUSL-1.1", &["business source license 1.1"], &[]),
    mark("BSL-1.0", &["boost software license - version 1.0"], &[]),
    mark("CC0-1.0", &["cc0 1.0 universal"], &[]),
    mark("CC0-1.0", &["creative commons", "statement of purpose", "affirmer"], &[]),
    mark(
        "Unlicense",
        &["this is free and unencumbered software released into the public domain"],
        &[],
    ),
    mark(
        "Zlib",
        &[
            "the origin of this software must not be misrepresented",
            "altered source versions must be plainly marked",
        ],
        &[],
    ),
    mark(
        "BSD-4-Clause",
        &[
            "redistribution and use in source and binary forms",
            "all advertising materials mentioning features",
        ],
        &[],
    ),
    mark(
        "BSD-3-Clause",
        &[
            "redistribution and use in source and binary forms",
            "endorse or promote products derived from",
        ],
        &["all advertising materials"],
    ),
    mark(
        "BSD-2-Clause",
        &[
            "redistribution and use in source and binary forms",
            "redistributions in binary form must reproduce",
        ],
        &["endorse or promote"],
    ),
    mark(
        "0BSD",
        &[
            "permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted",
        ],
        &["provided that the above copyright notice"],
    ),
    mark(
        "ISC",
        &[
            "permission to use, copy, modify, and",
            "distribute this software for any purpose with or without fee is hereby granted, provided that the above copyright notice",
        ],
        &[],
    ),
    mark(
        "MIT-0",
        &[
            "permission is hereby granted, free of charge, to any person obtaining a copy",
            "without limitation the rights to use, copy, modify",
        ],
        &["the above copyright notice and this permission notice"],
    ),
    mark(
        "MIT",
        &[
            "permission is hereby granted, free of charge, to any person obtaining a copy",
            "without limitation the rights to use, copy, modify",
        ],
        &["advertising or otherwise to promote the sale"],
    ),
    mark(
        "X11",
        &[
            "permission is hereby granted, free of charge, to any person obtaining a copy",
            "advertising or otherwise to promote the sale",
        ],
        &[],
    ),
    // Short forms that only name the licence.
    mark("MIT", &["released under the mit license"], &[]),
    mark("Apache-2.0", &["licensed under the apache license, version 2.0"], &[]),
];

/// The licence that `text` is, without `-only` or `-or-later`, which a text cannot tell.
pub(super) fn identify(text: &str) -> Option<&'static str> {
    let plain = plain(text);
    MARKS
        .iter()
        .find(|mark| {
            mark.phrases.iter().all(|phrase| plain.contains(phrase))
                && !mark.without.iter().any(|phrase| plain.contains(phrase))
        })
        .map(|mark| mark.id)
}

/// Lower case, with single spaces and without comment marks and quotes; only as much as tells.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len().min(MAX));
    for word in text.split_whitespace() {
        let word = word.trim_matches(['*', '#', '"', '“', '”', '`', '_', '>']);
        if word.is_empty() || word == "//" {
            continue;
        }
        if !plain.is_empty() {
            plain.push(' ');
        }
        plain.push_str(&word.to_lowercase());
        if plain.len() > MAX {
            break;
        }
    }
    plain
}

/// The longest of the texts above is some 35 KiB.
const MAX: usize = 48 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_texts_are_told_apart() {
        let mit = "Permission is hereby granted, free of charge, to any person\nobtaining a copy of this software, \
                   to deal without limitation\nthe rights to use, copy, modify.";
        let bsd = "* Redistribution and use in source and binary forms are permitted.\n* Redistributions in binary form must reproduce this.";
        for (text, id) in [
            (format!("The MIT License\n{mit} The above copyright notice and this permission notice shall be included"), Some("MIT")),
            (mit.to_owned(), Some("MIT-0")),
            (bsd.to_owned(), Some("BSD-2-Clause")),
            (format!("{bsd} Neither the name may be used to endorse or\n   promote products derived from this"), Some("BSD-3-Clause")),
            (format!("{bsd} All advertising materials mentioning features"), Some("BSD-4-Clause")),
            ("  GNU GENERAL PUBLIC LICENSE\n  Version 3, 29 June 2007".to_owned(), Some("GPL-3.0")),
            ("GNU GENERAL PUBLIC LICENSE Version 2, June 1991".to_owned(), Some("GPL-2.0")),
            ("GNU LESSER GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007 ... of the GNU General Public License".to_owned(), Some("LGPL-3.0")),
            ("GNU AFFERO GENERAL PUBLIC LICENSE Version 3 ... Remote Network Interaction; GNU General Public License".to_owned(), Some("AGPL-3.0")),
            ("Apache License\n Version 2.0, January 2004".to_owned(), Some("Apache-2.0")),
            ("Mozilla Public License Version 2.0".to_owned(), Some("MPL-2.0")),
            ("Boost Software License - Version 1.0 - August".to_owned(), Some("BSL-1.0")),
            ("Business Source License 1.1".to_owned(), Some("BUSL-1.1")),
            ("Do what is fair.".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(identify(&text), id, "{text}");
        }
    }
}
