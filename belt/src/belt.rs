//! The belt itself: any frame of it, in any order.

use std::collections::BTreeMap;

use image::RgbImage;
use pipeline::mask::{Crop, Mask};

use crate::config::{BeltConfig, BeltError};
use crate::layout::{Layout, Part};
use crate::light::Lamp;
use crate::noise::{Grain, Noise};
use crate::random::mix;
use crate::render::{
    Placed, Window, blur_motion, draw_belt, draw_part, draw_rails, expose, seconds_at,
};
use crate::sprite::Sprite;
use crate::texture::{BeltTexture, Rails};
use crate::truth::{Class, Scene, Truth};

/// Instances of fewer pixels (at 640x480) cannot be told from dirt and are left out of the truth.
const MIN_AREA: f32 = 30.0;
/// Neither can those of which less than this share is to be seen.
const MIN_VISIBLE: f32 = 0.1;

/// A conveyor belt under a camera.
///
/// A frame depends on the configuration and its index only, never on which frames were drawn before;
/// what is kept between calls only saves time.
pub struct Belt {
    config: BeltConfig,
    layout: Layout,
    lamp: Lamp,
    noise: Noise,
    grain: Grain,
    texture: BeltTexture,
    rails: Rails,
    /// Blocks of the belt near the last frame, drawn.
    blocks: BTreeMap<u64, Vec<Item>>,
    scratch: Vec<u8>,
    hidden: Vec<bool>,
}

struct Item {
    part: Part,
    sprite: Sprite,
}

/// What of an object a frame shows.
struct Seen {
    pixels: Vec<u8>,
    area: u64,
}

impl Belt {
    pub fn new(config: BeltConfig) -> Result<Self, BeltError> {
        config.validate()?;
        let scale = config.scale();
        let noise = Noise::new(mix(config.seed));
        Ok(Self {
            layout: Layout::new(&config),
            lamp: Lamp::new(config.seed),
            grain: Grain::new(config.seed, config.sensor_noise, config.width as usize * 3),
            texture: BeltTexture::new(config.seed, config.height, scale),
            rails: Rails::new(config.seed, config.width, scale, &noise),
            noise,
            config,
            blocks: BTreeMap::new(),
            scratch: Vec::new(),
            hidden: Vec::new(),
        })
    }

    pub fn config(&self) -> &BeltConfig {
        &self.config
    }

    /// One frame and the truth about it.
    pub fn scene(&mut self, frame_index: u64) -> Scene {
        let in_view: Vec<(u64, i64)> = self
            .layout
            .blocks_in_view(&self.config, frame_index)
            .collect();
        self.prepare(&in_view);
        let light = self.lamp.at(seconds_at(&self.config, frame_index));
        let scale = self.config.scale();
        let mut image = RgbImage::new(self.config.width, self.config.height);
        let travelled_px = self.config.travelled_px(frame_index);
        draw_belt(&mut image, &mut self.texture, &self.noise, travelled_px);

        let items = lay_out(&self.blocks, &in_view);
        for (_, placed) in &items {
            draw_part(&mut image, placed, &light, scale);
        }
        blur_motion(&mut image, self.config.blur_px(), &mut self.scratch);
        draw_rails(&mut image, &self.rails);
        expose(&mut image, &light, &self.grain, frame_index);
        let instances = find_truth(&self.config, &items, &mut self.hidden);
        Scene { image, instances }
    }

    /// Draws the blocks that come into view and drops those that have left it.
    fn prepare(&mut self, in_view: &[(u64, i64)]) {
        self.blocks
            .retain(|block, _| in_view.iter().any(|(wanted, _)| wanted == block));
        let scale = self.config.scale();
        for &(block, _) in in_view {
            self.blocks.entry(block).or_insert_with(|| {
                let parts = self.layout.parts(block).into_iter();
                parts
                    .map(|part| Item {
                        sprite: Sprite::new(&part, scale, &self.noise),
                        part,
                    })
                    .collect()
            });
        }
    }
}

/// What lies in the blocks, from the lowest part to the topmost.
fn lay_out<'a>(
    blocks: &'a BTreeMap<u64, Vec<Item>>,
    in_view: &[(u64, i64)],
) -> Vec<(&'a Item, Placed<'a>)> {
    let mut items = Vec::new();
    for (block, block_left) in in_view {
        for item in blocks.get(block).into_iter().flatten() {
            let sprite = &item.sprite;
            let placed = Placed {
                sprite,
                left: block_left + sprite.left,
                top: sprite.top,
            };
            items.push((item, placed));
        }
    }
    items.sort_by_key(|(item, _)| (item.part.level, item.part.id));
    items
}

