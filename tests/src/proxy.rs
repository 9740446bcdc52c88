//! Proxies as operators have them, which remember what they were asked for.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Takes connections on loopback until the test ends.
pub struct Proxy {
    address: SocketAddr,
    asked: Asked,
}

type Asked = Arc<Mutex<Vec<String>>>;
/// A name and a password.
type Login = Option<(&'static str, &'static str)>;

/// Whatever goes wrong ends the connection.
type Done = Option<()>;

impl Proxy {
    /// For `CONNECT`, with a login if it wants one.
    pub async fn connect(login: Login) -> Self {
        Self::serve(move |stream, asked| tunnel(stream, asked, login)).await
    }

    /// For SOCKS5.
    pub async fn socks5(login: Login) -> Self {
        Self::serve(move |stream, asked| socks(stream, asked, login)).await
    }

    async fn serve<F>(serve: impl Fn(TcpStream, Asked) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Done> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
        let address = listener.local_addr().expect("it is bound");
        let asked = Asked::default();
        let kept = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, kept.clone()));
            }
        });
        Self { address, asked }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The hosts and ports that were asked for, in their order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn carry(mut stream: TcpStream, asked: Asked, to: String, yes: &[u8], no: &[u8]) -> Done {
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(to.clone());
    let Ok(mut target) = TcpStream::connect(&to).await else {
        return stream.write_all(no).await.ok();
    };
    stream.write_all(yes).await.ok()?;
    tokio::io::copy_bidirectional(&mut stream, &mut target).await.ok().map(drop)
}

async fn tunnel(mut stream: TcpStream, asked: Asked, login: Login) -> Done {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let wanted = login.map(|(name, password)| format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))));
    let given = head.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: "));
    if wanted.as_deref() != given {
        return stream.write_all(b"HTTP/1.1 407 Who\r\ncontent-length: 0\r\n\r\n").await.ok();
    }
    let to = head.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
    carry(stream, asked, to, b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 502 No\r\ncontent-length: 0\r\n\r\n").await
}

async fn socks(mut stream: TcpStream, asked: Asked, login: Login) -> Done {
    let _version = stream.read_u8().await.ok()?;
    let methods = text(&mut stream).await?;
    let method = if login.is_some() { 2 } else { 0 };
    if !methods.contains(&method) {
        return stream.write_all(&[5, 0xff]).await.ok();
    }
    stream.write_all(&[5, method]).await.ok()?;
    if let Some((name, password)) = login {
        let _version = stream.read_u8().await.ok()?;
        let is_right = text(&mut stream).await? == name.as_bytes() && text(&mut stream).await? == password.as_bytes();
        stream.write_all(&[1, u8::from(!is_right)]).await.ok()?;
        if !is_right {
            return None;
        }
    }
    let mut start = [0; 4];
    stream.read_exact(&mut start).await.ok()?;
    let host = match start[3] {
        1 => std::net::Ipv4Addr::from(stream.read_u32().await.ok()?).to_string(),
        4 => format!("[{}]", std::net::Ipv6Addr::from(stream.read_u128().await.ok()?)),
        _ => String::from_utf8(text(&mut stream).await?).ok()?,
    };
    let to = format!("{host}:{}", stream.read_u16().await.ok()?);
    let answer = |word: u8| [5, word, 0, 1, 0, 0, 0, 0, 0, 0];
    carry(stream, asked, to, &answer(0), &answer(5)).await
}

/// Bytes behind their number.
async fn text(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::from(stream.read_u8().await.ok()?)];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}
