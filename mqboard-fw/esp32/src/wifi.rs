//! Joins the Wi-Fi network, and again whenever it is lost.

use embassy_time::{Duration, Timer};
use esp_hal::peripherals::WIFI;
use esp_radio::wifi::{
    AuthenticationMethodConfig, Config, ControllerConfig, Interface, WifiController, WifiError,
    sta::StationConfig,
};

use crate::settings;

/// Between two attempts. An access point that has just started answers within this.
const PAUSE: Duration = Duration::from_secs(5);

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
pub(crate) async fn keep_joined(mut controller: WifiController<'static>) -> ! {
    loop {
        match controller.connect_async().await {
            Ok(joined) => {
                log::info!(
                    "joined {} on channel {}",
                    settings::WIFI_SSID,
                    joined.channel
                );
                match controller.wait_for_disconnect_async().await {
                    Ok(lost) => log::warn!("lost {}: {:?}", settings::WIFI_SSID, lost.reason),
                    // It was lost before the wait began.
                    Err(error) => log::warn!("lost {}: {error:?}", settings::WIFI_SSID),
                }
            }
            Err(error) => log::warn!("cannot join {}: {error:?}", settings::WIFI_SSID),
        }
        Timer::after(PAUSE).await;
    }
}
