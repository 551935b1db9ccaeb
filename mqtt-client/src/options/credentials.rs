//! User name and password, fixed or asked for at each attempt.
use std::{fmt, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use mqtt_codec::wire::{Login, Password, StringError, Utf8Str};

use crate::panic::catch_async;

/// An error of any type, as the caller's own closures return it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What the client shows the broker to be let in. `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: Option<Bytes>,
}

impl Credentials {
    /// A user name alone: at most 65,535 bytes, without U+0000.
    pub fn user(name: impl Into<String>) -> Self {
        Self {
            user: name.into(),
            password: None,
        }
    }

    /// Adds a password: any bytes, at most 65,535.
    #[must_use]
    pub fn password(mut self, password: impl Into<Bytes>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// The user name.
    pub fn user_name(&self) -> &str {
        &self.user
    }

    /// The codec's view of them.
    pub(crate) fn login(&self) -> Result<Login<'_>, CredentialsError> {
        let password = match &self.password {
            None => None,
            Some(bytes) => Some(Password::new(bytes).ok_or(CredentialsError::PasswordTooLong)?),
        };
        Ok(Login {
            user_name: Utf8Str::new(&self.user).map_err(CredentialsError::UserName)?,
            password,
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| Hidden))
            .finish()
    }
}

/// Credentials that cannot be written into a CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The user name has over 65,535 bytes or contains U+0000.
    #[error("wrong user name: {0}")]
    UserName(StringError),
    /// The password has over 65,535 bytes.
    #[error("the password is longer than 65,535 bytes")]
    PasswordTooLong,
}

type Answer = Pin<Box<dyn Future<Output = Result<Credentials, BoxError>> + Send>>;

/// Where the credentials of an attempt come from.
#[derive(Clone, Default)]
pub(crate) enum CredentialsSource {
    #[default]
    None,
    Fixed(Credentials),
    Provider(Arc<dyn Fn() -> Answer + Send + Sync>),
}

impl CredentialsSource {
    pub(super) fn provider<F, A, E>(provider: F) -> Self
    where
        F: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = Result<Credentials, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self::Provider(Arc::new(move || {
            let answer = provider();
            Box::pin(async move { answer.await.map_err(Into::into) })
        }))
    }

    pub(super) fn validate(&self) -> Result<(), CredentialsError> {
        match self {
            Self::Fixed(credentials) => credentials.login().map(drop),
            Self::None | Self::Provider(_) => Ok(()),
        }
    }

    /// The credentials for one attempt. A provider's are checked here, fixed ones were by the
    /// options.
    pub(crate) async fn obtain(&self) -> Result<Option<Credentials>, BoxError> {
        match self {
            Self::None => Ok(None),
            Self::Fixed(credentials) => Ok(Some(credentials.clone())),
            Self::Provider(provider) => {
                // calling it is its code as well
                let answer = catch_async(Box::pin(async { provider().await }));
                let credentials = answer.await??;
                credentials.login()?;
                Ok(Some(credentials))
            }
        }
    }

    /// Whether another attempt may show other credentials.
    pub(crate) fn may_change(&self) -> bool {
        matches!(self, Self::Provider(_))
    }
}

impl fmt::Debug for CredentialsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Fixed(credentials) => credentials.fmt(f),
            Self::Provider(_) => f.write_str("Provider"),
        }
    }
}

struct Hidden;

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_password() {
        let credentials = Credentials::user("gw").password("s3cret");
        let shown = format!(
            "{credentials:?} {:?}",
            CredentialsSource::Fixed(credentials.clone())
        );
        assert!(!shown.contains("s3cret") && shown.contains("gw"), "{shown}");
        // The bytes as numbers would be the password too.
        assert!(!shown.contains("115"), "{shown}");
    }

    #[test]
    fn refuses_what_connect_cannot_carry() {
        let long = "x".repeat(65_536);
        let check = |credentials: Credentials| credentials.login().map(drop);
        assert_eq!(
            check(Credentials::user(&*long)),
            Err(CredentialsError::UserName(StringError::TooLong))
        );
        assert_eq!(
            check(Credentials::user("a\0")),
            Err(CredentialsError::UserName(StringError::Nul))
        );
        assert_eq!(
            check(Credentials::user("").password(long.clone())),
            Err(CredentialsError::PasswordTooLong)
        );
        assert_eq!(
            check(Credentials::user(&long[1..]).password(long[1..].to_owned())),
            Ok(())
        );
    }

    #[tokio::test]
    async fn provider_is_asked_at_each_attempt() {
        let asked = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let source = CredentialsSource::provider(move || {
            let attempt = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async move { Ok::<_, BoxError>(Credentials::user(format!("user{attempt}"))) }
        });
        for expected in ["user0", "user1"] {
            let credentials = source.obtain().await.unwrap().unwrap();
            assert_eq!(credentials.user_name(), expected);
        }
    }

    #[tokio::test]
    async fn a_providers_credentials_are_checked() {
        let source =
            CredentialsSource::provider(|| async { Ok::<_, BoxError>(Credentials::user("\0")) });
        let error = source.obtain().await.unwrap_err();
        assert_eq!(
            error.downcast_ref(),
            Some(&CredentialsError::UserName(StringError::Nul))
        );
    }
}
