//! The two clients: a publisher and a viewer.

use crate::{
    END, Error,
    identity::{NAME, Role, client_config},
    receiving::LENGTH,
};
use quinn::{
    Connection, ConnectionError, Endpoint, ReadError, ReadToEndError, SendStream, TransportConfig,
    rustls::pki_types::CertificateDer,
};
use sample_pool::{Pool, Sample};
use std::{net::SocketAddr, sync::Arc};

/// Where a relay is, and how it is recognised.
#[derive(Clone, Debug)]
pub struct Address {
    /// Its address.
    pub socket: SocketAddr,
    /// Its certificate.
    pub certificate: CertificateDer<'static>,
}

async fn connect(
    endpoint: &Endpoint,
    relay: &Address,
    role: Role,
    transport: TransportConfig,
) -> Result<Connection, Error> {
    let mut config = client_config(relay.certificate.clone(), role)?;
    config.transport_config(Arc::new(transport));
    Ok(endpoint.connect_with(config, relay.socket, NAME)?.await?)
}

/// Whether the relay closed the connection because all is done.
fn is_end(lost: &ConnectionError) -> bool {
    matches!(lost, ConnectionError::ApplicationClosed(close) if close.error_code == END)
}

/// Sends frames to a relay.
#[derive(Debug)]
pub struct Publisher {
    connection: Connection,
    stream: SendStream,
}

impl Publisher {
    /// Creates a pool for the frames of a publisher: each has room for its length in front.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    pub fn pool(buffers: usize, frame_size: usize) -> Result<Pool, Error> {
        let pool = Pool::builder().name("publisher").buffers(buffers);
        Ok(pool.size(frame_size).prefix(LENGTH).build()?)
    }

    /// Connects to a relay.
    ///
    /// # Errors
    ///
    /// If the relay cannot be reached or is another one.
    pub async fn connect(endpoint: &Endpoint, relay: &Address) -> Result<Publisher, Error> {
        let connection =
            connect(endpoint, relay, Role::Publisher, TransportConfig::default()).await?;
        let stream = connection.open_uni().await?;
        Ok(Publisher { connection, stream })
    }

    /// Sends a frame. Nothing is copied here either: quinn keeps the sample until the relay has acknowledged it.
    ///
    /// # Errors
    ///
    /// If the relay refused this publisher or is gone, or the sample has no room for the length in front.
    pub async fn send(&mut self, mut frame: Sample) -> Result<(), Error> {
        let length = u32::try_from(frame.len())?;
        frame.prepend(&length.to_be_bytes())?;
        Ok(self.stream.write_chunk(frame.into_bytes()).await?)
    }

    /// Returns the connection.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns the stream, for what is no frame.
    pub fn stream(&mut self) -> &mut SendStream {
        &mut self.stream
    }

    /// Ends the stream, and waits until the relay has sent on all frames.
    ///
    /// # Errors
    ///
    /// If the relay did not receive all of them.
    pub async fn finish(mut self) -> Result<(), Error> {
        self.stream.finish()?;
        match self.connection.closed().await {
            lost if is_end(&lost) => Ok(()),
            lost => Err(lost.into()),
        }
    }
}

/// What a viewer received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A frame.
    Frame(Vec<u8>),
    /// A frame that the relay gave up, because it was out of date.
    Late,
    /// The relay ended.
    End,
}

/// Receives frames from a relay.
#[derive(Debug)]
pub struct Viewer {
    connection: Connection,
    frame_size: usize,
}

impl Viewer {
    /// Connects to a relay. The `transport` says how much the viewer buffers: streams, and bytes of each.
    ///
    /// # Errors
    ///
    /// If the relay cannot be reached or is another one.
    pub async fn connect(
        endpoint: &Endpoint,
        relay: &Address,
        frame_size: usize,
        transport: TransportConfig,
    ) -> Result<Viewer, Error> {
        let connection = connect(endpoint, relay, Role::Viewer, transport).await?;
        Ok(Viewer {
            connection,
            frame_size,
        })
    }

    /// Returns the connection.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Waits for the next frame.
    ///
    /// # Errors
    ///
    /// If the relay is gone, or sends a larger frame.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the frame that was begun is lost.
    pub async fn receive(&mut self) -> Result<Received, Error> {
        let mut stream = match self.connection.accept_uni().await {
            Ok(stream) => stream,
            Err(lost) if is_end(&lost) => return Ok(Received::End),
            Err(lost) => return Err(lost.into()),
        };
        match stream.read_to_end(self.frame_size).await {
            Ok(frame) => Ok(Received::Frame(frame)),
            Err(ReadToEndError::Read(ReadError::Reset(_))) => Ok(Received::Late),
            // The end can overtake the reset of the last frames.
            Err(ReadToEndError::Read(ReadError::ConnectionLost(lost))) if is_end(&lost) => {
                Ok(Received::Late)
            }
            Err(error) => Err(error.into()),
        }
    }
}
