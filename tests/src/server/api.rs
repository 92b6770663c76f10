//! Asks a server which streams are being published: nginx by its statistics page, SRS by its API.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Whether nginx has a publisher for the stream.
pub(super) fn nginx_publishes(address: &str, stream: &str) -> Result<bool> {
    let page = get(address, "/stat")?;
    let name = format!("<name>{stream}</name>");
    Ok(page
        .split("<stream>")
        .filter(|entry| entry.contains(&name))
        .any(|entry| entry.contains("<publishing/>")))
}

/// Whether SRS has a publisher for the stream.
pub(super) fn srs_publishes(address: &str, stream: &str) -> Result<bool> {
    let entry = srs_stream(address, stream)?;
    Ok(entry.is_some_and(|entry| entry["publish"]["active"] == Value::Bool(true)))
}

/// Whether SRS knows the stream, because somebody publishes it or waits for it.
pub(super) fn srs_knows(address: &str, stream: &str) -> Result<bool> {
    Ok(srs_stream(address, stream)?.is_some())
}

fn srs_stream(address: &str, stream: &str) -> Result<Option<Value>> {
    let page = get(address, "/api/v1/streams/?count=1000")?;
    let page: Value = serde_json::from_str(&page).context("the SRS API speaks no JSON")?;
    let streams = page["streams"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(streams.iter().find(|entry| entry["name"] == stream).cloned())
}

/// The host of an RTMP URL, without a port.
pub(super) fn host_of(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("rtmp://")?;
    let host = rest.split(['/', ':']).next()?;
    (!host.is_empty()).then_some(host)
}

/// The body that a page has. HTTP/1.0, so that no server sends it in chunks.
fn get(address: &str, path: &str) -> Result<String> {
    let target = address.to_socket_addrs()?.next().context("the host has no address")?;
    let mut stream = TcpStream::connect_timeout(&target, TIMEOUT)
        .with_context(|| format!("cannot reach {address}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("the server broke off")?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("the server speaks no HTTP")?;
    ensure!(head.contains(" 200 "), "{address}{path}: {}", head.lines().next().unwrap_or(head));
    Ok(body.to_owned())
}
