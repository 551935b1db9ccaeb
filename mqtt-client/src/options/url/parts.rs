//! A URL taken apart.
use std::borrow::Cow;

use super::UrlError;
use crate::options::{Address, AddressError, Endpoint};

/// The address, what stands before the `@`, and the query.
pub(super) type Parts<'a> = (Address, Option<&'a str>, &'a str);

/// Takes a URL apart without looking into user, password and parameters.
pub(super) fn split(url: &str) -> Result<Parts<'_>, UrlError> {
    let (scheme, rest) = url.split_once(':').ok_or(UrlError::NoScheme)?;
    match (
        scheme.to_ascii_lowercase().as_str(),
        rest.strip_prefix("//"),
    ) {
        ("unix", _) => split_unix(rest),
        ("mqtt", Some(rest)) => split_network(rest, Address::DEFAULT_TCP_PORT, |endpoint| {
            Ok(Address::Tcp(endpoint))
        }),
        ("mqtts", Some(rest)) => split_network(rest, Address::DEFAULT_TLS_PORT, tls_address),
        (_, Some(_)) if is_scheme(scheme) => Err(UrlError::UnknownScheme {
            scheme: scheme.to_owned(),
        }),
        // `user:secret@host` and `host:1883` come here too: what stands before the colon is not
        // repeated.
        _ => Err(UrlError::NoScheme),
    }
}

fn split_network(
    rest: &str,
    default_port: u16,
    address: impl FnOnce(Endpoint) -> Result<Address, UrlError>,
) -> Result<Parts<'_>, UrlError> {
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(authority_end);
    let query = split_tail(tail, "/")?;
    let (user_info, host_port) = match authority.rsplit_once('@') {
        Some((user_info, host_port)) => {
            (Some(user_info).filter(|info| !info.is_empty()), host_port)
        }
        None => (None, authority),
    };
    let (host, port) = split_host(host_port)?;
    let port = match port {
        None => default_port,
        // `u16::from_str` alone would take `+1`.
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| AddressError::PortOutOfRange)?
        }
        Some(_) => return Err(AddressError::PortOutOfRange.into()),
    };
    Ok((address(Endpoint::new(host, port)?)?, user_info, query))
}

/// The query of what follows the authority, which may hold nothing else but `path`.
fn split_tail<'a>(tail: &'a str, path: &str) -> Result<&'a str, UrlError> {
    if tail.contains('@') {
        return Err(UrlError::UnescapedAt);
    }
    if tail.contains('#') {
        return Err(UrlError::Fragment);
    }
    let (before, query) = tail.split_once('?').unwrap_or((tail, ""));
    if !before.is_empty() && before != path {
        return Err(UrlError::Path);
    }
    Ok(query)
}

/// Host (IPv6 still in brackets) and the text of the port.
fn split_host(host_port: &str) -> Result<(&str, Option<&str>), AddressError> {
    let host_end = if host_port.starts_with('[') {
        host_port.find(']').ok_or(AddressError::InvalidHost)? + 1
    } else if host_port.matches(':').count() > 1 {
        // An IPv6 address without brackets: where its port begins is anybody's guess.
        return Err(AddressError::InvalidHost);
    } else {
        host_port.find(':').unwrap_or(host_port.len())
    };
    let (host, port) = host_port.split_at(host_end);
    match port.strip_prefix(':') {
        Some(digits) => Ok((host, Some(digits))),
        None if port.is_empty() => Ok((host, None)),
        None => Err(AddressError::InvalidHost),
    }
}

#[cfg(feature = "tls")]
fn tls_address(endpoint: Endpoint) -> Result<Address, UrlError> {
    Ok(Address::Tls(endpoint))
}

#[cfg(not(feature = "tls"))]
fn tls_address(_: Endpoint) -> Result<Address, UrlError> {
    Err(UrlError::TlsNotBuilt)
}

#[cfg(unix)]
fn split_unix(rest: &str) -> Result<Parts<'_>, UrlError> {
    let path_end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (path, tail) = rest.split_at(path_end);
    let query = split_tail(tail, "")?;
    let path = match path.strip_prefix("//") {
        Some(absolute) if absolute.starts_with('/') => absolute,
        Some("") => "",
        Some(_) => return Err(UrlError::UnixHost),
        None => path,
    };
    let address = Address::unix(&*percent_decode(path)?)?;
    Ok((address, None, query))
}

#[cfg(not(unix))]
fn split_unix(_: &str) -> Result<Parts<'_>, UrlError> {
    Err(UrlError::UnixNotSupported)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// The text with its percent-escapes replaced.
pub(super) fn percent_decode(text: &str) -> Result<Cow<'_, str>, UrlError> {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default();
    if first.len() == text.len() {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    bytes.extend_from_slice(first.as_bytes());
    for part in parts {
        let (digits, rest) = part
            .as_bytes()
            .split_at_checked(2)
            .ok_or(UrlError::PercentEscape)?;
        bytes.push(hex_digit(digits[0])? << 4 | hex_digit(digits[1])?);
        bytes.extend_from_slice(rest);
    }
    String::from_utf8(bytes)
        .map(Cow::Owned)
        .map_err(|_| UrlError::PercentEscape)
}

fn hex_digit(digit: u8) -> Result<u8, UrlError> {
    match (digit as char).to_digit(16) {
        Some(value) => Ok(value as u8),
        None => Err(UrlError::PercentEscape),
    }
}
