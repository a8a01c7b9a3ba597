//! What is done to a text before it is split.

use icu_normalizer::ComposingNormalizerBorrowed;
use std::borrow::Cow;

/// A form of Unicode: Unicode Standard Annex 15.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Normalizer {
    Nfc,
    Nfkc,
}

/// `text` after all of `normalizers`.
pub(super) fn all<'t>(normalizers: &[Normalizer], text: &'t str) -> Cow<'t, str> {
    let mut text = Cow::Borrowed(text);
    for normalizer in normalizers {
        let form = match normalizer {
            Normalizer::Nfc => ComposingNormalizerBorrowed::new_nfc(),
            Normalizer::Nfkc => ComposingNormalizerBorrowed::new_nfkc(),
        };
        if let Cow::Owned(normal) = form.normalize(&text) {
            text = Cow::Owned(normal);
        }
    }
    text
}
