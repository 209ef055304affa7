//! Logging in: open on loopback, else by the token, with SCRAM so that it never crosses the network.

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::sync::Arc;

use async_trait::async_trait;
use futures::Sink;
use pgwire::api::auth::sasl::SASLAuthStartupHandler;
use pgwire::api::auth::sasl::scram::{ScramAuth, gen_salted_password};
use pgwire::api::auth::{
    AuthSource, DefaultServerParameterProvider, LoginInfo, Password, ServerParameterProvider, StartupHandler,
    finish_authentication, protocol_negotiation, save_startup_parameters_to_metadata,
};
use pgwire::api::{ClientInfo, PidSecretKeyGenerator};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};

use super::cancel::Registration;

const SCRAM_ITERATIONS: usize = 4096;

/// How a connection logs in.
pub(super) enum Startup {
    /// No token is configured, which the config allows on loopback alone.
    Open(Arc<Registration>),
    /// The token is the password of every user name.
    Token(Box<SASLAuthStartupHandler<Parameters>>),
}

impl Startup {
    pub(super) fn new(token: Option<Arc<str>>, registration: Registration) -> Self {
        let registration = Arc::new(registration);
        match token {
            None => Self::Open(registration),
            Some(token) => {
                let mut scram = ScramAuth::new(Arc::new(Token(token)));
                scram.set_iterations(SCRAM_ITERATIONS);
                let handler = SASLAuthStartupHandler::new(Arc::new(Parameters))
                    .with_scram(scram)
                    .with_pid_secret_key_generator(registration);
                Self::Token(Box::new(handler))
            }
        }
    }
}

#[async_trait]
impl StartupHandler for Startup {
    async fn on_startup<C>(&self, client: &mut C, message: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        match self {
            Self::Token(handler) => handler.on_startup(client, message).await,
            Self::Open(registration) => {
                let PgWireFrontendMessage::Startup(startup) = &message else { return Ok(()) };
                protocol_negotiation(client, startup).await?;
                save_startup_parameters_to_metadata(client, startup);
                let (pid, key) = registration.generate(client);
                client.set_pid_and_secret_key(pid, key);
                finish_authentication(client, &Parameters).await
            }
        }
    }
}

/// What a client is told of the server at log-in.
pub(super) struct Parameters;

impl ServerParameterProvider for Parameters {
    fn server_parameters<C: ClientInfo>(&self, client: &C) -> Option<HashMap<String, String>> {
        let mut parameters = DefaultServerParameterProvider::default();
        // Clients choose their catalog queries by the major version.
        parameters.server_version = format!("16.0 (Crossweave {})", env!("CARGO_PKG_VERSION"));
        parameters.is_superuser = false;
        parameters.default_transaction_read_only = true;
        parameters.time_zone = "UTC".to_owned();
        parameters.server_parameters(client)
    }
}

struct Token(Arc<str>);

impl Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[async_trait]
impl AuthSource for Token {
    async fn get_password(&self, _login: &LoginInfo) -> PgWireResult<Password> {
        let salt: [u8; 16] = rand::random();
        let hash = gen_salted_password(&self.0, &salt, SCRAM_ITERATIONS);
        Ok(Password::new(Some(salt.to_vec()), hash))
    }
}
