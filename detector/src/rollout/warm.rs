//! The first run of a model: it takes longest, and shows whether the model can run at all.

use crate::image::RgbImage;
use crate::model::{Model, ModelError};

/// As a small camera sees it.
const WIDTH: u32 = 640;
const HEIGHT: u32 = 480;

/// Lets the model look at one picture, and at as many as it takes at once.
pub fn warm_up(model: &mut dyn Model) -> Result<(), ModelError> {
    let picture = picture();
    run(model, &[&picture])?;
    let batch = model.manifest().max_batch_size;
    if batch > 1 {
        run(model, &vec![&picture; batch])?;
    }
    Ok(())
}

fn run(model: &mut dyn Model, pictures: &[&RgbImage]) -> Result<(), ModelError> {
    let answers = model.predict(pictures)?.len();
    if answers == pictures.len() {
        return Ok(());
    }
    let wanted = pictures.len();
    let reason = format!("{answers} answers to {wanted} pictures");
    Err(ModelError::Engine(reason.into()))
}

/// Slopes of grey and colour: a plain picture would leave most of a network idle.
fn picture() -> RgbImage {
    let mut pixels = Vec::with_capacity((WIDTH * HEIGHT * 3) as usize);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            pixels.extend([
                (x * 255 / WIDTH) as u8,
                (y * 255 / HEIGHT) as u8,
                (x ^ y) as u8,
            ]);
        }
    }
    RgbImage::new(WIDTH, HEIGHT, pixels).expect("three bytes a pixel were pushed")
}
