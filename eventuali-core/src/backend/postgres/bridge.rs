//! The way to a server that encrypts, without pauses.
//!
//! sqlx 0.9.0 leaves Nagle's algorithm on, and hands a message to the network in pieces of 16 KiB
//! where it is encrypted: the last piece then waits for the one before to be acknowledged, 40 ms
//! on most systems (sqlx issue 4335, mended but not released). So it is given a local socket, and
//! the bytes are carried between that and one to the server on which the algorithm is off.

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, PgConnection};

/// Whether a connection to the server is encrypted where the server can do that.
pub(super) fn may_encrypt(server: &PgConnectOptions) -> bool {
    let plain = matches!(server.get_ssl_mode(), PgSslMode::Disable | PgSslMode::Allow);
    let local = server.get_socket().is_some() || server.get_host().starts_with('/');
    !plain && !local
}

/// Connects to the server.
pub(super) async fn connect(server: &PgConnectOptions) -> sqlx::Result<PgConnection> {
    if !may_encrypt(server) {
        return server.connect().await;
    }
    #[cfg(unix)]
    if let Some(conn) = over::connect(server).await? {
        return Ok(conn);
    }
    server.connect().await
}

#[cfg(unix)]
mod over {
    use std::fs::DirBuilder;
    use std::future::poll_fn;
    use std::os::unix::fs::DirBuilderExt;
    use std::path::PathBuf;
    use std::pin::pin;
    use std::task::Poll;

    use sqlx::postgres::PgConnectOptions;
    use sqlx::{ConnectOptions, PgConnection};
    use tokio::io::{AsyncRead, AsyncWrite, BufReader, copy_buf};
    use tokio::net::{TcpStream, UnixListener};

    /// Bytes that are carried at once, in each direction.
    const CARRIED: usize = 64 << 10;

    /// Connects over a bridge; none where this machine does not let one be made.
    pub(super) async fn connect(server: &PgConnectOptions) -> sqlx::Result<Option<PgConnection>> {
        let port = server.get_port();
        let Ok((place, listener)) = Place::new(port) else { return Ok(None) };
        let mut outside = TcpStream::connect((server.get_host(), port)).await?;
        outside.set_nodelay(true)?;
        let near = server.clone().socket(&place.0);
        let carrier = tokio::spawn(async move {
            let accepted = listener.accept().await;
            drop(place);
            if let Ok((mut inside, _)) = accepted {
                let (asking, mut answered) = inside.split();
                let (answering, mut asked) = outside.split();
                let mut ask = pin!(carry(asking, &mut asked));
                let mut answer = pin!(carry(answering, &mut answered));
                // Either end closes the other at once: one that is silent never would.
                poll_fn(|context| match ask.as_mut().poll(context) {
                    Poll::Pending => answer.as_mut().poll(context),
                    Poll::Ready(()) => Poll::Ready(()),
                })
                .await;
            }
        });
        near.connect().await.map(Some).inspect_err(|_| carrier.abort())
    }

    /// Carries bytes until one side ends.
    async fn carry(from: impl AsyncRead + Unpin, to: &mut (impl AsyncWrite + Unpin)) {
        drop(copy_buf(&mut BufReader::with_capacity(CARRIED, from), to).await);
    }

    /// A folder that nobody else may enter, for the moment of one connection.
    struct Place(PathBuf);

    impl Place {
        fn new(port: u16) -> std::io::Result<(Self, UnixListener)> {
            // Short: a system takes about a hundred bytes of a socket's path.
            let name = crate::clock::new_id().as_u128() as u64;
            let place = Self(std::env::temp_dir().join(format!("evtl-{name:x}")));
            DirBuilder::new().mode(0o700).create(&place.0)?;
            let listener = UnixListener::bind(place.0.join(format!(".s.PGSQL.{port}")))?;
            Ok((place, listener))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            // What stays is an empty folder among temporary ones.
            drop(std::fs::remove_dir_all(&self.0));
        }
    }
}
