use super::*;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use proptest::prelude::*;

fn redactor(secrets: &[&str]) -> Redactor {
    Redactor::new(secrets.iter().map(|secret| SecretString::new(*secret)))
}

#[test]
fn secrets_are_hidden_wherever_they_are() {
    let check = |secrets: &[&str], text: &str, expected: &str| {
        assert_eq!(redactor(secrets).text(text), expected, "{secrets:?}");
    };
    check(&["sk-12345"], "sk-12345", "[redacted]");
    check(&["sk-12345"], "asksk-12345sk-12345.", "ask[redacted].");
    // Neither the beginning nor the end of what overlaps is left.
    check(&["abcdef", "defghi"], "<abcdefghi>", "<[redacted]>");
    check(&["abcdef", "abcdefgh"], "<abcdefgh>", "<[redacted]>");
    check(&["aaaaaa"], "aaaaaaaaa", "[redacted]");
    check(&["pass word"], "q=pass+word&r=pass%20word", "q=[redacted]&r=[redacted]");
    check(&["a/b?c&d"], "a%2fb%3Fc%26d a\\/b?c&d", "[redacted] [redacted]");
    check(
        &["a\"b\\cd"],
        r#"{"k":"a\"b\\cd","l":"{\"k\":\"a\\\"b\\\\cd\"}"}"#,
        r#"{"k":"[redacted]","l":"{\"k\":\"[redacted]\"}"}"#,
    );
    check(&["geheimé"], r"x\u0067eheim\u00e9y", "x[redacted]y");
    check(&["sk-12345"], "736b2d3132333435 736B2D3132333435", "[redacted] [redacted]");
    let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\nAAAA\n-----END KEY-----";
    check(&[key], "line MIIEvQIBADANBgkqhkiG", "line [redacted]");
    check(&[key], "AAAA -----BEGIN KEY-----", "AAAA -----BEGIN KEY-----");
}

#[test]
fn a_long_secret_is_hidden_to_its_end_and_its_beginning_too() {
    let long: String = (0..6_000).map(|n| format!("{n:x}-")).collect();
    let redactor = redactor(&[&long, &"x".repeat(60_000)]);
    assert_eq!(redactor.text(&format!("<{long}>")), "<[redacted]>");
    assert_eq!(redactor.text(&format!("<{}>", &long[..5_000])), "<[redacted]>");
    let encoded = STANDARD.encode(format!("a{long}b"));
    let hidden = redactor.text(&encoded).into_owned();
    assert!(hidden.len() < 20, "{hidden}");
    assert_eq!(redactor.text(&"x".repeat(255)).len(), 255);
}

#[test]
fn what_is_too_short_is_not_looked_for() {
    assert!(redactor(&["", "12345"]).is_empty());
    assert_eq!(redactor(&["12345"]).text("12345"), "12345");
    assert!(!redactor(&["123456"]).is_empty());
}

#[test]
fn values_are_walked_to_the_bottom() {
    let redactor = redactor(&["hunter22", "1234567"]);
    let mut value = serde_json::json!({
        "a": ["hunter22", { "x hunter22": 1 }], "n": 1_234_567, "m": 7, "t": true, "z": null
    });
    assert!(redactor.value(&mut value));
    let expected = serde_json::json!({
        "a": ["[redacted]", { "x [redacted]": 1 }], "n": "[redacted]", "m": 7, "t": true, "z": null
    });
    assert_eq!(value, expected);
    assert!(!redactor.value(&mut value), "nothing is left");
    let mut deep = Value::String("hunter22".into());
    for _ in 0..1_000 {
        deep = Value::Array(vec![deep]);
    }
    assert!(redactor.value(&mut deep));
}

