//! The radio, which joins the Wi-Fi network of the settings.

use core::fmt;

use embassy_net::{ConfigV4, Stack};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::{Duration, Timer, with_timeout};
use esp_hal::{peripherals::WIFI, system::software_reset};
use esp_radio::wifi::{
    AuthenticationMethodConfig, Config, ConnectionError, ControllerConfig, Interface,
    WifiController, WifiError, sta::StationConfig,
};
use mqboard_core::{NotJoined, Radio, Reach};
use mqtt_client_embassy::Client;

use crate::settings;

/// From one look at whether the network is still there to the next, if the driver tells nothing.
const LOOK_PERIOD: Duration = Duration::from_secs(30);

/// For the log to get out before a reset.
const READING_TIME: Duration = Duration::from_secs(1);

/// Starts the radio with the network of the settings.
///
/// # Errors
/// Name or password are too long, or the radio does not start.
pub(crate) fn start(
    radio: WIFI<'static>,
) -> Result<(WifiController<'static>, Interface), WifiError> {
    let authentication = match settings::WIFI_PASSWORD {
        "" => AuthenticationMethodConfig::Open,
        password => AuthenticationMethodConfig::Wpa2Personal(password.try_into()?),
    };
    let station = StationConfig::default()
        .with_ssid(settings::WIFI_SSID.try_into()?)
        .with_authentication(authentication);
    let config = ControllerConfig::default().with_initial_config(Config::Station(station));
    Ok((WifiController::new(radio, config)?, Interface::station()))
}

/// Keeps the board in its network.
#[embassy_executor::task]
pub(crate) async fn keep_joined(
    controller: WifiController<'static>,
    stack: Stack<'static>,
    client: Client<'static, NoopRawMutex>,
) {
    let mut station = Station { controller, stack };
    let reach = || Reach::new(client.state(), stack.config_v4());
    let given_up = mqboard_core::keep_joined(&mut station, settings::WIFI_SSID, reach).await;
    log::error!("{given_up}; a new start");
    Timer::after(READING_TIME).await;
    software_reset()
}

struct Station {
    controller: WifiController<'static>,
    stack: Stack<'static>,
}

impl Radio for Station {
    type Reason = Reason;

    async fn join(&mut self) -> Result<u8, NotJoined<Reason>> {
        // An address is to show that somebody has answered since. The stack forgets it by itself only if it has seen the
        // link down, of which the driver may not have told.
        self.stack.set_config_v4(ConfigV4::Dhcp(Default::default()));
        match self.controller.connect_async().await {
            Ok(joined) => Ok(joined.channel),
            Err(error) => Err(not_joined(error)),
        }
    }

    async fn lost(&mut self) -> Reason {
        loop {
            // The driver first looks, then waits for an event: one that comes in between is lost.
            match with_timeout(LOOK_PERIOD, self.controller.wait_for_disconnect_async()).await {
                Ok(Ok(lost)) => return Reason(ConnectionError::Failed(lost)),
                Ok(Err(error)) => return Reason(error.into()),
                Err(_) => {}
            }
        }
    }

    async fn leave(&mut self) {
        // An error says that there was nothing to leave.
        let _ = self.controller.disconnect_async().await;
    }
}

/// What comes as an event was asked of the network. Any other error comes before that, and may never end: out of memory,
/// not started.
fn not_joined(error: ConnectionError) -> NotJoined<Reason> {
    match error {
        ConnectionError::Failed(_) => NotJoined::Refused(Reason(error)),
        _ => NotJoined::NotTried(Reason(error)),
    }
}

/// What the access point or the driver gives as the reason, by the name that esp-radio has for it.
struct Reason(ConnectionError);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            ConnectionError::Failed(told) => write!(f, "{:?}", told.reason),
            error => write!(f, "{error:?}"),
        }
    }
}
