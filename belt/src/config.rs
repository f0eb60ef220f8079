//! What a belt looks like and how it is filmed.

use thiserror::Error;

/// The shortest side a frame may have, in pixels.
pub const MIN_SIDE: u32 = 120;
/// The longest side a frame may have, in pixels.
pub const MAX_SIDE: u32 = 4096;

/// Everything a picture depends on, besides the frame's index.
#[derive(Debug, Clone, PartialEq)]
pub struct BeltConfig {
    /// Names the belt: its texture, its light and everything that will ever lie on it.
    pub seed: u64,
    /// Frame width in pixels, 120 to 4096.
    pub width: u32,
    /// Frame height in pixels, 120 to 4096.
    pub height: u32,
    /// Frames per second, above 0 and at most 1000.
    pub fps: f32,
    /// Belt speed in short frame sides per second, 0 to 10.
    pub speed: f32,
    /// Share of the places on the belt that carry a part, 0 to 1.
    pub density: f32,
    /// Share of the parts that have a defect, 0 to 1.
    pub defect_rate: f32,
    /// Exposure time in seconds, 0 to 0.1: what moves during it is blurred.
    pub exposure_s: f32,
    /// Standard deviation of the sensor noise in grey levels, 0 to 20.
    pub sensor_noise: f32,
}

impl Default for BeltConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            width: 640,
            height: 480,
            fps: 30.0,
            speed: 0.25,
            density: 0.5,
            defect_rate: 0.3,
            exposure_s: 0.02,
            sensor_noise: 2.0,
        }
    }
}

/// Why a belt cannot be built.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum BeltError {
    #[error(
        "a frame of {width}x{height} pixels is not possible: both sides must be \
         {MIN_SIDE} to {MAX_SIDE} pixels, for example 640x480"
    )]
    Size { width: u32, height: u32 },
    #[error("{name} is {value}, but must be {allowed}")]
    OutOfRange {
        name: &'static str,
        value: f32,
        allowed: &'static str,
    },
}

impl BeltConfig {
    /// Checks every field; the error names the first that does not fit.
    pub fn validate(&self) -> Result<(), BeltError> {
        let sides = MIN_SIDE..=MAX_SIDE;
        if !sides.contains(&self.width) || !sides.contains(&self.height) {
            return Err(BeltError::Size {
                width: self.width,
                height: self.height,
            });
        }
        let fps_fits = self.fps > 0.0 && self.fps <= 1000.0;
        check(fps_fits, "fps", self.fps, "above 0 and at most 1000")?;
        check(
            (0.0..=10.0).contains(&self.speed),
            "speed",
            self.speed,
            "from 0 to 10",
        )?;
        check(
            (0.0..=1.0).contains(&self.density),
            "density",
            self.density,
            "from 0 to 1",
        )?;
        let rate_fits = (0.0..=1.0).contains(&self.defect_rate);
        check(rate_fits, "defect_rate", self.defect_rate, "from 0 to 1")?;
        let exposure_fits = (0.0..=0.1).contains(&self.exposure_s);
        check(
            exposure_fits,
            "exposure_s",
            self.exposure_s,
            "from 0 to 0.1",
        )?;
        let noise_fits = (0.0..=20.0).contains(&self.sensor_noise);
        check(
            noise_fits,
            "sensor_noise",
            self.sensor_noise,
            "from 0 to 20",
        )
    }

    /// Pixels per drawing unit: lengths are written as pixels of a 640x480 frame.
    pub(crate) fn scale(&self) -> f32 {
        self.width.min(self.height) as f32 / 480.0
    }

    /// How far the belt has come at a frame. Whole pixels, so that everything on the belt moves
    /// rigidly and a mask keeps its shape from frame to frame.
    pub(crate) fn travelled_px(&self, frame_index: u64) -> u64 {
        let px_per_second = f64::from(self.speed) * f64::from(self.width.min(self.height));
        (frame_index as f64 * px_per_second / f64::from(self.fps)).round() as u64
    }

    /// How far the belt moves while the shutter is open.
    pub(crate) fn blur_px(&self) -> f32 {
        self.speed * self.width.min(self.height) as f32 * self.exposure_s
    }
}

const fn check(
    fits: bool,
    name: &'static str,
    value: f32,
    allowed: &'static str,
) -> Result<(), BeltError> {
    if fits {
        Ok(())
    } else {
        Err(BeltError::OutOfRange {
            name,
            value,
            allowed,
        })
    }
}