#[test]
fn it_shows_nothing_of_what_it_looks_for() {
    let shown = format!("{:?}", redactor(&["hunter22"]));
    assert!(!shown.contains("hunter") && !shown.contains("68756e"), "{shown}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everything but letters and digits as `%XX`.
fn percent(text: &str, keeps: impl Fn(u8) -> bool) -> String {
    let one = |byte: u8| match keeps(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

/// As part of a JSON string, the quotes around it left off.
fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

fn json_all(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect()
}

const ENCODINGS: usize = 12;

/// `secret` in one of the encodings, with what stands before and after it encoded along.
fn encode(which: usize, before: &str, secret: &str, after: &str) -> String {
    let whole = format!("{before}{secret}{after}");
    match which {
        0 => secret.to_owned(),
        1 => STANDARD.encode(&whole),
        2 => STANDARD_NO_PAD.encode(&whole),
        3 => URL_SAFE.encode(&whole),
        4 => URL_SAFE_NO_PAD.encode(&whole),
        5 => percent(&whole, |byte| byte.is_ascii_alphanumeric()),
        6 => percent(&whole, |_| false).to_lowercase(),
        7 => json(&whole),
        8 => json(&json(&whole)),
        9 => json_all(&whole),
        10 => hex(whole.as_bytes()),
        _ => hex(whole.as_bytes()).to_uppercase(),
    }
}

/// What can be read out of `text` by undoing an encoding.
fn decoded(which: usize, text: &str) -> Vec<u8> {
    let alphabet = |byte: &u8| is_base64(*byte);
    match which {
        1..=4 => {
            let plain: String = text.replace('-', "+").replace('_', "/");
            let mut kept: Vec<u8> = plain.bytes().filter(alphabet).collect();
            while !matches!(kept.len() % 4, 0 | 2 | 3) {
                kept.pop();
            }
            let engine = base64::engine::GeneralPurpose::new(
                &base64::alphabet::STANDARD,
                base64::engine::GeneralPurposeConfig::new()
                    .with_decode_allow_trailing_bits(true)
                    .with_encode_padding(false)
                    .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
            );
            engine.decode(kept).unwrap()
        }
        _ => text.as_bytes().to_vec(),
    }
}

fn secret() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Za-z0-9_-]{6,48}", "[!-~]{6,40}", "[ -~é-ÿ\\n\\t\"\\\\/%+]{6,30}",]
        .prop_map(|text| text.trim().to_owned())
        .prop_filter("long enough", |text| text.len() >= SHORTEST)
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn nothing_of_a_secret_remains(
        secret in secret(),
        around in ("[ -~]{0,7}", "[ -~]{0,7}"),
        text in ("[ -~\\n]{0,30}", "[ -~\\n]{0,30}"),
        which in 0..ENCODINGS,
    ) {
        // What is around could complete the mask or the secret by chance; only the secret counts.
        prop_assume!(!MASK.contains(&secret));
        let encoded = encode(which, &around.0, &secret, &around.1);
        // A space keeps what is around from being taken for more of the encoding.
        let text = format!("{} {encoded} {}", text.0, text.1);
        let hidden = Redactor::new([SecretString::new(secret.clone())]).text(&text).into_owned();
        prop_assert!(hidden.contains(MASK), "{text:?}");
        prop_assert!(!holds(hidden.as_bytes(), encode(which, "", &secret, "").as_bytes()));
        prop_assert!(!holds(hidden.as_bytes(), secret.as_bytes()));
        if (1..=4).contains(&which) {
            // Not even a part: what is left of the encoding says no more than what was around.
            let left = encoded.len().saturating_sub(secret.len() * 8 / 6);
            let part = hidden.split(' ').find(|part| part.contains(MASK)).unwrap_or_default();
            let rest = part.replace(MASK, "");
            prop_assert!(rest.trim_end_matches('=').len() <= left, "{part}");
            let read = decoded(which, &rest);
            prop_assert!(!holds(&read, secret.as_bytes()), "{part}");
        }
    }

    #[test]
    fn text_without_secrets_stays(secret in "[A-Z]{8,20}", text in "[ -@\\[-~é\\n]{0,80}") {
        let redactor = Redactor::new([SecretString::new(secret)]);
        // Without capitals the secret is not there, nor is any encoding of it but by a rare chance.
        let same = redactor.text(&text);
        prop_assert!(matches!(same, Cow::Borrowed(same) if same == text));
    }

    #[test]
    fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..200), secret in secret()) {
        let redactor = Redactor::new([SecretString::new(secret.clone())]);
        let hidden = redactor.bytes(&bytes).into_owned();
        prop_assert!(!holds(&hidden, secret.as_bytes()));
        if !redactor.finds(&bytes) {
            prop_assert_eq!(hidden, bytes);
        }
    }
}
