//! Keeps passwords, tokens and stream keys out of everything that is printed: own messages, command
//! lines, and the lines that ffmpeg writes to stderr.
//!
//! [`redact`] knows what a URL looks like: it hides user names, passwords, query values and
//! fragments of any URL in any text. [`Secrets`] knows the URLs of this very process, so it also
//! hides their parts where they turn up alone, and stream keys, which look like any other path.
//! Both rather hide too much than too little. What they can't know is a password that looks like a
//! port and a path (`user:12/34@host`): ffmpeg takes it for those, too.

use std::borrow::Cow;

/// What stands in place of a secret.
const MASK: &str = "***";
/// Words shorter than this are only hidden inside URLs: alone they would blank out half the log.
const WORD_BYTES_MIN: usize = 4;

/// Hides user names and passwords, query values and fragments of every URL in `text`, also of
/// URLs that are percent-encoded or that ffmpeg has put a `file:` before.
///
/// ```
/// let line = "rtsp://admin:pw@10.0.0.7/cam?token=abc: 401 Unauthorized";
/// let shown = framelane_media::redact(line);
/// assert_eq!(shown, "rtsp://***@10.0.0.7/cam?token=***: 401 Unauthorized");
/// ```
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((mark, encoded)) = find_url(rest) {
        let (before, url) = rest.split_at(mark);
        let url_bytes = url.find(ends_url).unwrap_or(url.len());
        let (url, after) = url.split_at(url_bytes);
        out.push_str(before);
        if encoded {
            redact_encoded(&mut out, url)
        } else {
            redact_url(&mut out, url)
        }
        rest = after;
    }
    if rest.len() == text.len() {
        return Cow::Borrowed(text);
    }
    out.push_str(rest);
    if out == text { Cow::Borrowed(text) } else { Cow::Owned(out) }
}

/// Where what follows the next URL's scheme and slashes starts, and whether it is percent-encoded.
fn find_url(text: &str) -> Option<(usize, bool)> {
    const ENCODED: &[u8] = b"%3a%2f%2f";
    let plain = text.find("://").map(|at| (at + 3, false));
    let encoded = text
        .as_bytes()
        .windows(ENCODED.len())
        .position(|window| window.eq_ignore_ascii_case(ENCODED))
        .map(|at| (at + ENCODED.len(), true));
    match (plain, encoded) {
        (Some(plain), Some(encoded)) => Some(plain.min(encoded)),
        (plain, encoded) => plain.or(encoded),
    }
}

fn ends_url(character: char) -> bool {
    character.is_whitespace() || character.is_control() || "\"'`<>|".contains(character)
}

/// Appends what follows `://` without its secrets.
fn redact_url(out: &mut String, url: &str) {
    let authority = url.find(['/', '?', '#']).map_or(url, |end| &url[..end]);
    let at = authority.rfind('@').or_else(|| {
        // No user in the authority, but also no port after the colon: then the password contains
        // one of the characters that end an authority.
        let (host, port) = authority.rsplit_once(':')?;
        let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
        if is_port || host.starts_with('[') { None } else { url.rfind('@') }
    });
    let url = at.map_or(url, |at| {
        out.push_str(MASK);
        &url[at..]
    });
    // ffmpeg writes a colon after a URL; it is not part of the last value.
    let trimmed = url.trim_end_matches([':', ',', '.', ';', ')', ']', '}']);
    let (url, punctuation) = url.split_at(trimmed.len());
    let (url, fragment) = split_before(url, '#');
    let (path, query) = split_before(url, '?');
    out.push_str(path);
    if let Some(query) = query {
        out.push('?');
        redact_query(out, query);
    }
    if fragment.is_some() {
        out.push('#');
        out.push_str(MASK);
    }
    out.push_str(punctuation);
}

