//! Opening a connection: the server's greeting, encryption, and who we are.

use std::collections::HashMap;
use std::time::Duration;

use mysql_async::consts::CapabilityFlags;
use mysql_async::{DriverError, Error};
use mysql_common::io::ParseBuf;
use mysql_common::packets::{AuthPlugin, AuthSwitchRequest, HandshakePacket, HandshakeResponse, SslRequest};
use mysql_common::proto::MySerialize;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use super::conn::Conn;
use super::packets::{LONGEST, Packets, Socket, refusal, unreadable};
use super::tls::encrypt;
use crate::Tls;

/// `utf8mb4_general_ci`.
const COLLATION: u8 = 45;

/// What the server is asked for; compression, files of ours, and several results of one statement are not.
const CAPABILITIES: CapabilityFlags = CapabilityFlags::CLIENT_PROTOCOL_41
    .union(CapabilityFlags::CLIENT_LONG_PASSWORD)
    .union(CapabilityFlags::CLIENT_LONG_FLAG)
    .union(CapabilityFlags::CLIENT_TRANSACTIONS)
    .union(CapabilityFlags::CLIENT_SECURE_CONNECTION)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA)
    .union(CapabilityFlags::CLIENT_CONNECT_ATTRS)
    .union(CapabilityFlags::CLIENT_DEPRECATE_EOF);

/// Without these there is no login.
const NEEDED: CapabilityFlags = CapabilityFlags::CLIENT_PROTOCOL_41
    .union(CapabilityFlags::CLIENT_SECURE_CONNECTION)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH);

/// How often a server may ask for another proof of who we are: an account may have several.
const MOST_PROOFS: usize = 4;

/// Where to connect, and as whom.
pub(crate) struct Login<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) user: &'a str,
    /// Empty: there is none.
    pub(crate) password: &'a str,
    pub(crate) tls: Option<&'a Tls>,
    /// Time without traffic after which the system asks whether the server is still there.
    pub(crate) keepalive: Duration,
}

/// Opens a connection.
pub(crate) async fn log_in(login: &Login<'_>) -> Result<Conn, Error> {
    let socket = TcpStream::connect((login.host, login.port)).await?;
    socket.set_nodelay(true)?;
    SockRef::from(&socket).set_tcp_keepalive(&TcpKeepalive::new().with_time(login.keepalive))?;
    let mut packets = Packets::new(socket);
    let greeting = Greeting::read(packets.next().await?)?;
    let Some(tls) = login.tls else { return introduce(packets, greeting, login).await };
    if !greeting.capabilities.contains(CapabilityFlags::CLIENT_SSL) {
        return Err(DriverError::NoClientSslFlagFromServer.into());
    }
    let asked = SslRequest::new(greeting.agreed(login), LONGEST as u32, COLLATION);
    packets.send(&serialized(&asked)).await?;
    let (socket, number) = packets.into_socket()?;
    let socket = encrypt(socket, tls, login.host).await?;
    introduce(Packets::after(socket, number), greeting, login).await
}

/// What a server says of itself.
struct Greeting {
    id: u32,
    capabilities: CapabilityFlags,
    version: (u16, u16, u16),
    nonce: Vec<u8>,
}

impl Greeting {
    fn read(message: &[u8]) -> Result<Self, Error> {
        if let Some(refusal) = refusal(message) {
            return Err(refusal);
        }
        let packet: HandshakePacket<'_> = ParseBuf(message).parse(())?;
        if !packet.capabilities().contains(NEEDED) {
            return Err(unreadable("the greeting of a server that is too old"));
        }
        let version = packet.maria_db_server_version_parsed().or_else(|| packet.server_version_parsed());
        Ok(Self {
            id: packet.connection_id(),
            capabilities: packet.capabilities(),
            version: version.unwrap_or_default(),
            nonce: packet.nonce(),
        })
    }

    fn agreed(&self, login: &Login<'_>) -> CapabilityFlags {
        let encrypted =
            if login.tls.is_some() { CapabilityFlags::CLIENT_SSL } else { CapabilityFlags::empty() };
        self.capabilities & (CAPABILITIES | encrypted)
    }
}

/// Says who we are, as the server asks for it.
async fn introduce<S: Socket + 'static>(
    mut packets: Packets<S>,
    greeting: Greeting,
    login: &Login<'_>,
) -> Result<Conn, Error> {
    let plugin = AuthPlugin::MysqlNativePassword;
    let agreed = greeting.agreed(login);
    let attributes = HashMap::from([
        ("program_name".to_owned(), "crossweave".to_owned()),
        ("_pid".to_owned(), std::process::id().to_string()),
    ]);
    let proof = plugin.gen_data(Some(login.password), &greeting.nonce);
    let answer = HandshakeResponse::new(
        proof.as_deref(),
        greeting.version,
        Some(login.user.as_bytes()),
        None::<&[u8]>,
        Some(plugin),
        agreed,
        Some(attributes).filter(|_| agreed.contains(CapabilityFlags::CLIENT_CONNECT_ATTRS)),
        LONGEST as u32,
    );
    packets.send(&serialized(&answer)).await?;
    let mut proofs = 0;
    loop {
        let message = packets.next().await?;
        match message.first() {
            Some(0x00) => break,
            Some(0xfe) if proofs < MOST_PROOFS => {
                proofs += 1;
                let proof = proof_by(message, login.password)?;
                packets.send(&proof).await?;
            }
            _ => {
                return Err(
                    refusal(message).unwrap_or_else(|| unreadable("an answer to the login that is none"))
                );
            }
        }
    }
    packets.trust();
    let marks_ends = !agreed.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF);
    Ok(Conn::new(Box::new(packets), greeting.id, marks_ends))
}

/// What the server asks for in place of what it was sent.
fn proof_by(message: &[u8], password: &str) -> Result<Vec<u8>, Error> {
    if message.len() == 1 {
        return Err(DriverError::MysqlOldPasswordDisabled.into());
    }
    let request: AuthSwitchRequest<'_> = ParseBuf(message).parse(())?;
    let plugin = request.auth_plugin();
    let proof = match &plugin {
        AuthPlugin::MysqlNativePassword | AuthPlugin::Ed25519 => {
            plugin.gen_data(Some(password), request.plugin_data())
        }
        // It asks for the password as it is.
        AuthPlugin::MysqlClearPassword => return Err(DriverError::CleartextPluginDisabled.into()),
        AuthPlugin::MysqlOldPassword => return Err(DriverError::MysqlOldPasswordDisabled.into()),
        other => {
            let name = String::from_utf8_lossy(other.as_bytes()).trim_end_matches('\0').to_owned();
            return Err(DriverError::UnknownAuthPlugin { name }.into());
        }
    };
    Ok(proof.as_deref().map(<[u8]>::to_vec).unwrap_or_default())
}

fn serialized(message: &impl MySerialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.serialize(&mut bytes);
    bytes
}
