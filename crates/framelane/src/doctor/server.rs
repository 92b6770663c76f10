//! An RTMP server: whether it can be reached, speaks RTMP, and which one it is.
//!
//! The handshake and the `connect` command are those of Adobe's RTMP specification 1.0, sections
//! 5.2 and 7.2.1.1. SRS says who it is in its answer; nginx's module and others claim to be Adobe's
//! server, each of another version.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use framelane_media::redact;

use super::Finding;

const WHAT: &str = "server";
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest answer that is looked at, in bytes.
const LONGEST_ANSWER: usize = 64 << 10;
const DEFAULT_PORT: u16 = 1935;
const VERSION: u8 = 3;
const HANDSHAKE_BYTES: usize = 1536;

/// A message is sent in chunks of so many bytes until something else is agreed upon.
const CHUNK_BYTES: usize = 128;

/// Marks that servers leave in their answer to `connect`.
const MARKS: [(&str, &str); 2] =
    [("srs_server", "SRS"), ("FMS/3,0,1,123", "nginx with its RTMP module")];

pub(super) fn look(url: &str) -> Finding {
    let shown = redact(url);
    let Some((host, port, app)) = parse(url) else {
        return Finding::bad(WHAT, format!("{shown} is no rtmp:// URL"));
    };
    match ask(&host, port, &app) {
        Ok(kind) => Finding::good(WHAT, format!("{host}:{port} answers: {kind}")),
        Err(error) => Finding::bad(WHAT, format!("{host}:{port} is not to be had: {error}")),
    }
}

/// Host, port and application of an RTMP URL.
fn parse(url: &str) -> Option<(String, u16, String)> {
    let rest = url.strip_prefix("rtmp://")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = authority.rsplit('@').next()?;
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') => (host, port.parse().ok()?),
        _ => (address, DEFAULT_PORT),
    };
    let app = path.split(['/', '?']).next().filter(|app| !app.is_empty()).unwrap_or("live");
    (!host.is_empty()).then(|| (host.trim_matches(['[', ']']).to_owned(), port, app.to_owned()))
}

/// Connects to the first of the host's addresses that answers.
fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failed = io::Error::other("the name leads nowhere");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Shakes hands, asks to connect, and tells which server has answered.
fn ask(host: &str, port: u16, app: &str) -> io::Result<&'static str> {
    let mut stream = connect(host, port)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut hello = vec![0; 1 + HANDSHAKE_BYTES];
    hello[0] = VERSION;
    stream.write_all(&hello)?;
    let mut answer = vec![0; 1 + 2 * HANDSHAKE_BYTES];
    stream.read_exact(&mut answer).map_err(|error| match error {
        error if is_timeout(&error) => io::Error::other(format!("no answer within {PATIENCE:?}")),
        other => other,
    })?;
    if answer[0] != VERSION {
        return Err(io::Error::other("something answers, but not in RTMP"));
    }
    stream.write_all(&answer[1..=HANDSHAKE_BYTES])?;
    stream.write_all(&connect_command(&format!("rtmp://{host}:{port}/{app}"), app))?;
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some((_, kind)) = MARKS.into_iter().find(|(mark, _)| contains(&heard, mark)) {
            return Ok(kind);
        }
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => heard.extend_from_slice(&buffer[..count]),
            Err(error) if is_timeout(&error) => break,
            Err(error) => return Err(error),
        }
        if heard.len() > LONGEST_ANSWER || (contains(&heard, "_result") && heard.len() > 1024) {
            break;
        }
    }
    Ok("an RTMP server that does not say which")
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn contains(heard: &[u8], mark: &str) -> bool {
    heard.windows(mark.len()).any(|window| window == mark.as_bytes())
}

/// The `connect` command in AMF0, in one message, in chunks.
fn connect_command(url: &str, app: &str) -> Vec<u8> {
    let mut command = Vec::new();
    put_string(&mut command, "connect");
    put_number(&mut command, 1.0);
    command.push(0x03);
    for (name, value) in [("app", app), ("type", "nonprivate"), ("tcUrl", url)] {
        put_name(&mut command, name);
        put_string(&mut command, value);
    }
    command.extend([0, 0, 0x09]);
    let length = u32::try_from(command.len()).unwrap_or(u32::MAX).to_be_bytes();
    // Chunk stream 3, timestamp 0, the length in three bytes, a command in AMF0, stream 0.
    let mut message = vec![0x03, 0, 0, 0];
    message.extend(&length[1..]);
    message.extend([0x14, 0, 0, 0, 0]);
    for (index, chunk) in command.chunks(CHUNK_BYTES).enumerate() {
        if index > 0 {
            message.push(0xc3);
        }
        message.extend(chunk);
    }
    message
}

fn put_name(command: &mut Vec<u8>, name: &str) {
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
    command.extend(length.to_be_bytes());
    command.extend(name.as_bytes().iter().take(usize::from(length)));
}

fn put_string(command: &mut Vec<u8>, text: &str) {
    command.push(0x02);
    put_name(command, text);
}

fn put_number(command: &mut Vec<u8>, number: f64) {
    command.push(0x00);
    command.extend(number.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let parts = |url| parse(url).map(|(host, port, app)| format!("{host} {port} {app}"));
        assert_eq!(parts("rtmp://host/live/key").as_deref(), Some("host 1935 live"));
        assert_eq!(parts("rtmp://me:secret@host:19/app?x").as_deref(), Some("host 19 app"));
        assert_eq!(parts("rtmp://[::1]:1936").as_deref(), Some("::1 1936 live"));
        assert_eq!(parts("http://host/live"), None);
        assert_eq!(parts("rtmp:///live"), None);
    }

    #[test]
    fn long_commands_are_cut_into_chunks() {
        let message = connect_command(&format!("rtmp://{}/live", "h".repeat(300)), "live");
        assert_eq!(message[12 + CHUNK_BYTES], 0xc3);
    }
}