/// Splits at the first `mark`, which belongs to neither part.
fn split_before(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// Appends a query string with its names only.
fn redact_query(out: &mut String, query: &str) {
    for (index, pair) in query.split('&').enumerate() {
        if index > 0 {
            out.push('&');
        }
        if let Some((name, _)) = pair.split_once('=') {
            out.push_str(name);
            out.push('=');
        }
        out.push_str(MASK);
    }
}

/// Appends a percent-encoded URL: as it is when it has neither user nor query, else hidden.
fn redact_encoded(out: &mut String, url: &str) {
    let upper = url.to_ascii_uppercase();
    let secret = ["%40", "@", "%3F", "?", "%23", "#"].iter().any(|mark| upper.contains(mark));
    out.push_str(if secret { MASK } else { url });
}

/// The secrets of one process: parts of the URLs on its command line, wherever they turn up.
///
/// ```
/// let mut secrets = framelane_media::Secrets::default();
/// secrets.add_output("rtmp://a.example/live2/abcd-efgh");
/// assert_eq!(secrets.redact("can't publish abcd-efgh"), "can't publish ***");
/// ```
#[derive(Clone, Default)]
pub struct Secrets {
    /// What to hide and what to put there, longest first.
    words: Vec<(String, String)>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").field("words", &self.words.len()).finish()
    }
}

impl Secrets {
    /// Adds the user, the password and the query values of a URL, as they stand there and
    /// percent-decoded. What is not a URL has none.
    pub fn add_url(&mut self, url: &str) {
        let Some((_, rest)) = url.split_once("://") else { return };
        let (rest, fragment) = split_before(rest, '#');
        let (path, query) = split_before(rest, '?');
        if let Some((userinfo, _)) = path.rsplit_once('@').or_else(|| rest.rsplit_once('@')) {
            self.add(userinfo);
            for part in userinfo.splitn(2, ':') {
                self.add(part);
            }
        }
        for pair in query.unwrap_or_default().split('&') {
            self.add(pair.split_once('=').map_or(pair, |(_, value)| value));
        }
        self.add(fragment.unwrap_or_default());
    }

    /// Adds what [`add_url`](Self::add_url) does, and of an RTMP URL also the last part of its
    /// path: the stream key, with which anybody can publish.
    pub fn add_output(&mut self, url: &str) {
        self.add_url(url);
        let Some((scheme, rest)) = url.split_once("://") else { return };
        if !scheme.to_ascii_lowercase().starts_with("rtmp") {
            return;
        }
        let path = rest.split(['?', '#']).next().unwrap_or_default();
        let Some((_, path)) = path.split_once('/') else { return };
        // Without an application before it, the last part is the application and no secret.
        if let Some((application, key)) = path.trim_end_matches('/').rsplit_once('/') {
            self.add(key);
            if !key.is_empty() {
                self.push(format!("{application}/{key}"), format!("{application}/{MASK}"));
            }
        }
    }

    /// Adds one secret, as it stands, percent-decoded and percent-encoded. Less than four bytes
    /// are no secret.
    pub fn add(&mut self, secret: &str) {
        for variant in [secret.to_owned(), decoded(secret), encoded(&decoded(secret))] {
            if variant.len() >= WORD_BYTES_MIN {
                self.push(variant, MASK.to_owned());
            }
        }
    }

    fn push(&mut self, word: String, mask: String) {
        if !self.words.iter().any(|(known, _)| *known == word) {
            self.words.push((word, mask));
            self.words.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
        }
    }

    /// Hides the secrets wherever they stand in `text` as words of their own, then whatever
    /// [`redact`] hides.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        // URLs first: a secret that is replaced inside one must not hide where its parts begin.
        let mut shown = redact(text);
        for (word, mask) in &self.words {
            if let Some(replaced) = replace_word(&shown, word, mask) {
                shown = Cow::Owned(replaced);
            }
        }
        shown
    }
}

