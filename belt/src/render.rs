//! Draws one frame: belt, shadows, parts, rails, and what the camera does to them.

use image::RgbImage;

use crate::config::BeltConfig;
use crate::light::Light;
use crate::noise::{Grain, Noise};
use crate::sprite::Sprite;
use crate::texture::{BeltTexture, Rails};

/// A sprite and where its upper left corner lies in the frame.
pub(crate) struct Placed<'a> {
    pub(crate) sprite: &'a Sprite,
    pub(crate) left: i64,
    pub(crate) top: i64,
}

/// The part of a sprite that is inside the frame, in the sprite's own pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) columns: (usize, usize),
    pub(crate) rows: (usize, usize),
    /// Where the window's first pixel lies in the frame.
    pub(crate) frame_x: usize,
    pub(crate) frame_y: usize,
}

impl Placed<'_> {
    /// The sprite moved by `shift` and cut to the frame; none if nothing is left.
    pub(crate) fn window(&self, frame: (u32, u32), shift: (i64, i64)) -> Option<Window> {
        let (left, top) = (self.left + shift.0, self.top + shift.1);
        let cut = |start: i64, length: usize, limit: u32| {
            let first = (-start).max(0);
            let end = (i64::from(limit) - start).min(length as i64);
            (first < end).then_some(((first as usize, end as usize), (start + first) as usize))
        };
        let (columns, frame_x) = cut(left, self.sprite.width, frame.0)?;
        let (rows, frame_y) = cut(top, self.sprite.height, frame.1)?;
        Some(Window {
            columns,
            rows,
            frame_x,
            frame_y,
        })
    }
}

/// How high parts stand over the belt, in drawing units: sets the length of their shadows.
const PART_HEIGHT: f32 = 5.5;
/// A full shadow takes this share of the light, out of 256.
const SHADOW_DEPTH: u32 = 150;

/// Copies the stretch of belt that lies in the frame.
pub(crate) fn draw_belt(
    image: &mut RgbImage,
    texture: &mut BeltTexture,
    noise: &Noise,
    travelled_px: u64,
) {
    let row_bytes = image.width() as usize * 3;
    let texture_bytes = texture.width * 3;
    // The belt moves right, so the frame's left edge moves back along the texture.
    let passed = (travelled_px % texture.width as u64) as usize;
    let first_column = (texture.width - passed) % texture.width;
    texture.draw(first_column, image.width() as usize, noise);
    let start = first_column * 3;
    let rows = image
        .chunks_exact_mut(row_bytes)
        .zip(texture.pixels.chunks_exact(texture_bytes));
    for (target, source) in rows {
        let mut written = 0;
        let mut from = start;
        while written < row_bytes {
            let count = (row_bytes - written).min(texture_bytes - from);
            target[written..written + count].copy_from_slice(&source[from..from + count]);
            written += count;
            from = 0;
        }
    }
}

/// Draws a part's shadow and the part over everything drawn so far.
pub(crate) fn draw_part(image: &mut RgbImage, placed: &Placed<'_>, light: &Light, scale: f32) {
    let frame = image.dimensions();
    let reach = light.shadow * (PART_HEIGHT * scale);
    let shift = (reach.x.round() as i64, reach.y.round() as i64);
    let sprite = placed.sprite;
    if let Some(window) = placed.window(frame, shift) {
        for_rows(image, &window, sprite.width, |pixels, range| {
            for (pixel, &shade) in pixels.chunks_exact_mut(3).zip(&sprite.shade[range]) {
                let kept = 256 - ((u32::from(shade) * SHADOW_DEPTH) >> 8);
                for level in pixel {
                    *level = ((u32::from(*level) * kept) >> 8) as u8;
                }
            }
        });
    }
    if let Some(window) = placed.window(frame, (0, 0)) {
        for_rows(image, &window, sprite.width, |pixels, range| {
            for (pixel, texel) in pixels.chunks_exact_mut(3).zip(&sprite.texels[range]) {
                if texel.coverage == 0 {
                    continue;
                }
                let coverage = i32::from(texel.coverage);
                for (level, lit) in pixel.iter_mut().zip(light.shade(*texel)) {
                    let below = i32::from(*level);
                    *level = (below + (lit.min(255) - below) * coverage / 255) as u8;
                }
            }
        });
    }
}

