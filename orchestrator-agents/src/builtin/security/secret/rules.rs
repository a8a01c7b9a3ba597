//! The formats of credentials that their issuers publish. One line a rule.

use crate::builtin::finding::Severity;

/// What else a match must pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Proof {
    /// Nothing: the format alone is telling, because the issuer made it so.
    Format,
    /// At least this entropy, in bits per byte.
    Entropy(f64),
    /// The lines below hold a key's body.
    KeyBody,
    /// The first part decodes to a token header, and the second is not a textbook's.
    Jwt,
}

/// How one kind of credential looks.
#[derive(Debug)]
pub(super) struct Rule {
    /// The rule's id, after `security/`.
    pub(super) id: &'static str,
    /// What it is called in a message.
    pub(super) name: &'static str,
    /// How much a real one matters.
    pub(super) severity: Severity,
    /// Literals of which a line must hold one; compared with case.
    pub(super) keywords: &'static [&'static str],
    /// The shape. The group `s` is the secret where the match is more than that.
    pub(super) pattern: &'static str,
    /// What else must hold.
    pub(super) proof: Proof,
    /// Where to withdraw it.
    pub(super) revoke: &'static str,
}

const fn rule(
    id: &'static str,
    name: &'static str,
    severity: Severity,
    keywords: &'static [&'static str],
    pattern: &'static str,
    proof: Proof,
    revoke: &'static str,
) -> Rule {
    Rule { id, name, severity, keywords, pattern, proof, revoke }
}

use Proof::{Entropy, Format, Jwt, KeyBody};
use Severity::{Critical, High, Low, Medium};