/// Goes from the topmost part down and notes what nothing above hides.
fn find_truth(
    config: &BeltConfig,
    items: &[(&Item, Placed<'_>)],
    hidden: &mut Vec<bool>,
) -> Vec<Truth> {
    hidden.clear();
    hidden.resize(config.width as usize * config.height as usize, false);
    let mut instances = Vec::new();
    for (item, placed) in items.iter().rev() {
        let Some(window) = placed.window((config.width, config.height), (0, 0)) else {
            continue;
        };
        let (part, sprite) = (&item.part, placed.sprite);
        let view = View { config, window };
        if !sprite.defect.is_empty() {
            let seen = view.visible(hidden, sprite.width, |index| sprite.defect[index]);
            let truth = view
                .truth(part, &seen, sprite.defect_area)
                .map(|truth| Truth {
                    id: part.id + 1,
                    class: Class::Defect,
                    part_of: Some(part.id),
                    defect_kind: part.defect.as_ref().map(|defect| defect.kind),
                    ..truth
                });
            instances.extend(truth);
        }
        let seen = view.visible(hidden, sprite.width, |index| sprite.is_part(index));
        instances.extend(view.truth(part, &seen, sprite.part_area));
        view.hide_below(hidden, placed.sprite);
    }
    instances.reverse();
    instances
}

/// One sprite's window into the frame.
struct View<'a> {
    config: &'a BeltConfig,
    window: Window,
}

impl View<'_> {
    fn size(&self) -> (usize, usize) {
        let window = &self.window;
        (
            window.columns.1 - window.columns.0,
            window.rows.1 - window.rows.0,
        )
    }

    fn visible(
        &self,
        hidden: &[bool],
        sprite_width: usize,
        is_inside: impl Fn(usize) -> bool,
    ) -> Seen {
        let (width, height) = self.size();
        let mut pixels = vec![0; width * height];
        let mut area = 0;
        for row in 0..height {
            let frame_start = self.frame_index(row);
            let sprite_start = self.sprite_index(row, sprite_width);
            for column in 0..width {
                if is_inside(sprite_start + column) && !hidden[frame_start + column] {
                    pixels[row * width + column] = 1;
                    area += 1;
                }
            }
        }
        Seen { pixels, area }
    }

    fn hide_below(&self, hidden: &mut [bool], sprite: &Sprite) {
        let (width, height) = self.size();
        for row in 0..height {
            let frame_start = self.frame_index(row);
            let sprite_start = self.sprite_index(row, sprite.width);
            for column in 0..width {
                hidden[frame_start + column] |= sprite.is_part(sprite_start + column);
            }
        }
    }

    fn truth(&self, part: &Part, seen: &Seen, whole_area: u64) -> Option<Truth> {
        let scale = self.config.scale();
        let visible = seen.area as f32 / whole_area.max(1) as f32;
        if (seen.area as f32) < (MIN_AREA * scale * scale).max(1.0) || visible < MIN_VISIBLE {
            return None;
        }
        let (width, height) = self.size();
        let crop = Crop {
            x: self.window.frame_x as u32,
            y: self.window.frame_y as u32,
            width: width as u32,
            height: height as u32,
        };
        let mask = Mask::from_crop(self.config.width, self.config.height, crop, &seen.pixels);
        Some(Truth {
            id: part.id,
            class: part.class,
            color: part.color,
            bbox: mask.bbox(),
            mask,
            area: seen.area,
            visible: visible.min(1.0),
            part_of: None,
            defect_kind: None,
        })
    }

    fn frame_index(&self, row: usize) -> usize {
        (self.window.frame_y + row) * self.config.width as usize + self.window.frame_x
    }

    fn sprite_index(&self, row: usize, sprite_width: usize) -> usize {
        (self.window.rows.0 + row) * sprite_width + self.window.columns.0
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    /// Draws the parts alone on a ground of one grey level.
    fn parts_on(belt: &mut Belt, frame_index: u64, ground: u8) -> RgbImage {
        let in_view: Vec<_> = belt
            .layout
            .blocks_in_view(&belt.config, frame_index)
            .collect();
        belt.prepare(&in_view);
        let light = belt.lamp.at(seconds_at(&belt.config, frame_index));
        let (width, height) = (belt.config.width, belt.config.height);
        let mut image = RgbImage::from_pixel(width, height, Rgb([ground; 3]));
        for (_, placed) in lay_out(&belt.blocks, &in_view) {
            draw_part(&mut image, &placed, &light, belt.config.scale());
        }
        image
    }

    #[test]
    fn masks_are_the_painted_pixels() {
        for seed in 0..6 {
            let config = BeltConfig {
                seed,
                density: 0.8,
                ..BeltConfig::default()
            };
            let mut belt = Belt::new(config).expect("a valid configuration");
            let instances = belt.scene(seed * 50).instances;
            let on_black = parts_on(&mut belt, seed * 50, 0);
            let on_white = parts_on(&mut belt, seed * 50, 255);
            let mut painted = vec![0_u8; 640 * 480];
            let parts = instances
                .iter()
                .filter(|truth| truth.class != Class::Defect);
            for truth in parts {
                for (pixel, set) in painted.iter_mut().zip(truth.mask.to_bitmap()) {
                    *pixel += set;
                }
            }
            assert!(
                painted.iter().all(|&parts| parts <= 1),
                "two parts claim one pixel"
            );
            // Where a part is, the ground shows through by half at the most. Parts too little seen
            // to be in the truth are painted too, so the other direction is counted.
            let mut unclaimed = 0;
            for ((black, white), &is_part) in on_black.pixels().zip(on_white.pixels()).zip(&painted)
            {
                let ground_shown = white.0[0].abs_diff(black.0[0]);
                if is_part == 1 {
                    assert!(
                        ground_shown <= 128,
                        "a mask covers a pixel that is not painted"
                    );
                } else if ground_shown < 8 {
                    unclaimed += 1;
                }
            }
            assert!(unclaimed < 400, "{unclaimed} painted pixels are in no mask");
        }
    }
}