/// Calls `paint` with each row of the window: the frame's bytes and the sprite's index range.
fn for_rows(
    image: &mut RgbImage,
    window: &Window,
    sprite_width: usize,
    mut paint: impl FnMut(&mut [u8], std::ops::Range<usize>),
) {
    let frame_width = image.width() as usize;
    let count = window.columns.1 - window.columns.0;
    let bytes: &mut [u8] = image;
    for row in window.rows.0..window.rows.1 {
        let y = window.frame_y + row - window.rows.0;
        let first = (y * frame_width + window.frame_x) * 3;
        let from = row * sprite_width + window.columns.0;
        paint(&mut bytes[first..first + count * 3], from..from + count);
    }
}

/// Smears the frame along the belt's direction, as a shutter that stays open does.
pub(crate) fn blur_motion(image: &mut RgbImage, blur_px: f32, scratch: &mut Vec<u8>) {
    // An odd number of pixels, so that things stay where their masks are.
    let radius = ((blur_px - 1.0) / 2.0).round().clamp(0.0, 24.0) as usize;
    if radius == 0 {
        return;
    }
    let row_bytes = image.width() as usize * 3;
    let window = (2 * radius + 1) as u32;
    let reciprocal = (1 << 16) / window + 1;
    for row in image.chunks_exact_mut(row_bytes) {
        // Both ends repeat the edge pixel, so that the window never leaves the row.
        scratch.clear();
        for _ in 0..radius {
            scratch.extend_from_slice(&row[..3]);
        }
        scratch.extend_from_slice(row);
        for _ in 0..radius {
            scratch.extend_from_slice(&row[row_bytes - 3..]);
        }
        if radius == 1 {
            let (one, rest) = scratch.split_at(3);
            let sums = one.iter().chain(rest).zip(rest).zip(&rest[3..]);
            for (level, ((&before, &here), &after)) in row.iter_mut().zip(sums) {
                let sum = u32::from(before) + u32::from(here) + u32::from(after);
                *level = ((sum * reciprocal) >> 16) as u8;
            }
            continue;
        }
        for channel in 0..3 {
            let mut sum: u32 = (0..window as usize - 1)
                .map(|step| u32::from(scratch[step * 3 + channel]))
                .sum();
            for index in (channel..row_bytes).step_by(3) {
                sum += u32::from(scratch[index + 6 * radius]);
                row[index] = ((sum * reciprocal) >> 16) as u8;
                sum -= u32::from(scratch[index]);
            }
        }
    }
}

/// Lays the rails over the belt's edges.
pub(crate) fn draw_rails(image: &mut RgbImage, rails: &Rails) {
    let row_bytes = image.width() as usize * 3;
    let bytes = rails.rows * row_bytes;
    let pixels: &mut [u8] = image;
    let lower_start = pixels.len() - bytes;
    pixels[..bytes].copy_from_slice(&rails.upper);
    pixels[lower_start..].copy_from_slice(&rails.lower);
}

/// What lens and sensor add: uneven light, dark corners and noise.
pub(crate) fn expose(image: &mut RgbImage, light: &Light, grain: &Grain, frame_index: u64) {
    let (width, height) = (image.width() as usize, image.height());
    let half = (width as f32 / 2.0, height as f32 / 2.0);
    // Distance squared and slopes are sums of a part in x and a part in y.
    let falloff = |offset: f32, slope: f32| slope * offset - light.vignette * 0.5 * offset * offset;
    let columns: Vec<i32> = (0..width)
        .flat_map(|column| {
            let offset = (column as f32 + 0.5 - half.0) / half.0;
            let gain = falloff(offset, light.gradient.x);
            light.gain.map(|base| (base * gain * 4096.0) as i32)
        })
        .collect();
    for (row, pixels) in image.chunks_exact_mut(width * 3).enumerate() {
        let offset = (row as f32 + 0.5 - half.1) / half.1;
        let gain = 1.0 + falloff(offset, light.gradient.y);
        let row_gain = light.gain.map(|base| (base * gain * 4096.0) as i32);
        let noise = grain.row(frame_index, row as u32, width * 3);
        let pixels = pixels.chunks_exact_mut(3);
        for ((pixel, gains), noise) in pixels
            .zip(columns.chunks_exact(3))
            .zip(noise.chunks_exact(3))
        {
            for channel in 0..3 {
                let gain = row_gain[channel] + gains[channel];
                let level = ((i32::from(pixel[channel]) * gain) >> 12) + i32::from(noise[channel]);
                pixel[channel] = level.clamp(0, 255) as u8;
            }
        }
    }
}

/// Seconds into the belt's run at which a frame is taken.
pub(crate) fn seconds_at(config: &BeltConfig, frame_index: u64) -> f64 {
    frame_index as f64 / f64::from(config.fps)
}
