//! A GET that needs no client library.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// The body of the answer; an answer that is not 200 is an error.
pub(super) fn get(address: &str, path: &str, patience: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(patience))?;
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| io::Error::other("no HTTP answer"))?;
    let status = head.split_whitespace().nth(1);
    if status != Some("200") {
        let status = status.unwrap_or("no status");
        return Err(io::Error::other(format!("{path}: {status}")));
    }
    Ok(body.to_owned())
}
