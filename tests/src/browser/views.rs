//! How a page is looked at: on a desk or a phone, by day or by night; and pictures
//! of it.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Page, screenshots};
use crate::text;

impl Page {
    /// A window of a usual size.
    pub async fn desktop(&self) {
        self.size(1200, 800, false).await;
    }

    /// The width that most phones have.
    pub async fn phone(&self) {
        self.size(390, 844, true).await;
    }

    async fn size(&self, width: u32, height: u32, mobile: bool) {
        let form = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile});
        self.must("Emulation.setDeviceMetricsOverride", form).await;
    }

    /// `light` or `dark`, as the system's setting is.
    pub async fn scheme(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.must("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    /// Scripts do not run from the next page on.
    pub async fn without_scripts(&self) {
        self.must("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    }

    /// Every page is fetched with all that belongs to it, as at a first look.
    pub async fn without_cache(&self) {
        self.must("Network.enable", json!({})).await;
        self.must("Network.setCacheDisabled", json!({"cacheDisabled": true})).await;
    }

    /// A picture in `target/screenshots`, kept as a run's artifact.
    pub async fn screenshot(&self, name: &str) {
        self.picture(name).await;
    }

    /// The same, and a small one for the README, where `HOOKYARD_SCREENSHOTS` says.
    pub async fn screenshot_for_readme(&self, name: &str) {
        self.picture(name).await;
        let Some(directory) = std::env::var_os("HOOKYARD_SCREENSHOTS") else { return };
        let form = json!({"format": "webp", "quality": 80});
        let shot = self.must("Page.captureScreenshot", form).await;
        let bytes = STANDARD.decode(text(&shot["data"])).expect("base64");
        fs::create_dir_all(&directory).expect("the directory for screenshots can be made");
        let path = std::path::Path::new(&directory).join(format!("{name}.webp"));
        fs::write(path, bytes).expect("the directory for screenshots can be written");
    }

    pub(super) async fn picture(&self, name: &str) -> String {
        let path = screenshots().join(format!("{name}.png"));
        match self.ask("Page.captureScreenshot", json!({"format": "png"})).await {
            Ok(shot) => {
                let bytes = STANDARD.decode(text(&shot["data"])).expect("base64");
                fs::write(&path, bytes).expect("the target directory can be written");
                path.display().to_string()
            }
            Err(why) => format!("no picture: {why}"),
        }
    }
}