/// Every rule. Of two that match the same place, the earlier one is reported.
#[rustfmt::skip]
pub(super) const RULES: &[Rule] = &[
    rule("gcp-service-account", "Google Cloud service account key", Critical, &["private_key\""],
        r#"private_key"\s*:\s*"(?<s>-----BEGIN (?:RSA )?PRIVATE KEY-----\\n[A-Za-z0-9+/=\\]{120,})"#, Format,
        "delete the key under IAM → Service accounts"),
    rule("private-key", "private key", High, &["PRIVATE KEY"],
        r"(?<s>-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----)", KeyBody,
        "replace the key pair wherever its public half is trusted"),
    rule("age-key", "age private key", High, &["AGE-SECRET-KEY-1"],
        r"\bAGE-SECRET-KEY-1[0-9A-Z]{58}\b", Format, "make a new identity and encrypt again"),
    rule("aws-access-key", "AWS access key id", High, &["AKIA", "ASIA", "ABIA", "ACCA"],
        r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b", Entropy(3.0), "deactivate it in the IAM console"),
    rule("aws-secret-key", "AWS secret access key", Critical,
        &["aws_secret", "AWS_SECRET", "ecretAccessKey", "ecret_access_key", "SECRET_ACCESS_KEY", "aws-secret", "secret-access-key"],
        r#"(?i)secret[_-]?(?:access[_-]?)?key["']?\s*(?:=>|:=|[:=,])\s*["']?(?<s>[A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)"#,
        Entropy(4.0), "deactivate it in the IAM console"),
    rule("azure-storage-key", "Azure storage account key", Critical, &["AccountKey="],
        r"AccountKey=(?<s>[A-Za-z0-9+/]{86}==)", Entropy(4.5), "rotate the account's keys"),
    rule("azure-shared-access-key", "Azure shared access key", High, &["SharedAccessKey="],
        r"SharedAccessKey=(?<s>[A-Za-z0-9+/]{43}=)", Entropy(4.0), "regenerate the policy's keys"),
    rule("github-token", "GitHub token", Critical, &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
        r"\bgh[pousr]_[A-Za-z0-9]{36,251}\b", Entropy(3.5), "revoke it under Developer settings → Tokens"),
    rule("github-fine-grained-token", "GitHub fine-grained token", Critical, &["github_pat_"],
        r"\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b", Entropy(3.5), "revoke it under Developer settings → Tokens"),
    rule("gitlab-token", "GitLab token", Critical, &["glpat-", "gldt-", "glrt-", "glptt-", "glcbt-", "glsoat-"],
        r"\bgl(?:pat|dt|rt|ptt|cbt|soat)-[A-Za-z0-9_-]{20,64}", Entropy(3.2), "revoke it under Access tokens"),
    rule("slack-token", "Slack token", High, &["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxo-", "xapp-"],
        r"\b(?:xox[abposr]-(?:\d+-)?[0-9]{8,14}-[A-Za-z0-9-]{12,}|xapp-\d-[A-Z0-9]{8,}-\d{8,}-[a-z0-9]{32,})", Entropy(3.0),
        "revoke it in the app's settings"),
    rule("slack-webhook", "Slack webhook address", Medium, &["hooks.slack.com/"],
        r"hooks\.slack\.com/(?:services|workflows|triggers)/(?<s>T[A-Z0-9]{7,}/[A-Z0-9]{7,}/[A-Za-z0-9]{18,})", Entropy(3.2),
        "remove the webhook and make another"),
    rule("discord-webhook", "Discord webhook address", Medium, &["/api/webhooks/"],
        r"discord(?:app)?\.com/api/webhooks/(?<s>\d{17,20}/[A-Za-z0-9_-]{60,})", Entropy(3.5), "delete the webhook"),
    rule("telegram-bot-token", "Telegram bot token", High, &[":AA"],
        r"\b\d{8,10}:AA[A-Za-z0-9_-]{33}\b", Entropy(4.0), "revoke it with BotFather"),
    rule("stripe-live-key", "Stripe live key", Critical, &["sk_live_", "rk_live_"],
        r"\b[sr]k_live_[A-Za-z0-9]{16,}\b", Entropy(3.2), "roll the key in the dashboard"),
    rule("stripe-test-key", "Stripe test key", Low, &["sk_test_", "rk_test_"],
        r"\b[sr]k_test_(?<s>[A-Za-z0-9]{20,})\b", Entropy(3.5), "roll the key in the dashboard"),
    rule("stripe-webhook-secret", "Stripe webhook secret", High, &["whsec_"],
        r"\bwhsec_[A-Za-z0-9+/=]{30,}", Entropy(3.5), "roll the endpoint's secret"),
    rule("twilio-auth-token", "Twilio auth token", High, &["twilio", "TWILIO", "Twilio"],
        r#"(?i)twilio[\w."'\]-]{0,40}?(?:auth|token|secret)[\w."'\]-]{0,12}\s*(?:=>|:=|[:=,])\s*["']?(?<s>[0-9a-f]{32})\b"#, Entropy(3.0),
        "rotate the auth token in the console"),
    rule("sendgrid-key", "SendGrid key", Critical, &["SG."],
        r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}\b", Entropy(3.5), "delete the key under API Keys"),
    rule("mailgun-key", "Mailgun key", High, &["key-"],
        r"\bkey-[0-9a-f]{32}\b", Entropy(3.3), "rotate it under API security"),
    rule("mailchimp-key", "Mailchimp key", High, &["-us"],
        r"\b[0-9a-f]{32}-us[0-9]{1,2}\b", Entropy(3.3), "revoke it under API keys"),
    rule("npm-token", "npm token", Critical, &["npm_"],
        r"\bnpm_[A-Za-z0-9]{36}\b", Entropy(3.5), "revoke it with `npm token revoke`"),
    rule("npm-auth-token", "npm registry token", High, &["_authToken", "_password"],
        r#":_(?:authToken|password)\s*=\s*["']?(?<s>[A-Za-z0-9._~+/=-]{16,})"#, Entropy(3.0),
        "revoke it at the registry and read it from the environment"),
    rule("pypi-token", "PyPI token", Critical, &["pypi-Ag"],
        r"\bpypi-Ag[A-Za-z0-9_-]{60,}", Entropy(3.5), "remove the token under Account settings"),
    rule("rubygems-key", "RubyGems key", High, &["rubygems_"],
        r"\brubygems_[0-9a-f]{48}\b", Entropy(3.2), "revoke it under API keys"),
    rule("cargo-registry-token", "Cargo registry token", High, &["cio"],
        r"\bcio[A-Za-z0-9]{32}\b", Entropy(4.2), "revoke it under API tokens"),
    rule("nuget-key", "NuGet key", High, &["oy2"],
        r"\boy2[a-z0-9]{43}\b", Entropy(3.5), "delete the key under API keys"),
    rule("docker-hub-token", "Docker Hub token", High, &["dckr_pat_", "dckr_oat_"],
        r"\bdckr_[po]at_[A-Za-z0-9_-]{27,}", Entropy(3.5), "delete the token under Security"),
    rule("anthropic-key", "Anthropic key", Critical, &["sk-ant-"],
        r"\bsk-ant-[a-z]{2,8}[0-9]{2}-[A-Za-z0-9_-]{60,}", Entropy(3.5), "delete the key in the console"),
    rule("openai-key", "OpenAI key", Critical, &["T3BlbkFJ", "sk-proj-", "sk-svcacct-", "sk-admin-"],
        r"\bsk-(?:(?:proj|svcacct|admin)-[A-Za-z0-9_-]{40,}|(?:[a-z]+-)?[A-Za-z0-9_-]{20,}T3BlbkFJ[A-Za-z0-9_-]{20,})", Entropy(3.5),
        "revoke the key on the API keys page"),
    rule("groq-key", "Groq key", High, &["gsk_"], r"\bgsk_[A-Za-z0-9]{52}\b", Entropy(3.5), "delete the key in the console"),
    rule("hugging-face-token", "Hugging Face token", High, &["hf_"],
        r"\bhf_[A-Za-z]{34}\b", Entropy(4.0), "revoke it under Access tokens"),
    rule("google-api-key", "Google API key", High, &["AIza"],
        r"\bAIza[A-Za-z0-9_-]{35}(?:[^A-Za-z0-9_-]|$)", Entropy(3.5), "restrict or delete it under Credentials"),
    rule("google-oauth-secret", "Google OAuth client secret", High, &["GOCSPX-"],
        r"\bGOCSPX-[A-Za-z0-9_-]{28}", Entropy(3.5), "reset it under Credentials"),
    rule("digitalocean-token", "DigitalOcean token", Critical, &["dop_v1_", "doo_v1_", "dor_v1_"],
        r"\bdo[por]_v1_[0-9a-f]{64}\b", Entropy(3.2), "revoke it under API"),
    rule("vault-token", "HashiCorp Vault token", High, &["hvs.", "hvb."],
        r"\bhv[sb]\.[A-Za-z0-9_-]{24,}", Entropy(3.8), "revoke it with `vault token revoke`"),
    rule("terraform-cloud-token", "Terraform Cloud token", Critical, &[".atlasv1."],
        r"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}", Entropy(3.5), "delete it under Tokens"),
    rule("databricks-token", "Databricks token", High, &["dapi"],
        r"\bdapi[0-9a-f]{32}(?:-\d)?\b", Entropy(3.3), "revoke it under Developer settings"),
    rule("shopify-token", "Shopify token", High, &["shpat_", "shpca_", "shppa_", "shpss_"],
        r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}\b", Entropy(3.2), "rotate it in the app's settings"),
    rule("new-relic-key", "New Relic key", High, &["NRAK-"], r"\bNRAK-[A-Z0-9]{27}\b", Entropy(3.3), "delete it under API keys"),
    rule("grafana-token", "Grafana token", High, &["glsa_"],
        r"\bglsa_[A-Za-z0-9]{32}_[0-9a-f]{8}\b", Entropy(3.5), "delete it under Service accounts"),
    rule("sentry-token", "Sentry token", High, &["sntrys_", "sntryu_"],
        r"\bsntry[su]_[A-Za-z0-9+/=_-]{60,}", Entropy(3.5), "revoke it under Auth tokens"),
    rule("linear-key", "Linear key", High, &["lin_api_"], r"\blin_api_[A-Za-z0-9]{40}\b", Entropy(3.5), "revoke it under API"),
    rule("postman-key", "Postman key", High, &["PMAK-"],
        r"\bPMAK-[0-9a-f]{24}-[0-9a-f]{34}\b", Entropy(3.2), "revoke it under API keys"),
    rule("atlassian-token", "Atlassian token", High, &["ATATT3x"],
        r"\bATATT3x[A-Za-z0-9_=-]{100,}", Entropy(3.8), "revoke it under API tokens"),
    rule("supabase-token", "Supabase token", High, &["sbp_"], r"\bsbp_[0-9a-f]{40}\b", Entropy(3.2), "revoke it under Access tokens"),
    rule("jwt", "signed token (JWT)", Medium, &["eyJ"],
        r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}", Jwt,
        "end the session or rotate the signing key unless it has expired"),
];
