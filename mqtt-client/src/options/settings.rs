//! The options once they are checked: what the driver works with.
#[cfg(feature = "tls")]
use std::io;
use std::{iter, num::NonZeroU16, sync::Arc};

use mqtt_codec::wire::{ClientId, QoS};

use super::{
    Address, ConnectOptions, CredentialsSource, Filter, OptionsError, SessionStart, Tuning, Will,
};
#[cfg(feature = "tls")]
use super::{TlsOptions, tls::TlsChoice};
use crate::transport::SharedConnector;
#[cfg(feature = "tls")]
use crate::transport::{TlsError, TlsSettings};

/// Checked options. A client id that stands here can be written into a CONNECT, every number is
/// within its limits.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// At least one.
    pub(crate) addresses: Vec<Address>,
    pub(crate) connector: Option<SharedConnector>,
    /// `None` when no address needs TLS.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsSettings>,
    pub(crate) session: Session,
    /// `None`: off.
    pub(crate) keep_alive: Option<NonZeroU16>,
    pub(crate) will: Option<Will>,
    pub(crate) credentials: CredentialsSource,
    /// No filter twice, no QoS 2.
    pub(crate) subscriptions: Vec<(Filter, QoS)>,
    pub(crate) tuning: Tuning,
}

/// Whose session, and how it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// Never empty.
    client_id: Arc<str>,
    pub(crate) start: SessionStart,
}

impl ConnectOptions {
    /// Checks the options. A transient session without a client id gets a random one here, which
    /// its client keeps.
    pub(crate) fn settings(&self) -> Result<Settings, OptionsError> {
        self.credentials.validate()?;
        self.tuning.validate()?;
        validate_subscriptions(&self.subscriptions)?;
        Ok(Settings {
            addresses: self.addresses.clone(),
            connector: self.connector.clone(),
            #[cfg(feature = "tls")]
            tls: self.tls_settings()?,
            session: self.session()?,
            keep_alive: self.keep_alive_seconds()?,
            will: self.will.clone(),
            credentials: self.credentials.clone(),
            subscriptions: self.subscriptions.clone(),
            tuning: self.tuning.clone(),
        })
    }

    fn session(&self) -> Result<Session, OptionsError> {
        match self.client_id.as_deref().filter(|id| !id.is_empty()) {
            Some(id) => {
                ClientId::new(id).map_err(OptionsError::ClientId)?;
                Ok(Session {
                    client_id: id.into(),
                    start: self.start.unwrap_or(SessionStart::Resume),
                })
            }
            None => match self.start.unwrap_or(SessionStart::Transient) {
                SessionStart::Transient => Ok(Session {
                    client_id: random_client_id(),
                    start: SessionStart::Transient,
                }),
                start => Err(OptionsError::ClientIdRequired { start }),
            },
        }
    }

    #[cfg(feature = "tls")]
    fn tls_settings(&self) -> Result<Option<TlsSettings>, OptionsError> {
        let needed = |address: &Address| matches!(address, Address::Tls(_));
        if !self.addresses.iter().any(needed) {
            let named = self.tls_server_name.as_ref().map(|_| "tls_server_name");
            return match self.tls.as_ref().map(TlsChoice::option).or(named) {
                Some(option) => Err(OptionsError::TlsWithoutAddress { option }),
                None => Ok(None),
            };
        }
        let config = match &self.tls {
            None => TlsChoice::Options(TlsOptions::new()).client_config()?,
            Some(choice) => choice.client_config()?,
        };
        let settings = TlsSettings::new(config, self.tls_server_name.as_deref())?;
        for address in self.addresses.iter().filter(|address| needed(address)) {
            settings.server_name(address)?;
        }
        Ok(Some(settings))
    }
}

impl Settings {
    /// The address to try at an attempt, counted from 0: one after the other, then again from the
    /// first.
    pub(crate) fn address(&self, attempt: usize) -> &Address {
        &self.addresses[attempt % self.addresses.len()]
    }

    /// What an I/O error means if TLS is its cause; the error itself if not.
    #[cfg(feature = "tls")]
    pub(crate) fn explain_tls(
        &self,
        address: &Address,
        error: io::Error,
    ) -> Result<TlsError, io::Error> {
        match &self.tls {
            Some(tls) => tls.explain(address, error),
            None => Err(error),
        }
    }
}

impl Session {
    pub(crate) fn client_id(&self) -> ClientId<'_> {
        ClientId::new(&self.client_id)
            .expect("checked when the session was made, and never changed")
    }
}

fn validate_subscriptions(subscriptions: &[(Filter, QoS)]) -> Result<(), OptionsError> {
    for (index, (filter, qos)) in subscriptions.iter().enumerate() {
        if *qos == QoS::ExactlyOnce {
            return Err(OptionsError::QoS2Subscription {
                filter: filter.clone(),
            });
        }
        if subscriptions[..index]
            .iter()
            .any(|(earlier, _)| earlier == filter)
        {
            return Err(OptionsError::DuplicateSubscription {
                filter: filter.clone(),
            });
        }
    }
    Ok(())
}

/// 23 letters and digits, which every broker must accept [MQTT-3.1.3-5].
fn random_client_id() -> Arc<str> {
    iter::repeat_with(fastrand::alphanumeric)
        .take(23)
        .collect::<String>()
        .into()
}