/// Replaces `word` where neither neighbour continues it; `None` when there is nothing to do.
fn replace_word(text: &str, word: &str, mask: &str) -> Option<String> {
    let continues = |edge: Option<char>, neighbour: Option<char>| {
        edge.is_some_and(char::is_alphanumeric) && neighbour.is_some_and(char::is_alphanumeric)
    };
    let mut out = String::new();
    let mut copied = 0;
    for (at, _) in text.match_indices(word) {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        if continues(word.chars().next(), before.chars().next_back())
            || continues(word.chars().next_back(), after.chars().next())
        {
            continue;
        }
        out.push_str(&text[copied..at]);
        out.push_str(mask);
        copied = at + word.len();
    }
    (copied > 0).then(|| out + &text[copied..])
}

/// `text` with its percent escapes resolved, as far as they give UTF-8.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%')
            .then(|| after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// `text` with everything but unreserved characters escaped.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_queries_and_fragments_of_urls_are_hidden() {
        for (line, shown) in [
            ("rtsp://user:pass@cam:554/1", "rtsp://***@cam:554/1"),
            ("rtsp://user@cam/1", "rtsp://***@cam/1"),
            ("rtsp://u:p@ss@cam/1", "rtsp://***@cam/1"),
            ("rtsp://u:p/a?s#s@cam/1", "rtsp://***@cam/1"),
            ("rtsp://u:p%40ss@cam/1", "rtsp://***@cam/1"),
            ("rtmp://h/live/s?token=abc&key=d%20e", "rtmp://h/live/s?token=***&key=***"),
            ("'http://h/a?SECRET#frag': no", "'http://h/a?***#***': no"),
            (
                "rtmp://h/live?token=a: Input/output error",
                "rtmp://h/live?token=***: Input/output error",
            ),
            ("Did you mean file:rtmp://u:p@h/k?a=b?", "Did you mean file:rtmp://***@h/k?a=***"),
            ("a rtsp://u:p@x b rtsp://v:q@y c", "a rtsp://***@x b rtsp://***@y c"),
            ("url=rtmp%3A%2F%2Fu%3Ap%40h%2Flive", "url=rtmp%3A%2F%2F***"),
        ] {
            assert_eq!(redact(line), shown);
        }
    }

    #[test]
    fn what_has_no_secret_stays_as_it_is() {
        for line in ["", "frame=1 q=2@3", "rtmp://[::1]:1935/live/a", "http://h:80/x@y", "://"] {
            assert!(matches!(redact(line), Cow::Borrowed(same) if same == line), "{line}");
        }
    }

    #[test]
    fn secrets_are_hidden_without_their_url_and_in_every_encoding() {
        let mut secrets = Secrets::default();
        secrets.add_url("rtsp://admin:p%40ssw%2Frd@cam/1?token=t0ken");
        for line in ["pass p%40ssw%2Frd.", "pass p@ssw/rd.", "got t0ken", "user=admin"] {
            let shown = secrets.redact(line);
            assert!(shown.contains(MASK), "{line}: {shown}");
        }
        assert_eq!(secrets.redact("administrator"), "administrator");
        assert!(!format!("{secrets:?}").contains("ssw"));
    }

    #[test]
    fn stream_keys_of_outputs_are_hidden() {
        let mut secrets = Secrets::default();
        secrets.add_output("rtmp://a.example:1935/live2/abcd-efgh?x=1234");
        secrets.add_output("rtmps://b.example/app/inst/k1");
        assert_eq!(
            secrets.redact("[rtmp] rtmp://a.example:1935/live2/abcd-efgh: busy"),
            "[rtmp] rtmp://a.example:1935/live2/***: busy"
        );
        assert_eq!(secrets.redact("Already publishing 'abcd-efgh'"), "Already publishing '***'");
        assert_eq!(
            secrets.redact("rtmps://b.example/app/inst/k1"),
            "rtmps://b.example/app/inst/***"
        );
        let mut none = Secrets::default();
        none.add_output("rtmp://host/live");
        none.add_output("out/live/file.mp4");
        assert_eq!(none.redact("rtmp://host/live"), "rtmp://host/live");
    }
}
