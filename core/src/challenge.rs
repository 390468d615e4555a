//! What a CHALLENGE hands out (`challenge.py`): the question it was made for, signed, so that any replica can check it.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::rules::response::Outcome;
use crate::rules::snapshot::Snapshot;
use crate::rules::wire::Call;

/// The version of the challenges that are made here.
pub const VERSION: u32 = 1;

const NONCE: usize = 12;
const URLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Makes challenges.
#[derive(Debug)]
pub struct Seal {
    key: hmac::Key,
    milliseconds: u64,
    random: SystemRandom,
}

impl Seal {
    /// `key` is the one derived from the deployment's; `milliseconds`: for which a challenge is good.
    pub fn new(key: &[u8], milliseconds: u64) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), milliseconds, random: SystemRandom::new() }
    }

    /// A challenge for a call; `None`: one that is for Python to make.
    pub fn make(&self, snapshot: &Snapshot, call: &Call<'_>, outcome: Outcome) -> Option<Vec<u8>> {
        let caller = if outcome.caller_known { call.caller } else { b"" };
        let outcall = if outcome.outcall_known { call.outcall } else { b"" };
        let mut nonce = [0; NONCE];
        self.random.fill(&mut nonce).ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_millis();
        let expires = u64::try_from(now).ok()? + self.milliseconds;
        let mut signed = vec![0; 32];
        write!(signed, "[{VERSION},").ok()?;
        for text in [snapshot.facts.tenant.as_bytes(), &caller.to_ascii_lowercase(), call.extension, outcall] {
            quote(text, &mut signed)?;
            signed.push(b',');
        }
        write!(signed, "{},{expires},\"", snapshot.facts.number).ok()?;
        signed.extend_from_slice(&base64(&nonce, URLS));
        signed.extend_from_slice(b"\"]");
        let tag = hmac::sign(&self.key, &signed[32..]);
        signed[..32].copy_from_slice(tag.as_ref());
        Some(base64(&signed, URLS))
    }
}

/// Writes a text as JSON; `None`: it needs more than a backslash here and there.
fn quote(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.push(b'"');
    for &character in text {
        match character {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', character]),
            0x20..=0x7e => out.push(character),
            _ => return None,
        }
    }
    out.push(b'"');
    Some(())
}

/// Base64 in an alphabet, without padding.
pub fn base64(data: &[u8], alphabet: &[u8; 64]) -> Vec<u8> {
    let mut made = Vec::with_capacity(data.len().div_ceil(3) * 4);
    for piece in data.chunks(3) {
        let bits = piece.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - piece.len()));
        made.extend((0..=piece.len()).map(|place| alphabet[(bits >> (18 - 6 * place) & 63) as usize]));
    }
    made
}

#[cfg(test)]
mod tests {
    use super::{URLS, base64};

    #[test]
    fn base64_is_that_of_urls() {
        for (data, text) in [(&b""[..], ""), (b"\xff", "_w"), (b"\xff\xfe", "__4"), (b"abc", "YWJj")] {
            assert_eq!(base64(data, URLS), text.as_bytes());
        }
    }
}
