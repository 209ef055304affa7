//! Logging in: open on loopback, else by the token, with SCRAM so that it never crosses the network.
//!
//! What comes with the log-in is looked at once the client is known: the database that it names, and parameters
//! for its session. Only then is there a session to ask.

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::sync::Arc;

use async_trait::async_trait;
use futures::{Sink, SinkExt};
use pgwire::api::auth::sasl::scram::{ScramAuth, gen_salted_password};
use pgwire::api::auth::sasl::{SASLState, SCRAM_SHA_256_METHOD};
use pgwire::api::auth::{
    AuthSource, LoginInfo, Password, ServerParameterProvider, StartupHandler, finish_authentication,
    protocol_negotiation, save_startup_parameters_to_metadata,
};
use pgwire::api::{ClientInfo, PgWireConnectionState, PidSecretKeyGenerator};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::startup::{Authentication, PasswordMessageFamily};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use tokio::sync::Mutex;

use super::cancel::Registration;
use super::conversation::{Conversation, Sealed};

const SCRAM_ITERATIONS: usize = 4096;

/// The parameters whose values a client is told when it logs in.
const REPORTED: &[&str] = &[
    "application_name",
    "client_encoding",
    "DateStyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "IntervalStyle",
    "is_superuser",
    "scram_iterations",
    "search_path",
    "server_encoding",
    "server_version",
    "session_authorization",
    "standard_conforming_strings",
    "TimeZone",
];

/// How one connection logs in.
pub(super) struct Startup {
    /// `None`: no token is configured, which the config allows on loopback alone. Else the token is the password
    /// of every user name.
    token: Option<Scram>,
    registration: Registration,
    conversation: Sealed<Conversation>,
}

struct Scram {
    auth: ScramAuth,
    state: Mutex<SASLState>,
}

impl Startup {
    pub(super) fn new(
        token: Option<Arc<str>>,
        registration: Registration,
        conversation: Sealed<Conversation>,
    ) -> Self {
        let token = token.map(|token| {
            let mut auth = ScramAuth::new(Arc::new(Token(token)));
            auth.set_iterations(SCRAM_ITERATIONS);
            Scram { auth, state: Mutex::new(SASLState::Initial) }
        });
        Self { token, registration, conversation }
    }

    /// Gives the client, which has shown that it may ask, a session as it wishes it.
    async fn admit<C>(&self, client: &mut C) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let reported = Reported(self.conversation.admit(client.metadata(), REPORTED).await?);
        let (pid, key) = self.registration.generate(client);
        client.set_pid_and_secret_key(pid, key);
        finish_authentication(client, &reported).await
    }
}

impl Scram {
    /// Whether the client has shown that it knows the token.
    async fn advance<C>(&self, client: &mut C, message: PasswordMessageFamily) -> PgWireResult<bool>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let mut state = self.state.lock().await;
        let message = match *state {
            SASLState::Initial => {
                let first = message.into_sasl_initial_response()?;
                if first.auth_method != SCRAM_SHA_256_METHOD {
                    return Err(PgWireError::UnsupportedSASLAuthMethod(first.auth_method));
                }
                *state = SASLState::ScramClientFirstReceived;
                PasswordMessageFamily::SASLInitialResponse(first)
            }
            _ => PasswordMessageFamily::SASLResponse(message.into_sasl_response()?),
        };
        let (answer, next) = self.auth.process_scram_message(client, message, &state).await?;
        client.send(PgWireBackendMessage::Authentication(answer)).await?;
        *state = next;
        Ok(matches!(*state, SASLState::Finished))
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
        match (message, &self.token) {
            (PgWireFrontendMessage::Startup(startup), token) => {
                protocol_negotiation(client, &startup).await?;
                save_startup_parameters_to_metadata(client, &startup);
                if token.is_none() {
                    return self.admit(client).await;
                }
                client.set_state(PgWireConnectionState::AuthenticationInProgress);
                let methods = Authentication::SASL(vec![SCRAM_SHA_256_METHOD.to_owned()]);
                client.send(PgWireBackendMessage::Authentication(methods)).await?;
            }
            (PgWireFrontendMessage::PasswordMessageFamily(message), Some(scram)) => {
                let knows_the_token = scram.advance(client, message).await?;
                if knows_the_token {
                    return self.admit(client).await;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// What a client is told of its session at log-in: what SHOW shows.
struct Reported(HashMap<String, String>);

impl ServerParameterProvider for Reported {
    fn server_parameters<C: ClientInfo>(&self, _client: &C) -> Option<HashMap<String, String>> {
        Some(self.0.clone())
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
