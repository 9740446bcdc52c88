//! The ways. A path's first part names one, the second what of it.

use std::io;

use super::Request;
use super::wire::Wire;

/// What `reset/{n}` and `close/{n}` send the first `n` bytes of.
pub const SHORT_ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What `retry-after/{n}` asks for: the header's lines.
pub const RETRY_AFTER: &[&str] = &[
    "5",
    "-1",
    "0",
    "1.5",
    "NaN",
    "inf",
    "1e30",
    "+7200",
    "",
    "soon\u{e9}",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994",
    "7200",
    " 7200\t",
    "7200\r\nretry-after: 1",
    "9223372036854775807",
    "100000000000000",
    "99999999999999999999999999",
    "Tue, 19 Jan 2038 03:14:08 GMT",
    "Tue, 31 Dec 2199 23:59:59 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "{8k}",
];

/// Answers one request, the `number`th of its connection. Says whether the next
/// is listened to.
pub(super) async fn answer(wire: &mut Wire<'_>, request: &Request, number: u32) -> bool {
    matches!(behave(wire, request, number).await, Ok(true))
}

async fn behave(wire: &mut Wire<'_>, request: &Request, number: u32) -> io::Result<bool> {
    let (way, what) = request.mode.split_once('/').unwrap_or((&request.mode, ""));
    let count = || what.parse::<usize>().unwrap_or_default();
    match way {
        // These answer before they have read the body, or do not read all of it.
        "reset-reading" => {
            wire.read(count().min(request.unread)).await?;
            wire.reset()?;
            return Ok(false);
        }
        "early" => {
            wire.send("HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await?;
            wire.read(request.unread).await?;
            return Ok(false);
        }
        _ => wire.read(request.unread).await?,
    }
    match way {
        "silent" => wire.silence().await?,
        "drip" => drip(wire, what).await?,
        "endless-body" => {
            wire.send("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await?;
            wire.flood(&[b'x'; 16 * 1024]).await?;
        }
        "endless-chunks" => {
            wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            wire.flood("1\r\nx\r\n".repeat(1000).as_bytes()).await?;
        }
        "endless-extension" => {
            wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;").await?;
            wire.flood(&[b'x'; 16 * 1024]).await?;
        }
        "promises" => {
            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n").await?;
            match what {
                "kept" => wire.flood(&[b'x'; 16 * 1024]).await?,
                _ => wire.silence().await?,
            }
        }
        "bomb" => bomb(wire, what).await?,
        "headers" => {
            wire.send("HTTP/1.1 200 OK\r\n").await?;
            for number in 0..count() {
                wire.send(format!("x-{number}: y\r\n")).await?;
            }
            wire.send("content-length: 0\r\n\r\n").await?;
        }
        "endless-headers" => {
            wire.send("HTTP/1.1 200 OK\r\n").await?;
            wire.flood("x-again: and again\r\n".repeat(100).as_bytes()).await?;
        }
        "header-line" => {
            wire.send(format!("HTTP/1.1 200 OK\r\nx-long: {}\r\ncontent-length: 0\r\n\r\n", "y".repeat(count())))
                .await?;
        }
        "bad-chunks" => {
            wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            wire.send(match what {
                "words" => "many\r\nok\r\n0\r\n\r\n",
                "overflow" => "fffffffffffffffff\r\nok\r\n0\r\n\r\n",
                "negative" => "-2\r\nok\r\n0\r\n\r\n",
                "longer" => "2\r\nokay\r\n0\r\n\r\n",
                _ => "2\r\nok\r\n",
            })
            .await?;
        }
        "endless-1xx" => wire.flood("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(100).as_bytes()).await?,
        "status" => wire.send(format!("HTTP/1.1 {what} Hm\r\ncontent-length: 0\r\n\r\n")).await?,
        "redirect" => wire.send(redirect(what, &request.mode)).await?,
        "reset" => {
            wire.send(&SHORT_ANSWER[..count()]).await?;
            wire.reset()?;
        }
        "close" => wire.send(&SHORT_ANSWER[..count()]).await?,
        "race" => return race(wire, what, number).await,
        "retry-after" => {
            let value = RETRY_AFTER.get(count()).copied().unwrap_or_default().replace("{8k}", &"9".repeat(8000));
            let head = format!("HTTP/1.1 503 Busy\r\nretry-after: {value}\r\ncontent-length: 0\r\n\r\n");
            // As Latin-1: a header need not be UTF-8.
            wire.send(head.chars().map(|one| u8::try_from(u32::from(one)).unwrap_or(b'?')).collect::<Vec<u8>>())
                .await?;
        }
        _ => wire.send(odd(way, what)).await?,
    }
    Ok(false)
}

async fn drip(wire: &mut Wire<'_>, what: &str) -> io::Result<()> {
    match what {
        "status" => wire.drip(b"HTTP/1.1 200 OK and so on and so on").await,
        "headers" => {
            wire.send("HTTP/1.1 200 OK\r\n").await?;
            wire.drip(b"x-slow: y\r\n").await
        }
        _ => {
            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await?;
            wire.drip(b"x").await
        }
    }
}

/// Small on the wire, and gigabytes for whoever unpacks it.
async fn bomb(wire: &mut Wire<'_>, coding: &str) -> io::Result<()> {
    let body = match coding {
        "gzip" => gzip_of_zeros(8000),
        "zstd" => zstd_of_zeros(2000),
        // Not even Brotli: whoever unpacks it finds that out.
        _ => vec![0xff; 8000],
    };
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {}\r\n\r\n", body.len());
    wire.send(head).await?;
    wire.send(body).await
}

/// RFC 1951 with fixed codes: a zero, then "258 more of the last byte" as often
/// as `bytes` have room for, 13 bits each.
fn gzip_of_zeros(bytes: usize) -> Vec<u8> {
    let (mut out, mut bits, mut count) = (vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], 0_u32, 0);
    // Huffman codes go in from their highest bit: block header, literal 0,
    // then length 258 (11000101) and distance 1 (00000).
    let mut codes = vec![(0b011_u32, 3), (0b0000_1100, 8)];
    codes.extend(std::iter::repeat_n((0b0_0000_1010_0011, 13), bytes * 8 / 13));
    for (code, length) in codes {
        bits |= code << count;
        count += length;
        while count >= 8 {
            out.push(bits.to_le_bytes()[0]);
            bits >>= 8;
            count -= 8;
        }
    }
    out
}

/// RFC 8878: blocks of 128 KiB, each "this byte, repeated".
fn zstd_of_zeros(blocks: usize) -> Vec<u8> {
    let mut out = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x38];
    for _ in 0..blocks {
        let head: u32 = (1 << 1) | ((128 * 1024) << 3);
        out.extend_from_slice(&head.to_le_bytes()[..3]);
        out.push(0);
    }
    out
}

fn redirect(what: &str, mode: &str) -> String {
    let (status, place) = what.split_once('/').unwrap_or((what, ""));
    let location = match place {
        "loop" => format!("/{mode}"),
        "file" => "file:///etc/passwd".to_owned(),
        "metadata" => "http://169.254.169.254/latest/meta-data/".to_owned(),
        _ => "/elsewhere".to_owned(),
    };
    format!("HTTP/1.1 {status} Go\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}

/// A connection that is kept, and closed just when it is used again.
async fn race(wire: &mut Wire<'_>, what: &str, number: u32) -> io::Result<bool> {
    if what == "on-use" && number > 1 {
        wire.reset()?;
        return Ok(false);
    }
    wire.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
    Ok(what != "after-answer")
}

fn odd(way: &str, what: &str) -> &'static [u8] {
    match (way, what) {
        ("http09", _) => b"<html>It works!</html>",
        ("garbage", _) => b"\x16\x03\x01\x00\xff\xfe\x1b[31m\x00",
        ("nul", "status") => b"HTTP/1.1 200 O\0K\r\ncontent-length: 0\r\n\r\n",
        ("nul", "header") => b"HTTP/1.1 200 OK\r\nx-nul: a\0b\r\ncontent-length: 0\r\n\r\n",
        ("nul", _) => b"HTTP/1.1 400 No\r\ncontent-length: 3\r\n\r\na\0b",
        ("escape", "reason") => b"HTTP/1.1 400 \x1b[31mred\r\ncontent-length: 0\r\n\r\n",
        ("escape", "header") => b"HTTP/1.1 400 No\r\nx-esc: \x1b[31m\r\ncontent-length: 0\r\n\r\n",
        ("escape", _) => b"HTTP/1.1 400 No\r\ncontent-length: 20\r\n\r\n\x1b[31m\r\n{\"level\":\"ERR\"}",
        ("trailers", _) => {
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x\r\n\r\n2\r\nok\r\n0\r\nx: y\r\n\r\n"
        }
        ("upgrade", _) => b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        ("two-lengths", _) => b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nokk",
        ("bad-length", _) => b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok",
        // What follows an answer is not the answer to the next request.
        ("extra", _) => b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n",
        _ => b"HTTP/1.1 204 No Content\r\n\r\n",
    }
}
